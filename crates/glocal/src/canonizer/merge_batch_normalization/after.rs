//! Merging into the affine op after: `W·(s·x + t) + b = (W·s)·x + (W·t + b)`.
//!
//! Exact for dense layers. For convolutions only where every output sees all of its window, or nothing is shifted:
//! padding holds zeros, not shifts. Between the two there may be reshapes and transpositions. What is merged, and what
//! lies between, computes another value from then on and gives up its names.

use glocal_compute::ComputeError;

use crate::canonizer::affine::AffineOp;
use crate::canonizer::inner_values;
use crate::canonizer::rewrite::{Change, rewrite};
use crate::canonizer::scaling::{PerChannel, Scaling};
use crate::error::ModelError;
use crate::model::{Graph, Model, NodeId};
use crate::op::{DefaultRule, OpKind, Structure};

/// The largest value through whose reshapes and transposes scales are followed, in elements: they are followed for all
/// of it.
const LARGEST_MOVED: usize = 1 << 24;

/// The most reshapes and transposes that scales are followed through.
const MOST_MOVES: usize = 16;

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let inner = inner_values(model);
    let normalized = normalized_input(model.graph());
    let mut changes: Vec<Change> = model.graph().nodes().map(|_| Change::Keep).collect();
    for (id, node) in model.graph().nodes() {
        let Some(op) = AffineOp::of(node) else { continue };
        if node.inputs.iter().all(|input| normalized[input.index()]) {
            continue;
        }
        let at = |cause| ModelError::from(cause).at(&node.name, &node.op_type);
        let preceding = Preceding::of(model, &inner, id, op).map_err(at)?;
        if preceding.merged.is_empty() {
            continue;
        }
        let Some(merged) = op.preceded_by(&preceding.channels).map_err(at)? else { continue };
        changes[id.index()] = Change::Replace(merged);
        preceding.merged.iter().for_each(|merged| changes[merged.index()] = Change::Vanish);
        preceding.moving.iter().for_each(|moving| changes[moving.index()] = Change::Unname);
    }
    rewrite(model, |id, _| changes[id.index()].clone())
}

/// For every node, whether it is the model's input, at most scaled, shifted and moved about. A model that normalises its own
/// input keeps doing so, all of it: rules that ask for the range of an op's input mean the normalised one, whether or not
/// padding would have let a shift merge.
fn normalized_input(graph: &Graph) -> Vec<bool> {
    let mut normalized = vec![false; graph.len()];
    for (id, node) in graph.nodes() {
        let keeps = match node.op.structure() {
            Structure::ChannelAffine(_) | Structure::MultiplyConstant(_) | Structure::AddConstant(_) => true,
            Structure::Sum(sum) => sum.subtracted.len() == 1,
            _ => node.op.default_rule() == DefaultRule::Follow,
        };
        let of_input = !node.inputs.is_empty() && node.inputs.iter().all(|input| normalized[input.index()]);
        normalized[id.index()] = id == graph.input() || (keeps && of_input);
    }
    normalized
}

/// What precedes an affine op and can be merged into it.
struct Preceding {
    channels: PerChannel,
    merged: Vec<NodeId>,
    /// What lies between and only moves elements.
    moving: Vec<NodeId>,
}

impl Preceding {
    /// What can be merged into the affine op `op` of node `id`.
    fn of(model: &Model, inner: &[bool], id: NodeId, op: AffineOp<'_>) -> Result<Self, ComputeError> {
        let graph = model.graph();
        let node = graph.node(id);
        // An affine op has one input.
        let first = node.inputs.first().copied().unwrap_or(graph.input());
        let input = &graph.node(first).shape;
        let axis = op.channel_axis(input.len());
        let channels = input.get(axis).copied().unwrap_or(1);
        let shiftable = op.shift_is_uniform(input, &node.shape);
        let mut found = Self { channels: PerChannel::unchanged(channels), merged: Vec::new(), moving: Vec::new() };
        // Downwards from the affine op, as long as nothing else needs the values.
        let mut moving: Vec<NodeId> = Vec::new();
        let mut below = first;
        while inner[below.index()] {
            let candidate = graph.node(below);
            let [next] = candidate.inputs.as_slice() else { break };
            if matches!(candidate.op.kind(), OpKind::Reshape | OpKind::Transpose) {
                // What is moved takes as much memory as the values, and time for each step.
                let elements: usize = candidate.shape.iter().product();
                if elements > LARGEST_MOVED || moving.len() == MOST_MOVES {
                    break;
                }
                moving.push(below);
            } else {
                let Some(mut scaling) = Scaling::of(candidate)? else { break };
                let mut shape = &candidate.shape;
                for above in moving.iter().rev().map(|above| graph.node(*above)) {
                    scaling = scaling.moved(model.backend(), above.op.as_ref(), shape)?;
                    shape = &above.shape;
                }
                match scaling.along(axis, channels).filter(|channels| shiftable || !channels.shifts()) {
                    Some(channels) => found.channels = channels.then(&found.channels),
                    None => break,
                }
                found.merged.push(below);
                found.moving.clone_from(&moving);
            }
            below = *next;
        }
        Ok(found)
    }
}
