//! Which attribution graph is wanted.

use crate::attribution::{Cancel, Condition};

/// Where an attribution graph starts, and how far and how wide it goes.
#[derive(Debug, Clone)]
pub struct FlowRequest {
    /// Where it starts. Default: [`Root::Predicted`].
    pub root: Root,
    /// The layers whose concepts are nodes, by any of their names; those that are not below the root are left out. Default:
    /// none, which means all layers with weights (convolutions and dense layers).
    pub layers: Vec<String>,
    /// How many concepts are kept of each lower layer, at least 1, one number for each step down; further steps take the
    /// last. Default: 4, 2.
    pub widths: Vec<usize>,
    /// How many steps are taken, at least 1. Default: as many as there are `widths`.
    pub depth: Option<usize>,
    /// What the relevance of an edge has come through. Default: [`Path::Whole`].
    pub path: Path,
    /// Which concepts are the best. Default: [`Order::Relevance`].
    pub order: Order,
    /// Set to stop early. Default: never.
    pub cancel: Cancel,
}

impl Default for FlowRequest {
    fn default() -> Self {
        Self {
            root: Root::Predicted,
            layers: Vec::new(),
            widths: vec![4, 2],
            depth: None,
            path: Path::Whole,
            order: Order::Relevance,
            cancel: Cancel::default(),
        }
    }
}

/// Where an attribution graph starts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Root {
    /// The class with the largest output.
    Predicted,
    /// A class of the output, from 0.
    Class(usize),
    /// A concept (channel) of a layer.
    Concept {
        /// The layer, by any of its names.
        layer: String,
        /// The channel, from 0.
        id: usize,
        /// Where its relevance comes from.
        origin: Origin,
    },
}

impl Root {
    /// Channel `id` of `layer`, with the relevance that it has for the predicted class.
    pub fn concept(layer: impl Into<String>, id: usize) -> Self {
        Self::Concept { layer: layer.into(), id, origin: Origin::Condition(Condition::predicted()) }
    }
}

/// Where the relevance of a root concept comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// From a target of the output, through concepts of upper layers where the condition names any.
    Condition(Condition),
    /// From the concept itself: its own activation.
    Activation,
}

/// What the relevance of an edge has come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// Through the whole path: from the root along the edges of the graph.
    ///
    /// A node is followed once, at the step that first reaches it, with what all edges of that step brought. Where two of
    /// these lie on one path (one end of a skip connection above the other), what took both counts twice.
    Whole,
    /// Through the root and the edge's upper end, by whatever way between them.
    RootAndCurrent,
    /// The root and the edge's upper end are masked, and what flows beside them through parallel branches counts as well:
    /// [`Scope::Whole`](crate::attribution::Scope), zennit-crp's form.
    ///
    /// Where there are parallel branches an edge may then carry more than its upper end has, and even concepts that no
    /// relevance arrives at seem to hand some on; as there, these are nodes where a layer has no better ones. Every step
    /// starts at the output again. Without parallel branches it is the same as [`Path::RootAndCurrent`].
    Masked,
}

/// Which concepts of a layer are the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Those with the largest relevance: what speaks for the root comes first, and what speaks against it last.
    Relevance,
    /// Those whose relevance is largest in size, whatever its sign.
    Size,
}
