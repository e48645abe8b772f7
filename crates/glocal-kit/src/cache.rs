//! A cache on disk: what was computed once is found again, by a hash of all that it depends on.
//!
//! Any number of threads and processes may use one folder at once. An entry appears in full or not at all; it carries its key
//! and the hash of its content, and one that is damaged, cut off or of another key is removed and counts as absent. When the
//! entries take more room than they may, those that were used least recently go first.
//!
//! A cache is never needed: whoever fails to keep something has still computed it.

mod entry;
mod error;
mod key;

use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

pub use error::{CacheError, CacheErrorKind};
pub use key::{Key, KeyHasher};

/// What the name of an entry ends with.
const ENTRY: &str = "entry";

/// What the name of an entry ends with until it is whole.
const PARTIAL: &str = "partial";

/// After this time a file that is not whole has been left behind by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// When entries have to go, so many go that the rest takes this share of the room: making room is not needed again at once.
const KEPT_SHARE: (u64, u64) = (9, 10);

/// The number of this process's next file that is not whole, whichever cache it is for.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder of entries that takes a bounded amount of room.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
    /// What the entries take, as far as this process knows.
    bytes: AtomicU64,
}

/// An entry as a listing shows it.
struct Listed {
    modified: SystemTime,
    path: PathBuf,
    bytes: u64,
}

impl Cache {
    /// The cache in `folder`, which is made if there is none, with room for `limit` bytes.
    ///
    /// # Errors
    /// When the folder cannot be made or listed.
    pub fn open(folder: impl Into<PathBuf>, limit: u64) -> Result<Self, CacheError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|cause| CacheError::new(&folder, CacheErrorKind::Open, cause))?;
        let cache = Self { folder, limit, bytes: AtomicU64::new(0) };
        let listed = cache.list().map_err(|cause| CacheError::new(&cache.folder, CacheErrorKind::Open, cause))?;
        cache.bytes.store(total(&listed), Ordering::Relaxed);
        cache.make_room(listed);
        Ok(cache)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// For how many bytes there is room.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// How many bytes its entries take, as far as this process knows.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The content of the entry of that key, if there is one that is whole; it counts as used now.
    pub fn find(&self, key: Key) -> Option<Vec<u8>> {
        let path = self.path(key);
        let file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        let length = file.metadata().ok()?.len();
        // No entry that was kept here is larger.
        let whole = length <= self.limit && file.take(length).read_to_end(&mut bytes).is_ok();
        let content = if whole { entry::decode(key, &bytes) } else { None };
        if content.is_some() {
            // Without the right to write, entries are found all the same, and go in the order in which they came.
            let now = FileTimes::new().set_modified(SystemTime::now());
            let _ = File::options().append(true).open(&path).and_then(|file| file.set_times(now));
        } else if fs::remove_file(&path).is_ok() {
            self.freed(length);
        }
        content
    }

    /// Keeps `content` under that key, in place of what is there, and makes room where that is needed. What is larger
    /// than all the room there is is not kept; returns whether it was.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left behind then.
    pub fn keep(&self, key: Key, content: &[u8]) -> Result<bool, CacheError> {
        let path = self.path(key);
        let entry = entry::encode(key, content);
        let bytes = entry.len() as u64;
        if bytes > self.limit {
            return Ok(false);
        }
        let failed = |cause| CacheError::new(&path, CacheErrorKind::Write, cause);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{number}.{PARTIAL}", std::process::id()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let replaced = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if let Err(cause) = fs::write(&temporary, &entry).and_then(|()| fs::rename(&temporary, &path)) {
            let _ = fs::remove_file(&temporary);
            return Err(failed(cause));
        }
        self.freed(replaced);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit {
            // Other processes may have added and removed some as well: what counts is what is there.
            self.make_room(self.list().map_err(failed)?);
        }
        Ok(true)
    }

    /// Entries are spread over folders, since some file systems are slow with many files in one.
    fn path(&self, key: Key) -> PathBuf {
        let name = key.to_string();
        let folder: String = name.chars().take(2).collect();
        self.folder.join(folder).join(name).with_extension(ENTRY)
    }

    fn freed(&self, bytes: u64) {
        let less = |known: u64| Some(known.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// All entries, the least recently used first. Files that killed processes left behind are removed; all other files are
    /// somebody else's and stay.
    fn list(&self) -> io::Result<Vec<Listed>> {
        let now = SystemTime::now();
        let mut listed = Vec::new();
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?;
            let is_ours = folder.file_name().to_str().is_some_and(key::is_start);
            if !is_ours || !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let path = file?.path();
                // Another process may just have removed it.
                let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
                let (Ok(modified), true) = (metadata.modified(), metadata.is_file()) else { continue };
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some(ENTRY) => listed.push(Listed { modified, path, bytes: metadata.len() }),
                    Some(PARTIAL) if now.duration_since(modified).is_ok_and(|age| age > ABANDONED) => {
                        let _ = fs::remove_file(&path);
                    }
                    _ => {}
                }
            }
        }
        listed.sort_by(|a, b| a.modified.cmp(&b.modified).then_with(|| a.path.cmp(&b.path)));
        Ok(listed)
    }

    /// Removes entries, the first ones first, if they take too much room.
    fn make_room(&self, listed: Vec<Listed>) {
        let mut bytes = total(&listed);
        if bytes > self.limit {
            let kept = self.limit / KEPT_SHARE.1 * KEPT_SHARE.0;
            for entry in listed {
                if bytes <= kept {
                    break;
                }
                // Whether this process removed it or another: it is gone. One that stays is in use somewhere.
                if fs::remove_file(&entry.path).is_ok() || !entry.path.exists() {
                    bytes -= entry.bytes;
                }
            }
        }
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

fn total(listed: &[Listed]) -> u64 {
    listed.iter().map(|entry| entry.bytes).sum()
}

#[cfg(test)]
mod tests;
