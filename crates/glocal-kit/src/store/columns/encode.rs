//! Encodes the columns of a table with all threads. They are handed over in the order in which they were given, so that a file
//! does not depend on the number of threads.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer, get_typed_column_writer_mut};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{DEFAULT_WRITE_BATCH_SIZE, WriterPropertiesPtr};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::{Column, Values};
use crate::guarded::guarded;
use crate::waiting::receive;

/// A column chunk as it lies in a file, and what the file says of it.
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// Row groups of which the columns are being encoded, in their order.
#[derive(Default)]
pub(super) struct Queue {
    groups: VecDeque<Group>,
    /// The memory that the values take, in bytes.
    held: usize,
}

struct Group {
    columns: Vec<Receiver<Result<Encoded>>>,
    bytes: usize,
}

/// About how much memory may be taken by values that are not yet encoded, in bytes.
const HELD: usize = 1 << 27;

/// The fewest values that are worth another thread.
const VALUES_AT_ONCE: usize = 1 << 10;

/// How many rows of runs are written at once: as many as the library takes together of a longer column, so that its pages end
/// where they would.
const RUN_ROWS: usize = DEFAULT_WRITE_BATCH_SIZE;

impl Queue {
    /// Whether there is room for a row group of `columns`: it need not wait for those before.
    pub(super) fn has_room(&self, columns: &[Column]) -> bool {
        self.groups.is_empty() || self.held + size(columns) <= HELD
    }

    /// Begins to encode a row group.
    pub(super) fn push(&mut self, columns: Vec<Column>, of: &[ColumnDescPtr], properties: &WriterPropertiesPtr) {
        let bytes = size(&columns);
        let begun = columns.into_iter().zip(of).map(|(column, of)| begin(column, of.clone(), properties.clone()));
        self.groups.push_back(Group { columns: begun.collect(), bytes });
        self.held += bytes;
    }

    /// Waits for the columns of the first row group; none where there is no group.
    pub(super) fn pop(&mut self) -> Option<Result<Vec<Encoded>>> {
        let Group { columns, bytes } = self.groups.pop_front()?;
        self.held -= bytes;
        Some(columns.iter().map(wait).collect())
    }
}

/// The memory of `columns`, in bytes, without what their texts refer to.
fn size(columns: &[Column]) -> usize {
    let levels = |levels: &Option<Vec<i16>>| levels.as_ref().map_or(0, |levels| size_of_val(levels.as_slice()));
    columns.iter().map(|column| column.values.size() + levels(&column.present) + levels(&column.repeated)).sum()
}

fn begin(column: Column, of: ColumnDescPtr, properties: WriterPropertiesPtr) -> Receiver<Result<Encoded>> {
    let (sender, result) = sync_channel(1);
    let is_small = column.values.len() < VALUES_AT_ONCE;
    let work = move || {
        // Nobody waits for it where writing has failed.
        let _ = sender.send(guarded(|| encode(&column, of, properties)));
    };
    if is_small {
        work();
    } else {
        rayon::spawn(work);
    }
    result
}

fn wait(column: &Receiver<Result<Encoded>>) -> Result<Encoded> {
    receive(column).map_err(|_| ParquetError::General("a column was lost while it was encoded".to_owned()))?
}

fn encode(column: &Column, of: ColumnDescPtr, properties: WriterPropertiesPtr) -> Result<Encoded> {
    let mut output = TrackedWrite::new(Vec::new());
    let mut writer = get_column_writer(of, properties, Box::new(SerializedPageWriter::new(&mut output)));
    match &column.values {
        Values::Int32(values) => write::<Int32Type>(&mut writer, values, column)?,
        Values::Int64(values) => write::<Int64Type>(&mut writer, values, column)?,
        Values::Float(values) => write::<FloatType>(&mut writer, values, column)?,
        Values::Double(values) => write::<DoubleType>(&mut writer, values, column)?,
        Values::Text(values) => write::<ByteArrayType>(&mut writer, values, column)?,
        Values::Runs(runs) => write_runs(&mut writer, runs)?,
        Values::Bytes(values) => write::<FixedLenByteArrayType>(&mut writer, values, column)?,
    }
    let close = writer.close()?;
    Ok(Encoded { bytes: output.into_inner()?.into(), close })
}

/// Writes runs of texts, of which the column has one in every row, without holding them all.
fn write_runs(writer: &mut ColumnWriter<'_>, runs: &[(ByteArray, usize)]) -> Result<()> {
    let typed = get_typed_column_writer_mut::<ByteArrayType>(writer);
    let mut values = runs.iter().flat_map(|(value, rows)| std::iter::repeat_n(value, *rows)).cloned();
    let mut some = Vec::with_capacity(RUN_ROWS);
    loop {
        some.clear();
        some.extend(values.by_ref().take(RUN_ROWS));
        if some.is_empty() {
            return Ok(());
        }
        typed.write_batch(&some, None, None)?;
    }
}

fn write<T: DataType>(writer: &mut ColumnWriter<'_>, values: &[T::T], column: &Column) -> Result<()> {
    let typed = get_typed_column_writer_mut::<T>(writer);
    typed.write_batch(values, column.present.as_deref(), column.repeated.as_deref())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use rayon::ThreadPoolBuilder;

    use super::super::{Format, Packing, TableWriter, cause, properties};
    use super::*;

    const FORMAT: Format = Format {
        file: "test.parquet",
        schema: "message test {
            required binary name (STRING);
            required binary layer (STRING);
            optional int32 class (INTEGER(32, false));
            required int64 sample;
            required float score;
            required double mean;
            required group list (LIST) { repeated group list { required fixed_len_byte_array(2) element; } }
        }",
        packing: &[("sample", Packing::Delta), ("score", Packing::Split), ("list.list.element", Packing::Plain)],
    };

    /// Enough for several pages of a column.
    const ROWS: usize = 50_000;

    /// Row group `group`: those of odd numbers are too small for another thread.
    fn columns(group: usize) -> (usize, Vec<Column>) {
        let rows = if group.is_multiple_of(2) { ROWS } else { 3 };
        let number = |row: usize| (row.wrapping_mul(0x9e37_79b9) >> 7) + group;
        let numbers = (0..rows).map(number);
        let present = |row: usize| i16::from(number(row) % 3 != 0);
        let classes = (0..rows).filter(|row| present(*row) == 1).map(|row| row as i32 / 7).collect();
        let bytes = numbers.clone().map(|number| vec![number as u8, 7].into()).collect();
        // Runs of all lengths, some of nothing.
        let mut runs = Vec::new();
        let mut left = rows;
        while left > 0 {
            let rows = (runs.len() * 131 % 3001).min(left);
            left -= rows;
            runs.push((ByteArray::from(format!("layer{}", runs.len() % 5).as_str()), rows));
        }
        let columns = vec![
            Values::Text(numbers.clone().map(|number| ByteArray::from(format!("{}", number % 999).as_str())).collect())
                .into(),
            Values::Runs(runs).into(),
            Column { values: Values::Int32(classes), present: Some((0..rows).map(present).collect()), repeated: None },
            Values::Int64(numbers.clone().map(|number| number as i64).collect()).into(),
            Values::Float(numbers.clone().map(|number| number as f32).collect()).into(),
            Values::Double(numbers.map(|number| (number % 5) as f64).collect()).into(),
            Column { values: Values::Bytes(bytes), present: Some(vec![1; rows]), repeated: Some(vec![0; rows]) },
        ];
        (rows, columns)
    }

    fn table(groups: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = TableWriter::new(&mut bytes, &FORMAT).unwrap();
        for (rows, columns) in (0..groups).map(columns) {
            writer.group(rows, columns).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn a_table_is_the_one_that_is_written_a_column_after_the_other() {
        let groups = 5;
        let mut expected = Vec::new();
        let schema = Arc::new(parse_message_type(FORMAT.schema).unwrap());
        let properties = Arc::new(properties(&FORMAT).unwrap());
        let mut writer = SerializedFileWriter::new(&mut expected, schema, properties).unwrap();
        for (_, columns) in (0..groups).map(columns) {
            let mut group = writer.next_row_group().unwrap();
            for column in columns {
                let mut writer = group.next_column().unwrap().unwrap();
                match &column.values {
                    Values::Int32(values) => write::<Int32Type>(writer.untyped(), values, &column),
                    Values::Int64(values) => write::<Int64Type>(writer.untyped(), values, &column),
                    Values::Float(values) => write::<FloatType>(writer.untyped(), values, &column),
                    Values::Double(values) => write::<DoubleType>(writer.untyped(), values, &column),
                    Values::Text(values) => write::<ByteArrayType>(writer.untyped(), values, &column),
                    Values::Runs(runs) => {
                        let values: Vec<ByteArray> =
                            runs.iter().flat_map(|(value, rows)| vec![value.clone(); *rows]).collect();
                        write::<ByteArrayType>(writer.untyped(), &values, &column)
                    }
                    Values::Bytes(values) => write::<FixedLenByteArrayType>(writer.untyped(), values, &column),
                }
                .unwrap();
                writer.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.close().unwrap();
        assert!(table(groups) == expected, "outside of any pool");
        for threads in [1, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| table(groups)) == expected, "{threads} threads");
        }
    }

    #[test]
    fn many_groups_wait_for_one_another() {
        // More than may be held at once.
        let (_, one) = columns(0);
        let groups = 2 * (HELD / size(&one) + 2);
        let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(pool.install(|| table(groups)) == table(groups));
    }

    #[test]
    fn what_the_file_system_says_is_the_error() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = TableWriter::new(Full(1 << 16), &FORMAT).unwrap();
        let (rows, columns) = columns(0);
        let error = writer.group(rows, columns).and_then(|()| writer.finish()).unwrap_err();
        let error = cause(error).downcast::<io::Error>().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn as_many_columns_as_the_schema_has_are_taken() {
        let mut writer = TableWriter::new(io::sink(), &FORMAT).unwrap();
        let (rows, mut columns) = columns(1);
        columns.pop();
        assert!(writer.group(rows, columns).is_err());
    }
}
