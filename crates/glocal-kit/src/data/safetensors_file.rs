//! The safetensors format: a JSON header, then the elements.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::element::{ByteOrder, ElementType};
use super::error::{ArrayFormat, DataError, DataErrorKind};
use super::regular::open_file;
use super::stored_array::{Bytes, Layout, StoredArray};

/// The greatest length of a header, as the format has it.
const HEADER_LIMIT: u64 = 100_000_000;

/// The arrays of the file at `path` that `wanted` chooses from the names of all.
pub(super) fn read(
    path: &Path,
    wanted: impl Fn(&[String]) -> Result<Vec<String>, DataError>,
) -> Result<Vec<StoredArray>, DataError> {
    let mut file = open_file(path).map_err(|error| DataError::read(path, error))?;
    let file_size = file.metadata().map_err(|error| DataError::read(path, error))?.len();
    let expected = "a header length, a JSON header of that length and the elements";
    let malformed = || DataError::malformed(path, ArrayFormat::Safetensors, expected);
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| malformed())?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_LIMIT || length > file_size.saturating_sub(8) {
        return Err(malformed());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|error| DataError::read(path, error))?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| {
        DataError::caused(path, DataErrorKind::Malformed { format: ArrayFormat::Safetensors, expected }, error)
    })?;
    let (declared, actual) = (metadata.data_len() as u64, file_size - 8 - length);
    if declared != actual {
        let format = ArrayFormat::Safetensors;
        return Err(DataError::new(path, DataErrorKind::DataSize { format, declared, actual }));
    }
    let file = Arc::new(Mutex::new(file));
    let mut names = metadata.offset_keys();
    names.sort_unstable();
    let mut arrays = Vec::new();
    for name in wanted(&names)? {
        let info = metadata.info(&name).ok_or_else(malformed)?;
        let Some(element) = element_type(info.dtype) else {
            return Err(DataError::new(
                path,
                DataErrorKind::ElementType { array: name, given: info.dtype.to_string() },
            ));
        };
        let (start, end) = info.data_offsets;
        let bytes = Bytes::File { file: Arc::clone(&file), start: 8 + length + start as u64 };
        let layout = Layout {
            format: ArrayFormat::Safetensors,
            name,
            element,
            byte_order: ByteOrder::Little,
            shape: info.shape.clone(),
        };
        arrays.push(StoredArray::new(path, layout, bytes, (end - start) as u64)?);
    }
    Ok(arrays)
}

fn element_type(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::BOOL => ElementType::Bool,
        Dtype::U8 => ElementType::U8,
        Dtype::I8 => ElementType::I8,
        Dtype::U16 => ElementType::U16,
        Dtype::I16 => ElementType::I16,
        Dtype::U32 => ElementType::U32,
        Dtype::I32 => ElementType::I32,
        Dtype::U64 => ElementType::U64,
        Dtype::I64 => ElementType::I64,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::Bf16,
        Dtype::F32 => ElementType::F32,
        Dtype::F64 => ElementType::F64,
        _ => return None,
    })
}
