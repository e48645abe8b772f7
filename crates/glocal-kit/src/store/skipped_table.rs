//! `skipped.parquet`: the samples that could not be used and were passed over, where there are any.

use parquet::data_type::ByteArray;
use parquet::errors::Result;

use super::StoreError;
use super::columns::{Format, GROUP_ROWS, Packing, TableReader, TableWriter, Values};
use super::file::Output;

/// The table's name and columns.
pub(super) const FORMAT: Format = Format {
    file: "skipped.parquet",
    schema: "message skipped {
        required int64 sample;
        required binary key (STRING);
        required binary reason (STRING);
    }",
    packing: &[("key", Packing::Plain), ("reason", Packing::Plain)],
};

/// A sample that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedSample {
    /// Its number in the data set.
    pub sample: u64,
    /// Its stable name in the data set.
    pub key: String,
    /// Why it could not be used, without the place where the data lies.
    pub reason: String,
}

/// Writes the table; returns the number of rows.
pub(super) fn write(skipped: &[&SkippedSample], output: &mut Output) -> Result<u64> {
    let mut writer = TableWriter::new(output, &FORMAT)?;
    for group in skipped.chunks(GROUP_ROWS) {
        let text = |of: fn(&SkippedSample) -> &String| {
            Values::Text(group.iter().map(|skipped| ByteArray::from(of(skipped).as_str())).collect())
        };
        let columns = [
            Values::Int64(group.iter().map(|skipped| skipped.sample as i64).collect()).into(),
            text(|skipped| &skipped.key).into(),
            text(|skipped| &skipped.reason).into(),
        ];
        writer.group(group.len(), columns)?;
    }
    writer.finish()
}

/// Reads all skipped samples, in their order.
pub(super) fn read(table: &TableReader) -> std::result::Result<Vec<SkippedSample>, StoreError> {
    let malformed = || StoreError::malformed(table.path(), "one row for each skipped sample, in order");
    let mut skipped: Vec<SkippedSample> = Vec::new();
    for group in 0..table.groups() {
        let (_, columns) = table.group(group)?;
        let [ids, keys, reasons]: [_; 3] = columns.try_into().map_err(|_| malformed())?;
        let (Values::Int64(ids), Values::Text(keys), Values::Text(reasons)) = (ids.values, keys.values, reasons.values)
        else {
            return Err(malformed());
        };
        for ((id, key), reason) in ids.into_iter().zip(&keys).zip(&reasons) {
            let text =
                |bytes: &ByteArray| std::str::from_utf8(bytes.data()).map(str::to_owned).map_err(|_| malformed());
            let sample = u64::try_from(id).map_err(|_| malformed())?;
            if skipped.last().is_some_and(|last| last.sample >= sample) {
                return Err(malformed());
            }
            skipped.push(SkippedSample { sample, key: text(key)?, reason: text(reason)? });
        }
    }
    Ok(skipped)
}
