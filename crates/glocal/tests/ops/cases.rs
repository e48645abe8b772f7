//! One case of every op, at random inputs of a random shape.

use glocal::op::activation::{Activation, Identity};
use glocal::op::arithmetic::{AddConstant, MultiplyConstant, Product, Sum};
use glocal::op::batch_normalization::BatchNormalization;
use glocal::op::layout::{Concat, Pad, Reshape, Slice, Transpose};
use glocal::op::matrix_product::MatrixProduct;
use glocal::op::normalization::{Normalization, Statistic};
use glocal::op::p_relu::PRelu;
use glocal::op::pool::{AveragePool, MaxPool};
use glocal::op::reduce::{Fold, Reduce};
use glocal::op::resample::{Purpose, Resample};
use glocal::op::softmax::Softmax;
use glocal::op::{Op, OpKind};
use glocal_compute::backend::PadMode;
use glocal_compute::{PoolGeometry, Resampling, SliceRange, Tensor};

use crate::random::Random;

/// An op at some samples.
pub struct Case {
    pub name: String,
    pub op: Box<dyn Op>,
    /// `[N, ...]` each.
    pub inputs: Vec<Tensor>,
}

/// Inputs of size ¼ to 1, of both signs: kinks lie at 0 and are not straddled by a small step.
fn away_from_zero(random: &mut Random, shape: &[usize]) -> Tensor {
    let mut x = random.tensor(shape);
    x.data_mut().iter_mut().for_each(|value| *value = value.signum() * (0.25 + 0.75 * value.abs()));
    x
}

/// Inputs that are all different by more than any step: no maximum changes hands.
fn all_different(random: &mut Random, shape: &[usize]) -> Tensor {
    let mut x = Tensor::zeros(shape).unwrap();
    let count = x.len();
    let mut order: Vec<usize> = (0..count).collect();
    (1..count).rev().for_each(|index| order.swap(index, random.within(0, index)));
    x.data_mut().iter_mut().zip(order).for_each(|(value, rank)| *value = rank as f32 / 32.0 - 1.0);
    x
}

pub fn cases(seed: u64) -> Vec<Case> {
    let mut random = Random::new(seed);
    let sample = vec![random.within(1, 4), random.within(2, 5), random.within(2, 5)];
    let shape = [&[random.within(1, 3)], sample.as_slice()].concat();
    let random = &mut random;
    [activations(random, &shape), sums_and_products(random, &shape), folds(random, &shape), moves(random, &shape)]
        .into_iter()
        .chain([normalizations(random, &shape), pools(random, &shape)])
        .flatten()
        .collect()
}

fn one(op: impl Op + 'static, x: Tensor) -> Case {
    Case { name: format!("{op:?}"), op: Box::new(op), inputs: vec![x] }
}

fn activations(random: &mut Random, shape: &[usize]) -> Vec<Case> {
    let all = [
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.2 },
        // Its bounds are further from any input than a step.
        Activation::Clip { min: -2.0, max: 0.125 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Elu { alpha: 0.7 },
        Activation::Celu { alpha: 1.3 },
        Activation::Selu,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSwish,
        Activation::Silu,
        Activation::Erf,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Mish,
        Activation::Power { exponent: 2.0 },
        Activation::Power { exponent: 3.0 },
        Activation::Exp,
        Activation::Absolute,
    ];
    let positive = [
        Activation::Power { exponent: 0.5 },
        Activation::Power { exponent: -1.0 },
        Activation::Power { exponent: 1.7 },
        Activation::Logarithm,
    ];
    let mut cases: Vec<Case> = all.map(|op| one(op, away_from_zero(random, shape))).into();
    for op in positive {
        let mut x = away_from_zero(random, shape);
        x.data_mut().iter_mut().for_each(|value| *value = 0.5 + value.abs());
        cases.push(one(op, x));
    }
    cases.push(one(Identity, away_from_zero(random, shape)));
    let slope = random.tensor(&[&[1, shape[1]], vec![1; shape.len() - 2].as_slice()].concat());
    cases.push(one(PRelu { slope }, away_from_zero(random, shape)));
    let axis = random.within(1, shape.len() - 1);
    cases.push(one(Softmax { axis, log: false }, random.tensor(shape)));
    cases.push(one(Softmax { axis, log: true }, random.tensor(shape)));
    cases
}

fn sums_and_products(random: &mut Random, shape: &[usize]) -> Vec<Case> {
    let narrow = [&shape[..2], vec![1; shape.len() - 2].as_slice()].concat();
    let constant = |random: &mut Random| random.tensor(&[&[1], &shape[1..]].concat());
    let (rows, depth, columns) = (random.within(1, 4), random.within(1, 5), random.within(1, 4));
    let stack = |random: &mut Random, outer: usize, size: [usize; 2]| {
        random.tensor(&[&[shape[0], outer], size.as_slice()].concat())
    };
    let two =
        |name: &str, op: Box<dyn Op>, a: Tensor, b: Tensor| Case { name: name.to_owned(), op, inputs: vec![a, b] };
    vec![
        two("sum", Box::new(Sum { subtracted: vec![false, true] }), random.tensor(shape), random.tensor(&narrow)),
        two("product", Box::new(Product), random.tensor(shape), random.tensor(shape)),
        two("product with a narrow factor", Box::new(Product), random.tensor(&narrow), random.tensor(shape)),
        two(
            "product of matrices",
            Box::new(MatrixProduct),
            stack(random, 3, [rows, depth]),
            stack(random, 3, [depth, columns]),
        ),
        two(
            "product with one matrix for all",
            Box::new(MatrixProduct),
            stack(random, 1, [rows, depth]),
            stack(random, 3, [depth, columns]),
        ),
        one(Sum { subtracted: vec![true] }, random.tensor(shape)),
        one(AddConstant { constant: constant(random) }, random.tensor(shape)),
        one(MultiplyConstant { constant: constant(random) }, random.tensor(shape)),
    ]
}

fn folds(random: &mut Random, shape: &[usize]) -> Vec<Case> {
    let folds = [Fold::Sum, Fold::Mean];
    let mut cases: Vec<Case> = folds
        .into_iter()
        .map(|fold| {
            let axes = vec![random.within(1, shape.len() - 1)];
            one(Reduce { fold, axes, keep_axes: random.flip() }, random.tensor(shape))
        })
        .collect();
    let spatial = (2..shape.len()).collect();
    cases.push(one(Reduce { fold: Fold::GlobalAveragePool, axes: spatial, keep_axes: true }, random.tensor(shape)));
    cases
}

fn moves(random: &mut Random, shape: &[usize]) -> Vec<Case> {
    let sample = &shape[1..];
    let range = |random: &mut Random, &size: &usize| {
        let count = random.within(1, size);
        let start = random.within(0, size - count);
        if random.flip() {
            SliceRange { start, step: 1, count }
        } else {
            SliceRange { start: start + count - 1, step: -1, count }
        }
    };
    let ranges = sample.iter().map(|size| range(random, size)).collect();
    let pads = |random: &mut Random, most: usize| -> Vec<(isize, isize)> {
        sample.iter().map(|_| (random.within(0, most) as isize, random.within(0, most) as isize)).collect()
    };
    let mut inner_pads = pads(random, 1);
    // Mirroring needs more elements than it adds, and there may be one channel only.
    inner_pads[0] = (0, 0);
    let (axis, from) = (shape.len() - 1, sample[sample.len() - 1]);
    let mixed = (0..random.within(1, 7)).map(|_| {
        let weight = random.number();
        vec![(random.within(0, from - 1), weight), (random.within(0, from - 1), 1.0 - weight)]
    });
    let mixed = Resampling::new(from, mixed.collect::<Vec<_>>()).unwrap();
    let chosen: Vec<usize> = (0..4).map(|_| random.within(0, sample[0] - 1)).collect();
    let chosen = Resampling::choose(sample[0], chosen).unwrap();
    let axes = vec![(1, chosen.clone()), (axis, mixed)];
    let reversed: Vec<usize> = std::iter::once(0).chain((1..shape.len()).rev()).collect();
    vec![
        Case {
            name: "concat".to_owned(),
            op: Box::new(Concat { axis: 1 }),
            inputs: vec![random.tensor(shape), random.tensor(shape)],
        },
        one(Slice { ranges }, random.tensor(shape)),
        one(Pad { pads: pads(random, 2), mode: PadMode::Constant(0.5) }, random.tensor(shape)),
        one(Pad { pads: pads(random, 2), mode: PadMode::Edge }, random.tensor(shape)),
        one(Pad { pads: inner_pads, mode: PadMode::Reflect }, random.tensor(shape)),
        one(Reshape { shape: vec![sample.iter().product()] }, random.tensor(shape)),
        one(Transpose { permutation: reversed }, random.tensor(shape)),
        one(Resample { purpose: Purpose::Gather, axes: vec![(1, chosen)] }, random.tensor(shape)),
        one(Resample { purpose: Purpose::Resize, axes }, random.tensor(shape)),
    ]
}

fn normalizations(random: &mut Random, shape: &[usize]) -> Vec<Case> {
    let sample = shape[1..].to_vec();
    let channels = sample[0];
    let per_channel = |random: &mut Random| random.tensor(&[1, channels, 1, 1]);
    let like_input = |random: &mut Random| random.tensor(&[&[1], sample.as_slice()].concat());
    let positions = sample[1..].iter().product::<usize>();
    let trailing: Vec<usize> = (2..=sample.len()).collect();
    let standard = Statistic::Standard { epsilon: 0.25 };
    let batch = BatchNormalization { scale: random.tensor(&[channels]), shift: random.tensor(&[channels]) };
    let mut normalization = |kind, statistic, view: Vec<usize>, axes: Vec<usize>, scale, shift| {
        one(Normalization { kind, statistic, view, axes, scale, shift }, away_from_zero(random, shape))
    };
    let mut random = Random::new(channels as u64 + 99);
    let random = &mut random;
    let last = vec![sample.len()];
    vec![
        one(batch, Random::new(5).tensor(shape)),
        normalization(
            OpKind::LayerNormalization,
            standard,
            sample.clone(),
            trailing.clone(),
            Some(like_input(random)),
            Some(like_input(random)),
        ),
        normalization(
            OpKind::InstanceNormalization,
            standard,
            vec![channels, positions],
            vec![2],
            Some(per_channel(random)),
            Some(per_channel(random)),
        ),
        normalization(
            OpKind::GroupNormalization,
            standard,
            vec![1, channels * positions],
            vec![2],
            Some(per_channel(random)),
            None,
        ),
        normalization(
            OpKind::RmsNormalization,
            Statistic::RootMeanSquare { epsilon: 0.25 },
            sample.clone(),
            trailing,
            Some(like_input(random)),
            None,
        ),
        normalization(OpKind::LpNormalization, Statistic::SumOfSizes, sample.clone(), last.clone(), None, None),
        normalization(OpKind::LpNormalization, Statistic::Length, sample.clone(), last, None, None),
    ]
}

fn pools(random: &mut Random, shape: &[usize]) -> Vec<Case> {
    let geometry = PoolGeometry {
        kernel: vec![2, 2],
        strides: random.several(2, 1, 2),
        dilations: vec![1, 1],
        pads_begin: random.several(2, 0, 1),
        pads_end: random.several(2, 0, 1),
        ceil_mode: random.flip(),
    };
    let count_include_pad = random.flip();
    vec![
        one(MaxPool { geometry: geometry.clone() }, all_different(random, shape)),
        one(AveragePool { geometry, count_include_pad }, random.tensor(shape)),
    ]
}
