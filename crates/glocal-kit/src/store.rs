//! The store: one folder with the reference samples of all concepts, as tables that other programs read too.
//!
//! | file | content |
//! |---|---|
//! | `manifest.json` | how the store was made: [`Manifest`] |
//! | `references.parquet` | a row an entry: `layer`, `concept`, `measure` (`relevance` or `activation`), `class` (null: over all targets), `rank` (from 0), `sample`, `target`, `score`, `other` (the other measure's score), `peak` |
//! | `concepts.parquet` | a row a concept: `layer`, `concept`, `active` (in how many samples), `not_a_number` (how many scores were NaN), `samples`, `activation_mean`, `activation_variance` (over samples), `pairs`, `relevance_mean`, `relevance_variance`, `correlation` (of activation and relevance; over pairs of a sample and a target); null where undefined |
//! | `sums.parquet` | a row a concept: the sums behind these statistics without rounding, for [merging](merge) |
//! | `samples.parquet` | a row a sample: `sample`, `key`, `labels` |
//! | `skipped.parquet` | only where samples could not be used and were passed over, a row each: `sample`, `key`, `reason` |
//! | `vectors.parquet` | only where asked for, a row for each layer, sample and target: `layer`, `sample`, `target`, `relevance` (the score of each concept) |
//! | `sources.json` | where model and data were found last: [`Sources`] |
//!
//! Equal scans write equal bytes, but for `sources.json`. Every file appears in full or not at all, the manifest last.
//! While a [scan](crate::scan) runs, `part-A-B` folders hold what it has found in the samples from `A` to before `B`. The lock
//! file `glocal.lock` is empty and stays.
//!
//! A [`Store`] reads; tables are checked against the hashes in the manifest before anything in them is believed.

mod agreement;
mod classes;
mod columns;
mod concepts_table;
mod error;
mod file;
mod folder;
mod found;
mod manifest;
mod merge;
mod merged;
mod part;
mod references_table;
mod samples_table;
mod skipped_table;
mod sums_table;
mod tables;
mod vectors_table;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glocal::search::{ConceptReferences, Entry, LayerReferences, Measure, References, TopK};
use serde::Deserialize;

pub use agreement::{Agreement, ConceptAgreement};
pub use classes::ClassScore;
pub use error::{StoreError, StoreErrorKind};
pub use file::Table;
pub(crate) use folder::{Begun, Finished, StoreWriter};
pub(crate) use found::Found;
pub use manifest::{
    CompositeManifest, DataManifest, Difference, FORMAT_VERSION, LayerManifest, Manifest, ModelManifest,
    NormalizationName, OptionsManifest, Origin, ScoreName, ScoringManifest, Sources, Targets,
};
pub use merge::{Merged, merge};
pub use samples_table::StoredSample;
pub use skipped_table::SkippedSample;
pub use vectors_table::{ConceptVector, VectorFormat};

use columns::{Format, TableReader};
use references_table::{Ranked, Rankings};
use vectors_table::Vectors;

const MANIFEST: &str = "manifest.json";
const SOURCES: &str = "sources.json";

/// A complete store, opened for reading. Any number of threads may read at once.
pub struct Store {
    folder: PathBuf,
    manifest: Manifest,
    /// The concepts, with empty rankings.
    layers: Vec<LayerReferences>,
    /// Opened on first use. Readers of one file share its position, so that only one may read at a time.
    references: Mutex<Option<TableReader>>,
}

impl Store {
    /// Opens the store in `folder`. Rankings are read when they are asked for.
    ///
    /// # Errors
    /// When there is no complete store, it is of another version, or a file is damaged.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        let manifest = read_manifest(&folder)?.ok_or_else(|| StoreError::new(&folder, StoreErrorKind::NoStore))?;
        if !manifest.complete {
            return Err(incomplete(&folder, &manifest)?);
        }
        let concepts = open_table(&folder, &manifest, &concepts_table::FORMAT)?;
        let mut layers = concepts_table::read(&concepts, &manifest.layers, manifest.options.top_k)?;
        sums_table::read(&open_table(&folder, &manifest, &sums_table::FORMAT)?, &mut layers)?;
        Ok(Self { folder, manifest, layers, references: Mutex::new(None) })
    }

    /// How the store was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where model and data were found when the store was written last.
    ///
    /// # Errors
    /// When that file is missing or damaged.
    pub fn sources(&self) -> Result<Sources, StoreError> {
        file::read_json(&self.folder.join(SOURCES), "the paths of the model and the data")
    }

    /// Checks that the store was made as `given` says; it may cover other samples of the data set.
    ///
    /// # Errors
    /// When it was not; the error lists every difference.
    pub fn check(&self, given: &Manifest) -> Result<(), StoreError> {
        check(&self.folder, &self.manifest, given, false)
    }

    /// The layers, and what is known of their concepts but for the rankings, which are empty.
    pub fn layers(&self) -> &[LayerReferences] {
        &self.layers
    }

    /// All that the store knows, in memory.
    ///
    /// # Errors
    /// When the table is damaged.
    pub fn read_all(&self) -> Result<References, StoreError> {
        let mut layers = self.layers.clone();
        self.with_references(|table| {
            Rankings::new(table, &self.manifest.layers, self.top_k()).try_for_each(|ranked| {
                let Ranked { key: (layer, id, measure, class), ranking } = ranked?;
                put(&mut layers[layer].concepts[id], measure, class, ranking.into_owned());
                Ok(())
            })
        })?;
        Ok(References::from_parts(self.top_k(), layers, self.manifest.scored))
    }

    /// What the store knows of all concepts of a layer.
    ///
    /// # Errors
    /// When there is no such layer, or the table is damaged.
    pub fn layer(&self, layer: &str) -> Result<LayerReferences, StoreError> {
        let (index, found) = self.known_layer(layer)?;
        let mut found = found.clone();
        self.with_references(|table| {
            let mut rankings = Rankings::new(table, &self.manifest.layers, self.top_k()).only(index, None);
            rankings.try_for_each(|ranked| {
                let Ranked { key: (_, id, measure, class), ranking } = ranked?;
                put(&mut found.concepts[id], measure, class, ranking.into_owned());
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// What the store knows of one concept.
    ///
    /// # Errors
    /// When there is no such layer or concept, or the table is damaged.
    pub fn concept(&self, layer: &str, concept: usize) -> Result<ConceptReferences, StoreError> {
        let (index, found) = self.known(layer, concept)?;
        let mut found = found.clone();
        self.with_references(|table| {
            let mut rankings = Rankings::new(table, &self.manifest.layers, self.top_k()).only(index, Some(concept));
            rankings.try_for_each(|ranked| {
                let Ranked { key: (_, _, measure, class), ranking } = ranked?;
                put(&mut found, measure, class, ranking.into_owned());
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// The concept relevance vectors of a layer, in the order of samples, handed to `visit` one by one. `None` where the store
    /// does not keep any.
    ///
    /// # Errors
    /// When there is no such layer, the table is damaged, or `visit` fails.
    pub fn vectors<E: From<StoreError>>(
        &self,
        layer: &str,
        mut visit: impl FnMut(ConceptVector) -> Result<(), E>,
    ) -> Result<Option<()>, E> {
        let (index, _) = self.known_layer(layer)?;
        let Some(format) = self.manifest.options.vectors else { return Ok(None) };
        let table = open_table(&self.folder, &self.manifest, &format.format())?;
        for vector in Vectors::new(&table, &self.manifest.layers, Some(index)) {
            visit(vector?.1)?;
        }
        Ok(Some(()))
    }

    /// The entries of `ranks` (from 0, best first) in the ranking of a concept by `measure`, over all targets or those
    /// samples whose target was `class`. Ranks beyond the last entry are left out.
    ///
    /// # Errors
    /// When there is no such layer or concept, or the table is damaged.
    pub fn references(
        &self,
        layer: &str,
        concept: usize,
        measure: Measure,
        class: Option<u32>,
        ranks: Range<usize>,
    ) -> Result<Vec<Entry>, StoreError> {
        let found = self.concept(layer, concept)?;
        let entries = found.ranking(measure, class).map_or(&[][..], TopK::entries);
        Ok(entries.iter().take(ranks.end).skip(ranks.start).copied().collect())
    }

    /// The `top` classes for which a concept is most relevant or most active: by the mean score of the class's best
    /// `mean_of` entries, or of all that there are, descending; classes with equal means by index, ascending.
    ///
    /// # Errors
    /// When there is no such layer or concept, or the table is damaged.
    pub fn classes(
        &self,
        layer: &str,
        concept: usize,
        measure: Measure,
        top: usize,
        mean_of: usize,
    ) -> Result<Vec<ClassScore>, StoreError> {
        Ok(classes::rank(&self.concept(layer, concept)?, measure, top, mean_of))
    }

    /// Whether the samples that the concepts of a layer are most relevant for are those that they are most active in.
    ///
    /// # Errors
    /// When there is no such layer, or the table is damaged.
    pub fn agreement(&self, layer: &str) -> Result<Agreement, StoreError> {
        let (index, found) = self.known_layer(layer)?;
        let mut concepts = found.concepts.clone();
        self.with_references(|table| {
            let mut rankings = Rankings::new(table, &self.manifest.layers, self.top_k()).only(index, None);
            rankings.try_for_each(|ranked| {
                let Ranked { key: (_, id, measure, class), ranking } = ranked?;
                // Those of classes are many, and are not compared.
                if class.is_none() {
                    put(&mut concepts[id], measure, class, ranking.into_owned());
                }
                Ok(())
            })
        })?;
        let positive = |ranking: &TopK| ranking.entries().first().is_some_and(|best| best.score > 0.0);
        let active = concepts.iter().enumerate();
        let active = active.filter(|(_, concept)| positive(&concept.relevance) || positive(&concept.activation));
        let active: Vec<ConceptAgreement> = active.map(|(id, concept)| ConceptAgreement::new(id, concept)).collect();
        Ok(Agreement {
            layer: layer.to_owned(),
            dead: concepts.len() - active.len(),
            concepts: active,
            top_k: self.top_k(),
            samples: self.manifest.scored,
        })
    }

    /// All samples, in their order.
    ///
    /// # Errors
    /// When the table is damaged.
    pub fn samples(&self) -> Result<Vec<StoredSample>, StoreError> {
        samples_table::read(&open_table(&self.folder, &self.manifest, &samples_table::FORMAT)?)
    }

    /// The samples that could not be used and were passed over, in their order.
    ///
    /// # Errors
    /// When the table is damaged.
    pub fn skipped(&self) -> Result<Vec<SkippedSample>, StoreError> {
        // Stores without such samples have no such table.
        if !self.manifest.tables.contains_key(skipped_table::FORMAT.file) {
            return Ok(Vec::new());
        }
        skipped_table::read(&open_table(&self.folder, &self.manifest, &skipped_table::FORMAT)?)
    }

    fn top_k(&self) -> usize {
        self.manifest.options.top_k
    }

    fn known_layer(&self, layer: &str) -> Result<(usize, &LayerReferences), StoreError> {
        self.layers.iter().enumerate().find(|(_, known)| known.layer == layer).ok_or_else(|| {
            let mut nearest: Vec<String> = self.layers.iter().map(|known| known.layer.clone()).collect();
            nearest.sort_by_key(|known| strsim::levenshtein(known, layer));
            nearest.truncate(5);
            StoreError::new(&self.folder, StoreErrorKind::Layer { given: layer.to_owned(), nearest })
        })
    }

    /// What is known of a concept but for its rankings, with the index of its layer.
    fn known(&self, layer: &str, concept: usize) -> Result<(usize, &ConceptReferences), StoreError> {
        let (index, found) = self.known_layer(layer)?;
        let concept = found.concepts.get(concept).ok_or_else(|| {
            let (layer, count) = (layer.to_owned(), found.concepts.len());
            StoreError::new(&self.folder, StoreErrorKind::Concept { layer, given: concept, count })
        })?;
        Ok((index, concept))
    }

    fn with_references<T>(&self, read: impl FnOnce(&TableReader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A reader that panicked has left nothing half done: the table is only read.
        let mut references = self.references.lock().unwrap_or_else(PoisonError::into_inner);
        let table = match references.take() {
            Some(table) => table,
            None => open_table(&self.folder, &self.manifest, &references_table::FORMAT)?,
        };
        read(references.insert(table))
    }
}

fn put(concept: &mut ConceptReferences, measure: Measure, class: Option<u32>, ranking: TopK) {
    match (measure, class) {
        (Measure::Relevance, None) => concept.relevance = ranking,
        (Measure::Activation, None) => concept.activation = ranking,
        (Measure::Relevance, Some(class)) => concept.relevance_by_class.insert(class, ranking),
        (Measure::Activation, Some(class)) => concept.activation_by_class.insert(class, ranking),
    }
}

fn open_table(folder: &Path, manifest: &Manifest, format: &Format) -> Result<TableReader, StoreError> {
    tables::open(folder, &manifest.tables, format, &folder.join(MANIFEST))
}

/// How far the scan is that fills the store in `folder`.
fn incomplete(folder: &Path, manifest: &Manifest) -> Result<StoreError, StoreError> {
    let first = manifest.covered.first().map_or(0, |[first, _]| *first);
    let done = folder::next_sample(folder)?.saturating_sub(first);
    Ok(StoreError::new(folder, StoreErrorKind::Incomplete { done, total: manifest.covered_samples() }))
}

/// The manifest of the store in `folder`; `None` when there is none.
fn read_manifest(folder: &Path) -> Result<Option<Manifest>, StoreError> {
    /// What all versions of the format have.
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }

    let path = folder.join(MANIFEST);
    let exists = |path: &Path| path.try_exists().map_err(|error| StoreError::read(path, error));
    if !exists(&path)? {
        // A folder that is not there at all is another mistake than one that is no store.
        std::fs::metadata(folder).map_err(|error| StoreError::read(folder, error))?;
        return Ok(None);
    }
    let Version { format: given } = file::read_json(&path, "a manifest with a format version")?;
    if given != FORMAT_VERSION {
        return Err(StoreError::new(path, StoreErrorKind::Version { given, expected: FORMAT_VERSION }));
    }
    let manifest: Manifest = file::read_json(&path, "a manifest")?;
    if !manifest.has_ranges() {
        return Err(StoreError::malformed(path, "ranges of the data set's samples, in order, that do not touch"));
    }
    Ok(Some(manifest))
}

/// Checks that a store was made as `given` says, and of the same samples if these are to be `equal`.
fn check(folder: &Path, stored: &Manifest, given: &Manifest, equal: bool) -> Result<(), StoreError> {
    let mut differences = stored.differences(given);
    if equal && stored.covered != given.covered {
        let ranges = |manifest: &Manifest| manifest::ranges(&manifest.covered);
        differences.push(Difference { field: "samples of the shard", stored: ranges(stored), given: ranges(given) });
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(StoreError::new(folder, StoreErrorKind::Mismatch { differences }))
}

#[cfg(test)]
mod tests;
