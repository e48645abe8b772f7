//! Recognises normalisations that exporters write as several ops, as one node each: layer normalisation as
//! `d / √(mean(d²) + ε)` with `d = x − mean(x)`, RMS normalisation as the same with `d = x`, either with a scale and a
//! shift behind it.

use std::sync::Arc;

use crate::canonizer::inner_values;
use crate::canonizer::pattern::{activation, factors, near, only_input, shifted};
use crate::canonizer::rewrite::{Change, rewrite};
use crate::canonizer::scaling::Scaling;
use crate::error::ModelError;
use crate::model::{Graph, Model, NodeId};
use crate::op::activation::Activation;
use crate::op::normalization::{Normalization, Statistic};
use crate::op::reduce::Fold;
use crate::op::{OpKind, Structure};

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let graph = model.graph();
    let inner = inner_values(model);
    // The normalisation that ends in each node, and the node that it is applied to.
    let mut found: Vec<Option<(Normalization, NodeId)>> = Vec::with_capacity(graph.len());
    for (id, node) in graph.nodes() {
        let below = only_input(graph, id).filter(|below| inner[below.index()]);
        let begun = below.and_then(|below| found[below.index()].as_ref());
        let at = |cause| ModelError::from(cause).at(&node.name, &node.op_type);
        let ending = match begun {
            Some((op, input)) => {
                let scaling = Scaling::of(node).map_err(at)?;
                scaling.and_then(|scaling| scaled(op, &scaling)).map(|op| (op, *input))
            }
            None => normalized(graph, id),
        };
        found.push(ending);
    }
    rewrite(model, |id, _| match &found[id.index()] {
        Some((op, input)) => Change::Become(Arc::new(op.clone()), *input),
        None => Change::Keep,
    })
}

/// `d / √(mean(d²) + ε)` that ends in a node, and the node that `d` is, or is centred from.
fn normalized(graph: &Graph, id: NodeId) -> Option<(Normalization, NodeId)> {
    let (a, b) = factors(graph, id)?;
    [(a, b), (b, a)].into_iter().find_map(|(deviation, inverse)| {
        let variance = inverse_root(graph, inverse)?;
        let (mean, epsilon) = shifted(graph, variance).unwrap_or((variance, 0.0));
        let (square, axes) = mean_of(graph, mean).filter(|_| epsilon >= 0.0)?;
        let squared = squared(graph, square)?;
        let (input, statistic) = match centred(graph, deviation) {
            // The difference may be written once, or once for the numerator and once for the variance.
            Some((input, of)) if of == axes && centred(graph, squared) == Some((input, of)) => {
                (input, Statistic::Standard { epsilon })
            }
            _ if squared == deviation => (deviation, Statistic::RootMeanSquare { epsilon }),
            _ => return None,
        };
        let kind = match statistic {
            Statistic::Standard { .. } => OpKind::LayerNormalization,
            _ => OpKind::RmsNormalization,
        };
        let (view, axes) = (graph.node(input).shape.clone(), axes.to_vec());
        Some((Normalization { kind, statistic, view, axes, scale: None, shift: None }, input))
    })
}

/// `v` of `1 / √v`, however its powers are written.
fn inverse_root(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let (mut below, mut exponent) = (id, 1.0);
    while let Some((next, Activation::Power { exponent: power })) = activation(graph, below) {
        (below, exponent) = (next, exponent * power);
    }
    near(exponent, -0.5).then_some(below)
}

/// The input and the axes of a mean whose axes stay.
fn mean_of(graph: &Graph, id: NodeId) -> Option<(NodeId, &[usize])> {
    match graph.node(id).op.structure() {
        Structure::Reduce(op) if op.keep_axes && op.fold != Fold::Sum => Some((only_input(graph, id)?, &op.axes)),
        _ => None,
    }
}

/// `d` of `d²` or `d · d`.
fn squared(graph: &Graph, id: NodeId) -> Option<NodeId> {
    match (activation(graph, id), factors(graph, id)) {
        (Some((below, Activation::Power { exponent: 2.0 })), _) => Some(below),
        (_, Some((a, b))) if a == b => Some(a),
        _ => None,
    }
}

/// `x` and the axes of `x − mean(x)`.
fn centred(graph: &Graph, id: NodeId) -> Option<(NodeId, &[usize])> {
    let node = graph.node(id);
    match (node.op.structure(), node.inputs.as_slice()) {
        (Structure::Sum(op), [x, mean]) if op.subtracted == [false, true] => {
            mean_of(graph, *mean).filter(|(of, _)| of == x)
        }
        _ => None,
    }
}

/// The normalisation followed by a scale, a shift or both, each of which it takes once: along the normalised axes, as in
/// layer normalisation, or one for each channel, as in instance normalisation. `None` for others.
fn scaled(op: &Normalization, next: &Scaling) -> Option<Normalization> {
    let (scales, shifts) = (next.scales(), next.shifts());
    let taken = (scales && op.scale.is_some()) || op.shift.is_some();
    let axes: Vec<usize> = next.axes().into_iter().map(|axis| axis + 1).collect();
    let along = axes.iter().all(|axis| op.axes.contains(axis));
    if taken || !(along || axes == [1]) {
        return None;
    }
    let mut op = op.clone();
    if !along && op.kind == OpKind::LayerNormalization {
        op.kind = OpKind::InstanceNormalization;
    }
    if scales {
        op.scale = Some(next.scale.clone());
    }
    if shifts {
        op.shift = Some(next.shift.clone());
    }
    Some(op)
}
