//! Conditions with their names looked up.

use std::collections::BTreeMap;

use crate::attribution::{Condition, Scope, Target};
use crate::concept::Selection;
use crate::error::{RequestError, RequestErrorKind};
use crate::model::{Graph, NodeId};

/// A condition with its names looked up, its masks from top to bottom.
pub(super) struct Resolved<'a> {
    pub(super) target: &'a Target,
    pub(super) masks: Vec<(NodeId, &'a Selection)>,
}

/// Looks up conditions' names.
pub(super) struct Resolver<'g> {
    graph: &'g Graph,
    start: NodeId,
    scope: Scope,
    /// Of each node that was asked for, the nodes that lead to it.
    ancestors: BTreeMap<NodeId, Vec<bool>>,
}

impl<'g> Resolver<'g> {
    pub(super) fn new(graph: &'g Graph, start: NodeId, scope: Scope) -> Self {
        Self { graph, start, scope, ancestors: BTreeMap::new() }
    }

    /// Looks up a condition's names and orders its masks from top to bottom.
    pub(super) fn resolve<'a>(&mut self, condition: &'a Condition) -> Result<Resolved<'a>, RequestError> {
        let (graph, start) = (self.graph, self.start);
        let mut masks: Vec<(NodeId, &Selection)> = Vec::with_capacity(condition.layers.len());
        for (name, selection) in &condition.layers {
            let node = graph.find(name)?;
            selection.check(&format!("layer {name}"), &graph.site(node))?;
            if masks.iter().any(|(known, _)| *known == node) {
                return Err(RequestErrorKind::RepeatedLayer { layer: name.clone() }.into());
            }
            masks.push((node, selection));
        }
        if let Target::Some(selection) = &condition.target {
            selection.check("the output", &graph.site(start))?;
        }
        masks.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut above = start;
        for (node, _) in &masks {
            let ancestors = self.ancestors.entry(above).or_insert_with(|| graph.ancestors(above));
            if *node > above || !ancestors[node.index()] {
                let name = |id| graph.node(id).display_name().to_owned();
                let kind = if above == start {
                    RequestErrorKind::NotExplained { layer: name(*node), start: name(start) }
                } else {
                    RequestErrorKind::NotOnOnePath { upper: name(above), lower: name(*node) }
                };
                return Err(kind.into());
            }
            if self.scope == Scope::Isolated {
                above = *node;
            }
        }
        Ok(Resolved { target: &condition.target, masks })
    }
}
