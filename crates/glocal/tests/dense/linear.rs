//! The Norm rule on ops without parameters, each written out as a matrix over all of its inputs.

use glocal::op::Op;
use glocal::op::arithmetic::Sum;
use glocal::op::pool::AveragePool;
use glocal::op::reduce::{Fold, Reduce};
use glocal::rule::{Norm, Rule, Stabilizer};
use glocal_compute::{CpuBackend, PoolGeometry, Rows, Tensor};

use crate::case::Matrix;
use crate::naive::{self, Term};
use crate::random::Random;

/// An op with the matrix that it is, over its inputs one after the other.
struct Linear {
    name: String,
    op: Box<dyn Op>,
    matrix: Matrix,
    shapes: Vec<Vec<usize>>,
}

fn linear(random: &mut Random) -> Vec<Linear> {
    let (channels, height, width) = (random.within(1, 3), random.within(3, 6), random.within(3, 6));
    vec![
        sum(random, channels, height, width),
        reduce(Fold::Mean, channels, height, width),
        reduce(Fold::GlobalAveragePool, channels, height, width),
        reduce(Fold::Sum, channels, height, width),
        average_pool(random, channels, height, width),
    ]
}

/// A sum of a full input, one that is broadcast over the positions, and another full one; any of them subtracted.
fn sum(random: &mut Random, channels: usize, height: usize, width: usize) -> Linear {
    let plane = height * width;
    let count = channels * plane;
    let subtracted: Vec<bool> = (0..3).map(|_| random.flip()).collect();
    let sign = |input: usize| if subtracted[input] { -1.0 } else { 1.0 };
    let connections = (0..count).flat_map(|index| {
        let spread = count + index / plane;
        [(index, index, sign(0)), (index, spread, sign(1)), (index, count + channels + index, sign(2))]
    });
    let full = vec![channels, height, width];
    Linear {
        name: format!("sum, subtracted {subtracted:?}"),
        matrix: Matrix {
            inputs: 2 * count + channels,
            outputs: count,
            connections: connections.collect(),
            bias: vec![0.0; count],
        },
        shapes: vec![full.clone(), vec![channels, 1, 1], full],
        op: Box::new(Sum { subtracted: subtracted.clone() }),
    }
}

fn reduce(fold: Fold, channels: usize, height: usize, width: usize) -> Linear {
    let plane = height * width;
    let weight = if fold == Fold::Sum { 1.0 } else { 1.0 / plane as f64 };
    let connections = (0..channels * plane).map(|index| (index / plane, index, weight));
    Linear {
        name: format!("{fold:?}"),
        matrix: Matrix {
            inputs: channels * plane,
            outputs: channels,
            connections: connections.collect(),
            bias: vec![0.0; channels],
        },
        shapes: vec![vec![channels, height, width]],
        op: Box::new(Reduce { fold, axes: vec![2, 3], keep_axes: true }),
    }
}

fn average_pool(random: &mut Random, channels: usize, height: usize, width: usize) -> Linear {
    let (kernel, strides) = (random.several(2, 2, 3), random.several(2, 1, 2));
    // Less than the kernel, so that no window lies in the padding alone.
    let (begin, end) = (random.several(2, 0, 1), random.several(2, 0, 1));
    let count_include_pad = random.flip();
    let geometry = PoolGeometry {
        kernel: kernel.clone(),
        strides: strides.clone(),
        dilations: vec![1, 1],
        pads_begin: begin.clone(),
        pads_end: end,
        ceil_mode: false,
    };
    let out = geometry.output_spatial(&[height, width]).unwrap();
    let mut connections = Vec::new();
    for output in 0..channels * out[0] * out[1] {
        let (channel, row, column) = (output / (out[0] * out[1]), output / out[1] % out[0], output % out[1]);
        let mut window = Vec::new();
        for tap in 0..kernel[0] * kernel[1] {
            let y = (row * strides[0] + tap / kernel[1]).checked_sub(begin[0]).filter(|y| *y < height);
            let x = (column * strides[1] + tap % kernel[1]).checked_sub(begin[1]).filter(|x| *x < width);
            if let (Some(y), Some(x)) = (y, x) {
                window.push((channel * height + y) * width + x);
            }
        }
        let divisor = if count_include_pad { kernel[0] * kernel[1] } else { window.len() };
        connections.extend(window.into_iter().map(|input| (output, input, 1.0 / divisor as f64)));
    }
    let outputs = channels * out[0] * out[1];
    Linear {
        name: format!("average pool {geometry:?}, padding counts: {count_include_pad}"),
        matrix: Matrix { inputs: channels * height * width, outputs, connections, bias: vec![0.0; outputs] },
        shapes: vec![vec![channels, height, width]],
        op: Box::new(AveragePool { geometry, count_include_pad }),
    }
}

#[test]
fn norm_equals_its_equation_on_ops_without_parameters() {
    let backend = CpuBackend::new();
    let mut failures = Vec::new();
    for seed in 0..40 {
        let mut random = Random::new(seed);
        for Linear { name, op, matrix, shapes } in linear(&mut random) {
            let stabilizer =
                Stabilizer { epsilon: random.pick(&[1e-6, 0.25]), clip: random.flip(), norm_scale: random.flip() };
            let naive_stabilizer = naive::Stabilizer::from(stabilizer);
            let inputs: Vec<Tensor> =
                shapes.iter().map(|shape| random.tensor(&[&[1], shape.as_slice()].concat())).collect();
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            let output = op.forward(&backend, &inputs).unwrap();
            let x = inputs.iter().flat_map(|input| input.data()).map(|&value| f64::from(value)).collect();
            let terms = [Term { x, weight: &|weight| weight, bias: None, times_x: true, sign: 1.0 }];
            let conditioned = matrix.well_conditioned(&matrix.denominators(&terms), naive_stabilizer);
            let mut relevance = random.tensor(output.shape());
            for (value, fits) in relevance.data_mut().iter_mut().zip(&conditioned) {
                *value = if *fits { *value } else { 0.0 };
            }
            let prepared = Norm { stabilizer }.prepare(&backend, op.as_ref(), &inputs, &output).unwrap();
            let handed = prepared.propagate(&backend, relevance.clone(), &Rows::identity(1)).unwrap();
            let ours: Vec<f32> = handed.into_iter().flat_map(Tensor::into_data).collect();
            let given: Vec<f64> = relevance.data().iter().map(|&value| f64::from(value)).collect();
            let expected = matrix.hand_down(&terms, naive_stabilizer, (1.0, &conditioned), &given);
            assert_eq!(ours.len(), expected.values.len(), "{name}");
            failures
                .extend(crate::differ(&matrix, &ours, &expected).map(|what| format!("case {seed}, {name}: {what}")));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
