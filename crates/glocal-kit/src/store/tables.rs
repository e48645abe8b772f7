//! The tables of one set of samples: of a part of a store, of a whole one, or of several that become one.

use std::collections::BTreeMap;
use std::path::Path;

use glocal::search::LayerReferences;

use super::columns::{Format, TableReader, cause};
use super::file::{Pending, Table};
use super::found::Found;
use super::merged::{self, Source};
use super::references_table::{Ranked, Rankings};
use super::vectors_table::{self, ConceptVector, Vectors};
use super::{
    Manifest, SkippedSample, StoreError, concepts_table, references_table, samples_table, skipped_table, sums_table,
};

/// The sizes and hashes of tables, by the names of their files.
pub(super) type Written = BTreeMap<String, Table>;

/// The tables that were written for some samples.
pub(super) struct Tables {
    /// The concepts, without rankings.
    layers: Vec<LayerReferences>,
    references: TableReader,
    vectors: Option<TableReader>,
    skipped: Vec<SkippedSample>,
}

/// Opens a table of `folder`; the file that says what was `written` is named in errors.
pub(super) fn open(
    folder: &Path,
    written: &Written,
    format: &Format,
    said_by: &Path,
) -> Result<TableReader, StoreError> {
    let table = written.get(format.file);
    let table = table.ok_or_else(|| StoreError::malformed(said_by, "the size and hash of every table"))?;
    TableReader::open(folder, format, table)
}

impl Tables {
    /// Opens the tables of `folder`, which are those of a store that `manifest` describes.
    pub(super) fn open(
        folder: &Path,
        written: &Written,
        manifest: &Manifest,
        said_by: &Path,
    ) -> Result<Self, StoreError> {
        let open = |format: &Format| open(folder, written, format, said_by);
        let top_k = manifest.options.top_k;
        let mut layers = concepts_table::read(&open(&concepts_table::FORMAT)?, &manifest.layers, top_k)?;
        sums_table::read(&open(&sums_table::FORMAT)?, &mut layers)?;
        let vectors = manifest.options.vectors.map(|format| open(&format.format())).transpose()?;
        // Where no sample was passed over there is no such table.
        let skipped = match written.contains_key(skipped_table::FORMAT.file) {
            true => skipped_table::read(&open(&skipped_table::FORMAT)?)?,
            false => Vec::new(),
        };
        Ok(Self { layers, references: open(&references_table::FORMAT)?, vectors, skipped })
    }
}

/// Writes into `folder`, still without their names, the tables of all that `parts` hold and, after them, of what was `found`.
pub(super) fn write(
    folder: &Path,
    manifest: &Manifest,
    parts: &[Tables],
    found: Option<&Found>,
) -> Result<Vec<(String, Pending)>, StoreError> {
    let layers = concepts(manifest, parts, found);
    let references = || {
        pending(folder, references_table::FORMAT.file, |output| {
            references_table::write(&manifest.layers, rankings(manifest, parts, found), output)
        })
    };
    let concepts =
        || pending(folder, concepts_table::FORMAT.file, |output| concepts_table::write(&layers, output).map_err(cause));
    let sums = || pending(folder, sums_table::FORMAT.file, |output| sums_table::write(&layers, output).map_err(cause));
    // The small tables beside the large one.
    let (references, (concepts, sums)) = rayon::join(references, || (concepts(), sums()));
    let mut tables = vec![references?, concepts?, sums?];
    if let Some(format) = manifest.options.vectors {
        tables.push(pending(folder, vectors_table::FILE, |output| {
            vectors_table::write(format, &manifest.layers, vectors(manifest, parts, found), output)
        })?);
    }
    let skipped = parts.iter().flat_map(|part| &part.skipped).chain(found.into_iter().flat_map(|found| &found.skipped));
    let mut skipped: Vec<&SkippedSample> = skipped.collect();
    skipped.sort_by_key(|skipped| skipped.sample);
    if !skipped.is_empty() {
        let write = |output: &mut _| skipped_table::write(&skipped, output).map_err(cause);
        tables.push(pending(folder, skipped_table::FORMAT.file, write)?);
    }
    Ok(tables)
}

/// How many scores of all of these were NaN.
pub(super) fn not_a_number(parts: &[Tables], found: Option<&Found>) -> u64 {
    let all = parts.iter().map(|part| part.layers.as_slice()).chain(found.map(|found| found.references.layers()));
    all.flatten().flat_map(|layer| &layer.concepts).map(|concept| concept.not_a_number).fold(0, u64::saturating_add)
}

type Filled = Result<u64, Box<dyn std::error::Error + Send + Sync>>;

fn pending(
    folder: &Path,
    file: &str,
    fill: impl FnOnce(&mut super::file::Output) -> Filled,
) -> Result<(String, Pending), StoreError> {
    Ok((file.to_owned(), Pending::write(folder, file, fill)?))
}

/// The concepts of all layers, without rankings, with the counts and statistics of all samples.
fn concepts(manifest: &Manifest, parts: &[Tables], found: Option<&Found>) -> Vec<LayerReferences> {
    let empty = |concepts| vec![glocal::search::ConceptReferences::new(manifest.options.top_k); concepts];
    let layers = manifest.layers.iter();
    let mut layers: Vec<LayerReferences> =
        layers.map(|layer| LayerReferences { layer: layer.name.clone(), concepts: empty(layer.concepts) }).collect();
    let all = parts.iter().map(|part| part.layers.as_slice());
    for part in all.chain(found.map(|found| found.references.layers())) {
        for (layer, part) in layers.iter_mut().zip(part) {
            for (concept, part) in layer.concepts.iter_mut().zip(&part.concepts) {
                concept.active = concept.active.saturating_add(part.active);
                concept.not_a_number = concept.not_a_number.saturating_add(part.not_a_number);
                concept.statistics.merge(&part.statistics);
            }
        }
    }
    layers
}

fn rankings<'a>(
    manifest: &'a Manifest,
    parts: &'a [Tables],
    found: Option<&'a Found>,
) -> impl Iterator<Item = Result<Ranked<'a>, StoreError>> + 'a {
    let read = |part: &'a Tables| -> Source<'a, Ranked<'a>> {
        Box::new(Rankings::new(&part.references, &manifest.layers, manifest.options.top_k))
    };
    let held = |found: &'a Found| -> Source<'a, Ranked<'a>> {
        Box::new(references_table::rankings(found.references.layers()).map(Ok))
    };
    merged::rankings(parts.iter().map(read).chain(found.map(held)).collect())
}

fn vectors<'a>(
    manifest: &'a Manifest,
    parts: &'a [Tables],
    found: Option<&'a Found>,
) -> impl Iterator<Item = Result<(usize, ConceptVector), StoreError>> {
    let read = |table: &'a TableReader| -> Source<'a, (usize, ConceptVector)> {
        Box::new(Vectors::new(table, &manifest.layers, None))
    };
    let held = |layers: &'a Vec<Vec<ConceptVector>>| -> Source<'a, (usize, ConceptVector)> {
        let of_layer = |(layer, vectors): (usize, &'a Vec<ConceptVector>)| {
            vectors.iter().map(move |vector| Ok((layer, vector.clone())))
        };
        Box::new(layers.iter().enumerate().flat_map(of_layer))
    };
    let parts = parts.iter().filter_map(|part| part.vectors.as_ref()).map(read);
    merged::vectors(parts.chain(found.and_then(|found| found.vectors.as_ref()).map(held)).collect())
}

/// Checks that the tables of a complete store are there in full, without reading them.
pub(super) fn check(folder: &Path, manifest: &Manifest, said_by: &Path) -> Result<(), StoreError> {
    let sometimes = [skipped_table::FORMAT.file, vectors_table::FILE];
    let always = [references_table::FORMAT, concepts_table::FORMAT, sums_table::FORMAT, samples_table::FORMAT];
    let written = sometimes.into_iter().filter(|file| manifest.tables.contains_key(*file));
    for file in always.into_iter().map(|format| format.file).chain(written) {
        let path = folder.join(file);
        let actual = std::fs::metadata(&path).map_err(|error| StoreError::read(&path, error))?.len();
        let expected = manifest
            .tables
            .get(file)
            .ok_or_else(|| StoreError::malformed(said_by, "the size and hash of every table of a complete store"))?;
        if expected.bytes != actual {
            return Err(StoreError::new(path, super::StoreErrorKind::Size { expected: expected.bytes, actual }));
        }
    }
    Ok(())
}

/// Whether a table is called so.
pub(super) fn is_table(file: &str) -> bool {
    let formats = [references_table::FORMAT, concepts_table::FORMAT, sums_table::FORMAT, samples_table::FORMAT];
    formats.iter().any(|format| format.file == file)
        || [skipped_table::FORMAT.file, vectors_table::FILE].contains(&file)
}
