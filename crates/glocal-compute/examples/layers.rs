//! Runs single layers on request, so that another program can time them by turns with its own and compare results.
//!
//! Reads lines `DIRECTION N C H W K KERNEL STRIDE PAD GROUP [INPUT WEIGHT OUTPUT]` from standard input (`DIRECTION` is
//! `forward` or `gradient`, the input gradient; `C`, `H`, `W` are those of the layer's input, `K` its output channels) and answers
//! each with the milliseconds that the layer took, its weights being packed beforehand. A line that repeats the one
//! before runs the same packed layer again. INPUT and WEIGHT are files of little-endian `f32` in row-major order (without
//! them, numbers in −1..1); OUTPUT is written. `tools/kernels/versus_torch.py` speaks to it.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use glocal_compute::backend::{PackedWeight, WeightChange};
use glocal_compute::{Backend, ConvolutionGeometry, CpuBackend, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut last: Option<(String, Layer)> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (_, layer) = match last.take().filter(|(of, _)| *of == line) {
            Some(kept) => last.insert(kept),
            None => last.insert((line.clone(), Layer::read(&line)?)),
        };
        let start = Instant::now();
        let out = layer.run()?;
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        if let Some(path) = &layer.output {
            std::fs::write(path, out.data().iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())?;
        }
        println!("{milliseconds}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// A layer ready to run.
struct Layer {
    forward: bool,
    input: Tensor,
    weight: PackedWeight,
    input_spatial: [usize; 2],
    output: Option<String>,
}

impl Layer {
    fn read(line: &str) -> Result<Self, Box<dyn Error>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ([direction, sizes @ ..], files) = words.split_at_checked(10).ok_or("ten words or more are expected")?
        else {
            return Err("a direction is expected".into());
        };
        let sizes = sizes.iter().map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
        let &[batch, inputs, height, width, outputs, kernel, stride, pad, group] = sizes.as_slice() else {
            return Err("nine sizes are expected".into());
        };
        let geometry = ConvolutionGeometry {
            strides: vec![stride; 2],
            dilations: vec![1; 2],
            pads_begin: vec![pad; 2],
            pads_end: vec![pad; 2],
            group,
        };
        let input_spatial = [height, width];
        let out = geometry.output_spatial(&input_spatial, &[kernel; 2]).ok_or("the kernel does not fit")?;
        let forward = *direction == "forward";
        let shape = if forward { [batch, inputs, height, width] } else { [batch, outputs, out[0], out[1]] };
        let per_group = inputs.checked_div(group).ok_or("at least one group is expected")?;
        let weight_shape = [outputs, per_group, kernel, kernel];
        let (input, weight, output) = match files {
            [input, weight, output] => (load(input, &shape)?, load(weight, &weight_shape)?, Some((*output).to_owned())),
            _ => (numbers(&shape)?, numbers(&weight_shape)?, None),
        };
        let weight = CpuBackend::new().pack_convolution(&weight, WeightChange::None, &geometry)?;
        Ok(Self { forward, input, weight, input_spatial, output })
    }

    fn run(&self) -> Result<Tensor, Box<dyn Error>> {
        let backend = CpuBackend::new();
        Ok(if self.forward {
            backend.convolution(&self.input, &self.weight, None)?
        } else {
            backend.convolution_input_gradient(&self.input, &self.weight, &self.input_spatial)?
        })
    }
}

fn load(path: &str, shape: &[usize]) -> Result<Tensor, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let (numbers, _) = bytes.as_chunks();
    Ok(Tensor::new(shape, numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())?)
}

fn numbers(shape: &[usize]) -> Result<Tensor, Box<dyn Error>> {
    let count = shape.iter().product::<usize>();
    Ok(Tensor::new(shape, (0..count).map(|index| (index * 7919 % 2017) as f32 / 1008.0 - 1.0).collect())?)
}
