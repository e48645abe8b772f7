//! What identifies a data set, so that results are never continued or compared with other data.

use std::fmt;
use std::fs::File;
use std::path::Path;

/// A BLAKE3 hash of a data set; equal data gives equal fingerprints on every machine. Displayed as 64 hexadecimal
/// digits.
///
/// - Folders of images: the class names, the key, file size and label of every sample, and the content of 64 files
///   evenly spread over the data set (of all files if there are no more). Reading all of a large data set would take as
///   long as analyzing it; a changed file of unchanged size outside of those 64 is not noticed.
/// - Arrays and IDX files: the element type, the shape and all values of the samples, and all labels; compression and
///   the file's name do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

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

    /// The content of the file at `path`.
    pub(super) fn file(&mut self, path: &Path) -> std::io::Result<()> {
        let mut content = blake3::Hasher::new();
        content.update_reader(File::open(path)?)?;
        self.0.update(content.finalize().as_bytes());
        Ok(())
    }

    pub(super) fn finish(self) -> Fingerprint {
        Fingerprint(*self.0.finalize().as_bytes())
    }
}
