//! The whole files that damaged ones are made from: the models that the tests of this repository read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders of models, from the root of the repository.
const FOLDERS: [&str; 4] =
    ["tests/oracle/goldens", "crates/glocal/tests/import_goldens", "crates/glocal/tests/models", "assets/demo"];

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of hostile files.
#[must_use]
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The paths of all models in the repository, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn paths() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        gather(&repository().join(folder), &mut found)?;
    }
    found.sort();
    Ok(found)
}

/// The models' bytes and the hostile files', for these can be damaged further.
///
/// # Errors
/// When a file cannot be read.
pub fn files() -> io::Result<Vec<Vec<u8>>> {
    let mut paths = paths()?;
    let models = paths.len();
    gather(&corpus(), &mut paths)?;
    paths[models..].sort();
    paths.iter().map(fs::read).collect()
}

/// The ONNX files in a folder and the folders in it.
fn gather(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            found.push(path);
        }
    }
    Ok(())
}
