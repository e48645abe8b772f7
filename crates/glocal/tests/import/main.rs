//! Reading ONNX: the reference models, real exporters' files, one op at a time in several opsets, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod exporters;
mod graph;
mod meaning;
mod opsets;
mod oracle;
mod refusal;
#[path = "../goldens/support.rs"]
#[allow(dead_code, reason = "shared with the goldens, which use more of it")]
mod support;

use std::path::Path;

use glocal::model::Model;
use glocal_compute::Tensor;
use safetensors::SafeTensors;

/// A tensor of a safetensors file of floats.
fn tensor(file: &SafeTensors<'_>, name: &str) -> Tensor {
    let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let data = view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    Tensor::new(view.shape(), data).unwrap()
}

/// The value of a model's output for a batch.
fn output(model: &Model, x: &Tensor) -> Tensor {
    model.run(x).unwrap()[model.output().index()].clone()
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}
