//! NumPy's `.npz`: a zip archive of `.npy` files, stored or deflated.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};

use zip::{CompressionMethod, ZipArchive};

use super::error::{ArrayFormat, DataError, DataErrorKind};
use super::npy;
use super::regular::open_file;
use super::stored_array::{Bytes, MEMORY_LIMIT, StoredArray};

/// The arrays of the archive at `path` that `wanted` chooses from the names of all. Stored arrays stay on disk,
/// deflated ones are held in memory.
pub(super) fn read(
    path: &Path,
    wanted: impl Fn(&[String]) -> Result<Vec<String>, DataError>,
) -> Result<Vec<StoredArray>, DataError> {
    let failed = |error| DataError::read(path, error);
    let file = open_file(path).map_err(failed)?;
    let shared = Arc::new(Mutex::new(open_file(path).map_err(failed)?));
    let malformed = |error: zip::result::ZipError| {
        let expected = "a zip archive of .npy files";
        DataError::caused(path, DataErrorKind::Malformed { format: ArrayFormat::Npz, expected }, error)
    };
    let file_size = file.metadata().map_err(failed)?.len();
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(malformed)?;
    let mut names = Vec::new();
    for entry in archive.file_names() {
        names.extend(entry.map_err(malformed)?.strip_suffix(".npy").map(str::to_owned));
    }
    let mut arrays = Vec::new();
    for name in wanted(&names)? {
        let mut entry = archive.by_name(&format!("{name}.npy")).map_err(malformed)?;
        let size = entry.size();
        let stored = entry.compression() == CompressionMethod::Stored && entry.compressed_size() == size;
        let start = entry.data_start().filter(|_| stored);
        let (layout, header) = npy::read_header(&mut entry, &name, path)?;
        let declared = layout.size(path)?;
        // The archive's own directory says how much there is; a deflated entry may lie, so that it is read only up to
        // what was declared.
        let available = size.saturating_sub(header);
        let array = match start {
            Some(start) => {
                let file = Bytes::File { file: Arc::clone(&shared), start: start + header };
                let available = available.min(file_size.saturating_sub(start + header));
                let array = StoredArray::new(path, layout, file, available)?;
                // The rows are read past the archive, so that its checksum is verified here.
                io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
                array
            }
            None if declared > MEMORY_LIMIT => {
                return Err(DataError::new(path, DataErrorKind::ArrayTooLarge { size: declared, limit: MEMORY_LIMIT }));
            }
            None => {
                let mut bytes = Vec::new();
                // One byte more has the checksum at the end verified.
                entry.take(declared + 1).read_to_end(&mut bytes).map_err(failed)?;
                let available = bytes.len() as u64;
                StoredArray::new(path, layout, Bytes::Memory(bytes), available)?
            }
        };
        arrays.push(array);
    }
    Ok(arrays)
}
