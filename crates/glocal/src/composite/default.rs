//! The rule of a node that no entry of a composite is for.

use std::sync::Arc;

use crate::composite::gates::Gates;
use crate::error::{RequestError, RequestErrorKind};
use crate::model::{Graph, Node, NodeId};
use crate::op::{DefaultRule, OpKind};
use crate::rule::{Gradient, Halves, Norm, Pass, Rule, SignalTakesAll};

/// The rule that stands for an op's [`DefaultRule`].
///
/// # Errors
/// When there is none, and a composite must name one.
pub(super) fn default_rule(graph: &Graph, gates: &Gates, node: &Node) -> Result<Arc<dyn Rule>, RequestError> {
    Ok(match node.op.default_rule() {
        DefaultRule::Norm => Arc::new(Norm::default()),
        DefaultRule::Pass => Arc::new(Pass),
        DefaultRule::Follow => Arc::new(Gradient),
        DefaultRule::Factors => match signal(graph, gates, node) {
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
fn signal(graph: &Graph, gates: &Gates, node: &Node) -> Option<usize> {
    let (OpKind::Product, &[a, b]) = (node.op.kind(), node.inputs.as_slice()) else { return None };
    let elements = |id: NodeId| graph.node(id).shape.iter().product::<usize>();
    match (gates.contains(a), gates.contains(b)) {
        (true, false) if elements(a) <= elements(b) => Some(1),
        (false, true) if elements(b) <= elements(a) => Some(0),
        _ => None,
    }
}
