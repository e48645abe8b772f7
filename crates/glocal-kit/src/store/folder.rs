//! Writing a store so that it can be left at any moment and gone on with.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::columns::cause;
use super::file::{LOCK, PARTIAL, Pending, lock, sync};
use super::found::Found;
use super::part::{self, Part};
use super::{
    MANIFEST, Manifest, SOURCES, Sources, StoreError, StoreErrorKind, check, read_manifest, samples_table, tables,
};
use crate::data::DataSet;

/// So many neighbouring parts of the same level become one, so that no scan has many and none is written often.
const PARTS_OF_A_LEVEL: usize = 16;

/// A store that is to be filled.
pub(crate) struct Begun {
    /// Writes it.
    pub(crate) writer: StoreWriter,
    /// The sample that the scan goes on with.
    pub(crate) next: u64,
}

/// Writes a store, and holds its lock.
pub(crate) struct StoreWriter {
    folder: PathBuf,
    manifest: Manifest,
    /// The samples of the whole store.
    range: Range<u64>,
    /// What is written of it, in order.
    parts: Vec<Part>,
    _lock: File,
}

/// What a store that was finished holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    /// The number of samples passed over.
    pub(crate) skipped: u64,
    /// The number of scores that were NaN.
    pub(crate) not_a_number: u64,
}

impl StoreWriter {
    /// Makes `folder` ready for a scan of the samples `range` that `manifest` (not complete) describes, or goes on with what is
    /// there. `None`: the folder holds the complete store.
    ///
    /// # Errors
    /// When the folder holds something else or the store of another scan, another run is writing it, or it cannot be
    /// written.
    pub(crate) fn prepare(
        folder: &Path,
        manifest: Manifest,
        range: Range<u64>,
        sources: &Sources,
    ) -> Result<Option<Begun>, StoreError> {
        let (lock, stored) = occupy(folder)?;
        if let Some(stored) = &stored {
            check(folder, stored, &manifest, true)?;
        }
        let mut writer = Self { folder: folder.to_owned(), manifest, range, parts: Vec::new(), _lock: lock };
        match stored {
            Some(stored) if stored.complete => {
                tables::check(folder, &stored, &folder.join(MANIFEST))?;
                write_json(folder, SOURCES, sources)?;
                remove_parts(folder)?;
                Ok(None)
            }
            stored => {
                match stored {
                    // What people read stays as it was first written.
                    Some(stored) => writer.manifest = stored,
                    None => write_json(folder, MANIFEST, &writer.manifest)?,
                }
                write_json(folder, SOURCES, sources)?;
                let (parts, contained) = part::find(folder, &names(folder)?, writer.range.start)?;
                contained.iter().try_for_each(|path| remove_part(path))?;
                writer.parts = parts;
                // A run that was killed may have left some of one level.
                writer.unite()?;
                let next = writer.next();
                if next > writer.range.end {
                    return Err(StoreError::malformed(folder, "parts of the samples of this scan"));
                }
                Ok(Some(Begun { writer, next }))
            }
        }
    }

    /// The sample after those that are written.
    fn next(&self) -> u64 {
        self.parts.last().map_or(self.range.start, |part| part.samples().end)
    }

    /// The number of samples that had a target, in what is written and in `found`.
    pub(crate) fn scored(&self, found: &Found) -> u64 {
        part::scored(&self.parts, Some(found))
    }

    /// The number of samples passed over, in what is written and in `found`.
    pub(crate) fn skipped(&self, found: &Found) -> u64 {
        part::skipped(&self.parts, Some(found))
    }

    /// Saves what was `found` in the samples from the last that were saved up to `end`, and empties it. On errors it is left as
    /// it was, unless the part was saved already.
    pub(crate) fn save(&mut self, found: &mut Found, end: u64) -> Result<(), StoreError> {
        let range = self.next()..end;
        if range.is_empty() {
            return Ok(());
        }
        let part = Part::write(&self.folder, &self.manifest, range, &[], Some(found))?;
        self.parts.push(part);
        drop(found.take());
        self.unite()
    }

    /// Makes one of the last parts while there are many of the same level.
    fn unite(&mut self) -> Result<(), StoreError> {
        while let Some(first) = self.parts.len().checked_sub(PARTS_OF_A_LEVEL) {
            let last = &self.parts[first..];
            if last.iter().any(|part| part.content.level != last[0].content.level) {
                break;
            }
            let range = last[0].samples().start..self.next();
            let united = Part::write(&self.folder, &self.manifest, range, last, None)?;
            for part in self.parts.drain(first..) {
                remove_part(&part.folder)?;
            }
            self.parts.push(united);
        }
        Ok(())
    }

    /// Writes the final tables and then the manifest that makes the store complete.
    pub(crate) fn finish(self, found: &Found, data: &dyn DataSet) -> Result<Finished, StoreError> {
        let parts = self.parts.iter().map(|part| part.tables(&self.manifest)).collect::<Result<Vec<_>, _>>()?;
        let mut written = tables::write(&self.folder, &self.manifest, &parts, Some(found))?;
        let file = samples_table::FORMAT.file;
        let samples = Pending::write(&self.folder, file, |output| samples_table::write(data, output).map_err(cause))?;
        written.push((file.to_owned(), samples));
        let not_a_number = tables::not_a_number(&parts, Some(found));
        let finished = Finished { skipped: self.skipped(found), not_a_number };
        let scored = self.scored(found);
        complete(&self.folder, self.manifest, scored, written)?;
        Ok(finished)
    }
}

/// Gives the tables of a store their names, and writes the manifest that makes it complete.
pub(super) fn complete(
    folder: &Path,
    mut manifest: Manifest,
    scored: u64,
    written: Vec<(String, Pending)>,
) -> Result<(), StoreError> {
    manifest.complete = true;
    manifest.scored = scored;
    manifest.tables = written.iter().map(|(name, table)| (name.clone(), table.table().clone())).collect();
    let pending = Pending::json(folder, MANIFEST, &manifest)?;
    for (_, table) in written {
        table.commit()?;
    }
    sync(folder)?;
    pending.commit()?;
    sync(folder)?;
    remove_parts(folder)
}

/// Takes possession of a folder for a store: makes it, locks it, and removes what a run that was killed has left half written.
/// Returns the manifest that is there.
///
/// # Errors
/// When the folder holds something else, another run is writing it, or it cannot be written.
pub(super) fn occupy(folder: &Path) -> Result<(File, Option<Manifest>), StoreError> {
    fs::create_dir_all(folder).map_err(|error| StoreError::write(folder, error))?;
    if read_manifest(folder)?.is_none() && names(folder)?.iter().any(|name| !is_remainder(name)) {
        return Err(StoreError::new(folder, StoreErrorKind::Occupied));
    }
    let lock = lock(folder)?;
    for name in names(folder)?.iter().filter(|name| name.ends_with(PARTIAL) && is_remainder(name)) {
        remove(&folder.join(name))?;
    }
    // Only now nobody else changes the folder.
    Ok((lock, read_manifest(folder)?))
}

pub(super) fn write_json(folder: &Path, name: &str, content: &impl Serialize) -> Result<(), StoreError> {
    Pending::json(folder, name, content)?.commit()?;
    sync(folder)
}

fn remove_parts(folder: &Path) -> Result<(), StoreError> {
    let parts = names(folder)?.into_iter().filter(|name| part::samples_of(name).is_some());
    parts.map(|name| folder.join(name)).try_for_each(|path| remove_part(&path))
}

/// Removes a part. It is renamed first, as a part must not be there by half.
fn remove_part(path: &Path) -> Result<(), StoreError> {
    let mut doomed = path.to_owned().into_os_string();
    doomed.push(PARTIAL);
    let doomed = PathBuf::from(doomed);
    fs::rename(path, &doomed).map_err(|error| StoreError::write(path, error))?;
    remove(&doomed)
}

/// The first sample of a scan that has not ended and is not saved yet.
pub(super) fn next_sample(folder: &Path) -> Result<u64, StoreError> {
    let ends = names(folder)?.into_iter().filter_map(|name| Some(part::samples_of(&name)?.end));
    Ok(ends.max().unwrap_or(0))
}

/// The names in `folder`; those that are not Unicode are none of ours, and come as what they look like.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(|error| StoreError::read(folder, error))?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Whether a run that was killed before or while it wrote a manifest may have left a file of that name.
fn is_remainder(name: &str) -> bool {
    // The command line tries whether it can write into the folder.
    let tried = name.starts_with(".glocal.") && name.ends_with(PARTIAL);
    name == LOCK
        || tried
        || name.strip_suffix(PARTIAL).is_some_and(|whole| {
            [MANIFEST, SOURCES].contains(&whole) || tables::is_table(whole) || part::samples_of(whole).is_some()
        })
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|error| StoreError::write(path, error))
}
