//! Drops nodes whose output is their input: Identity, Dropout at inference, casts between float types.

use crate::canonizer::rewrite::{Change, rewrite};
use crate::error::ModelError;
use crate::model::Model;
use crate::op::Structure;

pub(super) fn apply(model: &Model) -> Result<Model, ModelError> {
    let input = model.graph().input();
    rewrite(model, |_, node| match node.op.structure() {
        // The input keeps no layer names: an identity right behind it stays, so that its layer can be named.
        Structure::Identity if node.inputs.first() != Some(&input) => Change::Absorb,
        _ => Change::Keep,
    })
}
