//! Conditions with their names looked up.

use crate::attribution::{Condition, Scope, Target};
use crate::concept::Selection;
use crate::error::{RequestError, RequestErrorKind};
use crate::model::{Graph, NodeId};

/// A condition with its names looked up, its masks from top to bottom.
pub(super) struct Resolved {
    pub(super) target: Target,
    pub(super) masks: Vec<(NodeId, Selection)>,
}

/// Looks up a condition's names and orders its masks from top to bottom.
pub(super) fn resolve(
    condition: &Condition,
    graph: &Graph,
    start: NodeId,
    scope: Scope,
) -> Result<Resolved, RequestError> {
    let mut masks = Vec::with_capacity(condition.layers.len());
    for (name, selection) in &condition.layers {
        let node = graph.find(name)?;
        selection.check(&format!("layer {name}"), &graph.node(node).shape)?;
        if masks.iter().any(|(known, _)| *known == node) {
            return Err(RequestErrorKind::RepeatedLayer { layer: name.clone() }.into());
        }
        masks.push((node, selection.clone()));
    }
    if let Target::Some(selection) = &condition.target {
        selection.check("the output", &graph.node(start).shape)?;
    }
    masks.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut above = start;
    for (node, _) in &masks {
        if *node > above || !graph.ancestors(above)[node.index()] {
            let name = |id| graph.node(id).display_name().to_owned();
            let kind = if above == start {
                RequestErrorKind::NotExplained { layer: name(*node), start: name(start) }
            } else {
                RequestErrorKind::NotOnOnePath { upper: name(above), lower: name(*node) }
            };
            return Err(kind.into());
        }
        if scope == Scope::Isolated {
            above = *node;
        }
    }
    Ok(Resolved { target: condition.target.clone(), masks })
}
