//! Rebuilding a graph node by node.

use std::sync::Arc;

use crate::error::ModelError;
use crate::model::{Graph, Model, Node, NodeId};
use crate::op::Op;

/// What becomes of a node.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// It stays.
    Keep,
    /// It stays with another op.
    Replace(Arc<dyn Op>),
    /// It becomes another op on another node's value.
    Become(Arc<dyn Op>, NodeId),
    /// It goes: its value is that of its first input, which answers to its names.
    Absorb,
    /// It goes: what took its value takes that of its first input, which is another one, so that its names are gone.
    Vanish,
    /// It stays, but its value is another one from then on, so that its names are gone.
    Unname,
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
    // What takes the place of a node that goes; an absorbed node gives its names to it, if their values are the same.
    let mut heirs: Vec<NodeId> = Vec::with_capacity(old.len());
    let mut same_value: Vec<bool> = Vec::with_capacity(old.len());
    let mut absorbed: Vec<Vec<NodeId>> = vec![Vec::new(); old.len()];
    for (id, node) in old.nodes() {
        let (heir, same) = match (&changes[id.index()], node.inputs.first()) {
            (Change::Absorb, Some(input)) => (heirs[input.index()], same_value[input.index()]),
            (Change::Vanish, Some(input)) => (heirs[input.index()], false),
            (Change::Unname, _) => (id, false),
            _ => (id, true),
        };
        if heir != id && same {
            absorbed[heir.index()].push(id);
        }
        heirs.push(heir);
        same_value.push(same);
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
        match &changes[id.index()] {
            Change::Replace(op) | Change::Become(op, _) => kept.op = Arc::clone(op),
            Change::Unname => {
                kept.is_step = true;
                (kept.layers, kept.merged_names, kept.values) = (Vec::new(), Vec::new(), Vec::new());
            }
            Change::Keep | Change::Absorb | Change::Vanish => {}
        }
        // Another op that others were merged into has the last one's value: the ONNX values before it are gone, while
        // layers are known by what they have become.
        let merged = matches!(changes[id.index()], Change::Replace(_));
        let others = || absorbed[id.index()].iter().map(|other| old.node(*other));
        for other in others() {
            if merged {
                kept.values.clear();
            }
            kept.layers.extend(other.layers.iter().cloned());
            kept.values.extend(other.values.iter().cloned());
        }
        let names = others().flat_map(|other| std::iter::once(&other.name).chain(&other.merged_names));
        kept.merged_names.extend(names.cloned());
        moved[id.index()] = graph.push(kept).map_err(|cause| ModelError::from(cause).at(&node.name, &node.op_type))?;
    }
    Ok(model.with_graph(graph, |id| moved[id.index()]))
}
