//! An array that lies in a file (or, once decompressed, in memory) and is read row by row.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::element::{ByteOrder, ElementType};
use super::error::{ArrayFormat, DataError, DataErrorKind};
use super::fingerprint::Hasher;

/// The greatest number of bytes of an array that has to be held in memory.
pub(super) const MEMORY_LIMIT: u64 = 4 << 30;

/// About the number of bytes that are read at a time where all of an array is read.
const CHUNK: usize = 1 << 20;

/// A row-major array with at least one element.
pub(super) struct StoredArray {
    path: PathBuf,
    layout: Layout,
    bytes: Bytes,
}

/// What a header says about an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) format: ArrayFormat,
    pub(super) name: String,
    pub(super) element: ElementType,
    pub(super) byte_order: ByteOrder,
    pub(super) shape: Vec<usize>,
}

/// Where the elements of an array are.
pub(super) enum Bytes {
    /// In a file, from byte `start` on.
    File { file: Arc<Mutex<File>>, start: u64 },
    /// In memory.
    Memory(Vec<u8>),
}

impl Layout {
    /// The number of bytes of all elements.
    pub(super) fn size(&self, path: &Path) -> Result<u64, DataError> {
        let size = self.shape.iter().try_fold(self.element.size() as u64, |size, &axis| size.checked_mul(axis as u64));
        size.filter(|&size| size > 0).ok_or_else(|| {
            let (array, shape) = (self.name.clone(), self.shape.clone());
            DataError::new(
                path,
                DataErrorKind::Shape { array, shape, expected: "at least one element, and fewer than 2⁶⁴" },
            )
        })
    }
}

impl StoredArray {
    /// The array of `layout` whose elements are `bytes`, of which there are `available`.
    pub(super) fn new(path: &Path, layout: Layout, bytes: Bytes, available: u64) -> Result<Self, DataError> {
        let declared = layout.size(path)?;
        if declared > available {
            return Err(DataError::new(
                path,
                DataErrorKind::DataSize { format: layout.format, declared, actual: available },
            ));
        }
        // A sparse file may hold more than it takes on disk, so what the file holds is no bound for the memory.
        let row = declared / layout.shape.first().map_or(1, |&rows| rows as u64);
        if row > MEMORY_LIMIT {
            return Err(DataError::new(path, DataErrorKind::ArrayTooLarge { size: row, limit: MEMORY_LIMIT }));
        }
        Ok(Self { path: path.to_path_buf(), layout, bytes })
    }

    /// The file that the array is from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the array is called in its file.
    pub(super) fn name(&self) -> &str {
        &self.layout.name
    }

    /// The size of each axis.
    pub(super) fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The number of rows: the size of axis 0.
    pub(super) fn rows(&self) -> usize {
        self.layout.shape.first().copied().unwrap_or(1)
    }

    /// The values of row `index`.
    pub(super) fn row(&self, index: usize) -> Result<Vec<f32>, DataError> {
        let len = self.rows();
        if index >= len {
            return Err(DataError::new(&self.path, DataErrorKind::Index { index, len }));
        }
        Ok(self.layout.element.decode(&self.row_bytes(index, 1)?, self.layout.byte_order))
    }

    /// All values, with an error when they would take more than [`MEMORY_LIMIT`].
    pub(super) fn values(&self) -> Result<Vec<f32>, DataError> {
        let size = (self.rows() * self.row_len() * size_of::<f32>()) as u64;
        if size > MEMORY_LIMIT {
            return Err(DataError::new(&self.path, DataErrorKind::ArrayTooLarge { size, limit: MEMORY_LIMIT }));
        }
        let mut values = Vec::with_capacity(self.rows() * self.row_len());
        self.for_chunks(|chunk| values.extend(self.layout.element.decode(chunk, self.layout.byte_order)))?;
        Ok(values)
    }

    /// All values in double precision, with an error when they would take more than [`MEMORY_LIMIT`].
    pub(super) fn numbers(&self) -> Result<Vec<f64>, DataError> {
        let size = (self.rows() * self.row_len() * size_of::<f64>()) as u64;
        if size > MEMORY_LIMIT {
            return Err(DataError::new(&self.path, DataErrorKind::ArrayTooLarge { size, limit: MEMORY_LIMIT }));
        }
        let (element, order) = (self.layout.element, self.layout.byte_order);
        let mut numbers = Vec::with_capacity(self.rows() * self.row_len());
        self.for_chunks(|chunk| {
            numbers.extend(chunk.chunks_exact(element.size()).map(|bytes| element.value(bytes, order)));
        })?;
        Ok(numbers)
    }

    /// The values of an array `[N]` or `[N, 1]` of class indices.
    pub(super) fn labels(&self) -> Result<Vec<u32>, DataError> {
        if !matches!(self.shape(), [_] | [_, 1]) {
            let (array, shape) = (self.name().to_owned(), self.shape().to_vec());
            return Err(DataError::new(
                &self.path,
                DataErrorKind::Shape { array, shape, expected: "[N]: one label a sample" },
            ));
        }
        let (element, order) = (self.layout.element, self.layout.byte_order);
        let mut labels = Vec::new();
        let mut wrong = None;
        self.for_chunks(|chunk| {
            for bytes in chunk.chunks_exact(element.size()) {
                let value = element.value(bytes, order);
                if value.fract() != 0.0 || !(0.0..=u32::MAX.into()).contains(&value) {
                    wrong.get_or_insert(DataErrorKind::Label { index: labels.len(), bits: value.to_bits() });
                }
                labels.push(value as u32);
            }
        })?;
        match wrong {
            Some(kind) => Err(DataError::new(&self.path, kind)),
            None => Ok(labels),
        }
    }

    /// Adds the element type, shape and all elements to `hasher`.
    pub(super) fn hash(&self, hasher: &mut Hasher) -> Result<(), DataError> {
        hasher.text(self.layout.element.name());
        hasher.number(u64::from(self.layout.byte_order == ByteOrder::Big));
        hasher.number(self.shape().len() as u64);
        self.shape().iter().for_each(|&axis| hasher.number(axis as u64));
        self.for_chunks(|chunk| hasher.bytes(chunk))
    }

    fn row_len(&self) -> usize {
        self.layout.shape.iter().skip(1).product()
    }

    /// Calls `visit` with the bytes of all rows, several rows at a time.
    fn for_chunks(&self, mut visit: impl FnMut(&[u8])) -> Result<(), DataError> {
        let rows = (CHUNK / (self.row_len() * self.layout.element.size())).max(1);
        for first in (0..self.rows()).step_by(rows) {
            visit(&self.row_bytes(first, rows.min(self.rows() - first))?);
        }
        Ok(())
    }

    /// The bytes of `count` rows that exist.
    fn row_bytes(&self, first: usize, count: usize) -> Result<std::borrow::Cow<'_, [u8]>, DataError> {
        let row = self.row_len() * self.layout.element.size();
        match &self.bytes {
            Bytes::Memory(bytes) => Ok(bytes[first * row..(first + count) * row].into()),
            Bytes::File { file, start } => {
                let mut bytes = vec![0; count * row];
                // A thread that panicked while reading leaves only the position behind, which is set anew.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start + (first * row) as u64))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|error| DataError::read(&self.path, error))?;
                Ok(bytes.into())
            }
        }
    }
}
