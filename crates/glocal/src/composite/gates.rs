//! Which values are gates: shares of something, by which another value is multiplied.
//!
//! A gate is a function that ends in a sigmoid, a softmax or the like, which other ops at most move about, scale, shift or
//! turn round, and which is never negative then: `σ(x)`, `1 − σ(x)`, `2·σ(x)`; not `1 − 2·σ(x)`, a hyperbolic tangent.

use crate::model::{Graph, Node, NodeId};
use crate::op::activation::Activation;
use crate::op::{DefaultRule, OpKind, Structure};

/// A range that ends less than this below zero ends there but for the rounding of constants.
const ROUNDING: f32 = 1e-5;

/// For every node of a graph, the range of its values, where it ends in a sigmoid or the like.
pub(super) struct Gates(Vec<Option<(f32, f32)>>);

impl Gates {
    /// Those of a graph.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut gates = Self(Vec::with_capacity(graph.len()));
        // The inputs of a node come before it.
        for (_, node) in graph.nodes() {
            let range = gates.range(graph, node);
            gates.0.push(range);
        }
        gates
    }

    /// Whether a value is a gate.
    pub(super) fn contains(&self, id: NodeId) -> bool {
        self.at(id).is_some_and(|(low, high)| low >= -ROUNDING && high > ROUNDING)
    }

    fn at(&self, id: NodeId) -> Option<(f32, f32)> {
        self.0.get(id.index()).copied().flatten()
    }

    fn range(&self, graph: &Graph, node: &Node) -> Option<(f32, f32)> {
        let below = || self.at(*node.inputs.first()?);
        let scaled = |(low, high): (f32, f32), factor: f32| {
            let (a, b) = (low * factor, high * factor);
            (a.min(b), a.max(b))
        };
        let shifted = |(low, high): (f32, f32), offset: f32| (low + offset, high + offset);
        match node.op.structure() {
            Structure::Activation(Activation::Sigmoid | Activation::HardSigmoid { .. }) => Some((0.0, 1.0)),
            Structure::Softmax if node.op.kind() != OpKind::LogSoftmax => Some((0.0, 1.0)),
            Structure::Activation(Activation::Clip { min: 0.0, max: 1.0 }) => Some((0.0, 1.0)),
            // A hard sigmoid before it is scaled: clip(x + 3, 0, 6).
            Structure::Activation(Activation::Clip { min: 0.0, max }) => {
                let below = graph.node(*node.inputs.first()?).op.structure();
                matches!(below, Structure::AddConstant(offset) if offset.data() == [max / 2.0]).then_some((0.0, max))
            }
            Structure::AddConstant(offset) => Some(shifted(below()?, same(offset.data())?)),
            Structure::MultiplyConstant(factor) => Some(scaled(below()?, same(factor.data())?)),
            Structure::ChannelAffine(op) => {
                Some(shifted(scaled(below()?, same(op.scale.data())?), same(op.shift.data())?))
            }
            Structure::Sum(sum) if sum.subtracted == [true] => Some(scaled(below()?, -1.0)),
            // A gate of a gate.
            Structure::Product => {
                let [a, b] = node.inputs.as_slice() else { return None };
                let ((low, high), (other_low, other_high)) = (self.at(*a)?, self.at(*b)?);
                (low >= 0.0 && other_low >= 0.0).then_some((low * other_low, high * other_high))
            }
            Structure::Identity => below(),
            _ if node.op.kind() == OpKind::Pad => None,
            _ if matches!(node.op.default_rule(), DefaultRule::Follow) || averages(node) => {
                let ranges = node.inputs.iter().map(|&input| self.at(input)).collect::<Option<Vec<_>>>()?;
                ranges.into_iter().reduce(|(low, high), (other, top)| (low.min(other), high.max(top)))
            }
            _ => None,
        }
    }
}

/// Whether a node's values are means of some of its input's. Where padding counts, it may be less, but not below zero.
fn averages(node: &Node) -> bool {
    matches!(node.op.kind(), OpKind::Resize | OpKind::AveragePool | OpKind::ReduceMean)
}

/// The number that all of these are.
fn same(values: &[f32]) -> Option<f32> {
    let (first, rest) = values.split_first()?;
    rest.iter().all(|value| value == first).then_some(*first)
}
