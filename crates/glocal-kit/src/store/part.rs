//! A part of a store that is being written: the tables of samples that follow one another.
//!
//! What a scan finds between two checkpoints becomes a part, so that a checkpoint costs no more than what is new. From time to time neighbouring parts
//! become one, and in the end all of them the store.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::{PARTIAL, Pending, read_json, sync};
use super::found::Found;
use super::tables::{self, Tables, Written};
use super::{FORMAT_VERSION, Manifest, StoreError};

/// The file of a part that says what it holds.
const CONTENT: &str = "part.json";

/// What the names of parts begin with; the first sample and the one after the last follow.
const PREFIX: &str = "part-";

/// A part that was written.
pub(super) struct Part {
    pub(super) folder: PathBuf,
    pub(super) content: Content,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    format: u64,
    /// The first sample, and the one after the last.
    samples: [u64; 2],
    /// How often parts were made one on the way to this: 0 for what a scan has written.
    pub(super) level: u32,
    /// The number of samples that had a target.
    pub(super) scored: u64,
    /// The number of samples passed over.
    pub(super) skipped: u64,
    tables: Written,
}

impl Part {
    /// The samples of the part.
    pub(super) fn samples(&self) -> Range<u64> {
        self.content.samples[0]..self.content.samples[1]
    }

    /// Writes the part of the samples `range` of the store in `folder`: all that `parts` hold and, after them, what was `found`.
    pub(super) fn write(
        folder: &Path,
        manifest: &Manifest,
        range: Range<u64>,
        parts: &[Self],
        found: Option<&Found>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(format!("{PREFIX}{}-{}", range.start, range.end));
        let temporary = folder.join(format!("{PREFIX}{}-{}{PARTIAL}", range.start, range.end));
        let content = Content {
            format: FORMAT_VERSION,
            samples: [range.start, range.end],
            level: parts.iter().map(|part| part.content.level.saturating_add(1)).max().unwrap_or(0),
            scored: scored(parts, found),
            skipped: skipped(parts, found),
            tables: Written::new(),
        };
        let written = Self::fill(&temporary, manifest, content, parts, found).and_then(|content| {
            fs::rename(&temporary, &path).map_err(|error| StoreError::write(&path, error))?;
            Ok(content)
        });
        if written.is_err() {
            // The error that led here is the one to report.
            let _ = fs::remove_dir_all(&temporary);
        }
        let part = Self { folder: path, content: written? };
        sync(folder)?;
        Ok(part)
    }

    fn fill(
        folder: &Path,
        manifest: &Manifest,
        mut content: Content,
        parts: &[Self],
        found: Option<&Found>,
    ) -> Result<Content, StoreError> {
        fs::create_dir(folder).map_err(|error| StoreError::write(folder, error))?;
        let parts = parts.iter().map(|part| part.tables(manifest)).collect::<Result<Vec<_>, _>>()?;
        for (name, table) in tables::write(folder, manifest, &parts, found)? {
            content.tables.insert(name, table.commit()?);
        }
        Pending::json(folder, CONTENT, &content)?.commit()?;
        sync(folder)?;
        Ok(content)
    }

    /// Opens the tables of the part of a store that `manifest` describes.
    pub(super) fn tables(&self, manifest: &Manifest) -> Result<Tables, StoreError> {
        Tables::open(&self.folder, &self.content.tables, manifest, &self.folder.join(CONTENT))
    }

    /// Opens the part in `folder`, whose name says that it holds `samples`.
    fn open(folder: PathBuf, samples: Range<u64>) -> Result<Self, StoreError> {
        let path = folder.join(CONTENT);
        let content: Content = read_json(&path, "what a part of a store holds")?;
        if content.format != FORMAT_VERSION || content.samples != [samples.start, samples.end] {
            return Err(StoreError::malformed(path, "the part of this store that its folder is named for"));
        }
        Ok(Self { folder, content })
    }
}

/// How many samples of all of these had a target.
pub(super) fn scored(parts: &[Part], found: Option<&Found>) -> u64 {
    let found = found.map(|found| found.references.samples());
    parts.iter().map(|part| part.content.scored).chain(found).fold(0, u64::saturating_add)
}

/// How many samples of all of these were passed over.
pub(super) fn skipped(parts: &[Part], found: Option<&Found>) -> u64 {
    let found = found.map(|found| found.skipped.len() as u64);
    parts.iter().map(|part| part.content.skipped).chain(found).fold(0, u64::saturating_add)
}

/// The samples of the part of that name.
pub(super) fn samples_of(name: &str) -> Option<Range<u64>> {
    let number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?;
    let (first, end) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let range: Range<u64> = number(first)?..number(end)?;
    (range.start < range.end).then_some(range)
}

/// The parts among the `names` of a store's folder that follow one another from sample `first` on, and the names of those
/// that others contain: whoever made several of them one was killed before it removed them.
///
/// # Errors
/// When a part is missing between others, or one is damaged.
pub(super) fn find(folder: &Path, names: &[String], first: u64) -> Result<(Vec<Part>, Vec<PathBuf>), StoreError> {
    let mut ranges: Vec<(Range<u64>, PathBuf)> =
        names.iter().filter_map(|name| Some((samples_of(name)?, folder.join(name)))).collect();
    // Of those that begin together the longest comes first.
    ranges.sort_by_key(|(range, _)| (range.start, u64::MAX - range.end));
    let (mut parts, mut contained, mut done) = (Vec::new(), Vec::new(), first);
    for (range, path) in ranges {
        if range.end <= done && !parts.is_empty() {
            contained.push(path);
        } else if range.start == done {
            done = range.end;
            parts.push(Part::open(path, range)?);
        } else {
            return Err(StoreError::malformed(path, "parts that follow one another"));
        }
    }
    Ok((parts, contained))
}
