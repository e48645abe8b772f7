//! What can go wrong while stores are converted.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::data::DataError;
use crate::scan::ScanError;
use crate::store::StoreError;

/// A store could not be converted.
#[derive(Debug)]
pub struct ConvertError {
    path: PathBuf,
    kind: ConvertErrorKind,
}

/// The ways in which a conversion fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConvertErrorKind {
    /// The store cannot be read or written.
    Store(Box<StoreError>),
    /// A file of arrays cannot be read.
    Data(DataError),
    /// The store cannot be described.
    Scan(Box<ScanError>),
    /// The path cannot be read.
    Read(io::Error),
    /// The path cannot be written.
    Write(io::Error),
    /// The folder holds other files, and would have been written to.
    Occupied,
    /// The folder holds no search: no folder `RelMax_...` with rankings.
    NoSearch,
    /// The folder holds several searches.
    SeveralSearches {
        /// The suffixes of their folders.
        suffixes: Vec<String>,
    },
    /// The suffix of the folders does not say how relevance was scored.
    Suffix {
        /// The suffix.
        suffix: String,
    },
    /// The name of a layer is no name of a file.
    LayerName {
        /// The layer.
        layer: String,
    },
    /// An array has another shape than it should have.
    Shape {
        /// The shape.
        given: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// An array holds a number that is out of range.
    Number {
        /// The number, as text.
        given: String,
        /// What was expected.
        expected: String,
    },
}

impl ConvertError {
    pub(super) fn new(path: impl Into<PathBuf>, kind: ConvertErrorKind) -> Self {
        Self { path: path.into(), kind }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ConvertErrorKind {
        &self.kind
    }

    /// The file or folder that the error is about.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            ConvertErrorKind::Store(error) => error.fmt(f),
            ConvertErrorKind::Data(error) => error.fmt(f),
            ConvertErrorKind::Scan(error) => error.fmt(f),
            ConvertErrorKind::Read(_) => write!(f, "{path}: cannot be read"),
            ConvertErrorKind::Write(_) => write!(f, "{path}: cannot be written"),
            ConvertErrorKind::Occupied => {
                write!(f, "{path}: is not empty; give a new or an empty folder, as nothing is overwritten")
            }
            ConvertErrorKind::NoSearch => write!(
                f,
                "{path}: holds no results of zennit-crp: expected a folder such as RelMax_sum_normed with files LAYER_data.npy"
            ),
            ConvertErrorKind::SeveralSearches { suffixes } => {
                write!(f, "{path}: holds several searches ({}); expected the folders of one", suffixes.join(", "))
            }
            ConvertErrorKind::Suffix { suffix } => write!(
                f,
                "{path}: the folders end in {suffix:?}; expected sum_normed, sum_unnormed, max_normed or max_unnormed"
            ),
            ConvertErrorKind::LayerName { layer } => {
                write!(f, "{path}: the layer {layer:?} cannot be part of a file's name")
            }
            ConvertErrorKind::Shape { given, expected } => {
                write!(f, "{path}: has the shape {given:?}; expected {expected}")
            }
            ConvertErrorKind::Number { given, expected } => write!(f, "{path}: holds {given}; expected {expected}"),
        }
    }
}

impl Error for ConvertError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ConvertErrorKind::Store(error) => error.source(),
            ConvertErrorKind::Data(error) => error.source(),
            ConvertErrorKind::Scan(error) => error.source(),
            ConvertErrorKind::Read(error) | ConvertErrorKind::Write(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for ConvertError {
    fn from(error: StoreError) -> Self {
        Self { path: error.path().to_owned(), kind: ConvertErrorKind::Store(Box::new(error)) }
    }
}

impl From<ScanError> for ConvertError {
    fn from(error: ScanError) -> Self {
        Self { path: PathBuf::new(), kind: ConvertErrorKind::Scan(Box::new(error)) }
    }
}
