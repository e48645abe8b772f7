//! The form of an entry: magic, key, content, and the hash of all that stands before it.

use super::Key;

/// What every entry starts with; the last byte is the version of the form.
const MAGIC: &[u8] = b"glocal entry 1\n\x01";

/// The length of keys and hashes.
const HASH: usize = 32;

/// The bytes of an entry.
pub(super) fn encode(key: Key, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 2 * HASH + content.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(content);
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

/// The content of an entry; `None` if it is not whole, or that of another key.
pub(super) fn decode(key: Key, bytes: &[u8]) -> Option<Vec<u8>> {
    let (hashed, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    let content = hashed.strip_prefix(MAGIC)?.strip_prefix(key.as_bytes().as_slice())?;
    (blake3::hash(hashed).as_bytes() == hash).then(|| content.to_vec())
}
