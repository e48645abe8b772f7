//! What can go wrong with prototypes of a store.

use std::error::Error;
use std::fmt;

use glocal::error::RequestError;

use crate::store::StoreError;

/// Prototypes could not be found, or predictions not be judged by them.
#[derive(Debug)]
pub struct PrototypesError {
    kind: PrototypesErrorKind,
}

/// The ways in which that fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrototypesErrorKind {
    /// The store keeps no concept relevance vectors.
    NoVectors {
        /// The layer.
        layer: String,
    },
    /// The vectors take more memory than they may.
    Memory {
        /// The bytes that the vectors of all wanted classes take.
        needed: usize,
        /// Those of the largest class.
        largest: usize,
        /// Those that they may.
        given: usize,
    },
    /// The store lacks a layer, or cannot be read.
    Store(StoreError),
    /// The samples do not fit the model, or the work was cancelled.
    Request(RequestError),
}

impl PrototypesError {
    /// What went wrong.
    pub fn kind(&self) -> &PrototypesErrorKind {
        &self.kind
    }

    /// What went wrong, to keep.
    pub fn into_kind(self) -> PrototypesErrorKind {
        self.kind
    }
}

impl From<PrototypesErrorKind> for PrototypesError {
    fn from(kind: PrototypesErrorKind) -> Self {
        Self { kind }
    }
}

impl From<StoreError> for PrototypesError {
    fn from(error: StoreError) -> Self {
        PrototypesErrorKind::Store(error).into()
    }
}

impl From<RequestError> for PrototypesError {
    fn from(error: RequestError) -> Self {
        PrototypesErrorKind::Request(error).into()
    }
}

impl fmt::Display for PrototypesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PrototypesErrorKind::NoVectors { layer } => {
                write!(f, "the store keeps no concept relevance vectors of layer {layer}, nor of any other")
            }
            PrototypesErrorKind::Memory { needed, largest, given } => write!(
                f,
                "the vectors of all chosen classes take {} MB, those of the largest class {} MB; {} MB were allowed",
                megabytes(*needed),
                megabytes(*largest),
                given / MEGABYTE
            ),
            PrototypesErrorKind::Store(error) => error.fmt(f),
            PrototypesErrorKind::Request(error) => error.fmt(f),
        }
    }
}

const MEGABYTE: usize = 1_000_000;

/// As many as are enough.
fn megabytes(bytes: usize) -> usize {
    bytes.div_ceil(MEGABYTE)
}

impl Error for PrototypesError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            PrototypesErrorKind::Store(error) => error.source(),
            PrototypesErrorKind::Request(error) => error.source(),
            _ => None,
        }
    }
}
