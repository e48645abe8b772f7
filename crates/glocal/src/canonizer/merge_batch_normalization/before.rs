//! Merging into the affine op before: `s·(W·x + b) + t = (s·W)·x + (s·b + t)`, which is exact wherever nothing else takes the affine
//! op's value. The merged node answers to the names of all that it stands for.

use std::sync::Arc;

use crate::canonizer::affine::AffineOp;
use crate::canonizer::inner_values;
use crate::canonizer::pattern::{activation, shifted};
use crate::canonizer::rewrite::{Change, rewrite};
use crate::canonizer::scaling::{PerChannel, Scaling};
use crate::error::ModelError;
use crate::model::{Graph, Model, NodeId};
use crate::op::Op;
use crate::op::activation::Activation;

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let graph = model.graph();
    let mut inner = inner_values(model);
    begins_hard_sigmoid(graph).for_each(|NodeId(below)| inner[below] = false);
    // For each affine node, what follows it.
    let mut chains: Vec<Option<PerChannel>> = vec![None; graph.len()];
    let mut merged_into: Vec<Option<NodeId>> = vec![None; graph.len()];
    for (id, node) in graph.nodes() {
        let [below] = node.inputs.as_slice() else { continue };
        let affine = merged_into[below.index()].unwrap_or(*below);
        let shape = &graph.node(affine).shape;
        let Some(op) = AffineOp::of(graph.node(affine)).filter(|_| inner[below.index()]) else { continue };
        let scaling = Scaling::of(node).map_err(|cause| ModelError::from(cause).at(&node.name, &node.op_type))?;
        let axis = op.channel_axis(shape.len());
        let channels = shape.get(axis).copied().unwrap_or(1);
        if let Some(next) = scaling.and_then(|scaling| scaling.along(axis, channels)) {
            let so_far = chains[affine.index()].take().unwrap_or_else(|| PerChannel::unchanged(channels));
            chains[affine.index()] = Some(so_far.then(&next));
            merged_into[id.index()] = Some(affine);
        }
    }
    let mut replacements: Vec<Option<Arc<dyn Op>>> = vec![None; graph.len()];
    for (id, node) in graph.nodes() {
        if let (Some(chain), Some(op)) = (&chains[id.index()], AffineOp::of(node)) {
            let at = |cause| ModelError::from(cause).at(&node.name, &node.op_type);
            replacements[id.index()] = op.followed_by(chain).map_err(at)?;
        }
    }
    rewrite(model, |id, _| match (&replacements[id.index()], merged_into[id.index()]) {
        (Some(op), _) => Change::Replace(Arc::clone(op)),
        (None, Some(affine)) if replacements[affine.index()].is_some() => Change::Absorb,
        _ => Change::Keep,
    })
}

/// The nodes whose value is shifted by half of what it is then clipped to: products look for such a gate.
fn begins_hard_sigmoid(graph: &Graph) -> impl Iterator<Item = NodeId> {
    graph.nodes().filter_map(|(id, _)| match activation(graph, id)? {
        (shift, Activation::Clip { min: 0.0, max }) => {
            shifted(graph, shift).filter(|(_, offset)| *offset == max / 2.0).map(|(below, _)| below)
        }
        _ => None,
    })
}
