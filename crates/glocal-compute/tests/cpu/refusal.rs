//! Operands that do not fit are errors, whatever they are.

use std::sync::Arc;

use glocal_compute::backend::{Map, PackedWeight, PadMode, Reduction, WeightChange, Winners, Zip};
use glocal_compute::{
    Backend, ComputeErrorKind, ConvolutionGeometry, CpuBackend, PoolGeometry, Rows, SliceRange, Tensor,
};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape).unwrap()
}

fn convolution_geometry(rank: usize) -> ConvolutionGeometry {
    ConvolutionGeometry {
        strides: vec![1; rank],
        dilations: vec![1; rank],
        pads_begin: vec![0; rank],
        pads_end: vec![0; rank],
        group: 1,
    }
}

fn pool_geometry(rank: usize) -> PoolGeometry {
    PoolGeometry {
        kernel: vec![2; rank],
        strides: vec![1; rank],
        dilations: vec![1; rank],
        pads_begin: vec![0; rank],
        pads_end: vec![0; rank],
        ceil_mode: false,
    }
}

fn packed(weight: &[usize]) -> PackedWeight {
    CpuBackend::new()
        .pack_convolution(&zeros(weight), WeightChange::None, &convolution_geometry(weight.len() - 2))
        .unwrap()
}

#[test]
fn convolution_weights() {
    let backend = CpuBackend::new();
    let refused = |shape: &[usize], change: fn(&mut ConvolutionGeometry)| {
        let mut geometry = convolution_geometry(shape.len().saturating_sub(2));
        change(&mut geometry);
        let result = backend.pack_convolution(&zeros(shape), WeightChange::None, &geometry);
        assert!(result.is_err(), "{shape:?} with {geometry:?}");
    };
    for shape in [&[][..], &[4], &[4, 3], &[4, 3, 1, 1, 1, 1], &[0, 3, 3, 3], &[4, 0, 3, 3], &[4, 3, 0, 3]] {
        refused(shape, |_| ());
    }
    refused(&[4, 3, 3, 3], |geometry| geometry.strides = vec![1]);
    refused(&[4, 3, 3, 3], |geometry| geometry.strides = vec![0, 1]);
    refused(&[4, 3, 3, 3], |geometry| geometry.dilations = vec![1, 0]);
    refused(&[4, 3, 3, 3], |geometry| geometry.pads_begin = vec![0, usize::MAX]);
    refused(&[4, 3, 3, 3], |geometry| geometry.pads_end = vec![]);
    refused(&[4, 3, 3, 3], |geometry| geometry.group = 0);
    refused(&[4, 3, 3, 3], |geometry| geometry.group = 3);
}

#[test]
fn convolution_operands() {
    let backend = CpuBackend::new();
    let weight = packed(&[4, 3, 3, 3]);
    for shape in [&[][..], &[2], &[2, 3, 8], &[2, 4, 8, 8], &[2, 3, 2, 8], &[2, 3, 0, 8], &[2, 3, 8, 8, 8]] {
        assert!(backend.convolution(&zeros(shape), &weight, None).is_err(), "{shape:?}");
    }
    let x = zeros(&[2, 3, 8, 8]);
    for bias in [&[3][..], &[4, 1], &[]] {
        assert!(backend.convolution(&x, &weight, Some(&zeros(bias))).is_err(), "bias {bias:?}");
    }
    let r = zeros(&[2, 4, 6, 6]);
    for spatial in [&[][..], &[8], &[8, 9], &[0, 8], &[8, 8, 8], &[usize::MAX, usize::MAX]] {
        assert!(backend.convolution_input_gradient(&r, &weight, spatial).is_err(), "{spatial:?}");
    }
    assert!(backend.convolution_input_gradient(&zeros(&[2, 3, 6, 6]), &weight, &[8, 8]).is_err());
    let error = backend.convolution(&zeros(&[2, 4, 8, 8]), &weight, None).unwrap_err();
    let expected = ComputeErrorKind::ShapeMismatch { expected: vec![2, 3, 8, 8], given: vec![2, 4, 8, 8] };
    assert_eq!(error.kind(), &expected);
}

#[test]
fn windows_that_reach_beyond_all_memory() {
    const FAR: usize = 1 << 24;
    let backend = CpuBackend::new();
    for (weight, inputs) in [(&[4, 3, 3, 3], 3), (&[2, 1, 3, 3], 2)] {
        let mut geometry = convolution_geometry(2);
        (geometry.strides, geometry.pads_begin, geometry.pads_end) = (vec![FAR; 2], vec![FAR; 2], vec![FAR; 2]);
        geometry.group = if inputs == 2 { 2 } else { 1 };
        let packed = backend.pack_convolution(&zeros(weight), WeightChange::None, &geometry).unwrap();
        let error = backend.convolution(&zeros(&[1, inputs, 8, 8]), &packed, None).unwrap_err();
        assert!(matches!(error.kind(), ComputeErrorKind::TooLarge { .. }), "{error}");
    }
}

#[test]
fn weights_of_another_kind() {
    let backend = CpuBackend::new();
    let dense = backend.pack_dense(&zeros(&[4, 3])).unwrap();
    assert!(backend.convolution(&zeros(&[1, 3, 8, 8]), &dense, None).is_err());
    assert!(backend.dense(&zeros(&[1, 3]), &packed(&[4, 3, 3, 3]), None).is_err());
}

#[test]
fn dense_operands() {
    let backend = CpuBackend::new();
    for shape in [&[][..], &[4], &[4, 3, 1], &[0, 3], &[3, 0]] {
        assert!(backend.pack_dense(&zeros(shape)).is_err(), "{shape:?}");
    }
    let weight = backend.pack_dense(&zeros(&[4, 3])).unwrap();
    for shape in [&[][..], &[3], &[2, 4], &[2, 0], &[3, 2]] {
        assert!(backend.dense(&zeros(shape), &weight, None).is_err(), "{shape:?}");
    }
    assert!(backend.dense(&zeros(&[2, 3]), &weight, Some(&zeros(&[3]))).is_err());
    assert!(backend.dense_input_gradient(&zeros(&[2, 3]), &weight).is_err());
}

#[test]
fn pool_operands() {
    let backend = CpuBackend::new();
    let refused = |shape: &[usize], change: fn(&mut PoolGeometry)| {
        let mut geometry = pool_geometry(2);
        change(&mut geometry);
        let x = zeros(shape);
        assert!(backend.max_pool(&x, &geometry).is_err(), "max pool of {shape:?} with {geometry:?}");
        assert!(backend.average_pool(&x, &geometry, true).is_err(), "average pool of {shape:?} with {geometry:?}");
    };
    for shape in [&[][..], &[1, 1], &[1, 1, 4], &[1, 1, 4, 1], &[1, 1, 0, 4], &[1, 1, 4, 4, 4]] {
        refused(shape, |_| ());
    }
    let plane = [1, 1, 4, 4];
    refused(&plane, |geometry| geometry.kernel = vec![0, 2]);
    refused(&plane, |geometry| geometry.kernel = vec![usize::MAX, 2]);
    refused(&plane, |geometry| geometry.strides = vec![0, 2]);
    refused(&plane, |geometry| geometry.dilations = vec![0, 2]);
    refused(&plane, |geometry| geometry.pads_begin = vec![usize::MAX, 2]);
    refused(&plane, |geometry| geometry.pads_end = vec![2]);
    // windows without any element of the input
    refused(&plane, |geometry| geometry.pads_begin = vec![2, 0]);
    refused(&plane, |geometry| geometry.pads_end = vec![0, 2]);
    refused(&[1, 1, 1, 4], |geometry| {
        (geometry.pads_begin, geometry.pads_end, geometry.dilations) = (vec![1, 0], vec![2, 0], vec![3, 1])
    });

    let geometry = pool_geometry(2);
    let r = zeros(&[1, 1, 3, 3]);
    for spatial in [&[][..], &[4], &[5, 4], &[4, 4, 4], &[usize::MAX, 4]] {
        assert!(backend.average_pool_input_gradient(&r, &geometry, true, spatial).is_err(), "{spatial:?}");
    }
}

#[test]
fn max_pool_winners() {
    let backend = CpuBackend::new();
    let winners =
        Winners { input_shape: vec![2, 1, 4, 4], output_shape: vec![2, 1, 2, 2], positions: Arc::new(vec![0; 8]) };
    let r = zeros(&[3, 1, 2, 2]);
    let gradient = |r: &Tensor, rows: &Rows, winners: &Winners| backend.max_pool_input_gradient(r, rows, winners);
    assert!(gradient(&r, &Rows::new([0, 1, 1]), &winners).is_ok());
    assert!(gradient(&r, &Rows::new([0, 1, 2]), &winners).is_err());
    assert!(gradient(&r, &Rows::new([0, 1]), &winners).is_err());
    for shape in [&[][..], &[3], &[3, 1, 2], &[3, 2, 2, 2]] {
        assert!(gradient(&zeros(shape), &Rows::shared(3), &winners).is_err(), "{shape:?}");
    }
    for broken in [
        Winners { positions: Arc::new(vec![16; 8]), ..winners.clone() },
        Winners { positions: Arc::new(vec![0; 7]), ..winners.clone() },
        Winners { input_shape: vec![2, 2, 4, 4], ..winners.clone() },
        Winners { input_shape: vec![], ..winners.clone() },
        Winners { input_shape: vec![2, 1, usize::MAX, usize::MAX], ..winners.clone() },
        Winners { input_shape: vec![], output_shape: vec![], positions: Arc::new(vec![]) },
    ] {
        assert!(gradient(&r, &Rows::shared(3), &broken).is_err(), "{broken:?}");
    }
}

#[test]
fn row_operands() {
    let backend = CpuBackend::new();
    let (r, x) = (zeros(&[3, 2, 2]), zeros(&[2, 2, 2]));
    let good = Rows::new([0, 1, 1]);
    assert!(backend.multiply_rows(r.clone(), &good, &x).is_ok());
    for (r, rows, x) in [
        (&r, &Rows::new([0, 1, 2]), &x),
        (&r, &Rows::new([0, 1]), &x),
        (&r, &good, &zeros(&[2, 4])),
        (&zeros(&[]), &Rows::shared(1), &zeros(&[])),
    ] {
        assert!(backend.multiply_rows(r.clone(), rows, x).is_err(), "{r:?}, {rows:?}, {x:?}");
        assert!(backend.divide_rows(r.clone(), rows, x).is_err(), "{r:?}, {rows:?}, {x:?}");
        assert!(backend.map_gradient(r, rows, x, Map::Exp).is_err(), "{r:?}, {rows:?}, {x:?}");
        assert!(backend.add_multiplied_rows(r.clone(), r, rows, x).is_err(), "{r:?}, {rows:?}, {x:?}");
    }
    assert!(backend.add_multiplied_rows(zeros(&[3, 4]), &r, &good, &x).is_err());
    assert!(backend.gather_rows(&x, &Rows::new([2])).is_err());
    assert_eq!(backend.gather_rows(&x, &Rows::new([])).unwrap().shape(), [0, 2, 2]);
}

#[test]
fn broadcasts_and_axes() {
    let backend = CpuBackend::new();
    let x = zeros(&[2, 3, 4]);
    assert!(backend.zip(&x, &zeros(&[2]), Zip::Add).is_err());
    assert_eq!(backend.zip(&zeros(&[0, 3]), &zeros(&[1, 3]), Zip::Add).unwrap().shape(), [0, 3]);
    for shape in [&[2][..], &[3, 3], &[1, 3, 4]] {
        assert!(backend.sum_to(&x, shape).is_err(), "{shape:?}");
    }
    assert!(backend.sum_to(&zeros(&[]), &[]).is_err());
    for axis in [0, 3, usize::MAX] {
        assert!(backend.reduce(&x, &[axis], Reduction::Sum).is_err(), "{axis}");
        assert!(backend.softmax(&x, axis).is_err(), "{axis}");
        assert!(backend.concat(&[&x, &x], axis).is_err(), "{axis}");
    }
    assert!(backend.reduce(&zeros(&[2, 0]), &[1], Reduction::Mean).is_err());
    assert!(backend.reduce(&zeros(&[2, 0]), &[1], Reduction::Maximum).is_err());
    assert!(backend.concat(&[], 1).is_err());
    assert!(backend.concat(&[&x, &zeros(&[2, 3])], 1).is_err());
    assert!(backend.concat(&[&x, &zeros(&[2, 3, 5])], 1).is_err());
    for permutation in [&[][..], &[0, 1], &[1, 0, 2], &[0, 1, 1], &[0, 1, 3]] {
        assert!(backend.transpose(&x, permutation).is_err(), "{permutation:?}");
    }
}

#[test]
fn selections() {
    let backend = CpuBackend::new();
    let x = zeros(&[2, 4]);
    for (start, step, count) in [
        (0, 0, 1),
        (0, 1, 5),
        (4, 1, 1),
        (1, -1, 3),
        (0, isize::MAX, 2),
        (usize::MAX, isize::MIN, 2),
        (0, 1, usize::MAX),
    ] {
        let ranges = [SliceRange { start, step, count }];
        assert!(backend.slice(&x, &ranges).is_err(), "{ranges:?}");
        assert!(backend.slice_input_gradient(&x, &ranges, &[4]).is_err(), "{ranges:?}");
    }
    let all = SliceRange { start: 0, step: 1, count: 4 };
    assert!(backend.slice(&x, &[]).is_err());
    assert!(backend.slice(&x, &[all, all]).is_err());
    assert!(backend.slice_input_gradient(&zeros(&[2, 3]), &[all], &[4]).is_err());
    assert!(backend.pad(&x, &[], PadMode::Edge).is_err());
    assert!(backend.pad_input_gradient(&x, &[(1, 1)], PadMode::Edge, &[4]).is_err());
    // as many relevance rows as wanted, none included
    assert_eq!(backend.slice_input_gradient(&zeros(&[0, 4]), &[all], &[4]).unwrap().shape(), [0, 4]);
    assert_eq!(backend.pad(&zeros(&[0, 4]), &[(1, 1)], PadMode::Reflect).unwrap().shape(), [0, 6]);
}
