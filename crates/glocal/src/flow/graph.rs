//! An attribution graph: plain data.

use crate::attribution::Trace;
use crate::error::RequestError;
use crate::flow::FlowRequest;
use crate::flow::follow::follow;

/// Concepts, and the relevance that flows between them, for one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributionGraph {
    /// The layers that nodes are of, from the output's side to the input's.
    pub layers: Vec<FlowLayer>,
    /// The concepts, each once, in the order in which they were reached: the root first, then step by step.
    pub nodes: Vec<Node>,
    /// What flows between them, at most one edge for each pair of nodes, in the order in which they were found: by upper end,
    /// then lower layer by lower layer, the best concept first.
    pub edges: Vec<Edge>,
}

/// A layer of an attribution graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowLayer {
    /// Its name: as the request has it, else the one that users know it by.
    pub name: String,
    /// How many concepts it has, those that are no nodes included.
    pub concepts: usize,
}

/// A concept in an attribution graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The layer.
    pub layer: String,
    /// The channel, from 0.
    pub concept: usize,
    /// The number of steps from the root that first reached it; 0 for the root.
    pub step: usize,
    /// The relevance of the concept for the root, by all ways from there: the sum over its positions. Of the root itself:
    /// what it has of its origin.
    pub relevance: f64,
    /// The same, divided by the sum of the sizes of all of the layer's concepts' relevances: −1 to 1.
    pub share: f64,
}

/// The relevance that flows from a concept to a lower one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// The upper end, as an index of the nodes.
    pub from: usize,
    /// The lower end, as an index of the nodes.
    pub to: usize,
    /// The relevance that arrives at the lower end, signed: the sum over its positions. It comes by all ways between the two
    /// layers, also through other layers of the graph; zero only under [`Path::Masked`](crate::flow::Path).
    pub relevance: f64,
    /// The same, divided by the sum of the sizes of what arrives at all concepts of the lower layer: −1 to 1.
    pub share: f64,
}

impl AttributionGraph {
    /// The attribution graph of the one sample of `trace`.
    ///
    /// Concepts that no relevance arrives at are no nodes, but under [`Path::Masked`](crate::flow::Path), so that a layer may
    /// have fewer than `width`. Equally good concepts
    /// are taken in the order of their channels.
    ///
    /// # Errors
    /// When the batch is not one sample, a layer or concept is none of the model's, none of the given layers lies below the
    /// root, a width or the depth is 0, the predicted class is asked for of an output that is no row of classes, or the work was
    /// cancelled.
    pub fn of(trace: &Trace<'_>, request: &FlowRequest) -> Result<Self, RequestError> {
        follow(trace, request)
    }
}
