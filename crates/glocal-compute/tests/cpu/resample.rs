//! Axes made anew.

use glocal_compute::{Backend, CpuBackend, Resampling, Tensor};

use crate::naive::{Sum, assert_sums, dot, flat, indices};
use crate::random::Random;

fn random_resampling(random: &mut Random, from: usize) -> Resampling {
    let taps = (0..random.within(1, 6)).map(|_| {
        let count = random.within(0, 3);
        (0..count).map(|_| (random.within(0, from - 1), random.tensor(&[1]).data()[0])).collect()
    });
    Resampling::new(from, taps.collect::<Vec<_>>()).unwrap()
}

#[test]
fn elements_are_weighted_sums() {
    let backend = CpuBackend::new();
    let mut random = Random::new(61);
    for _ in 0..60 {
        let rank = random.within(2, 4);
        let shape = random.several(rank, 1, 5);
        let axis = random.within(1, rank - 1);
        let resampling = random_resampling(&mut random, shape[axis]);
        let x = random.tensor(&shape);
        let mut expected_shape = shape.clone();
        expected_shape[axis] = resampling.to();
        let of = |index: &Vec<usize>| {
            let mut sum = Sum::default();
            for &(element, weight) in resampling.taps(index[axis]) {
                let mut from = index.clone();
                from[axis] = element;
                sum.add(f64::from(weight) * f64::from(x.data()[flat(&shape, &from)]));
            }
            sum
        };
        let expected: Vec<Sum> = indices(&expected_shape).iter().map(of).collect();
        let out = backend.resample(&x, axis, &resampling).unwrap();
        assert_eq!(out.shape(), expected_shape);
        assert_sums(&out, &expected, &(&shape, axis, &resampling));

        // ⟨r, A x⟩ = ⟨Aᵀ r, x⟩
        let r = random.tensor(out.shape());
        let back = backend.resample(&r, axis, &resampling.transposed()).unwrap();
        let ((forward, size), (backward, _)) = (dot(&r, &out), dot(&back, &x));
        assert!((forward - backward).abs() <= 1e-5 * size.max(1e-3), "{forward} and {backward}");
    }
}

/// An element that is taken as it is stays what it is.
#[test]
fn infinities_stay_where_they_are() {
    let x = Tensor::new([1, 3], vec![1.0, f32::INFINITY, f32::NAN]).unwrap();
    let resampling = Resampling::choose(3, [1, 0, 1]).unwrap();
    let out = CpuBackend::new().resample(&x, 1, &resampling).unwrap();
    assert_eq!(out.data(), [f32::INFINITY, 1.0, f32::INFINITY]);
}

#[test]
fn other_axes_are_refused() {
    let backend = CpuBackend::new();
    let x = Tensor::zeros([2, 3]).unwrap();
    let resampling = Resampling::choose(3, [0]).unwrap();
    for axis in [0, 2] {
        assert!(backend.resample(&x, axis, &resampling).is_err());
    }
    assert!(backend.resample(&x, 1, &Resampling::choose(4, [0]).unwrap()).is_err());
}
