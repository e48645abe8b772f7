//! Writing a store so that it can be left at any moment and gone on with.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use glocal::search::{LayerReferences, References};
use serde::{Deserialize, Serialize};

use super::columns::{TableReader, cause};
use super::file::{LOCK, PARTIAL, Pending, Table, lock, read_json, sync};
use super::{
    FORMAT_VERSION, MANIFEST, Manifest, SOURCES, SkippedSample, Sources, StoreError, StoreErrorKind, check,
    concepts_table, fill, read_manifest, references_table, samples_table, skipped_table,
};
use crate::data::DataSet;

/// The file of a checkpoint that says what it holds.
const CHECKPOINT: &str = "checkpoint.json";

/// What the names of checkpoints begin with; the number of samples follows.
const CHECKPOINT_PREFIX: &str = "checkpoint-";

/// A store that is to be filled.
pub(crate) struct Begun {
    /// Writes it.
    pub(crate) writer: StoreWriter,
    /// What was found so far.
    pub(crate) references: References,
    /// The number of samples done; those after them are to be scanned.
    pub(crate) done: u64,
}

/// Writes a store, and holds its lock.
pub(crate) struct StoreWriter {
    folder: PathBuf,
    manifest: Manifest,
    saved: Option<u64>,
    /// The samples passed over so far, in their order.
    skipped: Vec<SkippedSample>,
    _lock: File,
}

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    format: u64,
    /// The number of samples done: those of indices `0..done`.
    done: u64,
    /// The number of them that had a target.
    scored: u64,
    tables: BTreeMap<String, Table>,
}

impl StoreWriter {
    /// Makes `folder` ready for a scan that `manifest` (not complete) describes, or goes on with what is there.
    /// `empty` is what a scan begins with. `None`: the folder holds the complete store.
    ///
    /// # Errors
    /// When the folder holds something else or the store of another scan, another run is writing it, or it cannot be
    /// written.
    pub(crate) fn prepare(
        folder: &Path,
        manifest: Manifest,
        sources: &Sources,
        empty: References,
    ) -> Result<Option<Begun>, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::write(folder, error))?;
        if read_manifest(folder)?.is_none() && names(folder)?.iter().any(|name| !is_remainder(name)) {
            return Err(StoreError::new(folder, StoreErrorKind::Occupied));
        }
        let lock = lock(folder)?;
        // Only now nobody else changes the folder.
        let stored = read_manifest(folder)?;
        if let Some(stored) = &stored {
            check(folder, stored, &manifest)?;
        }
        for name in names(folder)?.iter().filter(|name| name.ends_with(PARTIAL) && is_remainder(name)) {
            remove(&folder.join(name))?;
        }
        let mut writer = Self { folder: folder.to_owned(), manifest, saved: None, skipped: Vec::new(), _lock: lock };
        match stored {
            Some(stored) if stored.complete => {
                check_tables(folder, &stored)?;
                writer.write_json(SOURCES, sources)?;
                writer.remove_checkpoints(None)?;
                Ok(None)
            }
            stored => {
                match stored {
                    // What people read stays as it was first written.
                    Some(stored) => writer.manifest = stored,
                    None => writer.write_json(MANIFEST, &writer.manifest)?,
                }
                writer.write_json(SOURCES, sources)?;
                let (references, done) = match latest_checkpoint(folder)? {
                    Some((done, path)) => (writer.read_checkpoint(&path, done)?, done),
                    None => (empty, 0),
                };
                writer.saved = (done > 0).then_some(done);
                Ok(Some(Begun { writer, references, done }))
            }
        }
    }

    /// Notes samples that are passed over, which come after all those before.
    pub(crate) fn skip(&mut self, samples: impl IntoIterator<Item = SkippedSample>) {
        self.skipped.extend(samples);
    }

    /// The number of samples passed over so far.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.len() as u64
    }

    /// Saves what was found in the first `done` samples.
    pub(crate) fn checkpoint(&mut self, references: &References, done: u64) -> Result<(), StoreError> {
        if self.saved == Some(done) || done == 0 {
            return Ok(());
        }
        let name = format!("{CHECKPOINT_PREFIX}{done}");
        let temporary = self.folder.join(format!("{name}{PARTIAL}"));
        let written = self.write_checkpoint(&temporary, references, done).and_then(|()| {
            let path = self.folder.join(&name);
            fs::rename(&temporary, &path).map_err(|error| StoreError::write(path, error))
        });
        if written.is_err() {
            // The error that led here is the one to report.
            let _ = fs::remove_dir_all(&temporary);
        }
        written?;
        sync(&self.folder)?;
        self.saved = Some(done);
        self.remove_checkpoints(Some(done))
    }

    fn write_checkpoint(&self, folder: &Path, references: &References, done: u64) -> Result<(), StoreError> {
        fs::create_dir(folder).map_err(|error| StoreError::write(folder, error))?;
        let mut tables = BTreeMap::new();
        for (name, table) in write_tables(folder, references.layers(), &self.skipped)? {
            tables.insert(name, table.commit()?);
        }
        let checkpoint = Checkpoint { format: FORMAT_VERSION, done, scored: references.samples(), tables };
        Pending::json(folder, CHECKPOINT, &checkpoint)?.commit()?;
        sync(folder)
    }

    fn read_checkpoint(&mut self, folder: &Path, done: u64) -> Result<References, StoreError> {
        let path = folder.join(CHECKPOINT);
        let checkpoint: Checkpoint = read_json(&path, "a checkpoint")?;
        if checkpoint.format != FORMAT_VERSION || checkpoint.done != done || done > self.manifest.data.samples {
            return Err(StoreError::malformed(path, "the checkpoint of this store that its folder is named for"));
        }
        let open = |format: &super::Format| {
            let table = checkpoint.tables.get(format.file);
            let table = table.ok_or_else(|| StoreError::malformed(&path, "the size and hash of every table"))?;
            TableReader::open(folder, format, table)
        };
        let top_k = self.manifest.options.top_k;
        let mut layers = concepts_table::read(&open(&concepts_table::FORMAT)?, &self.manifest.layers, top_k)?;
        let table = open(&references_table::FORMAT)?;
        layers.iter_mut().try_for_each(|layer| fill(&table, layer, top_k))?;
        if checkpoint.tables.contains_key(skipped_table::FORMAT.file) {
            self.skipped = skipped_table::read(&open(&skipped_table::FORMAT)?)?;
        }
        Ok(References::from_parts(top_k, layers, checkpoint.scored))
    }

    /// Writes the final tables and then the manifest that makes the store complete.
    pub(crate) fn finish(mut self, references: &References, data: &dyn DataSet) -> Result<(), StoreError> {
        let mut tables = write_tables(&self.folder, references.layers(), &self.skipped)?;
        let samples = Pending::write(&self.folder, samples_table::FORMAT.file, |output| {
            samples_table::write(data, output).map_err(cause)
        })?;
        tables.push((samples_table::FORMAT.file.to_owned(), samples));
        self.manifest.complete = true;
        self.manifest.scored = references.samples();
        let written = tables.iter().map(|(name, table)| (name.clone(), table.table().clone()));
        self.manifest.tables = written.collect();
        let manifest = Pending::json(&self.folder, MANIFEST, &self.manifest)?;
        for (_, table) in tables {
            table.commit()?;
        }
        sync(&self.folder)?;
        manifest.commit()?;
        sync(&self.folder)?;
        self.remove_checkpoints(None)
    }

    fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), StoreError> {
        Pending::json(&self.folder, name, content)?.commit()?;
        sync(&self.folder)
    }

    /// Removes all checkpoints but the one of `keep` samples.
    fn remove_checkpoints(&self, keep: Option<u64>) -> Result<(), StoreError> {
        for name in names(&self.folder)? {
            if checkpoint_of(&name).is_some_and(|done| Some(done) != keep) {
                // Renamed first, as a checkpoint must not be there in part.
                let (path, doomed) = (self.folder.join(&name), self.folder.join(format!("{name}{PARTIAL}")));
                fs::rename(&path, &doomed).map_err(|error| StoreError::write(&path, error))?;
                remove(&doomed)?;
            }
        }
        Ok(())
    }
}

/// The checkpoint with the most samples, and how many it has.
pub(super) fn latest_checkpoint(folder: &Path) -> Result<Option<(u64, PathBuf)>, StoreError> {
    let checkpoints = names(folder)?.into_iter().filter_map(|name| Some((checkpoint_of(&name)?, folder.join(name))));
    Ok(checkpoints.max_by_key(|(done, _)| *done))
}

/// Writes the tables of references, of concepts and, if there are any, of skipped samples, still without their names.
fn write_tables(
    folder: &Path,
    layers: &[LayerReferences],
    skipped: &[SkippedSample],
) -> Result<Vec<(String, Pending)>, StoreError> {
    let (references, concepts) = (references_table::FORMAT.file, concepts_table::FORMAT.file);
    let mut tables = vec![
        (
            references.to_owned(),
            Pending::write(folder, references, |output| references_table::write(layers, output).map_err(cause))?,
        ),
        (
            concepts.to_owned(),
            Pending::write(folder, concepts, |output| concepts_table::write(layers, output).map_err(cause))?,
        ),
    ];
    if !skipped.is_empty() {
        let file = skipped_table::FORMAT.file;
        let table = Pending::write(folder, file, |output| skipped_table::write(skipped, output).map_err(cause))?;
        tables.push((file.to_owned(), table));
    }
    Ok(tables)
}

/// Checks that the tables of a complete store are there in full, without reading them.
fn check_tables(folder: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let skipped = manifest.tables.contains_key(skipped_table::FORMAT.file).then_some(skipped_table::FORMAT);
    let always = [references_table::FORMAT, concepts_table::FORMAT, samples_table::FORMAT];
    for format in always.into_iter().chain(skipped) {
        let path = folder.join(format.file);
        let actual = fs::metadata(&path).map_err(|error| StoreError::read(&path, error))?.len();
        let table = manifest.tables.get(format.file);
        let expected = table.ok_or_else(|| {
            StoreError::malformed(folder.join(MANIFEST), "the size and hash of every table of a complete store")
        })?;
        if expected.bytes != actual {
            let kind = StoreErrorKind::Size { expected: expected.bytes, actual };
            return Err(StoreError::new(path, kind));
        }
    }
    Ok(())
}

/// The names in `folder`; those that are not Unicode are none of ours, and come as what they look like.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(|error| StoreError::read(folder, error))?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// How many samples the checkpoint of that name has.
fn checkpoint_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(CHECKPOINT_PREFIX)?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Whether a run that was killed before or while it wrote a manifest may have left a file of that name.
fn is_remainder(name: &str) -> bool {
    let tables = [references_table::FORMAT, concepts_table::FORMAT, samples_table::FORMAT, skipped_table::FORMAT]
        .map(|format| format.file);
    name == LOCK
        || name.strip_suffix(PARTIAL).is_some_and(|whole| {
            [MANIFEST, SOURCES].contains(&whole) || tables.contains(&whole) || checkpoint_of(whole).is_some()
        })
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|error| StoreError::write(path, error))
}
