//! The bytes of a model, which stay where they are: those of the weights are in memory only as what they are decoded to.

use std::io::{self, Read, Seek, SeekFrom};

/// A model file, or its bytes.
pub(crate) trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// Bytes of the source that are not read yet.
///
/// It takes the place of `raw_data` in the messages that are built, every one that has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Stored {
    /// Its form in a message.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.offset) << 64 | u128::from(self.length)).to_le_bytes()
    }

    /// Back from the message; `None` if it has no `raw_data`, or none with bytes.
    pub(crate) fn from_message(raw_data: Option<&[u8]>) -> Option<Self> {
        let both = u128::from_le_bytes(raw_data?.try_into().ok()?);
        Some(Self { offset: (both >> 64) as u64, length: both as u64 })
    }

    /// The source, which goes on with these bytes.
    pub(crate) fn seek<S: Source + ?Sized>(self, source: &mut S) -> io::Result<&mut S> {
        source.seek(SeekFrom::Start(self.offset))?;
        Ok(source)
    }
}

/// The first bytes, as many as tell a format; none if they cannot be read.
pub(crate) fn start(source: &mut dyn Source) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = source.rewind().and_then(|()| source.take(4096).read_to_end(&mut bytes));
    read.map_or_else(|_| Vec::new(), |_| bytes)
}

/// Bytes were there when sizes were compared, and are not any more.
pub(crate) fn shortened() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read; read it again")
}
