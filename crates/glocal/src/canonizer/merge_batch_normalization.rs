//! Merges batch normalisations, and constants that scale or shift channels, into the affine op before them, or else
//! into the one after them.
//!
//! A chain of them (a scale, then a shift) merges as a whole, as far as merging is exact.

mod after;
mod before;

use crate::error::ModelError;
use crate::model::{Model, NodeId};

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    after::apply(&before::apply(model)?)
}

/// For each node, whether its value is needed by one other node alone: then it may become another value.
fn inner_values(model: &Model) -> Vec<bool> {
    let mut inner: Vec<bool> = model.graph().consumer_counts().into_iter().map(|count| count == 1).collect();
    for NodeId(index) in [model.output(), model.explained(), model.graph().input()] {
        inner[index] = false;
    }
    inner
}
