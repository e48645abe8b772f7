//! `vectors.parquet`: the relevance scores of all concepts of a layer, for every sample and target, where they are kept.
//!
//! Rows are ordered by layer (as in the manifest), then by sample; the targets of a sample keep their order. A row group never
//! spans two layers.

use std::error::Error;

use half::f16;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::Result;
use serde::{Deserialize, Serialize};

use super::columns::{Column, Format, GROUP_ROWS, Packing, TableReader, TableWriter, Values, cause};
use super::file::Output;
use super::{LayerManifest, StoreError};

/// The number format of concept relevance vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorFormat {
    /// 16-bit floats: three digits from 6·10⁻⁵ on, below that 3·10⁻⁸; at most 65,504, so that they are for shares only.
    F16,
    /// 32-bit floats, as they were computed.
    F32,
}

/// The file of vectors, in either format.
pub(super) const FILE: &str = "vectors.parquet";

/// About how many numbers a row group has.
const GROUP_NUMBERS: usize = 1 << 21;

impl VectorFormat {
    /// The table's columns.
    pub(super) fn format(self) -> Format {
        match self {
            Self::F16 => Format {
                file: FILE,
                schema: "message vectors {
                    required binary layer (STRING);
                    required int64 sample;
                    required int32 target (INTEGER(32, false));
                    required group relevance (LIST) {
                        repeated group list {
                            required fixed_len_byte_array(2) element (FLOAT16);
                        }
                    }
                }",
                packing: &[("sample", Packing::Delta), ("relevance.list.element", Packing::Plain)],
            },
            Self::F32 => Format {
                file: FILE,
                schema: "message vectors {
                    required binary layer (STRING);
                    required int64 sample;
                    required int32 target (INTEGER(32, false));
                    required group relevance (LIST) {
                        repeated group list {
                            required float element;
                        }
                    }
                }",
                packing: &[("sample", Packing::Delta), ("relevance.list.element", Packing::Split)],
            },
        }
    }
}

/// The relevance of each concept of a layer, in one sample for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct ConceptVector {
    /// The sample.
    pub sample: u64,
    /// The target.
    pub target: u32,
    /// The relevance score of each concept; none where no relevance can reach the layer.
    pub relevance: Vec<f32>,
}

/// How many rows of a layer of so many concepts a row group has.
fn rows_of_group(concepts: usize) -> usize {
    (GROUP_NUMBERS / concepts.max(1)).clamp(1, GROUP_ROWS)
}

/// Writes the table of `vectors` of layers (as indices), which come in their order; returns the number of rows.
pub(super) fn write(
    format: VectorFormat,
    layers: &[LayerManifest],
    vectors: impl Iterator<Item = std::result::Result<(usize, ConceptVector), StoreError>>,
    output: &mut Output,
) -> std::result::Result<u64, Box<dyn Error + Send + Sync>> {
    let mut writer = TableWriter::new(output, &format.format()).map_err(cause)?;
    let (mut group, mut of) = (Vec::new(), 0);
    for vector in vectors {
        let (layer, vector) = vector?;
        let full = layers.get(of).is_some_and(|layer| group.len() == rows_of_group(layer.concepts));
        if layer != of || full {
            write_group(format, &layers[of], &std::mem::take(&mut group), &mut writer).map_err(cause)?;
            of = layer;
        }
        group.push(vector);
    }
    if let Some(layer) = layers.get(of) {
        write_group(format, layer, &group, &mut writer).map_err(cause)?;
    }
    writer.finish().map_err(cause)
}

fn write_group(
    format: VectorFormat,
    layer: &LayerManifest,
    vectors: &[ConceptVector],
    writer: &mut TableWriter<&mut Output>,
) -> Result<()> {
    let (mut present, mut repeated) = (Vec::new(), Vec::new());
    for vector in vectors {
        // An empty list takes one level that says so.
        present.extend(std::iter::repeat_n(i16::from(!vector.relevance.is_empty()), vector.relevance.len().max(1)));
        repeated.push(0);
        repeated.extend(std::iter::repeat_n(1, vector.relevance.len().saturating_sub(1)));
    }
    let numbers = vectors.iter().flat_map(|vector| &vector.relevance);
    let values = match format {
        VectorFormat::F32 => Values::Float(numbers.copied().collect()),
        VectorFormat::F16 => {
            let half = |value: &f32| FixedLenByteArray::from(f16::from_f32(*value).to_le_bytes().to_vec());
            Values::Bytes(numbers.map(half).collect())
        }
    };
    let columns = [
        Values::Runs(vec![(ByteArray::from(layer.name.as_str()), vectors.len())]).into(),
        Values::Int64(vectors.iter().map(|vector| vector.sample as i64).collect()).into(),
        Values::Int32(vectors.iter().map(|vector| vector.target as i32).collect()).into(),
        Column { values, present: Some(present), repeated: Some(repeated) },
    ];
    writer.group(vectors.len(), columns)
}

/// Reads the vectors of a table, in their order, a row group at a time.
pub(super) struct Vectors<'a> {
    table: &'a TableReader,
    layers: &'a [LayerManifest],
    /// The only layer that is wanted.
    only: Option<usize>,
    /// The next row group.
    group: usize,
    /// The layer of the last row group.
    layer: usize,
    read: std::vec::IntoIter<ConceptVector>,
}

impl<'a> Vectors<'a> {
    /// Those of all layers, or of one.
    pub(super) fn new(table: &'a TableReader, layers: &'a [LayerManifest], only: Option<usize>) -> Self {
        Self { table, layers, only, group: 0, layer: 0, read: Vec::new().into_iter() }
    }

    fn advance(&mut self) -> std::result::Result<Option<(usize, ConceptVector)>, StoreError> {
        loop {
            if let Some(vector) = self.read.next() {
                return Ok(Some((self.layer, vector)));
            }
            if self.group >= self.table.groups() {
                return Ok(None);
            }
            let group = self.group;
            self.group += 1;
            let wanted = self.only.and_then(|layer| self.layers.get(layer));
            if wanted.is_none_or(|layer| self.table.may_hold_text(group, 0, &layer.name)) {
                self.read_group(group)?;
            }
        }
    }

    fn read_group(&mut self, group: usize) -> std::result::Result<(), StoreError> {
        let malformed = || StoreError::malformed(self.table.path(), "rows of vectors of the layers, in order");
        let (rows, columns) = self.table.group(group)?;
        let [names, samples, targets, relevance]: [Column; 4] = columns.try_into().map_err(|_| malformed())?;
        let (Values::Text(names), Values::Int64(samples), Values::Int32(targets)) =
            (names.values, samples.values, targets.values)
        else {
            return Err(malformed());
        };
        let numbers: Vec<f32> = match relevance.values {
            Values::Float(values) => values,
            Values::Bytes(values) => {
                let number =
                    |value: &FixedLenByteArray| Some(f16::from_le_bytes(value.data().try_into().ok()?).to_f32());
                values.iter().map(number).collect::<Option<_>>().ok_or_else(malformed)?
            }
            _ => return Err(malformed()),
        };
        let Some(name) = names.first() else { return Ok(()) };
        let later = self.layers.iter().enumerate().skip(self.layer);
        let layer = later.into_iter().find(|(_, layer)| layer.name.as_bytes() == name.data());
        let (layer, manifest) = layer.ok_or_else(malformed)?;
        let mut read: Vec<ConceptVector> = Vec::with_capacity(rows);
        let mut numbers = numbers.into_iter();
        for (present, repeated) in relevance.present.iter().flatten().zip(relevance.repeated.iter().flatten()) {
            if *repeated == 0 {
                let row = read.len();
                let sample = u64::try_from(samples[row]).map_err(|_| malformed())?;
                let follows = read.last().is_none_or(|last| last.sample <= sample);
                if !follows || names[row] != *name {
                    return Err(malformed());
                }
                read.push(ConceptVector { sample, target: targets[row] as u32, relevance: Vec::new() });
            }
            if *present != 0 {
                let number = numbers.next().ok_or_else(malformed)?;
                read.last_mut().ok_or_else(malformed)?.relevance.push(number);
            }
        }
        if read.iter().any(|vector| !vector.relevance.is_empty() && vector.relevance.len() != manifest.concepts) {
            return Err(malformed());
        }
        self.layer = layer;
        let wanted = self.only.is_none_or(|only| only == layer);
        self.read = if wanted { read } else { Vec::new() }.into_iter();
        Ok(())
    }
}

impl Iterator for Vectors<'_> {
    type Item = std::result::Result<(usize, ConceptVector), StoreError>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        let advanced = self.advance();
        if advanced.is_err() {
            self.group = usize::MAX;
            self.read = Vec::new().into_iter();
        }
        advanced.transpose()
    }
}
