//! Runs ONNX models forward, as read and canonized, so that other programs can be compared with.
//!
//! ```text
//! forward MODEL.onnx INPUT.safetensors OUTPUT.safetensors
//! forward LIST.txt
//! ```
//!
//! INPUT holds one tensor `[N, ...]`. OUTPUT gets, for each output of the model, its value under its name and that of the
//! canonized model under `canonized/NAME`. LIST holds these three paths a line, separated by tabs. A model that fails
//! is a line `MODEL<tab>ERROR` on standard output, and the exit code is then 2; the others are run all the same.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use glocal::{ImportOptions, Model, canonize};
use glocal_compute::{CpuBackend, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView, serialize_to_file};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let lines = match arguments.as_slice() {
        [list] => match std::fs::read_to_string(list) {
            Ok(text) => text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect(),
            Err(error) => {
                eprintln!("{list}: {error}");
                return ExitCode::from(2);
            }
        },
        _ => vec![arguments],
    };
    let mut failed = false;
    for line in &lines {
        let [model, input, output] = line.as_slice() else {
            eprintln!("expected MODEL INPUT OUTPUT, or the path of a list of them; got {line:?}");
            return ExitCode::from(2);
        };
        if let Err(error) = forward(model.as_ref(), input.as_ref(), output.as_ref()) {
            println!("{model}\t{}", told(error.as_ref()));
            failed = true;
        }
    }
    if failed { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn forward(model: &Path, input: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let input = read(input)?;
    let mut values = Vec::new();
    let names: Vec<String> =
        glocal_onnx::Model::read(model)?.graph.outputs.into_iter().map(|value| value.name).collect();
    for name in names {
        let options = ImportOptions { output: Some(name.clone()), ..ImportOptions::default() };
        let read = Model::from_onnx(glocal_onnx::Model::read(model)?, &options, Arc::new(CpuBackend::new()))?;
        let canonized = canonize(&read)?;
        values.push((format!("canonized/{name}"), value(&canonized, &input)?));
        values.push((name, value(&read, &input)?));
    }
    let bytes: Vec<Vec<u8>> =
        values.iter().map(|(_, value)| value.data().iter().flat_map(|number| number.to_le_bytes()).collect()).collect();
    let views = values
        .iter()
        .zip(&bytes)
        .map(|((name, value), bytes)| Ok((name, TensorView::new(Dtype::F32, value.shape().to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    Ok(serialize_to_file(views, None, output)?)
}

/// The value of a model's output.
fn value(model: &Model, input: &Tensor) -> Result<Tensor, Box<dyn Error>> {
    Ok(model.run(input)?.swap_remove(model.output().index()))
}

fn read(path: &Path) -> Result<Tensor, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let [(_, view)] = file.tensors().try_into().map_err(|_| format!("{} holds not one tensor", path.display()))?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("{} holds {:?}, expected f32", path.display(), view.dtype()).into());
    }
    let (numbers, _) = view.data().as_chunks();
    Ok(Tensor::new(view.shape(), numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())?)
}

/// An error and its causes on one line.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text.replace('\n', " ")
}
