//! Stores of shards become one store: the same, to the byte, as one scan of all their samples writes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::file::Pending;
use super::folder::{complete, occupy, write_json};
use super::tables::{self, Tables};
use super::{
    MANIFEST, Manifest, SOURCES, Sources, StoreError, StoreErrorKind, check, file, manifest, read_manifest,
    samples_table,
};

/// What a merged store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The number of samples that it covers.
    pub covered: u64,
    /// The number of samples of the data set.
    pub total: u64,
    /// Whether it was there already.
    pub already_complete: bool,
}

/// A complete store that is merged.
struct Input<'a> {
    folder: &'a Path,
    manifest: Manifest,
}

/// Merges complete stores of different samples of one data set, in any order, into a store in the folder `output`. It may
/// cover a part of the data set and be merged again.
///
/// # Errors
/// When there are no stores; one is not complete, damaged, made in another way than the first, or has samples in common with
/// another; when the output folder is one of them, holds something else, or cannot be written.
pub fn merge(stores: &[PathBuf], output: &Path) -> Result<Merged, StoreError> {
    let inputs = stores.iter().map(|folder| Input::open(folder)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = inputs.first() else { return Err(StoreError::new(output, StoreErrorKind::NothingToMerge)) };
    for input in &inputs {
        check(input.folder, &input.manifest, &first.manifest, false)?;
        if let Some(difference) = manifest::class_names(&input.manifest, &first.manifest) {
            let kind = StoreErrorKind::Mismatch { differences: vec![difference] };
            return Err(StoreError::new(input.folder, kind));
        }
        if same_folder(input.folder, output) {
            return Err(StoreError::new(output, StoreErrorKind::MergedIntoItself));
        }
    }
    let manifest = Manifest {
        complete: false,
        covered: covered(&inputs)?,
        scored: 0,
        tables: Default::default(),
        ..first.manifest.clone()
    };
    let (covered, total) = (manifest.covered_samples(), manifest.data.samples);
    let (_lock, stored) = occupy(output)?;
    if let Some(stored) = &stored {
        check(output, stored, &manifest, true)?;
        if stored.complete {
            tables::check(output, stored, &output.join(MANIFEST))?;
            return Ok(Merged { covered, total, already_complete: true });
        }
    }
    // Whoever is killed leaves a store that is not complete, and that the same call goes on with.
    write_json(output, MANIFEST, &manifest)?;
    let parts = inputs.iter().map(Input::tables).collect::<Result<Vec<_>, _>>()?;
    let mut written = tables::write(output, &manifest, &parts, None)?;
    written.push((samples_table::FORMAT.file.to_owned(), samples(&inputs, first, output)?));
    let sources: Sources = file::read_json(&first.folder.join(SOURCES), "the paths of the model and the data")?;
    write_json(output, SOURCES, &sources)?;
    let scored = inputs.iter().map(|input| input.manifest.scored).fold(0, u64::saturating_add);
    complete(output, manifest, scored, written)?;
    Ok(Merged { covered, total, already_complete: false })
}

impl<'a> Input<'a> {
    fn open(folder: &'a Path) -> Result<Self, StoreError> {
        let manifest = read_manifest(folder)?.ok_or_else(|| StoreError::new(folder, StoreErrorKind::NoStore))?;
        if !manifest.complete {
            return Err(super::incomplete(folder, &manifest)?);
        }
        Ok(Self { folder, manifest })
    }

    fn tables(&self) -> Result<Tables, StoreError> {
        Tables::open(self.folder, &self.manifest.tables, &self.manifest, &self.folder.join(MANIFEST))
    }
}

/// The samples that all of them cover.
fn covered(inputs: &[Input<'_>]) -> Result<Vec<[u64; 2]>, StoreError> {
    let ranges = inputs.iter().flat_map(|input| input.manifest.covered.iter().map(move |range| (*range, input)));
    let mut ranges: Vec<([u64; 2], &Input<'_>)> = ranges.collect();
    ranges.sort_by_key(|(range, _)| *range);
    let mut covered: Vec<[u64; 2]> = Vec::new();
    let mut before: Option<&Input<'_>> = None;
    for ([first, end], input) in ranges {
        match covered.last_mut() {
            Some(last) if first < last[1] => {
                let samples = manifest::ranges(&[[first, end.min(last[1])]]);
                let other = before.map_or(input.folder, |before| before.folder).to_owned();
                return Err(StoreError::new(input.folder, StoreErrorKind::Overlap { other, samples }));
            }
            Some(last) if first == last[1] => last[1] = end,
            _ => covered.push([first, end]),
        }
        before = Some(input);
    }
    Ok(covered)
}

/// The table of samples, which all stores have alike.
fn samples(inputs: &[Input<'_>], first: &Input<'_>, output: &Path) -> Result<Pending, StoreError> {
    let file = samples_table::FORMAT.file;
    let said_by = |input: &Input<'_>| input.folder.join(MANIFEST);
    let expected = first.manifest.tables.get(file);
    let expected = expected.ok_or_else(|| StoreError::malformed(said_by(first), "the size and hash of every table"))?;
    for input in inputs {
        if input.manifest.tables.get(file) != Some(expected) {
            return Err(StoreError::malformed(input.folder.join(file), "the same samples as the first store"));
        }
    }
    let mut source: File = file::open_checked(&first.folder.join(file), expected)?;
    io::Seek::rewind(&mut source).map_err(|error| StoreError::read(first.folder.join(file), error))?;
    Pending::write(output, file, |written| {
        io::copy(&mut source, written)?;
        Ok(expected.rows)
    })
}

fn same_folder(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    canonical(one).is_some_and(|one| canonical(other) == Some(one))
}
