//! The rules for products of two activations, written out.

use glocal::op::arithmetic::Product;
use glocal::op::matrix_product::MatrixProduct;
use glocal::op::{Absorbed, Budget, Op};
use glocal::rule::{Halves, Rule, SignalTakesAll, Stabilizer};
use glocal_compute::{CpuBackend, Rows, Tensor};

use crate::random::Random;

/// Sums of at most 6 products, a division and two products: each rounds once, relative to the sizes of the terms.
const ROUNDING: f64 = 12.0 * f32::EPSILON as f64;

/// Denominators of which single precision leaves enough digits: at most that many times as large are their terms.
const WORST_CANCELLATION: f64 = 30.0;

#[test]
fn halves_of_a_matrix_product_equal_the_equation() {
    let backend = CpuBackend::new();
    let mut compared = 0;
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let (rows, depth, columns) = (random.within(1, 4), random.within(1, 6), random.within(1, 4));
        let a = random.tensor(&[1, 1, rows, depth]);
        let b = random.tensor(&[1, 1, depth, columns]);
        let stabilizer = Stabilizer::from(random.pick(&[1e-6, 0.25]));
        let z = MatrixProduct.forward(&backend, &[&a, &b]).unwrap();
        let mut r = random.tensor(z.shape());
        let at = |x: &Tensor, row: usize, column: usize, width: usize| f64::from(x.data()[row * width + column]);
        let mut expected = [vec![0.0; rows * depth], vec![0.0; depth * columns]];
        let mut bounds = expected.clone();
        for row in 0..rows {
            for column in 0..columns {
                let terms = |k: usize| at(&a, row, k, depth) * at(&b, k, column, columns);
                let exact: f64 = (0..depth).map(terms).sum();
                let sizes: f64 = (0..depth).map(|k| terms(k).abs()).sum();
                if sizes > WORST_CANCELLATION * exact.abs() {
                    r.data_mut()[row * columns + column] = 0.0;
                    continue;
                }
                compared += 1;
                let stabilized = exact + f64::from(stabilizer.epsilon) * if exact < 0.0 { -1.0 } else { 1.0 };
                let ratio = 0.5 * at(&r, row, column, columns) / stabilized;
                for k in 0..depth {
                    let share = terms(k) * ratio;
                    let bound = share.abs() * (1.0 + sizes / stabilized.abs());
                    for (factor, index) in [row * depth + k, k * columns + column].into_iter().enumerate() {
                        expected[factor][index] += share;
                        bounds[factor][index] += bound;
                    }
                }
            }
        }
        let prepared = Halves { stabilizer }.prepare(&backend, &MatrixProduct, &[&a, &b], &z).unwrap();
        let ours = prepared.propagate(&backend, r.clone(), &Rows::identity(1)).unwrap();
        for factor in 0..2 {
            let pairs = ours[factor].data().iter().zip(&expected[factor]).zip(&bounds[factor]);
            for ((&ours, &expected), &bound) in pairs {
                let off = (f64::from(ours) - expected).abs();
                assert!(off <= ROUNDING * bound, "seed {seed}, factor {factor}: {ours} instead of {expected}");
            }
        }
    }
    assert!(compared > 500, "only {compared} outputs");
}

/// A map `[2, 3]` times one number for each of its rows.
fn scaled_rows() -> (Tensor, Tensor, Tensor) {
    let signal = Tensor::new([1, 2, 3], vec![1.0, -2.0, 0.0, 4.0, 5.0, -6.0]).unwrap();
    let gate = Tensor::new([1, 2, 1], vec![0.5, 0.25]).unwrap();
    let relevance = Tensor::new([1, 2, 3], vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0]).unwrap();
    (signal, gate, relevance)
}

#[test]
fn both_factors_of_a_product_get_half() {
    let backend = CpuBackend::new();
    let (signal, gate, relevance) = scaled_rows();
    let z = Product.forward(&backend, &[&signal, &gate]).unwrap();
    let prepared = Halves::default().prepare(&backend, &Product, &[&signal, &gate], &z).unwrap();
    let handed = prepared.propagate(&backend, relevance.clone(), &Rows::identity(1)).unwrap();
    assert_eq!(handed[0].data(), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]);
    assert_eq!((handed[1].data(), handed[1].shape()), (&[3.5, 28.0][..], &[1, 2, 1][..]));
    assert_eq!(prepared.account(&backend, &relevance, &Rows::identity(1)).unwrap(), Budget::Kept);
}

#[test]
fn a_gate_gets_nothing() {
    let backend = CpuBackend::new();
    let (signal, gate, relevance) = scaled_rows();
    let z = Product.forward(&backend, &[&gate, &signal]).unwrap();
    let rule = SignalTakesAll { signal: 1 };
    let prepared = rule.prepare(&backend, &Product, &[&gate, &signal], &z).unwrap();
    let handed = prepared.propagate(&backend, relevance.clone(), &Rows::identity(1)).unwrap();
    assert_eq!((handed[0].data(), handed[0].shape()), (&[0.0, 0.0][..], &[1, 2, 1][..]));
    assert_eq!(handed[1].data(), relevance.data());
    assert_eq!(prepared.account(&backend, &relevance, &Rows::identity(1)).unwrap(), Budget::Kept);
    assert!(SignalTakesAll { signal: 2 }.accepts(&Product, &[&[1, 2], &[1, 2]], &[1, 2]).is_err());
    assert!(rule.accepts(&MatrixProduct, &[&[2, 2], &[2, 2]], &[2, 2]).is_err());
}

/// What a matrix product's halves keep is what the stabilizer took.
#[test]
fn halves_of_a_matrix_product_are_accounted_for() {
    let backend = CpuBackend::new();
    let mut random = Random::new(3);
    let (a, b) = (random.tensor(&[2, 3, 4]), random.tensor(&[2, 4, 5]));
    let z = MatrixProduct.forward(&backend, &[&a, &b]).unwrap();
    let relevance = random.tensor(z.shape());
    let rule = Halves { stabilizer: Stabilizer::from(0.5) };
    let prepared = rule.prepare(&backend, &MatrixProduct, &[&a, &b], &z).unwrap();
    let handed = prepared.propagate(&backend, relevance.clone(), &Rows::identity(2)).unwrap();
    let Budget::Absorbed(Absorbed { bias, stabilizer, definition }) =
        prepared.account(&backend, &relevance, &Rows::identity(2)).unwrap()
    else {
        panic!("no account")
    };
    let sum = |x: &Tensor| x.data().iter().map(|&value| f64::from(value)).sum::<f64>();
    let kept = sum(&relevance) - sum(&handed[0]) - sum(&handed[1]);
    assert_eq!((bias, definition), (0.0, 0.0));
    assert!((kept - stabilizer).abs() < 1e-5 && stabilizer.abs() > 1e-3, "{kept} and {stabilizer}");
}
