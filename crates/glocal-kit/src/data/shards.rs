//! Data sets in several files of one kind: the shards of a folder.

use std::path::{Path, PathBuf};

use super::error::DataError;

/// The files directly in `folder` with one of these extensions (in lower case), in the order of their names; hidden files
/// (`.name`) are ignored.
pub(super) fn find(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error| DataError::read(folder, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && has_extension(&path, extensions) && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether the extension of `path` is one of these, in any case.
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// The name of the shard at `path`.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
