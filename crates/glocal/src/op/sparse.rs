//! The way back through an affine op for relevance that is zero in most channels, as below the mask of a concept: only the
//! weights of the others are needed.

use std::collections::BTreeMap;

use glocal_compute::{Backend, ComputeError, Rows, Tensor};

/// Rows with at most one in so many channels that are not zero are propagated with their weights alone, if they have many
/// positions.
const ONE_IN: usize = 4;

/// Taking the weights of a channel out costs about as much as computing so many positions with them.
const WEIGHTS_COST: usize = 16;

/// The transposed op on rows `[R, ...]`, whose channels lie along `channel_axis` of a sample: `dense` with all weights for most
/// rows, `sparse` for those that are zero in most channels. It is given their other channels, in order, and rows of these
/// channels alone.
///
/// Which it is depends on the row alone, never on those beside it.
pub(crate) fn transpose_rows(
    backend: &dyn Backend,
    r: &Tensor,
    channel_axis: usize,
    dense: impl Fn(&Tensor) -> Result<Tensor, ComputeError>,
    sparse: impl Fn(&Tensor, &[usize]) -> Result<Tensor, ComputeError>,
) -> Result<Tensor, ComputeError> {
    let mut groups: BTreeMap<Option<Vec<usize>>, Vec<usize>> = BTreeMap::new();
    for row in 0..r.batch() {
        groups.entry(few_channels(r.row(row), r.sample_shape(), channel_axis)).or_default().push(row);
    }
    if groups.keys().all(Option::is_none) {
        return dense(r);
    }
    let mut result: Option<Tensor> = None;
    for (channels, rows) in groups {
        let share = match channels {
            None => dense(&backend.gather_rows(r, &Rows::new(rows.as_slice()))?)?,
            Some(channels) => sparse(&only(r, &rows, channel_axis, &channels)?, &channels)?,
        };
        if rows.len() == r.batch() {
            return Ok(share);
        }
        let result = match &mut result {
            Some(result) => result,
            none => none.insert(Tensor::zeros([&[r.batch()], share.sample_shape()].concat())?),
        };
        let len = share.row_len();
        let data = result.data_mut();
        for (index, row) in rows.into_iter().enumerate() {
            data[row * len..(row + 1) * len].copy_from_slice(share.row(index));
        }
    }
    result.map_or_else(|| dense(r), Ok)
}

/// The channels of a sample that are not zero, if they are few; one of them if there is none.
fn few_channels(sample: &[f32], shape: &[usize], channel_axis: usize) -> Option<Vec<usize>> {
    let count = *shape.get(channel_axis)?;
    let inner: usize = shape[channel_axis + 1..].iter().product();
    let outer: usize = shape[..channel_axis].iter().product();
    let positions = inner * outer;
    let most = count * positions / (ONE_IN * (positions + WEIGHTS_COST));
    let is_zero = |channel: usize| {
        (0..outer).all(|outer| {
            let start = (outer * count + channel) * inner;
            sample[start..start + inner].iter().all(|value| *value == 0.0)
        })
    };
    let mut few: Vec<usize> = (0..count).filter(|&channel| !is_zero(channel)).take(most + 1).collect();
    if few.len() > most {
        return None;
    }
    if few.is_empty() && most > 0 {
        few.push(0);
    }
    (!few.is_empty()).then_some(few)
}

/// Some channels of some rows.
fn only(r: &Tensor, rows: &[usize], channel_axis: usize, channels: &[usize]) -> Result<Tensor, ComputeError> {
    let mut shape = r.shape().to_vec();
    let (count, inner) = (shape[channel_axis + 1], shape[channel_axis + 2..].iter().product::<usize>());
    (shape[0], shape[channel_axis + 1]) = (rows.len(), channels.len());
    let mut data = Vec::with_capacity(shape.iter().product());
    for &row in rows {
        for outer in r.row(row).chunks_exact((count * inner).max(1)) {
            channels.iter().for_each(|channel| data.extend_from_slice(&outer[channel * inner..(channel + 1) * inner]));
        }
    }
    Tensor::new(shape, data)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use glocal_compute::{ConvolutionGeometry, CpuBackend};

    use super::*;
    use crate::op::convolution::Convolution;
    use crate::op::dense::Dense;
    use crate::op::{Affine, Parameters, Part};

    /// Hands every element of the channels on, times its channel plus one, and notes which rows it was given.
    fn scaled(channel_axis: usize, r: &Tensor) -> (Tensor, Vec<(Vec<usize>, usize)>) {
        let backend = CpuBackend::new();
        let calls = RefCell::new(Vec::new());
        let sum = |r: &Tensor, channels: &[usize]| {
            calls.borrow_mut().push((channels.to_vec(), r.batch()));
            let inner: usize = r.sample_shape()[channel_axis + 1..].iter().product();
            let of_row = |row: usize| {
                let elements = r.row(row).iter().enumerate();
                elements.map(|(index, value)| value * (channels[index / inner % channels.len()] + 1) as f32).sum()
            };
            Tensor::new([r.batch(), 1], (0..r.batch()).map(of_row).collect())
        };
        let all: Vec<usize> = (0..r.sample_shape()[channel_axis]).collect();
        let result = transpose_rows(&backend, r, channel_axis, |r| sum(r, &all), sum).unwrap();
        (result, calls.into_inner())
    }

    #[test]
    fn rows_of_few_channels_take_these_alone() {
        for (shape, channel_axis) in [([16, 100], 0), ([100, 16], 1)] {
            let mut r = Tensor::zeros([5, shape[0], shape[1]]).unwrap();
            // Elements by row, channel, position.
            for (row, channel, position) in [(0, 3, 0), (1, 3, 99), (2, 3, 4), (2, 9, 50)] {
                let index = if channel_axis == 0 { channel * 100 + position } else { position * 16 + channel };
                r.data_mut()[row * 1600 + index] = 2.0;
            }
            for index in 0..1600 {
                r.data_mut()[3 * 1600 + index] = 0.5;
            }
            let (result, calls) = scaled(channel_axis, &r);
            assert_eq!(result.data(), [8.0, 8.0, 28.0, 0.5 * 100.0 * 136.0, 0.0]);
            let all = (0..16).collect();
            assert_eq!(calls, [(all, 1), (vec![0], 1), (vec![3], 2), (vec![3, 9], 1)]);
        }
    }

    /// Where a layer has one position, its weights are most of the work, and rows share them.
    #[test]
    fn rows_without_positions_share_all_weights() {
        let mut r = Tensor::zeros([2, 16]).unwrap();
        r.data_mut()[3] = 1.0;
        let (_, calls) = scaled(0, &r);
        assert_eq!(calls, [((0..16).collect(), 2)]);
    }

    /// Channels one by one, each with its own weights, add up to all of them with all weights.
    #[test]
    fn channels_add_up_to_all() {
        let backend = CpuBackend::new();
        let wave = |shape: &[usize], pace: f32| {
            let count = shape.iter().product::<usize>();
            Tensor::new(shape, (0..count).map(|index| (index as f32 * pace).sin()).collect()).unwrap()
        };
        let geometry = |strides: usize, group: usize| ConvolutionGeometry {
            strides: vec![strides; 2],
            dilations: vec![1; 2],
            pads_begin: vec![1; 2],
            pads_end: vec![0; 2],
            group,
        };
        let convolution = |strides, group| {
            let parameters = Parameters::new(wave(&[16, 4 / group, 3, 3], 0.37), None);
            Convolution { parameters, geometry: geometry(strides, group) }
        };
        let dense = Dense { parameters: Parameters::new(wave(&[16, 5], 0.53), None) };
        let cases: [(&dyn Affine, &[usize], usize); 4] = [
            (&convolution(1, 1), &[4, 12, 11], 0),
            (&convolution(2, 1), &[4, 19, 18], 0),
            (&convolution(1, 2), &[4, 12, 11], 0),
            (&dense, &[100, 5], 1),
        ];
        for (op, input, channel_axis) in cases {
            let output = op.infer_shape(&[input]).unwrap();
            for part in [Part::Whole, Part::Positive, Part::Square] {
                let back = |r: &Tensor| op.transpose_part(&backend, r, part, input).unwrap();
                let r = wave(&[&[1], output.as_slice()].concat(), 0.91);
                let (inner, count) = (output[channel_axis + 1..].iter().product::<usize>(), output[channel_axis]);
                let mut alone = Tensor::zeros([&[count], output.as_slice()].concat()).unwrap();
                for (index, &value) in r.data().iter().enumerate() {
                    alone.data_mut()[index / inner % count * r.len() + index] = value;
                }
                let (all, alone) = (back(&r), back(&alone));
                let sum = |index: usize| alone.data().iter().skip(index).step_by(all.len()).sum::<f32>();
                let largest = all.data().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                // At most 16 · 9 products of numbers up to 1, summed in another order.
                let tolerance = 144.0 * f32::EPSILON * largest.max(1.0);
                for (index, &value) in all.data().iter().enumerate() {
                    assert!((value - sum(index)).abs() <= tolerance, "{part:?} at {index}: {value}, {}", sum(index));
                }
            }
        }
    }
}
