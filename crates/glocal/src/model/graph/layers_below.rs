//! Which layers feed which: what a graph of concepts has its edges between.

use crate::model::{Graph, NodeId};

impl Graph {
    /// The layers of `among` that are nearest below `layer`: those whose values reach it through no other of them,
    /// through residual and parallel branches alike.
    ///
    /// Each comes once, in the order of a depth-first walk down that takes every node's inputs from first to last.
    /// `layer` itself need not be one of `among`. Takes time and memory for the nodes between, never recursion: graphs may
    /// be as deep as they like.
    pub fn layers_below(&self, layer: NodeId, among: &[NodeId]) -> Vec<NodeId> {
        let mut wanted = vec![false; self.len()];
        for id in among {
            if let Some(wanted) = wanted.get_mut(id.index()) {
                *wanted = true;
            }
        }
        let inputs = |id: NodeId| self.get(id).map_or(&[][..], |node| &node.inputs).iter().rev().copied();
        let mut seen = vec![false; self.len()];
        let mut found = Vec::new();
        let mut pending: Vec<NodeId> = inputs(layer).collect();
        while let Some(id) = pending.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            if wanted[id.index()] {
                found.push(id);
            } else {
                pending.extend(inputs(id));
            }
        }
        found
    }
}
