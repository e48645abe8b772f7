//! The files in a tar archive, and where in it they are.
//!
//! Extended names are read here and not by the library, which would take as much memory for one as an archive claims.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tar::{EntryType, PaxExtensions};

use super::error::{DataError, DataErrorKind};
use super::fault::ArchiveFault;
use super::regular::open_file;

/// The greatest size of an extended header.
const HEADER_LIMIT: u64 = 1 << 20;

/// How many bytes of zeros an archive may end with: `tar` fills up to blocks of its own, of 10 KiB or as it is told.
const END_LIMIT: u64 = 1 << 20;

/// The size of a header, and of what content is filled up to multiples of.
const BLOCK: usize = 512;

/// How compressed files begin: gzip, zstd, bzip2, xz.
const COMPRESSED: [&[u8]; 4] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh", &[0xfd, b'7', b'z', b'X']];

/// A regular file of an archive.
pub(super) struct Entry {
    /// Its path in the archive; what is no Unicode in it is replaced.
    pub(super) name: String,
    /// Where its content begins, in bytes.
    pub(super) start: u64,
    /// How many bytes it has, which the file goes on for.
    pub(super) size: u64,
}

/// The regular files of the archive at `path`, in order.
pub(super) fn entries(path: &Path) -> Result<Vec<Entry>, DataError> {
    let failed = |error: std::io::Error| DataError::read(path, error);
    let fault = |fault| DataError::new(path, DataErrorKind::Archive(fault));
    let malformed = |error: std::io::Error| {
        let expected = "headers of 512 bytes with their checksums";
        DataError::caused(path, DataErrorKind::Archive(ArchiveFault::Malformed { expected }), error)
    };
    let mut file = open_file(path).map_err(failed)?;
    let file_size = file.metadata().map_err(failed)?.len();
    let mut magic = [0; 4];
    let read = file.read(&mut magic).map_err(failed)?;
    if read == magic.len() && COMPRESSED.iter().any(|known| magic.starts_with(known)) {
        return Err(fault(ArchiveFault::Compressed));
    }
    let mut archive = tar::Archive::new(BufReader::new(open_file(path).map_err(failed)?));
    let mut found = Vec::new();
    let mut long_name: Option<String> = None;
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(malformed)?.raw(true) {
        let mut entry = entry.map_err(malformed)?;
        let (start, size) = (entry.raw_file_position(), entry.header().entry_size().map_err(malformed)?);
        let kind = entry.header().entry_type();
        let own = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let actual = file_size.saturating_sub(start);
        if size > actual {
            let entry = long_name.unwrap_or(own);
            return Err(fault(ArchiveFault::CutOff { entry, declared: size, actual }));
        }
        end = (start + size).next_multiple_of(BLOCK as u64);
        match kind {
            EntryType::GNULongName | EntryType::XHeader => {
                if size > HEADER_LIMIT {
                    return Err(fault(ArchiveFault::Malformed { expected: "extended headers of at most 1 MiB" }));
                }
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(malformed)?;
                if kind == EntryType::GNULongName {
                    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                    long_name = Some(String::from_utf8_lossy(name).into_owned());
                    continue;
                }
                for extension in PaxExtensions::new(&bytes) {
                    let extension = extension.map_err(malformed)?;
                    match extension.key_bytes() {
                        b"path" => long_name = Some(String::from_utf8_lossy(extension.value_bytes()).into_owned()),
                        // Only files of more than 8 GiB need it, and sparse ones, which are no images.
                        b"size" => {
                            return Err(fault(ArchiveFault::Malformed { expected: "files of less than 8 GiB" }));
                        }
                        _ => {}
                    }
                }
            }
            EntryType::Regular | EntryType::Continuous => {
                found.push(Entry { name: long_name.take().unwrap_or(own), start, size });
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            EntryType::GNUSparse => {
                return Err(fault(ArchiveFault::Malformed { expected: "files without holes (tar without --sparse)" }));
            }
            // Folders and links, which are no samples.
            _ => long_name = None,
        }
    }
    // Else an archive that was cut between two entries, or of which a part was not written yet, would be one of fewer samples.
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(end)).map_err(failed)?;
    file.take(END_LIMIT + 1).read_to_end(&mut rest).map_err(failed)?;
    let ended = rest.len() >= BLOCK && rest.len() as u64 <= END_LIMIT && rest.iter().all(|byte| *byte == 0);
    if file_size > 0 && !ended {
        let expected =
            "a block of zeros at its end, and no more than 1 MiB of them; it is not whole, so fetch it again";
        return Err(fault(ArchiveFault::Malformed { expected }));
    }
    Ok(found)
}
