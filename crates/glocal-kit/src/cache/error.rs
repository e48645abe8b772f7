//! What can go wrong with a cache.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A cache could not be opened or written.
#[derive(Debug)]
pub struct CacheError {
    path: PathBuf,
    kind: CacheErrorKind,
    cause: io::Error,
}

/// The ways in which a cache fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheErrorKind {
    /// The folder cannot be made or listed.
    Open,
    /// An entry cannot be written.
    Write,
}

impl CacheError {
    pub(super) fn new(path: &Path, kind: CacheErrorKind, cause: io::Error) -> Self {
        Self { path: path.to_owned(), kind, cause }
    }

    /// What went wrong.
    pub fn kind(&self) -> CacheErrorKind {
        self.kind
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            CacheErrorKind::Open => write!(f, "{path}: cannot be used as the cache"),
            CacheErrorKind::Write => write!(f, "{path}: an entry of the cache cannot be written"),
        }
    }
}

impl Error for CacheError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
