//! Runs an ONNX model forward on request, so that another program can time it by turns with its own.
//!
//! ```text
//! forward_speed MODEL.onnx BATCH
//! ```
//!
//! Reads and canonizes MODEL, then answers each line of standard input with the milliseconds that one forward pass of
//! BATCH samples took. `tools/kernels/models_versus_torch.py` speaks to it.

use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Instant;

use glocal::{ImportOptions, Model, canonize};
use glocal_compute::{CpuBackend, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, batch] = arguments.as_slice() else { return Err("expected MODEL.onnx BATCH".into()) };
    let read = glocal_onnx::Model::read(std::path::Path::new(path))?;
    let model = canonize(&Model::from_onnx(read, &ImportOptions::default(), Arc::new(CpuBackend::new()))?)?;
    let batch: usize = batch.parse()?;
    let shape = [&[batch], model.input_shape()].concat();
    let count = shape.iter().product::<usize>();
    let input = Tensor::new(shape, (0..count).map(|index| (index * 7919 % 2017) as f32 / 1008.0 - 1.0).collect())?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        let values = model.run(&input)?;
        println!("{}", start.elapsed().as_secs_f64() * 1e3);
        std::io::stdout().flush()?;
        drop(values);
    }
    Ok(())
}
