//! What the recognisers of patterns look at: a node's inputs, factors and constants.

use glocal_compute::Tensor;

use crate::model::{Graph, NodeId};
use crate::op::Structure;
use crate::op::activation::Activation;

/// How far constants that stand for √2, 1, ½ and the like may be from them: exporters round to single precision.
const CONSTANT_ROUNDING: f32 = 1e-6;

/// Whether a constant stands for the expected number.
pub(super) fn near(value: f32, expected: f32) -> bool {
    (value - expected).abs() <= CONSTANT_ROUNDING
}

/// The two inputs of a product of activations.
pub(super) fn factors(graph: &Graph, id: NodeId) -> Option<(NodeId, NodeId)> {
    let node = graph.node(id);
    match (node.op.structure(), node.inputs.as_slice()) {
        (Structure::Product, [a, b]) => Some((*a, *b)),
        _ => None,
    }
}

/// The input and the factor of a node that multiplies by one number.
pub(super) fn scaled(graph: &Graph, id: NodeId) -> Option<(NodeId, f32)> {
    match graph.node(id).op.structure() {
        Structure::MultiplyConstant(constant) => Some((only_input(graph, id)?, number(constant)?)),
        _ => None,
    }
}

/// The input and the offset of a node that adds one number.
pub(super) fn shifted(graph: &Graph, id: NodeId) -> Option<(NodeId, f32)> {
    match graph.node(id).op.structure() {
        Structure::AddConstant(constant) => Some((only_input(graph, id)?, number(constant)?)),
        _ => None,
    }
}

/// The input of a node that is an element-wise function, and the function.
pub(super) fn activation(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    match graph.node(id).op.structure() {
        Structure::Activation(activation) => Some((only_input(graph, id)?, activation)),
        _ => None,
    }
}

pub(super) fn only_input(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match graph.node(id).inputs.as_slice() {
        [input] => Some(*input),
        _ => None,
    }
}

/// The one number that a constant consists of.
fn number(constant: &Tensor) -> Option<f32> {
    match constant.data() {
        [value] => Some(*value),
        _ => None,
    }
}
