//! Recognises activations that exporters write as several ops: SiLU as `x · sigmoid(x)`, HardSwish as
//! `x · hard-sigmoid(x)`, GELU as `x · (1 + erf(x / √2)) / 2`.

use std::sync::Arc;

use glocal_compute::Tensor;

use crate::canonizer::rewrite::{Change, rewrite};
use crate::error::ModelError;
use crate::model::{Graph, Model, NodeId};
use crate::op::Structure;
use crate::op::activation::Activation;

/// How far constants that stand for √2, 1 and ½ may be from them: exporters round √2 to single precision.
const CONSTANT_ROUNDING: f32 = 1e-6;

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let graph = model.graph();
    rewrite(model, |id, _| match activation_at(graph, id) {
        Some((activation, input)) => Change::Become(Arc::new(activation), input),
        None => Change::Keep,
    })
}

/// The activation that ends in a node, and the node that it is applied to.
fn activation_at(graph: &Graph, id: NodeId) -> Option<(Activation, NodeId)> {
    gelu(graph, id).or_else(|| gated(graph, id))
}

/// `x · sigmoid(x)`, `x · hard-sigmoid(x)` with the slope and offset of HardSwish.
fn gated(graph: &Graph, id: NodeId) -> Option<(Activation, NodeId)> {
    let (a, b) = factors(graph, id)?;
    [(a, b), (b, a)].into_iter().find_map(|(signal, gate)| {
        let node = graph.node(gate);
        match node.op.structure() {
            _ if node.inputs != [signal] => None,
            Structure::Activation(Activation::Sigmoid) => Some((Activation::Silu, signal)),
            Structure::Activation(Activation::HardSigmoid { alpha, beta }) => {
                let hard_swish = near(alpha, 1.0 / 6.0) && near(beta, 0.5);
                hard_swish.then_some((Activation::HardSwish, signal))
            }
            _ => None,
        }
    })
}

/// `½ · x · (1 + erf(x / √2))`, whichever factor the ½ stands with.
fn gelu(graph: &Graph, id: NodeId) -> Option<(Activation, NodeId)> {
    let (product, halved) = match scaled(graph, id) {
        Some((below, factor)) if near(factor, 0.5) => (below, true),
        _ => (id, false),
    };
    let (a, b) = factors(graph, product)?;
    [(a, b), (b, a)].into_iter().find_map(|(signal, gate)| {
        let (gate, gate_halved) = match scaled(graph, gate) {
            Some((below, factor)) if near(factor, 0.5) => (below, true),
            _ => (gate, false),
        };
        let (signal, signal_halved) = match scaled(graph, signal) {
            Some((below, factor)) if near(factor, 0.5) => (below, true),
            _ => (signal, false),
        };
        let halves = [halved, gate_halved, signal_halved].into_iter().filter(|&half| half).count();
        let shifted = match graph.node(gate).op.structure() {
            Structure::AddConstant(constant) if number(constant).is_some_and(|one| near(one, 1.0)) => {
                only_input(graph, gate)?
            }
            _ => return None,
        };
        let erf = matches!(graph.node(shifted).op.structure(), Structure::Activation(Activation::Erf));
        let (below, factor) = scaled(graph, only_input(graph, shifted).filter(|_| erf)?)?;
        let gelu = halves == 1 && below == signal && near(factor, std::f32::consts::FRAC_1_SQRT_2);
        gelu.then_some((Activation::Gelu, signal))
    })
}

/// The two inputs of a product of activations.
fn factors(graph: &Graph, id: NodeId) -> Option<(NodeId, NodeId)> {
    let node = graph.node(id);
    match (node.op.structure(), node.inputs.as_slice()) {
        (Structure::Product, [a, b]) => Some((*a, *b)),
        _ => None,
    }
}

/// The input and the factor of a node that multiplies by one number.
fn scaled(graph: &Graph, id: NodeId) -> Option<(NodeId, f32)> {
    match graph.node(id).op.structure() {
        Structure::MultiplyConstant(constant) => Some((only_input(graph, id)?, number(constant)?)),
        _ => None,
    }
}

fn only_input(graph: &Graph, id: NodeId) -> Option<NodeId> {
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

fn near(value: f32, expected: f32) -> bool {
    (value - expected).abs() <= CONSTANT_ROUNDING
}
