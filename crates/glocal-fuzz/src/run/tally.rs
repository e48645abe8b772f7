//! What a run has come to so far.

use std::fmt;
use std::time::Duration;

use glocal_fuzz::attempt::{Attempt, Outcome};
use glocal_fuzz::memory;

/// Counts and extremes over many files.
#[derive(Debug, Default)]
pub(super) struct Tally {
    tried: u64,
    unreadable: u64,
    not_imported: u64,
    imported: u64,
    explained: u64,
    failed: u64,
    slowest_import: (Duration, u64),
    slowest_explanation: (Duration, u64),
    /// Peak memory beyond four times the file.
    largest_excess: (usize, u64),
    /// Peak memory over file size, of files of 16 KiB or more, times 100.
    worst_ratio: (usize, u64),
}

/// Smaller files say nothing about the ratio: the graph of any model takes some kilobytes.
const RATIO_FROM: usize = 16 << 10;

impl Tally {
    pub(super) fn count(&mut self, case: u64, bytes: usize, attempt: &Attempt) {
        self.tried += 1;
        match attempt.outcome {
            Outcome::Unreadable(_) => self.unreadable += 1,
            Outcome::NotImported(_) => self.not_imported += 1,
            Outcome::Imported => self.imported += 1,
            Outcome::Explained => self.explained += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
        self.slowest_import = self.slowest_import.max((attempt.import, case));
        self.slowest_explanation = self.slowest_explanation.max((attempt.explanation, case));
        let excess = attempt.peak.saturating_sub(bytes * memory::BYTES_PER_FILE_BYTE);
        self.largest_excess = self.largest_excess.max((excess, case));
        if bytes >= RATIO_FROM {
            self.worst_ratio = self.worst_ratio.max((attempt.peak * 100 / bytes, case));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tried, unreadable, not_imported, imported, explained, failed, .. } = self;
        writeln!(f, "{tried} files: {unreadable} unreadable, {not_imported} not imported,")?;
        writeln!(f, "  {} imported, {explained} of them explained; {failed} failures", imported + explained)?;
        let (time, case) = self.slowest_import;
        writeln!(f, "slowest to import: case {case}, {time:.1?}")?;
        let (time, case) = self.slowest_explanation;
        writeln!(f, "slowest to explain: case {case}, {time:.1?}")?;
        let (excess, case) = self.largest_excess;
        writeln!(f, "most memory beyond four times the file: case {case}, {excess} bytes")?;
        let (ratio, case) = self.worst_ratio;
        write!(f, "worst ratio of memory to file, from {RATIO_FROM} bytes on: case {case}, {:.2}", ratio as f64 / 100.0)
    }
}
