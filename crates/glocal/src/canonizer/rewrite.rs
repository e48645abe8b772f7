//! Rebuilding a graph node by node.

use std::sync::Arc;

use crate::error::ModelError;
use crate::model::{Graph, Model, Node, NodeId};
use crate::op::Op;

/// What becomes of a node.
pub(super) enum Change {
    /// It stays.
    Keep,
    /// It stays with another op.
    Replace(Arc<dyn Op>),
    /// It goes: its value is that of its first input, which answers to its names.
    Absorb,
}

/// The model with `change` applied to every node.
pub(super) fn rewrite(model: &Model, change: impl Fn(NodeId, &Node) -> Change) -> Result<Model, ModelError> {
    let old = model.graph();
    let changes: Vec<Change> = old.nodes().map(|(id, node)| change(id, node)).collect();
    // Absorbed nodes give their names to the node that they end in, from the top of the chain to its bottom.
    let mut heirs: Vec<NodeId> = Vec::with_capacity(old.len());
    for (id, node) in old.nodes() {
        let absorbed = matches!(changes[id.index()], Change::Absorb);
        let heir = node.inputs.first().filter(|_| absorbed).map_or(id, |input| heirs[input.index()]);
        heirs.push(heir);
    }
    let input = old.node(old.input());
    let mut graph = Graph::new(&input.name, input.shape.clone());
    let mut moved = vec![graph.input(); old.len()];
    for (id, node) in old.nodes().skip(1) {
        if let Change::Absorb = changes[id.index()] {
            moved[id.index()] = moved[heirs[id.index()].index()];
            continue;
        }
        let mut kept = node.clone();
        kept.inputs = node.inputs.iter().map(|input| moved[input.index()]).collect();
        if let Change::Replace(op) = &changes[id.index()] {
            kept.op = Arc::clone(op);
        }
        for (other, absorbed) in old.nodes().filter(|(other, _)| *other != id && heirs[other.index()] == id) {
            debug_assert!(other > id);
            kept.layers.extend(absorbed.layers.iter().cloned());
            kept.values.extend(absorbed.values.iter().cloned());
            kept.values.push(absorbed.name.clone());
        }
        moved[id.index()] = graph.push(kept).map_err(|cause| ModelError::from(cause).at(&node.name, &node.op_type))?;
    }
    Ok(model.with_graph(graph, |id| moved[id.index()]))
}
