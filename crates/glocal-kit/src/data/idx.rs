//! The IDX format of MNIST and its relatives: an images file and a labels file beside it, raw or gzipped.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::read::MultiGzDecoder;

use super::array_set::{ArraySet, RowKind};
use super::element::{ByteOrder, ElementType};
use super::error::{ArrayFormat, DataError, DataErrorKind};
use super::regular::open_file;
use super::stored_array::{Bytes, Layout, MEMORY_LIMIT, StoredArray};

/// The type code of unsigned bytes, the only one in use for images and labels.
const UNSIGNED_BYTE: u8 = 8;

/// Deflate cannot make data larger than this many times its own size.
const DEFLATE_RATIO: u64 = 1032;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether a file that starts with `magic` may be an IDX file, raw or gzipped.
pub(super) fn is_magic(magic: [u8; 2]) -> bool {
    magic == [0, 0] || magic == GZIP_MAGIC
}

/// The IDX images file in the folder, if there is one; the raw one where it is there gzipped too.
pub(super) fn find_pair(folder: &Path) -> Result<Option<PathBuf>, DataError> {
    let mut images: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| DataError::read(folder, error))? {
        let path = entry.map_err(|error| DataError::read(folder, error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let raw = name.strip_suffix(".gz").unwrap_or(name);
        if raw.starts_with('.') || !raw.ends_with("idx3-ubyte") {
            continue;
        }
        let shorter = images.get(raw).is_none_or(|other| path.as_os_str().len() < other.as_os_str().len());
        if shorter {
            images.insert(raw.to_owned(), path);
        }
    }
    if images.len() > 1 {
        let images = images
            .values()
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        return Err(DataError::new(folder, DataErrorKind::SeveralPairs { images }));
    }
    Ok(images.into_values().next())
}

/// Opens the images file at `path` with the labels file beside it, if there is one.
pub(super) fn open(path: &Path) -> Result<ArraySet, DataError> {
    let images = read(path)?;
    match images.shape() {
        [_, _, _] => {}
        [_] => {
            return Err(DataError::malformed(
                path,
                ArrayFormat::Idx,
                "an images file, and this is one of labels: give the images file",
            ));
        }
        shape => {
            let (array, shape) = (images.name().to_owned(), shape.to_vec());
            return Err(DataError::new(path, DataErrorKind::Shape { array, shape, expected: "[N, height, width]" }));
        }
    }
    let labels = match labels_beside(path) {
        Some(labels) => Some(read(&labels)?),
        None => None,
    };
    ArraySet::new(images, labels.as_ref(), RowKind::GreyImage)
}

/// The labels file that belongs to the images file at `path`, gzipped or not.
fn labels_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let raw = labels.strip_suffix(".gz").unwrap_or(&labels);
    [labels.clone(), raw.to_owned(), format!("{raw}.gz")]
        .into_iter()
        .filter(|labels| labels != name)
        .map(|labels| path.with_file_name(labels))
        .find(|labels| labels.is_file())
}

/// The array of the IDX file at `path`.
fn read(path: &Path) -> Result<StoredArray, DataError> {
    let failed = |error| DataError::read(path, error);
    let mut file = open_file(path).map_err(failed)?;
    let file_size = file.metadata().map_err(failed)?.len();
    let mut magic = [0; 2];
    file.read_exact(&mut magic).map_err(|error| header_error(path, error))?;
    file.rewind().map_err(failed)?;
    if magic != GZIP_MAGIC {
        let (layout, header) = read_header(&mut file, path)?;
        let (declared, actual) = (layout.size(path)?, file_size.saturating_sub(header));
        if declared != actual {
            return Err(DataError::new(path, DataErrorKind::DataSize { format: ArrayFormat::Idx, declared, actual }));
        }
        let bytes = Bytes::File { file: Arc::new(Mutex::new(file)), start: header };
        return StoredArray::new(path, layout, bytes, actual);
    }
    let mut source = MultiGzDecoder::new(std::io::BufReader::new(file));
    let (layout, _) = read_header(&mut source, path)?;
    let declared = layout.size(path)?;
    // Known before anything is decompressed, so that a header alone cannot claim memory.
    let possible = file_size.saturating_mul(DEFLATE_RATIO);
    if declared > possible {
        let format = ArrayFormat::Idx;
        return Err(DataError::new(path, DataErrorKind::DataSize { format, declared, actual: possible }));
    }
    if declared > MEMORY_LIMIT {
        return Err(DataError::new(path, DataErrorKind::ArrayTooLarge { size: declared, limit: MEMORY_LIMIT }));
    }
    let mut bytes = Vec::with_capacity(declared as usize);
    // One byte more than declared shows whether there is too much, and has the checksum at the end verified.
    source.take(declared + 1).read_to_end(&mut bytes).map_err(failed)?;
    let actual = bytes.len() as u64;
    if declared != actual {
        return Err(DataError::new(path, DataErrorKind::DataSize { format: ArrayFormat::Idx, declared, actual }));
    }
    StoredArray::new(path, layout, Bytes::Memory(bytes), actual)
}

/// Reads the header at the start of `source`: the layout and the header's number of bytes.
fn read_header(source: &mut impl Read, path: &Path) -> Result<(Layout, u64), DataError> {
    let mut start = [0; 4];
    source.read_exact(&mut start).map_err(|error| header_error(path, error))?;
    let [0, 0, kind, rank] = start else {
        return Err(DataError::malformed(path, ArrayFormat::Idx, "two zero bytes at the start"));
    };
    if kind != UNSIGNED_BYTE {
        return Err(DataError::malformed(path, ArrayFormat::Idx, "elements of type unsigned byte"));
    }
    let mut shape = Vec::new();
    for _ in 0..rank {
        let mut axis = [0; 4];
        source.read_exact(&mut axis).map_err(|error| header_error(path, error))?;
        shape.push(u32::from_be_bytes(axis) as usize);
    }
    let layout = Layout {
        format: ArrayFormat::Idx,
        name: "the IDX array".to_owned(),
        element: ElementType::U8,
        byte_order: ByteOrder::Big,
        shape,
    };
    Ok((layout, 4 + 4 * u64::from(rank)))
}

fn header_error(path: &Path, error: std::io::Error) -> DataError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            DataError::malformed(path, ArrayFormat::Idx, "a header, which ends too early")
        }
        _ => DataError::read(path, error),
    }
}
