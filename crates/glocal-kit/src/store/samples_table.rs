//! `samples.parquet`: the stable name and the labels of each sample.

use parquet::data_type::ByteArray;
use parquet::errors::Result;

use super::StoreError;
use super::columns::{Column, Format, GROUP_ROWS, Packing, TableReader, TableWriter, Values};
use super::file::Output;
use crate::data::DataSet;

/// The table's name and columns.
pub(super) const FORMAT: Format = Format {
    file: "samples.parquet",
    schema: "message samples {
        required int64 sample;
        required binary key (STRING);
        required group labels (LIST) {
            repeated group list {
                required int32 element (INTEGER(32, false));
            }
        }
    }",
    packing: &[("key", Packing::Plain)],
};

/// A sample of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSample {
    /// Its stable name in the data set.
    pub key: String,
    /// Its labels.
    pub labels: Vec<u32>,
}

/// Writes the table of all samples of `data`; returns the number of rows.
pub(super) fn write(data: &dyn DataSet, output: &mut Output) -> Result<u64> {
    let mut writer = TableWriter::new(output, &FORMAT)?;
    for first in (0..data.len()).step_by(GROUP_ROWS) {
        let samples = first..data.len().min(first + GROUP_ROWS);
        let (mut labels, mut present, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        for sample in samples.clone() {
            let of_sample = data.labels(sample);
            labels.extend(of_sample.iter().map(|label| *label as i32));
            // A row without labels takes one level that says so.
            present.extend(std::iter::repeat_n(i16::from(!of_sample.is_empty()), of_sample.len().max(1)));
            repeated.push(0);
            repeated.extend(std::iter::repeat_n(1, of_sample.len().saturating_sub(1)));
        }
        let labels = Column { values: Values::Int32(labels), present: Some(present), repeated: Some(repeated) };
        let columns = [
            Values::Int64(samples.clone().map(|sample| sample as i64).collect()).into(),
            Values::Text(samples.clone().map(|sample| ByteArray::from(data.key(sample).as_str())).collect()).into(),
            labels,
        ];
        writer.group(samples.len(), columns)?;
    }
    writer.finish()
}

/// Reads all samples, in their order.
pub(super) fn read(table: &TableReader) -> std::result::Result<Vec<StoredSample>, StoreError> {
    let malformed = || StoreError::malformed(table.path(), "one row for each sample, in order");
    let mut samples: Vec<StoredSample> = Vec::new();
    for group in 0..table.groups() {
        let (_, columns) = table.group(group)?;
        let [ids, keys, labels]: [Column; 3] = columns.try_into().map_err(|_| malformed())?;
        let (Values::Int64(ids), Values::Text(keys), Values::Int32(values)) = (ids.values, keys.values, labels.values)
        else {
            return Err(malformed());
        };
        let first = samples.len();
        for (id, key) in ids.iter().zip(&keys) {
            if *id != samples.len() as i64 {
                return Err(malformed());
            }
            let key = std::str::from_utf8(key.data()).map_err(|_| malformed())?.to_owned();
            samples.push(StoredSample { key, labels: Vec::new() });
        }
        let (mut row, mut values) = (first, values.into_iter());
        let levels = labels.present.iter().flatten().zip(labels.repeated.iter().flatten());
        for (position, (present, repeated)) in levels.enumerate() {
            row += usize::from(*repeated == 0 && position > 0);
            if *present != 0 {
                let label = values.next().ok_or_else(malformed)?;
                samples.get_mut(row).ok_or_else(malformed)?.labels.push(label as u32);
            }
        }
    }
    Ok(samples)
}
