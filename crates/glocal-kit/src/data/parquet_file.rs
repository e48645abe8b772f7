//! One Parquet file with a column of encoded images: which columns it has, and what stands in them.

use std::fs::File;
use std::path::Path;

use parquet::basic::{Compression, ConvertedType, Repetition, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use super::error::{DataError, DataErrorKind};
use super::parquet_fault::ParquetFault;
use super::regular::open_file;
use crate::guarded::guarded;
use crate::pages::column_reader;

/// Deflate cannot make data larger than this many times its own size; the other kinds of compression make less of it.
const COMPRESSION_RATIO: i64 = 1032;

/// How many values are decoded at once.
const VALUES_AT_ONCE: usize = 1 << 13;

/// What a column of images may be called, in the order of preference.
const IMAGE_NAMES: &[&str] = &["image", "img", "jpg", "png", "bytes"];

/// What a column of labels may be called, in the order of preference.
const LABEL_NAMES: &[&str] = &["label", "labels", "class", "target", "y"];

/// An open file.
pub(super) struct ParquetFile<'a> {
    path: &'a Path,
    size: u64,
    reader: SerializedFileReader<File>,
}

/// Which columns of a data set are of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) images: String,
    pub(super) labels: Option<String>,
    /// The names of the classes that the labels count.
    pub(super) classes: Option<Vec<String>>,
}

/// The labels of a file, `None` where there is none.
pub(super) enum FileLabels {
    Indices(Vec<Option<i64>>),
    Names(Vec<Option<ByteArray>>),
}

impl<'a> ParquetFile<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = open_file(path).map_err(|error| DataError::read(path, error))?;
        let size = file.metadata().map_err(|error| DataError::read(path, error))?.len();
        let reader = guarded(|| SerializedFileReader::new(file)).map_err(|error| damaged(path, error))?;
        Ok(Self { path, size, reader })
    }

    fn fault(&self, fault: ParquetFault) -> DataError {
        DataError::new(self.path, DataErrorKind::Parquet(fault))
    }

    fn leaves(&self) -> &[parquet::schema::types::ColumnDescPtr] {
        self.reader.metadata().file_metadata().schema_descr().columns()
    }

    /// Finds the columns by what the `datasets` library of Hugging Face has noted, or else by type and name.
    pub(super) fn columns(&self) -> Result<Columns, DataError> {
        let features = self.features();
        let noted = |column: &ColumnDescriptor, kind: &str| {
            let root = column.path().parts().first()?;
            features.as_ref()?.get(root).filter(|feature| feature.get("_type").and_then(Value::as_str) == Some(kind))
        };
        let all: Vec<_> = self.leaves().iter().filter(|column| column.max_rep_level() == 0).collect();
        let images: Vec<_> = all.iter().filter(|column| may_hold_images(column)).collect();
        let marked: Vec<_> = images.iter().filter(|column| noted(column, "Image").is_some()).copied().collect();
        let images = choose(if marked.is_empty() { images } else { marked }, IMAGE_NAMES, |column| root(column));
        let images = images.map_err(|columns| self.fault(ParquetFault::Images { columns }))?;
        let images = images.ok_or_else(|| self.fault(ParquetFault::Images { columns: Vec::new() }))?;
        let top = all.iter().filter(|column| column.path().parts().len() == 1 && column.path() != images.path());
        let labelled =
            top.filter(|column| noted(column, "ClassLabel").is_some() || LABEL_NAMES.contains(&root(column)));
        let labels = choose(labelled.collect(), LABEL_NAMES, |column| root(column));
        let labels = labels.map_err(|columns| self.fault(ParquetFault::Labels { columns }))?;
        let names = labels.and_then(|column| noted(column, "ClassLabel")?.get("names")?.as_array());
        let classes = names.and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        Ok(Columns { images: images.path().string(), labels: labels.map(|column| column.path().string()), classes })
    }

    /// What the `datasets` library notes of each column.
    fn features(&self) -> Option<Value> {
        let metadata = self.reader.metadata().file_metadata().key_value_metadata()?;
        let text = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
        let mut note: Value = serde_json::from_str(text).ok()?;
        Some(note.get_mut("info")?.get_mut("features")?.take())
    }

    /// The number of rows of each row group, and the number of bytes of its images once decompressed. What the file says is
    /// checked against its size.
    pub(super) fn groups(&self, images: &str) -> Result<Vec<(usize, u64)>, DataError> {
        let mut groups = Vec::new();
        let mut left = self.size;
        for group in self.reader.metadata().row_groups() {
            let (rows, bytes) = self.chunk(group, images)?;
            // A row that holds an image takes more than a byte.
            left = left.checked_sub(rows as u64).ok_or_else(|| self.misplaced())?;
            groups.push((rows, bytes));
        }
        Ok(groups)
    }

    /// The number of rows of a row group, and the number of bytes of a column once decompressed.
    fn chunk(&self, group: &RowGroupMetaData, column: &str) -> Result<(usize, u64), DataError> {
        let rows = usize::try_from(group.num_rows()).map_err(|_| self.misplaced())?;
        let chunk = group.columns().get(self.column(column)?).ok_or_else(|| self.misplaced())?;
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let (packed, bytes) = (chunk.compressed_size(), chunk.uncompressed_size());
        let end = start.checked_add(packed).and_then(|end| u64::try_from(end).ok());
        let fits = start >= 0 && packed >= 0 && end.is_some_and(|end| end <= self.size);
        if !fits || bytes < 0 || bytes / COMPRESSION_RATIO > packed || chunk.num_values() != group.num_rows() {
            return Err(self.misplaced());
        }
        if !is_read(chunk.compression()) {
            let (column, given) = (column.to_owned(), format!("{:?}", chunk.compression()));
            return Err(self.fault(ParquetFault::Compression { column, given }));
        }
        Ok((rows, bytes as u64))
    }

    fn misplaced(&self) -> DataError {
        self.fault(ParquetFault::Malformed { expected: "row groups that lie within it, and no more rows than bytes" })
    }

    /// The encoded images of some rows of a row group; `None` where a row holds none.
    pub(super) fn images(
        &self,
        images: &str,
        group: usize,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<Option<ByteArray>>, DataError> {
        let column = self.column(images)?;
        let read = || {
            let group = self.reader.get_row_group(group)?;
            let all = usize::try_from(group.metadata().num_rows())?;
            match column_reader(group.as_ref(), column, all)? {
                ColumnReader::ByteArrayColumnReader(mut reader) => {
                    reader.skip_records(rows.start)?;
                    values(reader, self.level(column), rows.len())
                }
                _ => Err(ParquetError::General("images of another type than bytes".to_owned())),
            }
        };
        let found = guarded(read).map_err(|error| damaged(self.path, error))?;
        if found.len() == rows.len() {
            return Ok(found);
        }
        Err(self.fault(ParquetFault::Malformed { expected: "as many rows as it claims" }))
    }

    /// All labels.
    pub(super) fn labels(&self, labels: &str) -> Result<FileLabels, DataError> {
        let column = self.column(labels)?;
        let level = self.level(column);
        let (mut indices, mut names, mut all) = (Vec::new(), Vec::new(), 0_usize);
        for (index, group) in self.reader.metadata().row_groups().iter().enumerate() {
            let (rows, _) = self.chunk(group, labels)?;
            all = all.saturating_add(rows);
            let read = || {
                match column_reader(self.reader.get_row_group(index)?.as_ref(), column, rows)? {
                    ColumnReader::Int32ColumnReader(reader) => {
                        indices.extend(values(reader, level, rows)?.into_iter().map(|label| label.map(i64::from)));
                    }
                    ColumnReader::Int64ColumnReader(reader) => indices.extend(values(reader, level, rows)?),
                    ColumnReader::ByteArrayColumnReader(reader) => names.extend(values(reader, level, rows)?),
                    _ => return Ok(false),
                }
                Ok(true)
            };
            if !guarded(read).map_err(|error| damaged(self.path, error))? {
                return Err(self.fault(ParquetFault::LabelType { column: labels.to_owned() }));
            }
        }
        if indices.len() + names.len() != all {
            return Err(self.fault(ParquetFault::Malformed { expected: "as many labels as rows" }));
        }
        Ok(if names.is_empty() { FileLabels::Indices(indices) } else { FileLabels::Names(names) })
    }

    fn column(&self, path: &str) -> Result<usize, DataError> {
        let found =
            self.leaves().iter().position(|column| column.path().string() == path && column.max_rep_level() == 0);
        found.ok_or_else(|| self.fault(ParquetFault::Column { column: path.to_owned() }))
    }

    /// The level that says that there is a value.
    fn level(&self, column: usize) -> i16 {
        self.leaves().get(column).map_or(0, |column| column.max_def_level())
    }
}

/// The next `rows` values.
fn values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    level: i16,
    rows: usize,
) -> parquet::errors::Result<Vec<Option<T::T>>> {
    let mut all = Vec::new();
    while all.len() < rows {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let at_once = VALUES_AT_ONCE.min(rows - all.len());
        let (records, ..) = reader.read_records(at_once, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            break;
        }
        let mut values = values.into_iter();
        match levels.is_empty() {
            true => all.extend(values.map(Some)),
            false => all.extend(levels.into_iter().map(|given| if given == level { values.next() } else { None })),
        }
    }
    Ok(all)
}

/// Bytes at the top, or in a group as `datasets` stores images.
fn may_hold_images(column: &ColumnDescriptor) -> bool {
    let is_text = column.converted_type() == ConvertedType::UTF8 || column.logical_type_ref().is_some();
    let parts = column.path().parts();
    let placed = parts.len() == 1 || (parts.len() == 2 && parts.last().is_some_and(|name| name == "bytes"));
    column.physical_type() == Type::BYTE_ARRAY
        && !is_text
        && placed
        && column.self_type().get_basic_info().repetition() != Repetition::REPEATED
}

/// The only column, or the one with the name that comes first among `names`; all their names if neither tells.
fn choose<'c, C: Copy>(columns: Vec<C>, names: &[&str], root: impl Fn(C) -> &'c str) -> Result<Option<C>, Vec<String>> {
    if let [] | [_] = columns.as_slice() {
        return Ok(columns.first().copied());
    }
    let named = names.iter().find_map(|name| columns.iter().find(|column| root(**column) == *name));
    named.copied().map(Some).ok_or_else(|| columns.iter().map(|column| root(*column).to_owned()).collect())
}

fn root(column: &ColumnDescriptor) -> &str {
    column.path().parts().first().map_or("", String::as_str)
}

fn is_read(compression: Compression) -> bool {
    matches!(compression, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_))
}

fn damaged(path: &Path, error: ParquetError) -> DataError {
    let expected = "the footer and the pages of one, whole";
    DataError::caused(path, DataErrorKind::Parquet(ParquetFault::Malformed { expected }), error)
}
