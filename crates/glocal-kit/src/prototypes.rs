//! Prototypes of a stored layer's classes, and the vectors of new predictions to be judged by them.
//!
//! [`read_vectors`] takes the concept relevance vectors of some classes out of a [store](crate::store) that keeps them, and
//! [`glocal::prototype`] fits prototypes to them. A [`Prober`] makes the vectors of new samples in the way in which those of the
//! store were made: with its rules and its scoring, each for the class that the model predicts.

mod error;
mod probe;

use std::collections::{BTreeMap, BTreeSet};

use glocal::prototype::ClassVectors;
use glocal::search::SampleId;

pub use error::{PrototypesError, PrototypesErrorKind};
pub use probe::{Probe, Prober};

use crate::store::{ConceptVector, Store};

/// The vectors of a layer by class, of all classes or of those in `only`, with at most `memory` bytes of them.
///
/// The table is read once, a row group at a time. Vectors stand for the class that they explain: with labels as targets the
/// samples of that label, else those predicted as it.
///
/// # Errors
/// When the store has no such layer, keeps no vectors, or is damaged; [`PrototypesErrorKind::Memory`] when the vectors take
/// more.
pub fn read_vectors(
    store: &Store,
    layer: &str,
    only: Option<&BTreeSet<u32>>,
    memory: usize,
) -> Result<BTreeMap<u32, ClassVectors>, PrototypesError> {
    let known = store.manifest().layers.iter().find(|known| known.name == layer);
    let concepts = known.map_or(0, |known| known.concepts);
    let mut classes: BTreeMap<u32, ClassVectors> = BTreeMap::new();
    let (mut needed, mut of_class) = (0_usize, BTreeMap::new());
    let mut take = |vector: ConceptVector| -> Result<(), PrototypesError> {
        let ConceptVector { sample, target, relevance } = vector;
        if only.is_some_and(|only| !only.contains(&target)) {
            return Ok(());
        }
        let bytes = size_of_val(relevance.as_slice()) + size_of::<SampleId>();
        needed += bytes;
        *of_class.entry(target).or_insert(0_usize) += bytes;
        if needed > memory {
            // The rest is counted, to say how much is missing.
            classes.clear();
            return Ok(());
        }
        classes.entry(target).or_insert_with(|| ClassVectors::new(target, concepts)).push(SampleId(sample), &relevance);
        Ok(())
    };
    let kept = store.vectors(layer, &mut take)?;
    if kept.is_none() {
        return Err(PrototypesErrorKind::NoVectors { layer: layer.to_owned() }.into());
    }
    if needed > memory {
        let largest = of_class.values().copied().max().unwrap_or(0);
        return Err(PrototypesErrorKind::Memory { needed, largest, given: memory }.into());
    }
    Ok(classes)
}

/// Checks, without reading them, that a store keeps vectors of a layer.
///
/// # Errors
/// When the store has no such layer, keeps no vectors, or is damaged.
pub fn check_vectors(store: &Store, layer: &str) -> Result<(), PrototypesError> {
    store.concept(layer, 0)?;
    match store.manifest().options.vectors {
        Some(_) => Ok(()),
        None => Err(PrototypesErrorKind::NoVectors { layer: layer.to_owned() }.into()),
    }
}

#[cfg(test)]
mod tests;
