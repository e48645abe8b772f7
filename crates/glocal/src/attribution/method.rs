//! How attributions are made from what the rules propagate, or without them.
//!
//! Whatever the method, the call is the same: [`Attributor::attribute`](crate::Attributor::attribute) with a
//! [`Request`] whose [`method`](Request::method) says which. All but occlusion send relevance down by the attributor's
//! composite, so that conditions, targets, scope and recorded layers mean what they always do; the classic forms are
//! those of the preset `gradient` with [`Initial::One`](crate::attribution::Initial::One). The gradient itself is
//! [`Method::Plain`] with that preset.
//!
//! What is common to all: the predicted class is that of the sample as it was given, a recorded layer's activation too,
//! and its relevance is what arrives there (averaged over the passes where there are several); only the attribution of
//! the input is multiplied by anything. Rows never depend on each other, nor on how many are run together.

mod average;
mod integrated_gradients;
mod normal;
mod occlusion;
mod smooth_grad;
mod text;
mod times_input;
mod window;

pub use integrated_gradients::{Baseline, IntegratedGradients};
pub use occlusion::{Hidden, Occlusion};
pub use smooth_grad::{Noise, SmoothGrad};
pub use window::Extent;

use crate::attribution::{Attributions, Request, Trace, execute};
use crate::error::RequestError;
use crate::model::Model;

/// Room for the values of the perturbed copies that are run together.
const COPIES_BYTES: usize = 64 << 20;

/// How attributions are made.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Method {
    /// What the composite propagates, once.
    #[default]
    Plain,
    /// What the composite propagates, times the input, element by element: Gradient×Input with the preset `gradient`.
    ///
    /// Source: Shrikumar et al. 2016, arXiv 1605.01713.
    TimesInput,
    /// The mean over noisy copies of the input.
    SmoothGrad(SmoothGrad),
    /// The mean over a straight path from a baseline to the input, times their difference.
    IntegratedGradients(IntegratedGradients),
    /// The target's score with parts of the input hidden.
    Occlusion(Occlusion),
}

impl Method {
    /// The names of all methods, as [text](str::parse) has them.
    pub const NAMES: [&'static str; 5] =
        ["plain", "gradient-times-input", "smooth-grad", "integrated-gradients", "occlusion"];

    /// The method's name in kebab-case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::TimesInput => "gradient-times-input",
            Self::SmoothGrad(_) => "smooth-grad",
            Self::IntegratedGradients(_) => "integrated-gradients",
            Self::Occlusion(_) => "occlusion",
        }
    }
}

/// The attributions that `request` asks for, by its method.
pub(super) fn attribute(trace: &Trace<'_>, request: &Request) -> Result<Attributions, RequestError> {
    match &request.method {
        Method::Plain => execute::attribute(trace, request),
        Method::TimesInput => times_input::attribute(trace, request),
        Method::SmoothGrad(method) => method.attribute(trace, request),
        Method::IntegratedGradients(method) => method.attribute(trace, request),
        Method::Occlusion(method) => method.attribute(trace, request),
    }
}

/// How many perturbed copies of a batch of samples run through the model together.
fn copies_at_once(model: &Model, samples: usize, rows_at_once: usize) -> usize {
    let elements = |node: &crate::model::Node| node.shape.iter().product::<usize>();
    let of_sample: usize = model.graph().nodes().map(|(_, node)| elements(node)).sum();
    let within_memory = COPIES_BYTES / of_sample.saturating_mul(size_of::<f32>()).max(1);
    (within_memory.min(rows_at_once) / samples.max(1)).max(1)
}
