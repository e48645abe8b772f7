//! Recognises activations that exporters write as several ops: SiLU as `x · sigmoid(x)`, Mish as `x · tanh(softplus(x))`,
//! HardSigmoid as `clip(x + 3, 0, 6) / 6` and HardSwish as `x` times that, GELU as `x · (1 + erf(x / √2)) / 2` or with the tanh
//! that stands for it.

use std::sync::Arc;

use glocal_compute::Tensor;

use crate::canonizer::rewrite::{Change, rewrite};
use crate::error::ModelError;
use crate::model::{Graph, Model, NodeId};
use crate::op::activation::Activation;
use crate::op::{OpKind, Structure};

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
    gelu(graph, id)
        .or_else(|| gated(graph, id))
        .or_else(|| hard_swish_scaled_last(graph, id))
        .or_else(|| hard_sigmoid(graph, id).map(|signal| (HARD_SIGMOID, signal)))
}

/// The hard sigmoid of HardSwish.
const HARD_SIGMOID: Activation = Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };

/// `x · sigmoid(x)`, `x · tanh(softplus(x))`, and `x · hard-sigmoid(x)` with the slope and offset of HardSwish.
fn gated(graph: &Graph, id: NodeId) -> Option<(Activation, NodeId)> {
    let (a, b) = factors(graph, id)?;
    [(a, b), (b, a)].into_iter().find_map(|(signal, gate)| {
        if hard_sigmoid(graph, gate) == Some(signal) {
            return Some((Activation::HardSwish, signal));
        }
        let below = only_input(graph, gate)?;
        match graph.node(gate).op.structure() {
            Structure::Activation(Activation::Sigmoid) if below == signal => Some((Activation::Silu, signal)),
            Structure::Activation(Activation::HardSigmoid { alpha, beta }) if below == signal => {
                let hard_swish = near(alpha, 1.0 / 6.0) && near(beta, 0.5);
                hard_swish.then_some((Activation::HardSwish, signal))
            }
            Structure::Activation(Activation::Tanh) => {
                let softplus = matches!(graph.node(below).op.structure(), Structure::Activation(Activation::Softplus));
                (softplus && only_input(graph, below) == Some(signal)).then_some((Activation::Mish, signal))
            }
            _ => None,
        }
    })
}

/// `clip(x + 3, 0, 6) / 6`: the node `x`.
fn hard_sigmoid(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let (clipped, factor) = scaled(graph, id)?;
    if near(factor, 1.0 / 6.0) { shifted_and_clipped(graph, clipped) } else { None }
}

/// `x · clip(x + 3, 0, 6) / 6`, divided last.
fn hard_swish_scaled_last(graph: &Graph, id: NodeId) -> Option<(Activation, NodeId)> {
    let (product, _) = scaled(graph, id).filter(|(_, factor)| near(*factor, 1.0 / 6.0))?;
    let (a, b) = factors(graph, product)?;
    let signal = [(a, b), (b, a)].into_iter().find(|(signal, gate)| shifted_and_clipped(graph, *gate) == Some(*signal));
    signal.map(|(signal, _)| (Activation::HardSwish, signal))
}

/// `clip(x + 3, 0, 6)`: the node `x`.
fn shifted_and_clipped(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match graph.node(id).op.structure() {
        Structure::Activation(Activation::Clip { min: 0.0, max: 6.0 }) => {
            let (below, offset) = shifted(graph, only_input(graph, id)?)?;
            near(offset, 3.0).then_some(below)
        }
        _ => None,
    }
}

/// `½ · x · (1 + erf(x / √2))`, or its tanh form, whichever factor the ½ stands with.
fn gelu(graph: &Graph, id: NodeId) -> Option<(Activation, NodeId)> {
    let halved = |id: NodeId| match scaled(graph, id) {
        Some((below, factor)) if near(factor, 0.5) => (below, true),
        _ => (id, false),
    };
    let (product, whole_halved) = halved(id);
    let (a, b) = factors(graph, product)?;
    [(a, b), (b, a)].into_iter().find_map(|(signal, gate)| {
        let ((gate, gate_halved), (signal, signal_halved)) = (halved(gate), halved(signal));
        let halves = [whole_halved, gate_halved, signal_halved].into_iter().filter(|&half| half).count();
        let (step, _) = shifted(graph, gate).filter(|(_, one)| near(*one, 1.0) && halves == 1)?;
        let inner = only_input(graph, step)?;
        let activation = match graph.node(step).op.structure() {
            Structure::Activation(Activation::Erf) => {
                let (below, factor) = scaled(graph, inner)?;
                (below == signal && near(factor, std::f32::consts::FRAC_1_SQRT_2)).then_some(Activation::Gelu)
            }
            Structure::Activation(Activation::Tanh) => {
                let (polynomial, factor) = scaled(graph, inner)?;
                let tanh_form = near(factor, (2.0 / std::f32::consts::PI).sqrt());
                (tanh_form && is_gelu_polynomial(graph, polynomial, signal)).then_some(Activation::GeluTanh)
            }
            _ => None,
        };
        activation.map(|activation| (activation, signal))
    })
}

/// Whether a node is `x + 0.044715 · x³`.
fn is_gelu_polynomial(graph: &Graph, id: NodeId, x: NodeId) -> bool {
    let node = graph.node(id);
    let (OpKind::Sum, &[a, b]) = (node.op.kind(), node.inputs.as_slice()) else { return false };
    [(a, b), (b, a)].into_iter().any(|(linear, cubic)| {
        let cube = scaled(graph, cubic).filter(|(_, factor)| near(*factor, 0.044_715));
        linear == x && cube.is_some_and(|(cube, _)| is_power(graph, cube, x, 3))
    })
}

/// Whether a node is `x` to the power of a small whole number, as a power or as products.
fn is_power(graph: &Graph, id: NodeId, x: NodeId, exponent: u8) -> bool {
    if exponent == 1 {
        return id == x;
    }
    match (graph.node(id).op.structure(), factors(graph, id)) {
        (Structure::Activation(Activation::Power { exponent: given }), _) => {
            given == f32::from(exponent) && only_input(graph, id) == Some(x)
        }
        (_, Some((a, b))) => {
            let splits = |(a, b)| is_power(graph, a, x, 1) && is_power(graph, b, x, exponent - 1);
            splits((a, b)) || splits((b, a))
        }
        _ => false,
    }
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

/// The input and the constant of a node that adds one number.
fn shifted(graph: &Graph, id: NodeId) -> Option<(NodeId, f32)> {
    match graph.node(id).op.structure() {
        Structure::AddConstant(constant) => Some((only_input(graph, id)?, number(constant)?)),
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
