//! The model as everything above sees it: a graph of nodes in topological order, with fixed shapes of one sample and
//! a free batch.
//!
//! A model is immutable; canonizers return a new one, and any number of threads may use one at once. Packed weights
//! are kept inside its ops and made once.

mod graph;
mod import;
mod layer_name;
mod rerun;

use std::sync::Arc;

use glocal_compute::{Backend, Tensor};

pub use graph::{Graph, Node, NodeId};
pub use import::ImportOptions;
pub use layer_name::LayerName;

use crate::attribution::{Cancel, rows_of, rows_uninterrupted};
use crate::error::{LayerError, ModelError, ModelErrorKind, RunError};
use crate::op::activation::Activation;
use crate::op::{OpKind, Structure};

/// A network that can be explained.
#[derive(Debug, Clone)]
pub struct Model {
    graph: Graph,
    backend: Arc<dyn Backend>,
    output: NodeId,
    explained: NodeId,
}

impl Model {
    /// A model of `graph` whose predictions are those of node `output`, run by `backend`. The node that is explained
    /// is the one below a trailing softmax, log-softmax or sigmoid.
    ///
    /// # Errors
    /// When there is no node `output`.
    pub fn new(graph: Graph, output: NodeId, backend: Arc<dyn Backend>) -> Result<Self, ModelError> {
        let mut explained = output;
        loop {
            let node = graph.get(explained).ok_or_else(|| ModelError::from(ModelErrorKind::NoOutput))?;
            match (node.op.structure(), node.inputs.as_slice()) {
                (structure, [below]) if is_probability(&structure) || only_moves(&structure, node.op.kind()) => {
                    explained = *below;
                }
                _ => break,
            }
        }
        // What moves logits is stepped over only where a probability lies below it, and no further than that.
        let chain = graph.chain(output, explained).collect::<Vec<_>>();
        let probability = chain.iter().rev().find(|node| is_probability(&node.op.structure()));
        let explained = probability.and_then(|node| node.inputs.first().copied()).unwrap_or(output);
        Ok(Self { graph, backend, output, explained })
    }

    /// The nodes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What computes the nodes.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// The node whose value is the model's output.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The node that is explained: the logits, where the output is a probability.
    pub fn explained(&self) -> NodeId {
        self.explained
    }

    /// The shape of one input sample.
    pub fn input_shape(&self) -> &[usize] {
        &self.graph.node(self.graph.input()).shape
    }

    /// The shape of the explained output of one sample.
    pub fn output_shape(&self) -> &[usize] {
        &self.graph.node(self.explained).shape
    }

    /// The node that a user means by `name`: a layer name, an ONNX node name, or the name of an ONNX value.
    ///
    /// # Errors
    /// When there is none; the error holds the nearest names.
    pub fn layer(&self, name: &str) -> Result<NodeId, LayerError> {
        self.graph.find(name)
    }

    /// The same model with another graph, whose outputs `moved` finds.
    pub(crate) fn with_graph(&self, graph: Graph, moved: impl Fn(NodeId) -> NodeId) -> Self {
        Self { graph, backend: Arc::clone(&self.backend), output: moved(self.output), explained: moved(self.explained) }
    }

    /// The value of every node for a batch of inputs `[N, ...]`.
    ///
    /// # Errors
    /// When the samples do not have [`input_shape`](Self::input_shape).
    pub fn run(&self, inputs: &Tensor) -> Result<Vec<Tensor>, RunError> {
        let last = NodeId(self.graph.len().saturating_sub(1));
        self.run_to(inputs, last, &Cancel::default())
    }

    /// The values of the nodes up to `last`, for a batch of inputs `[N, ...]`, unless `cancel` is set before they are there.
    pub(crate) fn run_to(&self, inputs: &Tensor, last: NodeId, cancel: &Cancel) -> Result<Vec<Tensor>, RunError> {
        if inputs.sample_shape() != self.input_shape() || inputs.rank() == 0 {
            return Err(RunError::input_shape(self.input_shape(), inputs.shape()));
        }
        let mut values: Vec<Tensor> = Vec::with_capacity(last.0 + 1);
        for (id, node) in self.graph.nodes().take(last.0 + 1) {
            if id == self.graph.input() {
                values.push(inputs.clone());
                continue;
            }
            let operands: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.0]).collect();
            let value = self.forward(node, &operands, cancel)?;
            values.push(value);
        }
        Ok(values)
    }

    /// The value of a node, some samples at a time where they are much work.
    fn forward(&self, node: &Node, operands: &[&Tensor], cancel: &Cancel) -> Result<Tensor, RunError> {
        cancel.check()?;
        let failed = |cause| RunError::node(node, cause);
        let batch = operands.first().map_or(0, |operand| operand.batch());
        let at_once = rows_uninterrupted(self.graph.multiply_adds(node));
        if batch <= at_once || operands.iter().any(|operand| operand.batch() != batch) {
            return node.op.forward(self.backend.as_ref(), operands).map_err(failed);
        }
        let mut data = Vec::with_capacity(batch * node.shape.iter().product::<usize>());
        for first in (0..batch).step_by(at_once) {
            cancel.check()?;
            let some = first..(first + at_once).min(batch);
            let some = operands.iter().map(|operand| rows_of(operand, some.clone()));
            let some = some.collect::<Result<Vec<_>, _>>()?;
            let value = node.op.forward(self.backend.as_ref(), &some.iter().collect::<Vec<_>>()).map_err(failed)?;
            data.extend_from_slice(value.data());
        }
        Ok(Tensor::new([&[batch], node.shape.as_slice()].concat(), data)?)
    }
}

/// Whether an op leaves its input's elements as they are, if perhaps elsewhere.
fn only_moves(structure: &Structure<'_>, kind: OpKind) -> bool {
    matches!(structure, Structure::Identity) || matches!(kind, OpKind::Reshape | OpKind::Transpose)
}

/// Whether an op at the end of a model turns logits into probabilities.
fn is_probability(structure: &Structure<'_>) -> bool {
    matches!(structure, Structure::Softmax | Structure::Activation(Activation::Sigmoid))
}
