//! What can go wrong with a store.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Difference;

/// A store could not be read or written.
#[derive(Debug)]
pub struct StoreError {
    path: PathBuf,
    kind: StoreErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The ways in which reading or writing a store fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The path cannot be read; the source says why.
    Read,
    /// The path cannot be written; the source says why.
    Write,
    /// The folder holds no manifest.
    NoStore,
    /// The folder holds other files, and would have been written to.
    Occupied,
    /// Another run is writing the store.
    Locked,
    /// The store is of another version of the format.
    Version {
        /// The version of the store.
        given: u64,
        /// The version that is read.
        expected: u64,
    },
    /// The scan that fills the store has not ended.
    Incomplete {
        /// How many samples the scan has done and saved.
        done: u64,
        /// The number of samples.
        total: u64,
    },
    /// The store was made in another way than it would be now.
    Mismatch {
        /// What differs.
        differences: Vec<Difference>,
    },
    /// There are no stores to merge.
    NothingToMerge,
    /// The stores are to be merged into one of them.
    MergedIntoItself,
    /// Two stores that are to be merged have samples in common.
    Overlap {
        /// The other store.
        other: PathBuf,
        /// The samples.
        samples: String,
    },
    /// The file has another size than when it was written.
    Size {
        /// The number of bytes that were written.
        expected: u64,
        /// The number of bytes that there are.
        actual: u64,
    },
    /// The file has another content than when it was written.
    Content,
    /// The file is not what it should be; the source says more where it can.
    Malformed {
        /// What was expected.
        expected: &'static str,
    },
    /// A table lacks a column, or has it with another type.
    Column {
        /// The column.
        column: String,
    },
    /// The store knows no layer of that name.
    Layer {
        /// The name that was given.
        given: String,
        /// The layers of the store, nearest first.
        nearest: Vec<String>,
    },
    /// The layer has no such concept.
    Concept {
        /// The layer.
        layer: String,
        /// The concept that was given.
        given: usize,
        /// The number of concepts of the layer.
        count: usize,
    },
}

impl StoreError {
    pub(super) fn new(path: impl Into<PathBuf>, kind: StoreErrorKind) -> Self {
        Self { path: path.into(), kind, source: None }
    }

    pub(super) fn caused(
        path: impl Into<PathBuf>,
        kind: StoreErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { path: path.into(), kind, source: Some(source.into()) }
    }

    pub(super) fn read(path: impl Into<PathBuf>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(path, StoreErrorKind::Read, source)
    }

    pub(super) fn write(path: impl Into<PathBuf>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(path, StoreErrorKind::Write, source)
    }

    pub(super) fn malformed(path: impl Into<PathBuf>, expected: &'static str) -> Self {
        Self::new(path, StoreErrorKind::Malformed { expected })
    }

    /// What went wrong.
    pub fn kind(&self) -> &StoreErrorKind {
        &self.kind
    }

    /// The file or folder that the error is about.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.kind {
            StoreErrorKind::Read => write!(f, "cannot be read"),
            StoreErrorKind::Write => write!(f, "cannot be written"),
            StoreErrorKind::NoStore => write!(f, "is no store of reference samples: there is no manifest.json in it"),
            StoreErrorKind::Occupied => {
                write!(f, "holds other files and no store; give a new or an empty folder, as nothing is overwritten")
            }
            StoreErrorKind::Locked => write!(f, "is being written by another run; wait for its end, or end it"),
            StoreErrorKind::Version { given, expected } => write!(
                f,
                "is a store of format version {given}, this program reads version {expected}; read it with the program that made \
                 it, or make it anew"
            ),
            StoreErrorKind::Incomplete { done, total } => {
                write!(
                    f,
                    "is not complete: {done} of {total} samples are done; run the same analysis again to finish it"
                )
            }
            StoreErrorKind::Mismatch { differences } => {
                write!(f, "was made in another way; give a new folder, or what it was made with:")?;
                differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
            }
            StoreErrorKind::NothingToMerge => write!(f, "there are no stores to merge into it"),
            StoreErrorKind::MergedIntoItself => {
                write!(f, "is one of the stores to be merged; give a new folder for what they become")
            }
            StoreErrorKind::Overlap { other, samples } => {
                write!(f, "has samples in common with {}: {samples}; merge each sample once", other.display())
            }
            StoreErrorKind::Size { expected, actual } => write!(
                f,
                "has {actual} bytes, {expected} were written; it is truncated or was changed, so make the store anew"
            ),
            StoreErrorKind::Content => write!(f, "has changed since it was written; make the store anew"),
            StoreErrorKind::Malformed { expected } => write!(f, "is damaged: expected {expected}; make the store anew"),
            StoreErrorKind::Column { column } => {
                write!(f, "lacks the column `{column}`, or has it with another type; make the store anew")
            }
            StoreErrorKind::Layer { given, nearest } => {
                write!(f, "knows no layer {given:?}; it has {}", nearest.join(", "))
            }
            StoreErrorKind::Concept { layer, given, count } => {
                write!(f, "has {count} concepts of layer {layer}, 0 to {}; {given} was given", count.saturating_sub(1))
            }
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
