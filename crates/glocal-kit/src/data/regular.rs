//! Opening files of data: never a pipe, for whose writer one would wait without end.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens the file at `path`, unless it is a folder, a pipe or a device.
pub(super) fn open_file(path: &Path) -> Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(Error::new(ErrorKind::InvalidInput, "is no file; expected one, not a folder, a pipe or a device"))
    }
}
