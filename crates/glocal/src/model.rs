//! The model as everything above sees it: a graph of nodes in topological order, with fixed shapes of one sample and
//! a free batch.
//!
//! A model is immutable; canonizers return a new one, and any number of threads may use one at once. Packed weights
//! are kept inside its ops and made once.

mod forward;
mod graph;
mod import;
mod layer_name;
mod rerun;

use std::sync::Arc;

use glocal_compute::{Backend, Tensor};

pub use graph::{Graph, Node, NodeId};
pub use import::ImportOptions;
pub use layer_name::LayerName;

use crate::attribution::Cancel;
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
}

/// Whether an op leaves its input's elements as they are, if perhaps elsewhere.
fn only_moves(structure: &Structure<'_>, kind: OpKind) -> bool {
    matches!(structure, Structure::Identity) || matches!(kind, OpKind::Reshape | OpKind::Transpose)
}

/// Whether an op at the end of a model turns logits into probabilities.
fn is_probability(structure: &Structure<'_>) -> bool {
    matches!(structure, Structure::Softmax | Structure::Activation(Activation::Sigmoid))
}
