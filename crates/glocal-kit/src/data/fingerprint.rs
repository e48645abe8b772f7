//! What identifies a data set, so that results are never continued or compared with other data.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::regular::open_file;

/// A BLAKE3 hash of a data set; equal data gives equal fingerprints on every machine. Displayed as 64 hexadecimal
/// digits.
///
/// - Folders of images and listed images: the names of the classes, the key, size and labels of every sample, and the
///   content of all files that come to at most 256 MiB; of larger data sets that of 64 samples, evenly spread. Reading all of
///   a large data set would take as long as analyzing it; there, a change of a file that keeps its size may not be noticed.
/// - Tar shards: the same of their samples. Parquet shards: all labels and, up to the same size, the content
///   of the files; of larger data sets the size, the first and the last MiB of each.
/// - Arrays and IDX files: the element type, the shape and all values of the samples, and all labels; compression and
///   the file's name do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// Up to how many bytes all content is hashed.
pub(super) const HASHED_BYTES: u64 = 256 << 20;

/// How many bytes are hashed at either end of a file.
const END_BYTES: u64 = 1 << 20;

/// Of how many parts of a larger data set the content is hashed.
const HASHED_PARTS: usize = 64;

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hashes a sequence of fields so that no two different sequences are hashed alike.
pub(super) struct Hasher(blake3::Hasher);

impl Hasher {
    /// A hasher of the description named `domain`, which states its version.
    pub(super) fn new(domain: &str) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.text(domain);
        hasher
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    /// Bytes whose number is fixed by what was hashed before.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The indices of those of `len` parts, of `total` bytes in all, whose content is hashed: all of them, or where that is
    /// too much some that are evenly spread, the first and the last among them.
    pub(super) fn chosen(len: usize, total: u64) -> impl Iterator<Item = usize> {
        let count = if total <= HASHED_BYTES { len } else { len.min(HASHED_PARTS) };
        (0..count).map(
            move |step| if count < 2 { 0 } else { (step as u128 * (len as u128 - 1) / (count as u128 - 1)) as usize },
        )
    }

    /// The content of the file at `path`.
    pub(super) fn file(&mut self, path: &Path) -> std::io::Result<()> {
        let mut content = blake3::Hasher::new();
        content.update_reader(open_file(path)?)?;
        self.0.update(content.finalize().as_bytes());
        Ok(())
    }

    /// The first and the last MiB of the file at `path`.
    pub(super) fn ends(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = open_file(path)?;
        let size = file.metadata()?.len();
        for start in [0, size.saturating_sub(END_BYTES)] {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(start))?;
            file.by_ref().take(END_BYTES).read_to_end(&mut bytes)?;
            self.content(&bytes);
        }
        Ok(())
    }

    /// The hash of bytes, whose number need not be known.
    pub(super) fn content(&mut self, bytes: &[u8]) {
        self.0.update(blake3::hash(bytes).as_bytes());
    }

    pub(super) fn finish(self) -> Fingerprint {
        Fingerprint(*self.0.finalize().as_bytes())
    }
}
