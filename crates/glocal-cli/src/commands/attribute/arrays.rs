//! The arrays file: rows are written where they belong as they come, so that none are held in memory.
//!
//! The layout is settled by the number of rows and the model's shapes. What is not known before the end is whether any row
//! of a layer's relevance exists; where none does, what lies behind it is moved up. The header comes last, into room left for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use glocal::attribution::Attribution;
use glocal::model::Model;
use glocal_compute::Tensor;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::OutputFile;

/// The metadata entry that holds everything: several would be written in no fixed order.
const ENTRY: &str = "glocal";

/// How much is moved or filled at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// The arrays of a file, so far.
#[derive(Debug)]
pub struct Arrays {
    record: Vec<String>,
    file: File,
    output: OutputFile,
    metadata: String,
    /// The room of the header, its length included: where the first array starts.
    header: u64,
    columns: BTreeMap<String, Column>,
}

/// One array `[rows, ...]`.
#[derive(Debug)]
struct Column {
    shape: Vec<usize>,
    /// Where it starts behind the header.
    start: u64,
    /// The bytes of a row.
    row: u64,
    has_rows: bool,
}

impl Arrays {
    /// The file of the results of so many samples, `results` in all, with the layers `record`, those of them that
    /// conditions mask, and with `metadata` as JSON text.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn new(
        output: OutputFile,
        metadata: &Value,
        model: &Model,
        (record, masked): (&[String], &BTreeSet<String>),
        (samples, results): (usize, usize),
    ) -> Result<Self, Failure> {
        let input = model.input_shape();
        let heatmap = if input.len() > 1 { &input[1..] } else { input };
        let mut shapes = BTreeMap::from([
            ("prediction".to_owned(), (samples, model.output_shape().to_vec())),
            ("attribution".to_owned(), (results, input.to_vec())),
            ("heatmap".to_owned(), (results, heatmap.to_vec())),
        ]);
        for name in record {
            let shape = &model.graph().node(model.layer(name)?).shape;
            shapes.insert(format!("activation/{name}"), (samples, shape.clone()));
            shapes.insert(format!("relevance/{name}"), (results, shape.clone()));
            if masked.contains(name) {
                shapes.insert(format!("masked/{name}"), (results, shape.clone()));
            }
        }
        let mut columns = BTreeMap::new();
        let mut start = 0;
        for (name, (rows, shape)) in shapes {
            let row = (shape.iter().product::<usize>() * size_of::<f32>()) as u64;
            let shape = [&[rows], shape.as_slice()].concat();
            columns.insert(name, Column { shape, start, row, has_rows: false });
            start += row * rows as u64;
        }
        let open = || File::options().read(true).write(true).open(output.temporary());
        let file = open().map_err(|cause| output.failed(cause))?;
        let metadata = metadata.to_string();
        let mut arrays = Self { record: record.to_vec(), file, output, metadata, header: 0, columns };
        arrays.header = arrays.header_bytes(0).len() as u64;
        Ok(arrays)
    }

    /// Writes what belongs to samples alone: predictions and activations, `[N, ...]` each, from sample `first` on.
    ///
    /// # Errors
    /// When that fails.
    pub fn add_samples(
        &mut self,
        first: usize,
        prediction: &Tensor,
        activations: &BTreeMap<String, Tensor>,
    ) -> Result<(), Failure> {
        self.write("prediction", first, Some(prediction.data()))?;
        for name in self.record.clone() {
            if let Some(activation) = activations.get(&name) {
                self.write(&format!("activation/{name}"), first, Some(activation.data()))?;
            }
        }
        Ok(())
    }

    /// Writes a result into its row; NaN where it has none.
    ///
    /// # Errors
    /// When that fails.
    pub fn add(&mut self, row: usize, item: &Attribution) -> Result<(), Failure> {
        self.write("attribution", row, item.input.as_ref().map(Tensor::data))?;
        self.write("heatmap", row, item.heatmap().as_ref().map(Tensor::data))?;
        for name in self.record.clone() {
            self.write(&format!("relevance/{name}"), row, item.layers.get(&name).map(Tensor::data))?;
            self.write(&format!("masked/{name}"), row, item.masked.get(&name).map(Tensor::data))?;
        }
        Ok(())
    }

    /// Writes rows of an array, or one of NaN.
    fn write(&mut self, name: &str, row: usize, values: Option<&[f32]>) -> Result<(), Failure> {
        let Some(column) = self.columns.get_mut(name) else { return Ok(()) };
        column.has_rows |= values.is_some();
        let bytes: Vec<u8> = match values {
            Some(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            None => (0..column.row / size_of::<f32>() as u64).flat_map(|_| f32::NAN.to_le_bytes()).collect(),
        };
        let place = SeekFrom::Start(self.header + column.start + row as u64 * column.row);
        let written = self.file.seek(place).and_then(|_| self.file.write_all(&bytes));
        Ok(written.map_err(|cause| self.output.failed(cause))?)
    }

    /// Ends the file and puts it in its place.
    ///
    /// # Errors
    /// When that fails; nothing is left behind then.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.close().map_err(|cause| self.output.failed(cause))?;
        Ok(self.output.write_with(|_| Ok(()))?)
    }

    /// Moves arrays up over those without rows, and writes the header.
    fn close(&mut self) -> io::Result<()> {
        let missing: BTreeSet<String> =
            self.columns.iter().filter(|(_, column)| !column.has_rows).map(|(name, _)| name.clone()).collect();
        let mut end = 0;
        for column in self.columns.values_mut().filter(|column| column.has_rows) {
            let bytes = column.row * column.shape.first().map_or(0, |&rows| rows as u64);
            if column.start != end {
                moved(&mut self.file, self.header + column.start, self.header + end, bytes)?;
                column.start = end;
            }
            end += bytes;
        }
        self.columns.retain(|name, _| !missing.contains(name));
        self.file.set_len(self.header + end)?;
        let header = self.header_bytes(self.header);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.flush()
    }

    /// The header with its length in front, at least as long as said: spaces may follow it, and align what comes behind.
    fn header_bytes(&self, least: u64) -> Vec<u8> {
        let mut entries = Map::new();
        entries.insert("__metadata__".to_owned(), json!({ ENTRY: self.metadata }));
        for (name, Column { shape, start, row, .. }) in &self.columns {
            let end = start + row * shape.first().map_or(0, |&rows| rows as u64);
            entries.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
        }
        let mut text = Value::Object(entries).to_string().into_bytes();
        let length =
            text.len().next_multiple_of(size_of::<u64>()).max((least as usize).saturating_sub(size_of::<u64>()));
        text.resize(length, b' ');
        [(length as u64).to_le_bytes().as_slice(), &text].concat()
    }
}

/// Moves bytes of a file towards its start.
fn moved(file: &mut File, from: u64, to: u64, bytes: u64) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut done = 0;
    while done < bytes {
        let part = &mut block[..BLOCK_BYTES.min((bytes - done) as usize)];
        file.seek(SeekFrom::Start(from + done))?;
        file.read_exact(part)?;
        file.seek(SeekFrom::Start(to + done))?;
        file.write_all(part)?;
        done += part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use glocal_compute::CpuBackend;
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn missing_rows_are_nan_and_arrays_without_rows_are_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let graph = glocal::model::Graph::new("x", vec![2]);
        let input = graph.input();
        let model = Model::new(graph, input, std::sync::Arc::new(CpuBackend::new())).unwrap();
        let output = OutputFile::prepare(&path).unwrap();
        let mut arrays =
            Arrays::new(output, &json!({ "a": 1 }), &model, (&["x".to_owned()], &BTreeSet::new()), (1, 3)).unwrap();
        let x = Tensor::new([1, 2], vec![3.0, 4.0]).unwrap();
        arrays.add_samples(0, &x, &BTreeMap::new()).unwrap();
        let row = Tensor::new([2], vec![1.0, 2.0]).unwrap();
        for (index, row) in [None, Some(&row), None].into_iter().enumerate() {
            let layers = row.map(|row| ("x".to_owned(), row.clone())).into_iter().collect();
            arrays
                .add(index, &Attribution { sample: 0, condition: index, input: None, layers, masked: BTreeMap::new() })
                .unwrap();
        }
        assert!(!path.exists());
        arrays.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort();
        assert_eq!(names, ["prediction", "relevance/x"]);
        let values = |name: &str| {
            let array = file.tensor(name).unwrap();
            let chunks = array.data().chunks_exact(4);
            let values = chunks.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            values.map(|value| Some(value).filter(|value| !value.is_nan())).collect::<Vec<_>>()
        };
        assert_eq!(file.tensor("relevance/x").unwrap().shape(), [3, 2]);
        assert_eq!(values("relevance/x"), [None, None, Some(1.0), Some(2.0), None, None]);
        assert_eq!(values("prediction"), [Some(3.0), Some(4.0)]);
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["glocal"], r#"{"a":1}"#);
    }
}
