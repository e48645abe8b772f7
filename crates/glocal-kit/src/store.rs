//! The store: one folder with the reference samples of all concepts, as tables that other programs read too.
//!
//! | file | content |
//! |---|---|
//! | `manifest.json` | how the store was made: [`Manifest`] |
//! | `references.parquet` | a row an entry: `layer`, `concept`, `measure` (`relevance` or `activation`), `class` (null: over all targets), `rank` (from 0), `sample`, `target`, `score`, `other` (the other measure's score), `peak` |
//! | `concepts.parquet` | a row a concept: `layer`, `concept`, `active` (in how many samples), `not_a_number` (how many scores were NaN) |
//! | `samples.parquet` | a row a sample: `sample`, `key`, `labels` |
//! | `skipped.parquet` | only where samples could not be used and were passed over, a row each: `sample`, `key`, `reason` |
//! | `sources.json` | where model and data were found last: [`Sources`] |
//!
//! Equal scans write equal bytes, but for `sources.json`. Every file appears in full or not at all, the manifest last.
//! While a [scan](crate::scan) runs, `checkpoint-N` folders hold what it has found in the first `N` samples. The lock
//! file `glocal.lock` is empty and stays.
//!
//! A [`Store`] reads; tables are checked against the hashes in the manifest before anything in them is believed.

mod classes;
mod columns;
mod concepts_table;
mod error;
mod file;
mod folder;
mod manifest;
mod references_table;
mod samples_table;
mod skipped_table;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glocal::search::{ConceptReferences, Entry, LayerReferences, Measure, References, TopK};
use serde::Deserialize;

pub use classes::ClassScore;
pub use error::{StoreError, StoreErrorKind};
pub use file::Table;
pub(crate) use folder::{Begun, StoreWriter};
pub use manifest::{
    CompositeManifest, DataManifest, Difference, FORMAT_VERSION, LayerManifest, Manifest, ModelManifest,
    NormalizationName, OptionsManifest, ScoreName, ScoringManifest, Sources, Targets,
};
pub use samples_table::StoredSample;
pub use skipped_table::SkippedSample;

use columns::{Format, TableReader};

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
            let done = folder::latest_checkpoint(&folder)?.map_or(0, |(done, _)| done);
            let kind = StoreErrorKind::Incomplete { done, total: manifest.data.samples };
            return Err(StoreError::new(folder, kind));
        }
        let concepts = open_table(&folder, &manifest, &concepts_table::FORMAT)?;
        let layers = concepts_table::read(&concepts, &manifest.layers, manifest.options.top_k)?;
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

    /// Checks that the store was made as `given` says.
    ///
    /// # Errors
    /// When it was not; the error lists every difference.
    pub fn check(&self, given: &Manifest) -> Result<(), StoreError> {
        check(&self.folder, &self.manifest, given)
    }

    /// All that the store knows, in memory.
    ///
    /// # Errors
    /// When the table is damaged.
    pub fn read_all(&self) -> Result<References, StoreError> {
        let mut layers = self.layers.clone();
        self.with_references(|table| layers.iter_mut().try_for_each(|layer| fill(table, layer, self.top_k())))?;
        Ok(References::from_parts(self.top_k(), layers, self.manifest.scored))
    }

    /// What the store knows of one concept.
    ///
    /// # Errors
    /// When there is no such layer or concept, or the table is damaged.
    pub fn concept(&self, layer: &str, concept: usize) -> Result<ConceptReferences, StoreError> {
        let mut found = self.known(layer, concept)?.clone();
        self.with_references(|table| {
            references_table::read(table, layer, Some(concept), self.top_k(), |_, measure, class, ranking| {
                put(&mut found, measure, class, ranking);
                Ok(())
            })
        })?;
        Ok(found)
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

    fn known(&self, layer: &str, concept: usize) -> Result<&ConceptReferences, StoreError> {
        let found = self.layers.iter().find(|known| known.layer == layer).ok_or_else(|| {
            let mut nearest: Vec<String> = self.layers.iter().map(|known| known.layer.clone()).collect();
            nearest.sort_by_key(|known| strsim::levenshtein(known, layer));
            nearest.truncate(5);
            StoreError::new(&self.folder, StoreErrorKind::Layer { given: layer.to_owned(), nearest })
        })?;
        found.concepts.get(concept).ok_or_else(|| {
            let (layer, count) = (layer.to_owned(), found.concepts.len());
            StoreError::new(&self.folder, StoreErrorKind::Concept { layer, given: concept, count })
        })
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

/// Fills the rankings of a layer's concepts.
fn fill(table: &TableReader, layer: &mut LayerReferences, top_k: usize) -> Result<(), StoreError> {
    let LayerReferences { layer, concepts } = layer;
    references_table::read(table, layer, None, top_k, |id, measure, class, ranking| {
        let expected = "no more concepts than the layer has";
        let concept = concepts.get_mut(id).ok_or_else(|| StoreError::malformed(table.path(), expected))?;
        put(concept, measure, class, ranking);
        Ok(())
    })
}

fn put(concept: &mut ConceptReferences, measure: Measure, class: Option<u32>, ranking: TopK) {
    match (measure, class) {
        (Measure::Relevance, None) => concept.relevance = ranking,
        (Measure::Activation, None) => concept.activation = ranking,
        (Measure::Relevance, Some(class)) => drop(concept.relevance_by_class.insert(class, ranking)),
        (Measure::Activation, Some(class)) => drop(concept.activation_by_class.insert(class, ranking)),
    }
}

fn open_table(folder: &Path, manifest: &Manifest, format: &Format) -> Result<TableReader, StoreError> {
    let table = manifest.tables.get(format.file);
    let expected = "the size and hash of every table";
    let table = table.ok_or_else(|| StoreError::malformed(folder.join(MANIFEST), expected))?;
    TableReader::open(folder, format, table)
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
    file::read_json(&path, "a manifest").map(Some)
}

fn check(folder: &Path, stored: &Manifest, given: &Manifest) -> Result<(), StoreError> {
    let differences = stored.differences(given);
    if differences.is_empty() {
        return Ok(());
    }
    Err(StoreError::new(folder, StoreErrorKind::Mismatch { differences }))
}

#[cfg(test)]
mod tests;
