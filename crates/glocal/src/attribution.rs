//! Conditional attribution: relevance of the input, and of every layer, restricted to chosen concepts.
//!
//! An [`Attributor`] is a model with a rule for every node. [`Attributor::trace`] runs the model once and prepares each
//! rule at most once; any number of conditions is then propagated over that one trace. A [`Request`] says which, and by
//! which [`Method`]: propagated once, averaged over noise or a path, or scored by occlusion.
//!
//! Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8 (Concept Relevance Propagation).

mod backward;
mod condition;
mod execute;
mod explain;
pub mod method;
mod request;
mod result;
mod stream;
mod trace;

use std::sync::Arc;

use glocal_compute::Tensor;

pub use condition::{Condition, Target};
pub use explain::{Explanation, LayerWork};
pub use method::Method;
pub use request::{Cancel, Initial, Pairing, Request, Scope};
pub use result::{Attribution, Attributions};
pub use stream::{Progress, Stream};
pub use trace::Trace;

pub(crate) use backward::{Arrived, Descent, Ledger, rows_of, rows_uninterrupted};
pub(crate) use execute::{Need, argmax, between, one_by_one};

use crate::composite::{Composite, Resolved};
use crate::error::{RequestError, RunError};
use crate::model::Model;

/// A model with a rule for every node.
#[derive(Debug, Clone)]
pub struct Attributor {
    model: Arc<Model>,
    composite: Composite,
    resolved: Resolved,
}

impl Attributor {
    /// The model with the rules that `composite` gives its nodes.
    ///
    /// # Errors
    /// When a node has no rule, or one that cannot be applied to it.
    pub fn new(model: impl Into<Arc<Model>>, composite: Composite) -> Result<Self, RequestError> {
        let model = model.into();
        let resolved = composite.resolve(&model)?;
        Ok(Self { model, composite, resolved })
    }

    /// The same model with the rules of another composite.
    ///
    /// # Errors
    /// When a node has no rule, or one that cannot be applied to it.
    pub fn with_composite(&self, composite: Composite) -> Result<Self, RequestError> {
        Self::new(Arc::clone(&self.model), composite)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The composite.
    pub fn composite(&self) -> &Composite {
        &self.composite
    }

    /// The rule of every node.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// Runs the model on a batch of inputs `[N, ...]` and keeps what relevance needs.
    ///
    /// # Errors
    /// When the samples do not have the model's input shape.
    pub fn trace(&self, inputs: &Tensor) -> Result<Trace<'_>, RunError> {
        self.trace_until(inputs, &Cancel::default())
    }

    /// The same, unless `cancel` is set before it is done.
    ///
    /// # Errors
    /// When the samples do not have the model's input shape, or the work was cancelled.
    pub fn trace_until(&self, inputs: &Tensor, cancel: &Cancel) -> Result<Trace<'_>, RunError> {
        Trace::new(self, inputs, cancel)
    }

    /// Runs the model on a batch of inputs `[N, ...]` and keeps what relevance needs that `request` asks for, and no more: the trace
    /// is for this request alone, and other values are empty, `[0, ...]`.
    ///
    /// # Errors
    /// When the samples do not have the model's input shape, or the work was cancelled.
    pub fn trace_for(&self, inputs: &Tensor, request: &Request) -> Result<Trace<'_>, RunError> {
        Trace::for_request(self, inputs, request)
    }

    /// How many samples to trace together so that they take about half of the memory that the weights leave of so many bytes;
    /// at least 1.
    pub fn samples_within(&self, bytes: usize) -> usize {
        execute::Need::new(&self.model).samples_within(bytes)
    }

    /// What `request` would cost for so many samples: the rows that go down through each layer, with and without the sharing of
    /// what conditions have in common, multiply-adds, and memory. Nothing is run.
    ///
    /// # Errors
    /// When the request does not fit the model.
    pub fn explain(&self, request: &Request, samples: usize) -> Result<Explanation, RequestError> {
        execute::explain(self, request, samples)
    }

    /// The attributions of a batch of inputs `[N, ...]` that `request` asks for, in its order.
    ///
    /// # Errors
    /// When the request does not fit the model, or was cancelled.
    pub fn attribute(&self, inputs: &Tensor, request: &Request) -> Result<Attributions, RequestError> {
        self.trace_for(inputs, request)?.attribute(request)
    }
}
