//! Every op's vector-Jacobian product against differences of its own values, at random inputs of random shapes.
//!
//! The values themselves are compared with onnxruntime (`tests/import`, `tools/models/random_ops.py`); affine ops with
//! changed weights, which are what rules are made of, with their matrices (`tests/dense`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cases;
#[path = "../dense/random.rs"]
#[allow(dead_code, reason = "shared with the properties, which use more of it")]
mod random;

use cases::{Case, cases};
use glocal_compute::{Backend, CpuBackend, Rows, Tensor};
use random::Random;

/// How far inputs are moved. Powers of two add no rounding of their own.
const STEP: f32 = 1.0 / 256.0;

/// A central difference is off by `STEP² · f‴ / 6` (third derivatives of these functions are at most about 60 at inputs of
/// size 1) and by the rounding of values divided by the step: some 8 roundings of a sum, times 256. Relative to the sizes of the terms.
const DIFFERENCE: f64 = 60.0 / (6.0 * 256.0 * 256.0) + 8.0 * 256.0 * f32::EPSILON as f64;

/// The seeds of each op's shapes and inputs.
const SEEDS: u64 = 24;

fn moved(x: &Tensor, direction: &Tensor, step: f32) -> Tensor {
    let data = x.data().iter().zip(direction.data()).map(|(x, d)| x + step * d).collect();
    Tensor::new(x.shape(), data).unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.data().iter().zip(b.data()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn size(a: &Tensor, b: &Tensor) -> f64 {
    a.data().iter().zip(b.data()).map(|(&a, &b)| (f64::from(a) * f64::from(b)).abs()).sum()
}

/// What is wrong with the way back through `case`: `⟨Jᵀr, d⟩` and `⟨r, (f(x + hd) − f(x − hd)) / 2h⟩` must be the same.
fn difference(case: &Case, random: &mut Random) -> Option<String> {
    let backend = CpuBackend::new();
    let inputs: Vec<&Tensor> = case.inputs.iter().collect();
    let output = case.op.forward(&backend, &inputs).unwrap();
    let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.sample_shape()).collect();
    assert_eq!(case.op.infer_shape(&shapes).unwrap(), output.sample_shape(), "{}", case.name);
    // Two relevances for each sample, the last sample first.
    let samples = output.batch();
    let rows: Vec<usize> = (0..samples).rev().chain(0..samples).collect();
    let r = random.tensor(&[&[rows.len()], output.sample_shape()].concat());
    let back = case.op.linearize(&backend, &inputs, &output).unwrap();
    let back = back.propagate(&backend, r.clone(), &Rows::new(rows.as_slice())).unwrap();
    assert_eq!(back.len(), inputs.len(), "{}", case.name);
    for (index, (input, back)) in inputs.iter().zip(&back).enumerate() {
        let direction = random.tensor(input.shape());
        let at = |step: f32| {
            let moved = moved(input, &direction, step);
            let mut inputs = inputs.clone();
            inputs[index] = &moved;
            case.op.forward(&backend, &inputs).unwrap()
        };
        let (ahead, behind) = (at(STEP), at(-STEP));
        let slope = ahead.data().iter().zip(behind.data()).map(|(a, b)| (a - b) / (2.0 * STEP)).collect();
        let slope = Tensor::new(output.shape(), slope).unwrap();
        let gathered = |x: &Tensor| backend.gather_rows(x, &Rows::new(rows.as_slice())).unwrap();
        let (forward, backward) = (dot(&r, &gathered(&slope)), dot(back, &gathered(&direction)));
        let sizes = size(&r, &gathered(&slope)) + size(back, &gathered(&direction)) + size(&r, &gathered(&output));
        let off = (forward - backward).abs();
        if off.is_nan() || off > DIFFERENCE * sizes {
            return Some(format!(
                "input {index}: {backward} instead of {forward}, {:e} off is allowed",
                DIFFERENCE * sizes
            ));
        }
    }
    None
}

#[test]
fn the_way_back_is_the_derivative() {
    let mut failures = Vec::new();
    let mut checked = 0;
    for seed in 0..SEEDS {
        for case in cases(seed) {
            checked += 1;
            let mut random = Random::new(seed + 7_000_000);
            let found = difference(&case, &mut random);
            failures.extend(found.map(|what| format!("seed {seed}, {}: {what}", case.name)));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(checked >= 40 * SEEDS as usize, "only {checked} cases");
}

/// Rows know nothing of each other, whatever the op: a sample alone gives what it gives in a batch.
#[test]
fn samples_do_not_see_each_other() {
    let backend = CpuBackend::new();
    for seed in 0..4 {
        for case in cases(seed) {
            let inputs: Vec<&Tensor> = case.inputs.iter().collect();
            let all = case.op.forward(&backend, &inputs).unwrap();
            for sample in 0..all.batch() {
                let row = |x: &Tensor| Tensor::new([&[1], x.sample_shape()].concat(), x.row(sample).to_vec()).unwrap();
                let rows: Vec<Tensor> = inputs.iter().map(|input| row(input)).collect();
                let alone = case.op.forward(&backend, &rows.iter().collect::<Vec<_>>()).unwrap();
                assert_eq!(alone.data(), all.row(sample), "seed {seed}, {}", case.name);
            }
        }
    }
}
