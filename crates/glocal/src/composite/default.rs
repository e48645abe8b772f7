//! The rule of a node that no entry of a composite is for.

use std::sync::Arc;

use crate::error::{RequestError, RequestErrorKind};
use crate::model::{Graph, Node, NodeId};
use crate::op::activation::Activation;
use crate::op::{DefaultRule, OpKind, Structure};
use crate::rule::{Gradient, Halves, Norm, Pass, Rule, SignalTakesAll};

/// The rule that stands for an op's [`DefaultRule`].
///
/// # Errors
/// When there is none, and a composite must name one.
pub(super) fn default_rule(graph: &Graph, node: &Node) -> Result<Arc<dyn Rule>, RequestError> {
    Ok(match node.op.default_rule() {
        DefaultRule::Norm => Arc::new(Norm::default()),
        DefaultRule::Pass => Arc::new(Pass),
        DefaultRule::Follow => Arc::new(Gradient),
        DefaultRule::Factors => match signal(graph, node) {
            Some(signal) => Arc::new(SignalTakesAll { signal }),
            None => Arc::new(Halves::default()),
        },
        DefaultRule::Required => {
            let (node, kind) = (node.display_name().to_owned(), node.op.kind().name());
            return Err(RequestErrorKind::NoRule { node, kind }.into());
        }
    })
}

/// The factor of a product that is the signal: the one whose other factor is a gate no larger than it.
fn signal(graph: &Graph, node: &Node) -> Option<usize> {
    let (OpKind::Product, &[a, b]) = (node.op.kind(), node.inputs.as_slice()) else { return None };
    let elements = |id: NodeId| graph.node(id).shape.iter().product::<usize>();
    match (is_gate(graph, a), is_gate(graph, b)) {
        (true, false) if elements(a) <= elements(b) => Some(1),
        (false, true) if elements(b) <= elements(a) => Some(0),
        _ => None,
    }
}

/// Whether a value is a share of something: a function that ends in a sigmoid, a softmax or the like, which other ops at
/// most move about or scale by one number.
fn is_gate(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    let below = || node.inputs.first().is_some_and(|&below| is_gate(graph, below));
    match node.op.structure() {
        Structure::Activation(Activation::Sigmoid | Activation::HardSigmoid { .. }) | Structure::Softmax => {
            node.op.kind() != OpKind::LogSoftmax
        }
        Structure::Activation(Activation::Clip { min: 0.0, max: 1.0 }) => true,
        // A hard sigmoid before it is scaled: clip(x + 3, 0, 6).
        Structure::Activation(Activation::Clip { min: 0.0, max }) => {
            let below = node.inputs.first().map(|&below| graph.node(below).op.structure());
            matches!(below, Some(Structure::AddConstant(offset)) if offset.data() == [max / 2.0])
        }
        // 1 − gate
        Structure::AddConstant(one) if one.data() == [1.0] => node.inputs.first().is_some_and(|&below| {
            let negated = graph.node(below);
            let is_negated = matches!(negated.op.structure(), Structure::Sum(sum) if sum.subtracted == [true]);
            is_negated && negated.inputs.first().is_some_and(|&gate| is_gate(graph, gate))
        }),
        Structure::MultiplyConstant(constant) => constant.len() == 1 && constant.data()[0] > 0.0 && below(),
        Structure::Identity => below(),
        _ => {
            use OpKind::{Concat, Expand, Gather, Reshape, Resize, Slice, Transpose};
            match node.op.kind() {
                Reshape | Transpose | Expand | Resize | Slice | Gather => below(),
                Concat => node.inputs.iter().all(|&input| is_gate(graph, input)),
                _ => false,
            }
        }
    }
}
