//! How attributions are made from what the rules propagate, or without them.
//!
//! Whatever the method, the call is the same: [`Attributor::attribute`](crate::Attributor::attribute) with a
//! [`Request`](crate::Request) whose [`method`](crate::Request::method) says which. All but occlusion send relevance down by the attributor's
//! composite, so that conditions, targets, scope and recorded layers mean what they always do; the classic forms are
//! those of the preset `gradient` with [`Initial::One`](crate::attribution::Initial::One). The gradient itself is
//! [`Method::Plain`] with that preset.
//!
//! ```
//! use glocal::attribution::method::{Method, SmoothGrad};
//! use glocal::attribution::Initial;
//! use glocal::{Attributor, Request, canonize};
//! # use std::sync::Arc;
//! # use glocal::{ImportOptions, Model};
//! # use glocal_compute::{CpuBackend, Tensor};
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/goldens/vgg_tiny/model.onnx");
//! # let onnx = glocal_onnx::Model::read(path)?;
//! # let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))?;
//! # let inputs = Tensor::full([1, 3, 16, 16], 0.5)?;
//!
//! let attributor = Attributor::new(canonize(&model)?, "gradient".parse()?)?;
//! let smooth = Method::SmoothGrad(SmoothGrad { noise_level: 0.2, ..SmoothGrad::default() });
//! let request = Request { method: smooth, initial: Initial::One, ..Request::default() };
//! let gradient = attributor.attribute(&inputs, &request)?.items.remove(0).input;
//!
//! // Methods have a text form, too.
//! let path = Request { method: "integrated-gradients:steps=50".parse()?, ..request };
//! let integrated = attributor.attribute(&inputs, &path)?;
//! # assert_eq!((gradient.map(|x| x.len()), integrated.items.len()), (Some(768), 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

use crate::attribution::Attribution;
use crate::attribution::execute::{Execution, Progressing};
use crate::error::RequestError;
use crate::model::Model;

/// Room for the values of the perturbed copies that are run together.
const COPIES_BYTES: usize = 64 << 20;

/// Room for the sums and scores of the results that are averaged together: each takes forward passes of its own for the rest.
const SUMS_BYTES: usize = 64 << 20;

/// How many results of `bytes` each are averaged together, of at least `rows_at_once`.
fn results_at_once(bytes: usize, rows_at_once: usize) -> usize {
    (SUMS_BYTES / bytes.max(1)).max(rows_at_once).max(1)
}

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

/// Makes the results of a request, some at a time, in its order.
pub(super) trait Results: Send {
    /// The next results, at least one of those that are left.
    fn next(&mut self) -> Result<Vec<Attribution>, RequestError>;
}

/// What makes the results of a request by its method.
///
/// # Errors
/// When the method's parameters make no sense, or do not fit the samples.
pub(super) fn results<'a>(execution: Execution<'a>) -> Result<Box<dyn Results + 'a>, RequestError> {
    match &execution.request().method {
        Method::Plain => Ok(Box::new(Plain::new(execution))),
        Method::TimesInput => Ok(Box::new(times_input::TimesInput::new(Plain::new(execution)))),
        Method::SmoothGrad(method) => Ok(Box::new(method.results(execution)?)),
        Method::IntegratedGradients(method) => Ok(Box::new(method.results(execution)?)),
        Method::Occlusion(method) => Ok(Box::new(method.results(execution)?)),
    }
}

/// What the composite propagates, once.
struct Plain<'a> {
    execution: Execution<'a>,
    progressing: Progressing,
    next: usize,
}

impl<'a> Plain<'a> {
    fn new(execution: Execution<'a>) -> Self {
        Self { execution, progressing: Progressing::new(), next: 0 }
    }
}

impl Results for Plain<'_> {
    fn next(&mut self) -> Result<Vec<Attribution>, RequestError> {
        let first = self.next;
        self.next = (first + self.execution.rows_at_once()).min(self.execution.results()?);
        self.execution.run(first..self.next, &mut self.progressing)
    }
}

/// How many perturbed copies of a batch of samples run through the model together.
fn copies_at_once(model: &Model, samples: usize, rows_at_once: usize) -> usize {
    let elements = |node: &crate::model::Node| node.shape.iter().product::<usize>();
    let of_sample: usize = model.graph().nodes().map(|(_, node)| elements(node)).sum();
    let within_memory = COPIES_BYTES / of_sample.saturating_mul(size_of::<f32>()).max(1);
    (within_memory.min(rows_at_once) / samples.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use glocal_compute::CpuBackend;

    use super::*;
    use crate::model::Graph;

    #[test]
    fn copies_are_few_where_samples_are_large_or_many() {
        let copies = |elements: usize, samples: usize, rows_at_once: usize| {
            let graph = Graph::new("x", vec![elements]);
            let input = graph.input();
            copies_at_once(&Model::new(graph, input, Arc::new(CpuBackend::new())).unwrap(), samples, rows_at_once)
        };
        assert_eq!(copies(10, 1, 32), 32);
        assert_eq!(copies(10, 8, 32), 4);
        assert_eq!(copies(10, 100, 32), 1);
        assert_eq!(copies(4 << 20, 1, 32), 4);
        assert_eq!(copies(4 << 20, 3, 32), 1);
        assert_eq!(copies(1 << 30, 1, 32), 1);
        assert_eq!(copies(10, 0, 0), 1);
    }
}
