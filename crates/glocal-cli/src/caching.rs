//! Where views are kept, as it is chosen on the command line.

use std::env;
use std::path::PathBuf;

use clap::Args;
use glocal_kit::cache::{Cache, CacheError, CacheErrorKind};

use crate::failure::Failure;
use crate::memory::bytes;
use crate::stored::Stored;

/// The variable that names the folder of the cache.
const VARIABLE: &str = "GLOCAL_CACHE";

/// A cache.
#[derive(Debug, Args)]
pub struct CacheArguments {
    /// Keep what is computed for pictures in this folder, and look for it there [default: $GLOCAL_CACHE, or else `glocal` in
    /// the system's folder of caches]
    #[arg(long = "cache", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Compute everything anew, and keep nothing
    #[arg(long, conflicts_with_all = ["folder", "cache_size"])]
    no_cache: bool,
    /// How much the cache may take, as 2GB or 512MiB: what was used least recently goes first
    #[arg(long, value_name = "BYTES", default_value = "2GB", value_parser = bytes)]
    cache_size: usize,
}

impl CacheArguments {
    /// The cache; `None` where none is wanted, or where nobody named a folder and there is none by itself.
    pub fn open(&self) -> Result<Option<Cache>, Failure> {
        if self.no_cache {
            return Ok(None);
        }
        let named = || env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        match self.folder.clone().or_else(named) {
            Some(folder) => Ok(Some(Cache::open(folder, self.cache_size as u64)?)),
            None => Ok(system_folder().and_then(|folder| Cache::open(folder, self.cache_size as u64).ok())),
        }
    }

    /// Tells on stderr that views could not be kept.
    pub fn warn(&self, stored: &Stored) {
        if let Some(error) = stored.cache_fault() {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("warning: {error}{cause}");
        }
    }
}

/// `glocal` in the folder that the system has for caches, by its own conventions.
fn system_folder() -> Option<PathBuf> {
    // Relative paths are to be ignored (XDG Base Directory Specification).
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = match () {
        () if cfg!(windows) => variable("LOCALAPPDATA"),
        () if cfg!(target_os = "macos") => variable("HOME").map(|home| home.join("Library/Caches")),
        () => variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache"))),
    };
    caches.map(|caches| caches.join("glocal"))
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        match error.kind() {
            CacheErrorKind::Open => {
                let hint = "`--cache DIR` names another folder, `--no-cache` does without".to_owned();
                Self::call(error).hinted(Some(hint))
            }
            _ => Self::work(error),
        }
    }
}
