//! Recognises activations that exporters write as several ops: SiLU as `x · sigmoid(x)`, HardSigmoid as
//! `clip(x + 3, 0, 6) / 6`, HardSwish as `x` times that, Mish as `x · tanh(softplus(x))`, GELU as
//! `x · (1 + erf(x / √2)) / 2` or with the tanh that stands for it.

use std::f32::consts::{FRAC_1_SQRT_2, PI};
use std::sync::Arc;

use crate::canonizer::pattern::{activation, factors, near, scaled, shifted};
use crate::canonizer::rewrite::{Change, rewrite};
use crate::error::ModelError;
use crate::model::{Graph, Model, NodeId};
use crate::op::OpKind;
use crate::op::activation::Activation;

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let graph = model.graph();
    rewrite(model, |id, _| match activation_at(graph, id) {
        Some((input, activation)) => Change::Become(Arc::new(activation), input),
        None => Change::Keep,
    })
}

/// The activation that ends in a node, and the node that it is applied to.
fn activation_at(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    gelu(graph, id)
        .or_else(|| gated(graph, id))
        .or_else(|| late_hard_swish(graph, id))
        .or_else(|| hard_sigmoid(graph, id))
}

/// `x · sigmoid(x)`, `x · hard-sigmoid(x)` with the slope and offset of HardSwish, `x · tanh(softplus(x))`.
fn gated(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    let (a, b) = factors(graph, id)?;
    [(a, b), (b, a)].into_iter().find_map(|(signal, gate)| {
        let (below, function) = hard_sigmoid(graph, gate).or_else(|| activation(graph, gate))?;
        let function = match function {
            Activation::Sigmoid if below == signal => Activation::Silu,
            Activation::HardSigmoid { alpha, beta } if below == signal => {
                (near(alpha, 1.0 / 6.0) && near(beta, 0.5)).then_some(Activation::HardSwish)?
            }
            Activation::Tanh if activation(graph, below) == Some((signal, Activation::Softplus)) => Activation::Mish,
            _ => return None,
        };
        Some((signal, function))
    })
}

/// `clip(x + o, 0, m) / m`
fn hard_sigmoid(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    let (clipped, factor) = scaled(graph, id)?;
    let (input, offset, max) = shifted_clip(graph, clipped)?;
    let hard_sigmoid = Activation::HardSigmoid { alpha: factor, beta: factor * offset };
    near(factor * max, 1.0).then_some((input, hard_sigmoid))
}

/// `(x · clip(x + 3, 0, 6)) / 6`
fn late_hard_swish(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    let (product, factor) = scaled(graph, id)?;
    let (a, b) = factors(graph, product).filter(|_| near(factor, 1.0 / 6.0))?;
    let fits = |(signal, gate): &(NodeId, NodeId)| shifted_clip(graph, *gate) == Some((*signal, 3.0, 6.0));
    [(a, b), (b, a)].into_iter().find(fits).map(|(signal, _)| (signal, Activation::HardSwish))
}

/// `x`, `o` and `m` of `clip(x + o, 0, m)`, `m` being positive.
fn shifted_clip(graph: &Graph, id: NodeId) -> Option<(NodeId, f32, f32)> {
    match activation(graph, id)? {
        (below, Activation::Clip { min: 0.0, max }) if max > 0.0 => {
            shifted(graph, below).map(|(input, offset)| (input, offset, max))
        }
        _ => None,
    }
}

/// `½ · x · (1 + erf(x / √2))`, or its tanh form, whichever factor the ½ stands with.
fn gelu(graph: &Graph, id: NodeId) -> Option<(NodeId, Activation)> {
    let halved = |id: NodeId| match scaled(graph, id) {
        Some((below, factor)) if near(factor, 0.5) => (below, true),
        _ => (id, false),
    };
    let (product, product_halved) = halved(id);
    let (a, b) = factors(graph, product)?;
    [(a, b), (b, a)].into_iter().find_map(|(signal, gate)| {
        let ((gate, gate_halved), (signal, signal_halved)) = (halved(gate), halved(signal));
        let halves = [product_halved, gate_halved, signal_halved].into_iter().filter(|&half| half).count();
        let (step, _) = shifted(graph, gate).filter(|(_, one)| near(*one, 1.0) && halves == 1)?;
        let (argument, function) = activation(graph, step)?;
        let (below, factor) = scaled(graph, argument)?;
        match function {
            Activation::Erf if near(factor, FRAC_1_SQRT_2) && below == signal => Some((signal, Activation::Gelu)),
            Activation::Tanh if near(factor, (2.0 / PI).sqrt()) && is_gelu_polynomial(graph, below, signal) => {
                Some((signal, Activation::GeluTanh))
            }
            _ => None,
        }
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
    if let Some((below, Activation::Power { exponent: given })) = activation(graph, id) {
        return given == f32::from(exponent) && below == x;
    }
    let splits = |(a, b): (NodeId, NodeId)| a == x && is_power(graph, b, x, exponent - 1);
    factors(graph, id).is_some_and(|(a, b)| splits((a, b)) || splits((b, a)))
}
