//! `concepts.parquet`: how often each concept was active, and how its activation and relevance are distributed.
//!
//! The statistics are for people and programs that read the table; what they are computed from, without rounding, is in
//! `sums.parquet`.

use glocal::search::{ConceptReferences, LayerReferences};
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use rayon::prelude::*;

use super::columns::{Column, Format, GROUP_ROWS, TableReader, TableWriter, Values};
use super::file::Output;
use super::manifest::LayerManifest;
use super::{StoreError, StoreErrorKind};

/// The table's name and columns. What is undefined is null.
pub(super) const FORMAT: Format = Format {
    file: "concepts.parquet",
    schema: "message concepts {
        required binary layer (STRING);
        required int32 concept (INTEGER(32, false));
        required int64 active;
        required int64 not_a_number;
        required int64 samples;
        optional double activation_mean;
        optional double activation_variance;
        required int64 pairs;
        optional double relevance_mean;
        optional double relevance_variance;
        optional double correlation;
    }",
    packing: &[],
};

/// The fewest concepts whose statistics are worth another thread.
const CONCEPTS_AT_ONCE: usize = 64;

/// Writes the table of `layers`; returns the number of rows.
pub(super) fn write(layers: &[LayerReferences], output: &mut Output) -> Result<u64> {
    let mut writer = TableWriter::new(output, &FORMAT)?;
    for layer in layers {
        let name = ByteArray::from(layer.layer.as_str());
        for (group, concepts) in layer.concepts.chunks(GROUP_ROWS).enumerate() {
            let first = group * GROUP_ROWS;
            let ids = (first..first + concepts.len()).map(|id| id as u32 as i32);
            let counts = |of: &dyn Fn(&ConceptReferences) -> u64| -> Column {
                Values::Int64(concepts.iter().map(|concept| of(concept) as i64).collect()).into()
            };
            let numbers = |of: fn(&ConceptReferences) -> Option<f64>| {
                let concepts = concepts.par_iter().with_min_len(CONCEPTS_AT_ONCE);
                let numbers: Vec<Option<f64>> = concepts.map(of).collect();
                let present = numbers.iter().map(|number| i16::from(number.is_some())).collect();
                let values = Values::Double(numbers.into_iter().flatten().collect());
                Column { values, present: Some(present), repeated: None }
            };
            let columns = [
                Values::Runs(vec![(name.clone(), concepts.len())]).into(),
                Values::Int32(ids.collect()).into(),
                counts(&|concept| concept.active),
                counts(&|concept| concept.not_a_number),
                counts(&|concept| concept.statistics.activation.count),
                numbers(|concept| concept.statistics.activation.mean()),
                numbers(|concept| concept.statistics.activation.variance()),
                counts(&|concept| concept.statistics.relevance.count),
                numbers(|concept| concept.statistics.relevance.mean()),
                numbers(|concept| concept.statistics.relevance.variance()),
                numbers(|concept| concept.statistics.correlation()),
            ];
            writer.group(concepts.len(), columns)?;
        }
    }
    writer.finish()
}

/// Reads the concepts of `layers`, with empty rankings of `top_k` and without statistics.
pub(super) fn read(
    table: &TableReader,
    layers: &[LayerManifest],
    top_k: usize,
) -> std::result::Result<Vec<LayerReferences>, StoreError> {
    let malformed = || {
        let expected = "one row for each concept of the manifest, in its order";
        StoreError::new(table.path(), StoreErrorKind::Malformed { expected })
    };
    // Grows with the rows that there are: the manifest's counts are only compared.
    let mut read: Vec<LayerReferences> = Vec::new();
    for group in 0..table.groups() {
        let (rows, columns) = table.group(group)?;
        let [names, ids, active, not_a_number, ..] = columns.as_slice() else { return Err(malformed()) };
        let (Values::Text(names), Values::Int32(ids), Values::Int64(active), Values::Int64(not_a_number)) =
            (&names.values, &ids.values, &active.values, &not_a_number.values)
        else {
            return Err(malformed());
        };
        for row in 0..rows {
            let name = std::str::from_utf8(names[row].data()).map_err(|_| malformed())?;
            let last = read.last();
            if last.is_none_or(|layer| layer.layer != name) {
                let ended = last.zip(layers.get(read.len().wrapping_sub(1)));
                let whole = ended.is_none_or(|(read, layer)| read.concepts.len() == layer.concepts);
                if !whole || layers.get(read.len()).is_none_or(|layer| layer.name != name) {
                    return Err(malformed());
                }
                read.push(LayerReferences { layer: name.to_owned(), concepts: Vec::new() });
            }
            let Some(layer) = read.last_mut() else { return Err(malformed()) };
            if ids[row] as u32 as usize != layer.concepts.len() {
                return Err(malformed());
            }
            let mut concept = ConceptReferences::new(top_k);
            concept.active = u64::try_from(active[row]).map_err(|_| malformed())?;
            concept.not_a_number = u64::try_from(not_a_number[row]).map_err(|_| malformed())?;
            layer.concepts.push(concept);
        }
    }
    let whole = read.len() == layers.len() && read.iter().zip(layers).all(|(r, l)| r.concepts.len() == l.concepts);
    if whole { Ok(read) } else { Err(malformed()) }
}
