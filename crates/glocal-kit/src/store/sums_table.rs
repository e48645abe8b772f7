//! `sums.parquet`: the sums that the statistics of each concept are computed from, without rounding, so that shards merge to
//! what one run finds.
//!
//! A sum is a whole number of units of 2^-320, as a two's complement integer, the least significant byte first.

use glocal::search::{ExactSum, LayerReferences, Statistics};
use parquet::data_type::ByteArray;
use parquet::errors::Result;

use super::StoreError;
use super::columns::{Column, Format, GROUP_ROWS, TableReader, TableWriter, Values};
use super::file::Output;

/// The table's name and columns.
pub(super) const FORMAT: Format = Format {
    file: "sums.parquet",
    schema: "message sums {
        required binary layer (STRING);
        required int32 concept (INTEGER(32, false));
        required int64 samples;
        required binary activation;
        required binary activation_squared;
        required int64 pairs;
        required binary relevance;
        required binary relevance_squared;
        required binary pair_activation;
        required binary pair_activation_squared;
        required binary pair_product;
    }",
    packing: &[],
};

/// Writes the table of `layers`; returns the number of rows.
pub(super) fn write(layers: &[LayerReferences], output: &mut Output) -> Result<u64> {
    let mut writer = TableWriter::new(output, &FORMAT)?;
    for layer in layers {
        let name = ByteArray::from(layer.layer.as_str());
        for (group, concepts) in layer.concepts.chunks(GROUP_ROWS).enumerate() {
            let first = group * GROUP_ROWS;
            let ids = (first..first + concepts.len()).map(|id| id as u32 as i32);
            let counts = |of: fn(&Statistics) -> u64| -> Column {
                Values::Int64(concepts.iter().map(|concept| of(&concept.statistics) as i64).collect()).into()
            };
            let sums = |of: fn(&Statistics) -> &ExactSum| -> Column {
                let bytes = concepts.iter().map(|concept| ByteArray::from(of(&concept.statistics).to_bytes()));
                Values::Text(bytes.collect()).into()
            };
            let columns = [
                Values::Runs(vec![(name.clone(), concepts.len())]).into(),
                Values::Int32(ids.collect()).into(),
                counts(|statistics| statistics.activation.count),
                sums(|statistics| &statistics.activation.sum),
                sums(|statistics| &statistics.activation.squares),
                counts(|statistics| statistics.relevance.count),
                sums(|statistics| &statistics.relevance.sum),
                sums(|statistics| &statistics.relevance.squares),
                sums(|statistics| &statistics.activation_of_pairs.sum),
                sums(|statistics| &statistics.activation_of_pairs.squares),
                sums(|statistics| &statistics.products),
            ];
            writer.group(concepts.len(), columns)?;
        }
    }
    writer.finish()
}

/// Fills in the statistics of the concepts of `layers`.
pub(super) fn read(table: &TableReader, layers: &mut [LayerReferences]) -> std::result::Result<(), StoreError> {
    let malformed = || StoreError::malformed(table.path(), "one row of sums for each concept, in order");
    let concepts = layers.iter_mut().flat_map(|layer| {
        let name = layer.layer.as_bytes();
        layer.concepts.iter_mut().enumerate().map(move |(id, concept)| (name, id, concept))
    });
    let mut concepts = concepts.fuse();
    for group in 0..table.groups() {
        let (rows, columns) = table.group(group)?;
        let columns: [Column; 11] = columns.try_into().map_err(|_| malformed())?;
        let [layer, id, samples, activation, activation_squared, pairs, rest @ ..] =
            columns.map(|column| column.values);
        let [relevance, relevance_squared, pair_activation, pair_activation_squared, product] = rest;
        let (Values::Text(layer), Values::Int32(ids), Values::Int64(samples), Values::Int64(pairs)) =
            (layer, id, samples, pairs)
        else {
            return Err(malformed());
        };
        for row in 0..rows {
            let (name, id, concept) = concepts.next().ok_or_else(malformed)?;
            if layer[row].data() != name || ids[row] as u32 as usize != id {
                return Err(malformed());
            }
            let sum = |column: &Values| match column {
                Values::Text(values) => ExactSum::from_bytes(values[row].data()).ok_or_else(malformed),
                _ => Err(malformed()),
            };
            let count = |column: &[i64]| u64::try_from(column[row]).map_err(|_| malformed());
            let statistics = &mut concept.statistics;
            statistics.activation.count = count(&samples)?;
            statistics.activation.sum = sum(&activation)?;
            statistics.activation.squares = sum(&activation_squared)?;
            statistics.relevance.count = count(&pairs)?;
            statistics.relevance.sum = sum(&relevance)?;
            statistics.relevance.squares = sum(&relevance_squared)?;
            statistics.activation_of_pairs.count = count(&pairs)?;
            statistics.activation_of_pairs.sum = sum(&pair_activation)?;
            statistics.activation_of_pairs.squares = sum(&pair_activation_squared)?;
            statistics.products = sum(&product)?;
        }
    }
    if concepts.next().is_some() { Err(malformed()) } else { Ok(()) }
}
