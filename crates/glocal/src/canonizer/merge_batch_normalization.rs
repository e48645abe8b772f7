//! Merges batch normalisations, and constants that scale or shift channels, into the affine op before them, or else
//! into the one after them.
//!
//! A chain of them (a scale, then a shift) merges as a whole, as far as merging is exact.

mod after;
mod before;

use crate::error::ModelError;
use crate::model::Model;

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    after::apply(&before::apply(model)?)
}
