//! Canonizers: pure graph → graph rewrites that leave the function unchanged.
//!
//! They bring a model into the form that rules are defined for. Everything is found by structure, never by names or by
//! the order of definition.

mod affine;
mod drop_identity;
mod merge_batch_normalization;
mod pattern;
mod recognize_activations;
mod recognize_normalizations;
mod rewrite;
mod scaling;

use crate::error::ModelError;
use crate::model::{Model, NodeId};

/// Drops identities, recognises decomposed normalisations and activations, and merges batch normalisations, and constants that scale or
/// shift channels, into the affine ops before or after them.
///
/// A node that others were merged into from behind answers to the names of all layers it stands for: their last value is
/// its own. The names of the ONNX values before that one are not found. What was merged into the op after it, and a reshape or transposition between the two, has no value of its own
/// any more, and its names are not found. A normalisation between two affine ops merges into the one before. One that
/// cannot be merged exactly stays: where several ops take its value or it is the output, behind anything but an affine op
/// and before a convolution whose padding the shift would leak into; and where a model normalises its own input, which
/// rules that ask for the range of an op's input rely on.
///
/// # Errors
/// Only when a rewritten node no longer fits its inputs, which would be a fault of the canonizer.
pub fn canonize(model: &Model) -> Result<Model, ModelError> {
    let plain = drop_identity::apply(model)?;
    let recognized = recognize_activations(&recognize_normalizations::apply(&plain)?)?;
    merge_batch_normalization::apply(&recognized)
}

/// Recognises activations that exporters write as several ops (SiLU, HardSigmoid, HardSwish, Mish, GELU), and does nothing
/// else.
///
/// # Errors
/// Only when a rewritten node no longer fits its inputs, which would be a fault of the canonizer.
pub fn recognize_activations(model: &Model) -> Result<Model, ModelError> {
    recognize_activations::apply(model)
}

/// How many batch normalisations are left: those that could not be merged exactly.
pub fn unmerged_batch_normalizations(model: &Model) -> usize {
    model.graph().nodes().filter(|(_, node)| node.op.kind() == crate::op::OpKind::BatchNormalization).count()
}

/// For each node, whether its value is needed by one other node alone: then it may become another value.
fn inner_values(model: &Model) -> Vec<bool> {
    let mut inner: Vec<bool> = model.graph().consumer_counts().into_iter().map(|count| count == 1).collect();
    for NodeId(index) in [model.output(), model.explained(), model.graph().input()] {
        inner[index] = false;
    }
    inner
}
