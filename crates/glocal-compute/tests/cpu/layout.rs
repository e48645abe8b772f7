//! Operations that move elements, and their adjoints.

use glocal_compute::backend::PadMode;
use glocal_compute::{Backend, CpuBackend, SliceRange, Tensor};

use crate::naive::{dot, flat, indices};
use crate::random::Random;

/// ⟨f(x), r⟩ = ⟨x, fᵀ(r)⟩ up to the rounding of `f32` sums of few elements.
fn assert_adjoint(x: &Tensor, out: &Tensor, r: &Tensor, gradient: &Tensor, context: &dyn std::fmt::Debug) {
    let ((forward, first), (backward, second)) = (dot(out, r), dot(x, gradient));
    let tolerance = f64::from(f32::EPSILON) * 16.0 * (first + second);
    assert!((forward - backward).abs() <= tolerance, "{forward} ≠ {backward}: {context:?}");
}

#[test]
fn transposes() {
    let backend = CpuBackend::new();
    let mut random = Random::new(50);
    for permutation in [&[0, 1, 2, 3][..], &[0, 2, 3, 1], &[0, 3, 1, 2], &[0, 1, 3, 2], &[0, 3, 2, 1], &[0, 2, 1, 3]] {
        for case in 0..10 {
            let shape = if case == 0 { vec![2, 40, 35, 37] } else { random.several(4, 1, 6) };
            let x = random.tensor(&shape);
            let out = backend.transpose(&x, permutation).unwrap();
            let out_shape: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
            assert_eq!(out.shape(), out_shape);
            for (position, index) in indices(&out_shape).iter().enumerate() {
                let mut from = [0; 4];
                permutation.iter().zip(index).for_each(|(&axis, &index)| from[axis] = index);
                assert_eq!(out.data()[position], x.data()[flat(&shape, &from)], "{shape:?} by {permutation:?}");
            }
        }
    }
}

#[test]
fn slices_undo_concatenation() {
    let backend = CpuBackend::new();
    let mut random = Random::new(51);
    for axis in 1..4 {
        let mut shape = random.several(4, 1, 5);
        let sizes = [2, 0, 3, 1];
        let parts: Vec<Tensor> = sizes
            .iter()
            .map(|&size| {
                shape[axis] = size;
                random.tensor(&shape)
            })
            .collect();
        let joined = backend.concat(&parts.iter().collect::<Vec<_>>(), axis).unwrap();
        assert_eq!(joined.shape()[axis], 6);
        let mut start = 0;
        for part in &parts {
            let ranges: Vec<SliceRange> = (1..4)
                .map(|own| SliceRange { start: if own == axis { start } else { 0 }, step: 1, count: part.shape()[own] })
                .collect();
            assert_eq!(backend.slice(&joined, &ranges).unwrap(), *part);
            start += part.shape()[axis];
        }
    }
}

#[test]
fn slices_and_their_gradients() {
    let backend = CpuBackend::new();
    let mut random = Random::new(52);
    for _ in 0..200 {
        let rank = random.within(0, 3);
        let sample = random.several(rank, 1, 8);
        let ranges: Vec<SliceRange> = sample
            .iter()
            .map(|&size| {
                let (start, step) = (random.within(0, size - 1), random.within(1, 3));
                let (room, step) =
                    if random.flip() { (size - 1 - start, step as isize) } else { (start, -(step as isize)) };
                SliceRange { start, step, count: random.within(0, room / step.unsigned_abs() + 1) }
            })
            .collect();
        let x = random.tensor(&[&[2], &sample[..]].concat());
        let out = backend.slice(&x, &ranges).unwrap();
        let counts: Vec<usize> = ranges.iter().map(|range| range.count).collect();
        assert_eq!(out.shape(), [&[2], &counts[..]].concat());
        for (position, index) in indices(out.shape()).iter().enumerate() {
            let from = ranges
                .iter()
                .zip(&index[1..])
                .map(|(range, &index)| range.start.checked_add_signed(index as isize * range.step).unwrap());
            let from: Vec<usize> = [index[0]].into_iter().chain(from).collect();
            assert_eq!(out.data()[position], x.data()[flat(x.shape(), &from)], "{sample:?}, {ranges:?}");
        }
        let r = random.tensor(out.shape());
        let gradient = backend.slice_input_gradient(&r, &ranges, &sample).unwrap();
        assert_eq!(backend.slice(&gradient, &ranges).unwrap(), r);
        assert_adjoint(&x, &out, &r, &gradient, &(&sample, &ranges));
    }
}

#[test]
fn pads_of_one_line() {
    let backend = CpuBackend::new();
    let x = Tensor::new([1, 4], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    let table: [(PadMode, (isize, isize), &[f32]); 8] = [
        (PadMode::Constant(9.0), (1, 2), &[9.0, 1.0, 2.0, 3.0, 4.0, 9.0, 9.0]),
        (PadMode::Constant(9.0), (-1, -2), &[2.0]),
        (PadMode::Constant(9.0), (-2, 1), &[3.0, 4.0, 9.0]),
        (PadMode::Constant(9.0), (-4, 2), &[9.0, 9.0]),
        (PadMode::Edge, (2, 1), &[1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 4.0]),
        (PadMode::Edge, (-1, 2), &[2.0, 3.0, 4.0, 4.0, 4.0]),
        (PadMode::Reflect, (2, 3), &[3.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]),
        (PadMode::Reflect, (-1, 2), &[2.0, 3.0, 4.0, 3.0, 2.0]),
    ];
    for (mode, pads, expected) in table {
        assert_eq!(backend.pad(&x, &[pads], mode).unwrap().data(), expected, "{mode:?} by {pads:?}");
    }
    for (mode, pads) in [
        (PadMode::Reflect, (4, 0)),
        (PadMode::Edge, (-4, 1)),
        (PadMode::Constant(0.0), (-3, -2)),
        (PadMode::Constant(0.0), (isize::MAX, isize::MAX)),
        (PadMode::Constant(0.0), (isize::MIN, isize::MIN)),
    ] {
        assert!(backend.pad(&x, &[pads], mode).is_err(), "{mode:?} by {pads:?}");
    }
}

#[test]
fn pads_and_their_gradients() {
    let backend = CpuBackend::new();
    let mut random = Random::new(53);
    for case in 0..150 {
        let rank = random.within(0, 3);
        let sample = random.several(rank, 3, 7);
        let pads: Vec<(isize, isize)> =
            sample.iter().map(|_| (random.within(0, 3) as isize - 1, random.within(0, 3) as isize - 1)).collect();
        let mode = [PadMode::Constant(0.0), PadMode::Edge, PadMode::Reflect][case % 3];
        let x = random.tensor(&[&[2], &sample[..]].concat());
        let Ok(out) = backend.pad(&x, &pads, mode) else {
            assert_eq!(mode, PadMode::Reflect, "{sample:?} by {pads:?}");
            continue;
        };
        let r = random.tensor(out.shape());
        let gradient = backend.pad_input_gradient(&r, &pads, mode, &sample).unwrap();
        assert_eq!(gradient.shape(), x.shape());
        assert_adjoint(&x, &out, &r, &gradient, &(&sample, &pads, mode));
    }
}
