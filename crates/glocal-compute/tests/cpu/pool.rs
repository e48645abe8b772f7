//! Pools and their input gradients.

use glocal_compute::{Backend, CpuBackend, PoolGeometry, Rows, Tensor};

use crate::naive::{self, Sum, assert_sums};
use crate::random::Random;

/// A pool all of whose windows hold an element of the input, and the spatial size of its output.
fn random_pool(random: &mut Random, spatial: &[usize]) -> Option<(PoolGeometry, Vec<usize>)> {
    let rank = spatial.len();
    // The commonest pool has a way of its own.
    let is_usual = random.flip();
    let usual = PoolGeometry {
        kernel: vec![2; rank],
        strides: vec![2; rank],
        dilations: vec![1; rank],
        pads_begin: vec![0; rank],
        pads_end: vec![0; rank],
        ceil_mode: random.flip(),
    };
    let other = PoolGeometry {
        kernel: random.several(rank, 1, 4),
        strides: random.several(rank, 1, 3),
        dilations: random.several(rank, 1, 2),
        pads_begin: random.several(rank, 0, 2),
        pads_end: random.several(rank, 0, 2),
        ceil_mode: random.flip(),
    };
    let geometry = if is_usual { usual } else { other };
    let output = geometry.output_spatial(spatial)?;
    let windows = naive::windows(&geometry, spatial, &output, false);
    windows.iter().all(|(positions, _)| !positions.is_empty()).then_some((geometry, output))
}

/// Calls `check` for random pools: input, geometry, output size.
fn for_random_pools(seed: u64, mut check: impl FnMut(&mut Random, Tensor, PoolGeometry, Vec<usize>)) {
    let mut random = Random::new(seed);
    let mut checked = 0;
    while checked < 150 {
        let rank = random.within(1, 3);
        let spatial = random.several(rank, 1, 9);
        let Some((geometry, output)) = random_pool(&mut random, &spatial) else { continue };
        let lead = random.several(2, 1, 3);
        let x = random.tensor(&[&lead[..], &spatial].concat());
        check(&mut random, x, geometry, output);
        checked += 1;
    }
}

#[test]
fn max_pools_agree_with_plain_loops() {
    let backend = CpuBackend::new();
    for_random_pools(30, |random, x, geometry, output| {
        // Coarse numbers, so that there are ties, and a NaN now and then.
        let coarse = x.data().iter().map(|x| if *x > 0.97 { f32::NAN } else { (x * 3.0).round() });
        let x = Tensor::new(x.shape(), coarse.collect()).unwrap();
        let (out, winners) = backend.max_pool(&x, &geometry).unwrap();
        assert_eq!(out.shape(), [&x.shape()[..2], &output[..]].concat());
        assert_eq!((&winners.input_shape[..], &winners.output_shape[..]), (x.shape(), out.shape()));
        let windows = naive::windows(&geometry, &x.shape()[2..], &output, false);
        let plane: usize = x.shape()[2..].iter().product();
        for (index, (value, &position)) in out.data().iter().zip(winners.positions.iter()).enumerate() {
            let x = &x.data()[index / windows.len() * plane..][..plane];
            let positions = &windows[index % windows.len()].0;
            let nan = positions.iter().find(|&&position| x[position].is_nan());
            let largest = positions.iter().fold(f32::NEG_INFINITY, |largest, &position| largest.max(x[position]));
            let expected = nan.or_else(|| positions.iter().find(|&&position| x[position] == largest)).unwrap();
            assert_eq!(position as usize, *expected, "{geometry:?}");
            assert_eq!(value.to_bits(), x[*expected].to_bits(), "{geometry:?}");
        }

        // Three relevance rows for any samples.
        let rows = Rows::new(random.several(3, 0, x.batch() - 1));
        let r = random.tensor(&[&[3], out.sample_shape()].concat());
        let gradient = backend.max_pool_input_gradient(&r, &rows, &winners).unwrap();
        let mut expected = vec![Sum::default(); 3 * x.row_len()];
        for (index, &value) in r.data().iter().enumerate() {
            let (row, inside) = (index / r.row_len(), index % r.row_len());
            let position = winners.positions[rows.samples()[row] * r.row_len() + inside] as usize;
            expected[row * x.row_len() + inside / windows.len() * plane + position].add(value.into());
        }
        assert_eq!(gradient.shape(), [&[3], x.sample_shape()].concat());
        assert_sums(&gradient, &expected, &geometry);
    });
}

#[test]
fn padding_never_wins() {
    let geometry = PoolGeometry {
        kernel: vec![3],
        strides: vec![2],
        dilations: vec![1],
        pads_begin: vec![1],
        pads_end: vec![1],
        ceil_mode: false,
    };
    let x = Tensor::new([1, 1, 3], vec![f32::NEG_INFINITY, f32::NEG_INFINITY, -1.0]).unwrap();
    let (out, winners) = CpuBackend::new().max_pool(&x, &geometry).unwrap();
    assert_eq!(out.data(), [f32::NEG_INFINITY, -1.0]);
    assert_eq!(winners.positions[..], [0, 2]);
}

#[test]
fn average_pools_agree_with_plain_loops() {
    let backend = CpuBackend::new();
    for_random_pools(31, |random, x, geometry, output| {
        let include_pad = random.flip();
        let windows = naive::windows(&geometry, &x.shape()[2..], &output, include_pad);
        let plane: usize = x.shape()[2..].iter().product();
        let out = backend.average_pool(&x, &geometry, include_pad).unwrap();
        assert_eq!(out.shape(), [&x.shape()[..2], &output[..]].concat());
        let mut expected = Vec::new();
        for x in x.data().chunks_exact(plane) {
            for (positions, divisor) in &windows {
                let mut sum = Sum::default();
                positions.iter().for_each(|&position| sum.add(x[position].into()));
                expected.push(sum.over(*divisor as f64));
            }
        }
        assert_sums(&out, &expected, &(&geometry, include_pad));

        let r = random.tensor(out.shape());
        let input = x.shape()[2..].to_vec();
        let gradient = backend.average_pool_input_gradient(&r, &geometry, include_pad, &input).unwrap();
        let mut expected = vec![Sum::default(); x.len()];
        for (index, &value) in r.data().iter().enumerate() {
            let (positions, divisor) = &windows[index % windows.len()];
            for position in positions {
                expected[index / windows.len() * plane + position].add(f64::from(value) / *divisor as f64);
            }
        }
        assert_eq!(gradient.shape(), x.shape());
        assert_sums(&gradient, &expected, &(&geometry, include_pad));
    });
}
