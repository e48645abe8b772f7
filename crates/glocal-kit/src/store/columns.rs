//! Parquet tables as columns of plain values: the only place that knows the Parquet library.

mod encode;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, GzipLevel, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor};

use encode::{Encoded, Queue};

use super::file::{Table, open_checked};
use super::{StoreError, StoreErrorKind};
use crate::guarded::guarded;
use crate::pages::column_reader;

/// The greatest number of rows of a row group; a reader skips the groups that it does not need.
pub(super) const GROUP_ROWS: usize = 1 << 16;

/// The greatest number of values of a column of lists in a row group: writers begin another one at an eighth of it.
const GROUP_VALUES: usize = 1 << 24;

/// How many records are decoded at once.
const RECORDS_AT_ONCE: usize = 1 << 13;

/// What a table is called and consists of.
pub(super) struct Format {
    /// The name of its file.
    pub(super) file: &'static str,
    /// Its schema as Parquet spells it.
    pub(super) schema: &'static str,
    /// The columns that are not kept as a dictionary of values and compressed lightly.
    pub(super) packing: &'static [(&'static str, Packing)],
}

/// How the values of a column are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As they are: they hardly repeat.
    Plain,
    /// As differences from one row to the next: whole numbers of which many are small, or near to their neighbours.
    Delta,
    /// Floats with their first bytes together, which are alike; compressed by gzip.
    Split,
}

/// How well gzip compresses: the first bytes of floats take hardly less at higher levels, which take longer.
const GZIP_LEVEL: u32 = 1;

/// A column of one row group.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Column {
    /// The values, without nulls.
    pub(super) values: Values,
    /// For columns with nulls or lists: 1 where there is a value, else 0.
    pub(super) present: Option<Vec<i16>>,
    /// For lists: 0 where a row begins, else 1.
    pub(super) repeated: Option<Vec<i16>>,
}

/// The values of a column.
#[derive(Debug, PartialEq)]
pub(super) enum Values {
    /// 32-bit integers.
    Int32(Vec<i32>),
    /// 64-bit integers.
    Int64(Vec<i64>),
    /// 32-bit floats.
    Float(Vec<f32>),
    /// 64-bit floats.
    Double(Vec<f64>),
    /// Strings, or bytes.
    Text(Vec<ByteArray>),
    /// To be written: texts, and in how many rows that follow one another each stands.
    Runs(Vec<(ByteArray, usize)>),
    /// Bytes, of all values the same number.
    Bytes(Vec<FixedLenByteArray>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Runs(runs) => runs.iter().map(|(_, rows)| rows).sum(),
            Self::Bytes(values) => values.len(),
        }
    }

    /// The memory of the values, in bytes, without what texts refer to.
    fn size(&self) -> usize {
        match self {
            Self::Int32(values) => size_of_val(values.as_slice()),
            Self::Int64(values) => size_of_val(values.as_slice()),
            Self::Float(values) => size_of_val(values.as_slice()),
            Self::Double(values) => size_of_val(values.as_slice()),
            Self::Text(values) => size_of_val(values.as_slice()),
            Self::Runs(runs) => size_of_val(runs.as_slice()),
            Self::Bytes(values) => size_of_val(values.as_slice()),
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Int32(Vec::new())
    }
}

impl From<Values> for Column {
    fn from(values: Values) -> Self {
        Self { values, present: None, repeated: None }
    }
}

/// Writes a table, a row group at a time. Groups are encoded by all threads while the next are made.
pub(super) struct TableWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: u64,
    queue: Queue,
}

impl<W: Write + Send> TableWriter<W> {
    pub(super) fn new(output: W, format: &Format) -> Result<Self> {
        let schema = Arc::new(parse_message_type(format.schema)?);
        let writer = SerializedFileWriter::new(output, schema, Arc::new(properties(format)?))?;
        Ok(Self { writer, rows: 0, queue: Queue::default() })
    }

    /// Takes a row group of `rows` rows, unless there are none.
    pub(super) fn group(&mut self, rows: usize, columns: impl Into<Vec<Column>>) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let columns = columns.into();
        while !self.queue.has_room(&columns) {
            self.write_next()?;
        }
        let of = self.writer.schema_descr().columns();
        if columns.len() != of.len() {
            return Err(ParquetError::General("not as many columns as the schema has".to_owned()));
        }
        self.queue.push(columns, of, self.writer.properties());
        self.rows += rows as u64;
        Ok(())
    }

    /// Writes the first of the row groups that are being encoded; `false` where there are none.
    fn write_next(&mut self) -> Result<bool> {
        let Some(columns) = self.queue.pop() else { return Ok(false) };
        let mut group = self.writer.next_row_group()?;
        for Encoded { bytes, close } in columns? {
            group.append_column(&bytes, close)?;
        }
        group.close()?;
        Ok(true)
    }

    /// Ends the table; returns the number of its rows.
    pub(super) fn finish(mut self) -> Result<u64> {
        while self.write_next()? {}
        self.writer.close()?;
        Ok(self.rows)
    }
}

/// How the columns of a table are kept.
fn properties(format: &Format) -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("glocal version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(None);
    for (name, packing) in format.packing {
        let path = ColumnPath::from(name.split('.').map(str::to_owned).collect::<Vec<_>>());
        properties = properties.set_column_dictionary_enabled(path.clone(), false);
        properties = match packing {
            Packing::Plain => properties,
            Packing::Delta => properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            // Nobody looks for their bounds.
            Packing::Split => properties
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
                .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_compression(path, Compression::GZIP(GzipLevel::try_new(GZIP_LEVEL)?)),
        };
    }
    Ok(properties.build())
}

/// Reads a table whose content was checked.
pub(super) struct TableReader {
    path: PathBuf,
    reader: SerializedFileReader<File>,
}

impl TableReader {
    /// Opens the table of `folder` that was written as `table`.
    pub(super) fn open(folder: &Path, format: &Format, table: &Table) -> std::result::Result<Self, StoreError> {
        let path = folder.join(format.file);
        let file = open_checked(&path, table)?;
        // Damage is noticed by the hash in the manifest; the guard is for where somebody has changed both.
        let reader = guarded(|| SerializedFileReader::new(file)).map_err(|error| damaged(&path, error))?;
        let expected = parse_message_type(format.schema).map_err(|error| damaged(&path, error))?;
        let expected = SchemaDescriptor::new(Arc::new(expected));
        let given = reader.metadata().file_metadata().schema_descr();
        let lacking = expected.columns().iter().zip(0..).find(|(column, index): &(_, usize)| {
            given.columns().get(*index).is_none_or(|given| {
                given.path() != column.path()
                    || given.physical_type() != column.physical_type()
                    || given.max_def_level() != column.max_def_level()
                    || given.max_rep_level() != column.max_rep_level()
                    || (column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY
                        && given.type_length() != column.type_length())
            })
        });
        if let Some((column, _)) = lacking {
            return Err(StoreError::new(path, StoreErrorKind::Column { column: column.path().string() }));
        }
        if u64::try_from(reader.metadata().file_metadata().num_rows()).ok() != Some(table.rows) {
            return Err(StoreError::malformed(path, "as many rows as were written"));
        }
        Ok(Self { path, reader })
    }

    /// The table's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of row groups.
    pub(super) fn groups(&self) -> usize {
        self.reader.metadata().num_row_groups()
    }

    /// Whether the row group may hold the text `value` in the column of that index; in doubt, yes.
    pub(super) fn may_hold_text(&self, group: usize, column: usize, value: &str) -> bool {
        let Some(Statistics::ByteArray(statistics)) = self.statistics(group, column) else { return true };
        match (statistics.min_opt(), statistics.max_opt()) {
            (Some(min), Some(max)) if statistics.min_is_exact() && statistics.max_is_exact() => {
                (min.data()..=max.data()).contains(&value.as_bytes())
            }
            _ => true,
        }
    }

    /// Whether the row group may hold the number `value` in the column of that index; in doubt, yes.
    pub(super) fn may_hold(&self, group: usize, column: usize, value: i32) -> bool {
        let Some(Statistics::Int32(statistics)) = self.statistics(group, column) else { return true };
        // The bounds are of unsigned numbers.
        let bounds = statistics.min_opt().zip(statistics.max_opt()).map(|(min, max)| (*min as u32, *max as u32));
        bounds.is_none_or(|(min, max)| (min..=max).contains(&(value as u32)))
    }

    fn statistics(&self, group: usize, column: usize) -> Option<&Statistics> {
        self.reader.metadata().row_group(group).columns().get(column)?.statistics()
    }

    /// Reads all columns of a row group, and the number of its rows.
    pub(super) fn group(&self, index: usize) -> std::result::Result<(usize, Vec<Column>), StoreError> {
        let rows = self.reader.metadata().row_group(index).num_rows();
        let rows = usize::try_from(rows).ok().filter(|rows| *rows <= GROUP_ROWS);
        let rows = rows.ok_or_else(|| StoreError::malformed(&self.path, "at most 65,536 rows in a row group"))?;
        let read = || -> Result<Vec<Column>> {
            let group = self.reader.get_row_group(index)?;
            let columns = self.reader.metadata().file_metadata().schema_descr().columns().iter().enumerate();
            let read = |(column, descriptor): (usize, &ColumnDescPtr)| {
                let values = if descriptor.max_rep_level() == 0 { rows } else { GROUP_VALUES };
                read_column(column_reader(group.as_ref(), column, values)?, rows)
            };
            columns.map(read).collect()
        };
        let columns = guarded(read).map_err(|error| damaged(&self.path, error))?;
        let complete = columns.iter().all(|column| {
            let values = column.values.len();
            let present = column.present.as_ref().map_or(values, Vec::len);
            let begun = |levels: &Vec<i16>| levels.iter().filter(|level| **level == 0).count();
            column.repeated.as_ref().map_or(present, begun) == rows
        });
        if complete { Ok((rows, columns)) } else { Err(StoreError::malformed(&self.path, "columns of equal length")) }
    }
}

/// Why a table could not be written, without the library's wrapping of what the file system said.
pub(super) fn cause(error: ParquetError) -> Box<dyn Error + Send + Sync> {
    match error {
        ParquetError::External(cause) => cause,
        error => error.into(),
    }
}

fn damaged(path: &Path, error: ParquetError) -> StoreError {
    StoreError::caused(path, StoreErrorKind::Malformed { expected: "a Parquet table" }, error)
}

fn read_column(reader: ColumnReader, rows: usize) -> Result<Column> {
    Ok(match reader {
        ColumnReader::Int32ColumnReader(reader) => read(reader, rows, Values::Int32)?,
        ColumnReader::Int64ColumnReader(reader) => read(reader, rows, Values::Int64)?,
        ColumnReader::FloatColumnReader(reader) => read(reader, rows, Values::Float)?,
        ColumnReader::DoubleColumnReader(reader) => read(reader, rows, Values::Double)?,
        ColumnReader::ByteArrayColumnReader(reader) => read(reader, rows, Values::Text)?,
        ColumnReader::FixedLenByteArrayColumnReader(reader) => read(reader, rows, Values::Bytes)?,
        _ => return Err(ParquetError::General("a column of a type that is never written".to_owned())),
    })
}

fn read<T: DataType>(mut reader: ColumnReaderImpl<T>, rows: usize, wrap: fn(Vec<T::T>) -> Values) -> Result<Column> {
    let (mut values, mut present, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = rows;
    while left > 0 {
        let at_once = left.min(RECORDS_AT_ONCE);
        let (records, ..) = reader.read_records(at_once, Some(&mut present), Some(&mut repeated), &mut values)?;
        if records == 0 {
            break;
        }
        left -= records.min(left);
    }
    // The reader leaves the levels empty that the column does not have.
    let levels = |levels: Vec<i16>| if levels.is_empty() { None } else { Some(levels) };
    Ok(Column { values: wrap(values), present: levels(present), repeated: levels(repeated) })
}
