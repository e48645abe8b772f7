//! Files that appear in full or not at all, and the lock on a folder.

use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{StoreError, StoreErrorKind};

/// What the name of a file ends with until it is whole.
pub(super) const PARTIAL: &str = ".partial";

/// The name of the file that is locked while a store is written.
pub(super) const LOCK: &str = "glocal.lock";

/// How often a lock that another holds is tried again, and after what time.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// The greatest size of a JSON file of a store: a manifest of 100,000 layers and classes has a tenth of it.
const JSON_LIMIT: u64 = 1 << 26;

/// The size and content of a file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The number of rows.
    pub rows: u64,
    /// The number of bytes.
    pub bytes: u64,
    /// The BLAKE3 hash of its content, in hexadecimal.
    pub blake3: String,
}

/// A whole, synced file that does not have its name yet; it is removed if it never gets it.
pub(super) struct Pending {
    temporary: PathBuf,
    target: PathBuf,
    table: Table,
    committed: bool,
}

/// Hashes and counts what is written.
pub(super) struct Output {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Pending {
    /// Writes what is to become the file `name` of `folder`; `fill` returns the number of rows.
    pub(super) fn write(
        folder: &Path,
        name: &str,
        fill: impl FnOnce(&mut Output) -> Result<u64, Box<dyn Error + Send + Sync>>,
    ) -> Result<Self, StoreError> {
        let target = folder.join(name);
        let temporary = folder.join(format!("{name}{PARTIAL}"));
        let file = File::create(&temporary).map_err(|error| StoreError::write(&target, error))?;
        let table = Table { rows: 0, bytes: 0, blake3: String::new() };
        let mut pending = Self { temporary, target, table, committed: false };
        let mut output = Output { file, hasher: blake3::Hasher::new(), bytes: 0 };
        let filled = fill(&mut output).and_then(|rows| {
            output.file.sync_all()?;
            Ok(rows)
        });
        // What could not be read while this was written is the error then.
        let failed = |error: Box<dyn Error + Send + Sync>| match error.downcast::<StoreError>() {
            Ok(error) => *error,
            Err(error) => StoreError::write(&pending.target, error),
        };
        pending.table.rows = filled.map_err(failed)?;
        pending.table.bytes = output.bytes;
        pending.table.blake3 = output.hasher.finalize().to_hex().to_string();
        Ok(pending)
    }

    /// The same for a small file of JSON.
    pub(super) fn json(folder: &Path, name: &str, content: &impl Serialize) -> Result<Self, StoreError> {
        Self::write(folder, name, |output| {
            let mut text = serde_json::to_vec_pretty(content)?;
            text.push(b'\n');
            output.write_all(&text)?;
            Ok(0)
        })
    }

    /// The file's size and content.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Gives the file its name, in place of what had it before.
    pub(super) fn commit(mut self) -> Result<Table, StoreError> {
        fs::rename(&self.temporary, &self.target).map_err(|error| StoreError::write(&self.target, error))?;
        self.committed = true;
        Ok(self.table.clone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.committed {
            // The error that led here is the one to report.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes sure that the names in `folder` outlive a power failure.
pub(super) fn sync(folder: &Path) -> Result<(), StoreError> {
    // Elsewhere a folder cannot be opened as a file, and renames are journaled.
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(|error| StoreError::write(folder, error))?;
    }
    Ok(())
}

/// Reads a small JSON file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<T, StoreError> {
    serde_json::from_slice(&read_small(path)?)
        .map_err(|error| StoreError::caused(path, StoreErrorKind::Malformed { expected }, error))
}

/// Reads a file of a size that JSON files may have.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(JSON_LIMIT + 1).read_to_end(&mut bytes));
    match read.map_err(|error| StoreError::read(path, error))? as u64 > JSON_LIMIT {
        true => Err(StoreError::malformed(path, "at most 64 MiB")),
        false => Ok(bytes),
    }
}

/// Opens a table after checking that it is what was written.
pub(super) fn open_checked(path: &Path, table: &Table) -> Result<File, StoreError> {
    let mut file = File::open(path).map_err(|error| StoreError::read(path, error))?;
    let actual = file.metadata().map_err(|error| StoreError::read(path, error))?.len();
    if actual != table.bytes {
        return Err(StoreError::new(path, StoreErrorKind::Size { expected: table.bytes, actual }));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file).map_err(|error| StoreError::read(path, error))?;
    if hasher.finalize().to_hex().as_str() != table.blake3 {
        return Err(StoreError::new(path, StoreErrorKind::Content));
    }
    Ok(file)
}

/// Locks `folder` for writing until the file is dropped or the process ends, however it ends.
///
/// On a file system without locks there is no protection.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let options = File::options().create(true).truncate(false).write(true).clone();
    let file = options.open(&path).map_err(|error| StoreError::write(&path, error))?;
    // A process that this one has just started holds what is open here until it runs its own program: that passes.
    let mut locked = file.try_lock();
    for _ in 0..LOCK_TRIES {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(LOCK_PAUSE);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::new(folder, StoreErrorKind::Locked)),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(StoreError::write(&path, error)),
    }
}
