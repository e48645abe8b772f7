//! Functions of one and two numbers, rows, reductions.

use std::f32::consts::{FRAC_1_SQRT_2, LN_2, SQRT_2};

use glocal_compute::backend::{Map, Reduction, Zip};
use glocal_compute::{Backend, CpuBackend, Rows, Tensor};

use crate::naive::{self, Sum, assert_sums, flat, indices};
use crate::random::Random;

/// Tabulated values are correctly rounded, the standard library's functions nearly so; 1 − y magnifies the error of a
/// sigmoid or tanh y by up to 1 / (1 − y), which is 14 here.
const ROUNDINGS: f32 = 32.0 * f32::EPSILON;

fn vector(data: &[f32]) -> Tensor {
    Tensor::new([1, data.len()], data.to_vec()).unwrap()
}

fn assert_close(given: &Tensor, expected: &[f32], context: &dyn std::fmt::Debug) {
    assert_eq!(given.len(), expected.len());
    for (given, expected) in given.data().iter().zip(expected) {
        let close = (given - expected).abs() <= ROUNDINGS * expected.abs();
        assert!(
            close || given == expected || (given.is_nan() && expected.is_nan()),
            "{given} ≠ {expected}: {context:?}"
        );
    }
}

#[test]
fn maps_and_their_derivatives() {
    const NAN: f32 = f32::NAN;
    let x = [-2.0, -0.5, 0.0, 0.5, 2.0, NAN];
    let sigmoid = [0.119_202_92, 0.377_540_67, 0.5, 0.622_459_33, 0.880_797_1, NAN];
    let tanh = [-0.964_027_6, -0.462_117_16, 0.0, 0.462_117_16, 0.964_027_6, NAN];
    let exp = [0.135_335_28, 0.606_530_66, 1.0, 1.648_721_3, 7.389_056, NAN];
    // map, map(x), map'(x)
    let table: [(Map, [f32; 6], [f32; 6]); 16] = [
        (Map::Positive, [0.0, 0.0, 0.0, 0.5, 2.0, NAN], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        (Map::Negative, [-2.0, -0.5, 0.0, 0.0, 0.0, NAN], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
        (Map::Clip { low: -0.5, high: 0.5 }, [-0.5, -0.5, 0.0, 0.5, 0.5, NAN], [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]),
        (Map::LeakyRelu { slope: 0.25 }, [-0.5, -0.125, 0.0, 0.5, 2.0, NAN], [0.25, 0.25, 0.25, 1.0, 1.0, 0.25]),
        (Map::Sigmoid, sigmoid, sigmoid.map(|y| y * (1.0 - y))),
        (Map::Tanh, tanh, tanh.map(|y| 1.0 - y * y)),
        (Map::Exp, exp, exp),
        (Map::Logarithm, [NAN, NAN, f32::NEG_INFINITY, -LN_2, LN_2, NAN], [-0.5, -2.0, f32::INFINITY, 2.0, 0.5, NAN]),
        (Map::Absolute, [2.0, 0.5, 0.0, 0.5, 2.0, NAN], [-1.0, -1.0, 0.0, 1.0, 1.0, 0.0]),
        (Map::Square, [4.0, 0.25, 0.0, 0.25, 4.0, NAN], [-4.0, -1.0, 0.0, 1.0, 4.0, NAN]),
        (
            Map::SquareRoot,
            [NAN, NAN, 0.0, FRAC_1_SQRT_2, SQRT_2, NAN],
            [NAN, NAN, f32::INFINITY, FRAC_1_SQRT_2, 0.353_553_38, NAN],
        ),
        (Map::Affine { factor: 2.0, offset: 1.0 }, [-3.0, 0.0, 1.0, 2.0, 5.0, NAN], [2.0; 6]),
        (Map::Stabilize { epsilon: 0.25 }, [-2.25, -0.75, 0.25, 0.75, 2.25, NAN], [1.0; 6]),
        (Map::StabilizeClip { epsilon: 1.0 }, [-2.0, -1.0, 1.0, 1.0, 2.0, NAN], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        (Map::IsPositive, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0], [0.0; 6]),
        (Map::IsNegative, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0; 6]),
    ];
    let backend = CpuBackend::new();
    let x = vector(&x);
    let (r, doubled) = (vector(&[1.0; 12]), Rows::shared(2));
    for (map, value, derivative) in table {
        assert_close(&backend.map(&x, map).unwrap(), &value, &map);
        let gradient = backend.map_gradient(&r.reshape([2, 6]).unwrap(), &doubled, &x, map).unwrap();
        assert_close(&gradient, &[derivative, derivative].concat(), &map);
    }
    // The stabilizers' sign of both zeros is +1.
    let zeros = vector(&[0.0, -0.0]);
    for map in [Map::Stabilize { epsilon: 0.25 }, Map::StabilizeClip { epsilon: 0.25 }] {
        assert_eq!(backend.map(&zeros, map).unwrap().data(), [0.25, 0.25]);
    }
    // Bounds that cross are the definition's, not a panic.
    assert_eq!(backend.map(&zeros, Map::Clip { low: 2.0, high: 1.0 }).unwrap().data(), [1.0, 1.0]);
}

#[test]
fn large_tensors_are_mapped_whole() {
    let x = Random::new(40).tensor(&[3, 50_001]);
    let squared = CpuBackend::new().map(&x, Map::Square).unwrap();
    assert!(squared.data().iter().zip(x.data()).all(|(y, x)| *y == x * x));
}

/// The element of `tensor` that index `index` of a broadcast result shows.
fn broadcast(tensor: &Tensor, index: &[usize]) -> f32 {
    let own: Vec<usize> = index[index.len() - tensor.rank()..]
        .iter()
        .zip(tensor.shape())
        .map(|(&index, &size)| if size == 1 { 0 } else { index })
        .collect();
    tensor.data()[flat(tensor.shape(), &own)]
}

type Function = fn(f32, f32) -> f32;

#[test]
fn zips_broadcast_as_numpy_does() {
    let backend = CpuBackend::new();
    let mut random = Random::new(41);
    for _ in 0..200 {
        let rank = random.within(0, 4);
        let shape = random.several(rank, 1, 5);
        let mut operand = || {
            let skipped = random.within(0, shape.len());
            let own: Vec<usize> = shape[skipped..].iter().map(|&size| if random.flip() { size } else { 1 }).collect();
            random.tensor(&own)
        };
        let (a, b) = (operand(), operand());
        let rank = a.rank().max(b.rank());
        let size = |tensor: &Tensor, axis: usize| {
            (axis + tensor.rank()).checked_sub(rank).map_or(1, |axis| tensor.shape()[axis])
        };
        let shape: Vec<usize> = (0..rank).map(|axis| size(&a, axis).max(size(&b, axis))).collect();
        let functions: [(Zip, Function); 6] = [
            (Zip::Add, |a, b| a + b),
            (Zip::Subtract, |a, b| a - b),
            (Zip::Multiply, |a, b| a * b),
            (Zip::Divide, |a, b| a / b),
            (Zip::Maximum, f32::max),
            (Zip::Minimum, f32::min),
        ];
        for (zip, function) in functions {
            let out = backend.zip(&a, &b, zip).unwrap();
            let expected: Vec<f32> =
                indices(&shape).iter().map(|index| function(broadcast(&a, index), broadcast(&b, index))).collect();
            assert_eq!((out.shape(), out.data()), (&shape[..], &expected[..]), "{zip:?} of {a:?} and {b:?}");
        }
    }
    let (nan, one) = (vector(&[f32::NAN]), vector(&[1.0]));
    for zip in [Zip::Maximum, Zip::Minimum] {
        assert!(backend.zip(&nan, &one, zip).unwrap().data()[0].is_nan());
        assert!(backend.zip(&one, &nan, zip).unwrap().data()[0].is_nan());
    }
}

#[test]
fn large_zips_agree_with_small_ones() {
    let backend = CpuBackend::new();
    let mut random = Random::new(42);
    let x = random.tensor(&[3, 16, 40, 41]);
    for shape in [&[16, 1, 1][..], &[3, 1, 1, 1], &[1, 16, 1, 41], &[1], &[3, 16, 40, 41], &[40, 1]] {
        let other = random.tensor(shape);
        let out = backend.zip(&x, &other, Zip::Subtract).unwrap();
        let reversed = backend.zip(&other, &x, Zip::Subtract).unwrap();
        for (position, index) in indices(x.shape()).iter().enumerate() {
            let expected = x.data()[position] - broadcast(&other, index);
            assert_eq!(out.data()[position], expected);
            assert_eq!(reversed.data()[position], -expected);
        }
    }
}

#[test]
fn sum_to_is_the_adjoint_of_broadcasting() {
    let backend = CpuBackend::new();
    let mut random = Random::new(43);
    for _ in 0..100 {
        let batch = random.within(1, 3);
        let rank = random.within(0, 3);
        let shape = random.several(rank, 1, 5);
        let skipped = random.within(0, shape.len());
        let to: Vec<usize> = shape[skipped..].iter().map(|&size| if random.flip() { size } else { 1 }).collect();
        let x = random.tensor(&[&[batch], &shape[..]].concat());
        let out = backend.sum_to(&x, &to).unwrap();
        let mut expected = vec![Sum::default(); out.len()];
        for (position, index) in indices(x.shape()).iter().enumerate() {
            let own = index[1 + skipped..].iter().zip(&to).map(|(&index, &size)| if size == 1 { 0 } else { index });
            let own: Vec<usize> = [index[0]].into_iter().chain(own).collect();
            expected[flat(out.shape(), &own)].add(x.data()[position].into());
        }
        assert_eq!(out.shape(), [&[batch], &to[..]].concat());
        assert_sums(&out, &expected, &(&shape, &to));
    }
}

#[test]
fn rows_take_what_their_sample_has() {
    let backend = CpuBackend::new();
    let mut random = Random::new(44);
    // The second is large enough to be split over threads, inside rows.
    for sample in [&[2, 3][..], &[7, 33, 71], &[]] {
        let x = random.tensor(&[&[3], sample].concat());
        let samples = [2, 0, 2, 1, 1];
        let rows = Rows::new(samples);
        let r = random.tensor(&[&[5], sample].concat());
        let total = random.tensor(r.shape());
        let gathered: Vec<f32> = samples.iter().flat_map(|&sample| x.row(sample).to_vec()).collect();
        let apply = |function: fn(f32, f32, f32) -> f32| -> Vec<f32> {
            let pairs = total.data().iter().zip(r.data()).zip(&gathered);
            pairs.map(|((&total, &r), &x)| function(total, r, x)).collect()
        };
        assert_eq!(backend.gather_rows(&x, &rows).unwrap().data(), gathered);
        let all = backend.gather_rows(&x, &Rows::new([0, 1, 2])).unwrap();
        assert_eq!((all.data(), x.sharers()), (x.data(), 2), "all rows in their order are shared");
        let product = backend.multiply_rows(r.clone(), &rows, &x).unwrap();
        assert_eq!(product.data(), apply(|_, r, x| r * x));
        let alone = Tensor::new(r.shape(), r.data().to_vec()).unwrap();
        assert_eq!(backend.multiply_rows(alone, &rows, &x).unwrap().data(), product.data(), "in place");
        assert_eq!(backend.divide_rows(r.clone(), &rows, &x).unwrap().data(), apply(|_, r, x| r / x));
        let shared = total.clone();
        let sum = backend.add_multiplied_rows(shared, &r, &rows, &x).unwrap();
        assert_eq!(sum.data(), apply(|total, r, x| total + r * x));
    }
}

#[test]
fn adding_rows_writes_in_place() {
    let total = Tensor::zeros([2, 3]).unwrap();
    let before = total.data().as_ptr();
    let x = Tensor::full([2, 3], 1.0).unwrap();
    let sum = CpuBackend::new().add_multiplied_rows(total, &x, &Rows::identity(2), &x).unwrap();
    assert_eq!(sum.data().as_ptr(), before);
    assert_eq!(sum.data(), [1.0; 6]);
}

#[test]
fn reductions_agree_with_plain_loops() {
    let backend = CpuBackend::new();
    let mut random = Random::new(45);
    for case in 0..200 {
        let rank = random.within(1, 5);
        let mut shape = random.several(rank, 1, 6);
        if case == 0 {
            shape = vec![2, 3, 90, 91];
        }
        let axes: Vec<usize> = (1..shape.len()).filter(|_| random.flip()).collect();
        let x = random.tensor(&shape);
        let kept: Vec<usize> =
            shape.iter().enumerate().map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size }).collect();
        let mut sums = vec![Sum::default(); kept.iter().product()];
        let mut largest = vec![f32::NEG_INFINITY; sums.len()];
        for (position, index) in indices(&shape).iter().enumerate() {
            let own: Vec<usize> =
                index.iter().zip(&kept).map(|(&index, &size)| if size == 1 { 0 } else { index }).collect();
            let own = flat(&kept, &own);
            sums[own].add(x.data()[position].into());
            largest[own] = largest[own].max(x.data()[position]);
        }
        let count = (x.len() / sums.len()) as f64;
        let means: Vec<Sum> = sums.iter().map(|sum| sum.over(count)).collect();
        let context = (&shape, &axes);
        let sum = backend.reduce(&x, &axes, Reduction::Sum).unwrap();
        assert_eq!(sum.shape(), kept);
        assert_sums(&sum, &sums, &context);
        assert_sums(&backend.reduce(&x, &axes, Reduction::Mean).unwrap(), &means, &context);
        assert_eq!(backend.reduce(&x, &axes, Reduction::Maximum).unwrap().data(), largest, "{context:?}");
    }
    let nan = vector(&[1.0, f32::NAN, 2.0]);
    assert!(backend.reduce(&nan, &[1], Reduction::Maximum).unwrap().data()[0].is_nan());
    let empty = Tensor::zeros([2, 0, 3]).unwrap();
    assert_eq!(backend.reduce(&empty, &[1], Reduction::Sum).unwrap().data(), [0.0; 6]);
}

#[test]
fn softmax_agrees_with_plain_loops() {
    let backend = CpuBackend::new();
    let mut random = Random::new(46);
    for _ in 0..50 {
        let shape = random.several(4, 1, 6);
        let x = backend.map(&random.tensor(&shape), Map::Affine { factor: 20.0, offset: 100.0 }).unwrap();
        let axis = random.within(1, 3);
        let out = backend.softmax(&x, axis).unwrap();
        for (position, index) in indices(&shape).iter().enumerate() {
            let line = (0..shape[axis]).map(|along| {
                let mut index = index.clone();
                index[axis] = along;
                f64::from(x.data()[naive::flat(&shape, &index)])
            });
            let own = f64::from(x.data()[position]);
            let expected = 1.0 / line.map(|other| (other - own).exp()).sum::<f64>();
            let error = (f64::from(out.data()[position]) - expected).abs();
            // The difference to the largest, up to 40, is rounded before exp turns that into a relative error.
            assert!(error <= expected * 64.0 * f64::from(f32::EPSILON), "{shape:?}, axis {axis}");
        }
    }
}
