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
    /// It becomes another op on another node's value.
    Become(Arc<dyn Op>, NodeId),
    /// It goes: its value is that of its first input, which answers to its names.
    Absorb,
}

/// The model with `change` applied to every node, without the nodes that nothing needs any more.
pub(super) fn rewrite(model: &Model, change: impl Fn(NodeId, &Node) -> Change) -> Result<Model, ModelError> {
    let old = model.graph();
    let changes: Vec<Change> = old.nodes().map(|(id, node)| change(id, node)).collect();
    let inputs = |id: NodeId| match &changes[id.index()] {
        Change::Become(_, input) => std::slice::from_ref(input),
        _ => old.node(id).inputs.as_slice(),
    };
    let mut needed = vec![false; old.len()];
    needed[model.output().index()] = true;
    needed[model.explained().index()] = true;
    for (id, _) in old.nodes().rev() {
        if needed[id.index()] {
            inputs(id).iter().for_each(|input| needed[input.index()] = true);
        }
    }
    // An absorbed node gives its names to the node that its chain of absorbed nodes ends in.
    let mut heirs: Vec<NodeId> = Vec::with_capacity(old.len());
    let mut absorbed: Vec<Vec<NodeId>> = vec![Vec::new(); old.len()];
    for (id, node) in old.nodes() {
        let heir = match (&changes[id.index()], node.inputs.first()) {
            (Change::Absorb, Some(input)) => heirs[input.index()],
            _ => id,
        };
        if heir != id {
            absorbed[heir.index()].push(id);
        }
        heirs.push(heir);
    }
    let input = old.node(old.input());
    let mut graph = Graph::new(&input.name, input.shape.clone());
    let mut moved = vec![graph.input(); old.len()];
    for (id, node) in old.nodes().skip(1).filter(|(id, _)| needed[id.index()]) {
        if heirs[id.index()] != id {
            moved[id.index()] = moved[heirs[id.index()].index()];
            continue;
        }
        let mut kept = node.clone();
        kept.inputs = inputs(id).iter().map(|input| moved[input.index()]).collect();
        if let Change::Replace(op) | Change::Become(op, _) = &changes[id.index()] {
            kept.op = Arc::clone(op);
        }
        for other in absorbed[id.index()].iter().map(|other| old.node(*other)) {
            kept.layers.extend(other.layers.iter().cloned());
            kept.values.extend(other.values.iter().cloned());
            kept.values.push(other.name.clone());
        }
        moved[id.index()] = graph.push(kept).map_err(|cause| ModelError::from(cause).at(&node.name, &node.op_type))?;
    }
    Ok(model.with_graph(graph, |id| moved[id.index()]))
}
