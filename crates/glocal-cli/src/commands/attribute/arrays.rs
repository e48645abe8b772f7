//! The arrays file: rows are collected as they come and written at the end.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;

use glocal::attribution::Attributions;
use glocal_compute::Tensor;
use safetensors::{Dtype, View};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::OutputFile;

/// The metadata entry that holds everything: several would be written in no fixed order.
const ENTRY: &str = "glocal";

/// The arrays of a file, so far.
#[derive(Debug)]
pub struct Arrays {
    record: Vec<String>,
    columns: BTreeMap<String, Column>,
}

/// One array `[rows, ...]`.
#[derive(Debug, Default)]
struct Column {
    /// Of one row; unknown as long as all rows are missing.
    shape: Option<Vec<usize>>,
    values: Vec<f32>,
    rows: usize,
}

impl Arrays {
    /// No rows yet; the layers `record` will have some.
    pub fn new(record: &[String]) -> Self {
        Self { record: record.to_vec(), columns: BTreeMap::new() }
    }

    /// Adds results; what belongs to samples alone only if these samples come for the first time.
    pub fn add(&mut self, found: &Attributions, new_samples: bool) {
        if new_samples {
            self.column("prediction").extend(&found.prediction);
            for name in self.record.clone() {
                if let Some(activation) = found.activations.get(&name) {
                    self.column(&format!("activation/{name}")).extend(activation);
                }
            }
        }
        for item in &found.items {
            let heatmap = item.heatmap();
            self.column("attribution").push(item.input.as_ref());
            self.column("heatmap").push(heatmap.as_ref());
            for name in self.record.clone() {
                self.column(&format!("relevance/{name}")).push(item.layers.get(&name));
            }
        }
    }

    fn column(&mut self, name: &str) -> &mut Column {
        self.columns.entry(name.to_owned()).or_default()
    }

    /// Writes the file, with `metadata` as JSON text.
    pub fn write(self, output: OutputFile, metadata: &Value) -> Result<(), Failure> {
        let columns = self.columns.into_iter().filter_map(|(name, column)| Some((name, column.finish()?)));
        let information = HashMap::from([(ENTRY.to_owned(), metadata.to_string())]);
        let write = |path: &std::path::Path| {
            safetensors::serialize_to_file(columns, Some(information), path).map_err(io::Error::other)
        };
        Ok(output.write_with(write)?)
    }
}

impl Column {
    /// Adds a row, NaN where there is none.
    fn push(&mut self, row: Option<&Tensor>) {
        self.rows += 1;
        match row {
            Some(row) => {
                self.learn(row.shape(), self.rows - 1);
                self.values.extend_from_slice(row.data());
            }
            None => {
                let missing = self.shape.as_ref().map_or(0, |shape| shape.iter().product());
                self.values.extend(std::iter::repeat_n(f32::NAN, missing));
            }
        }
    }

    /// Adds all rows of a batch.
    fn extend(&mut self, batch: &Tensor) {
        self.learn(batch.sample_shape(), self.rows);
        self.rows += batch.batch();
        self.values.extend_from_slice(batch.data());
    }

    /// Takes note of the shape of rows, and fills in the `missing` ones before the first that has one.
    fn learn(&mut self, shape: &[usize], missing: usize) {
        if self.shape.is_none() {
            self.shape = Some(shape.to_vec());
            self.values.resize(missing * shape.iter().product::<usize>(), f32::NAN);
        }
    }

    /// The whole array; `None` when every row is missing.
    fn finish(self) -> Option<Array> {
        Some(Array { shape: [&[self.rows], self.shape?.as_slice()].concat(), values: self.values })
    }
}

/// A whole array, turned into bytes only when it is written.
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl View for Array {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rows_are_nan_and_columns_without_rows_are_absent() {
        let row = Tensor::new([2], vec![1.0, 2.0]).unwrap();
        let mut column = Column::default();
        for row in [None, Some(&row), None] {
            column.push(row);
        }
        let array = column.finish().unwrap();
        assert_eq!(array.shape, [3, 2]);
        let filled: Vec<Option<f32>> = array.values.iter().map(|value| Some(*value).filter(|v| !v.is_nan())).collect();
        assert_eq!(filled, [None, None, Some(1.0), Some(2.0), None, None]);
        let mut nothing = Column::default();
        nothing.push(None);
        assert!(nothing.finish().is_none());
    }
}
