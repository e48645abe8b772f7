//! Random affine ops with their inputs, and each op written out as the matrix that it is.

use glocal::op::convolution::Convolution;
use glocal::op::dense::Dense;
use glocal::op::{Op, Parameters};
use glocal_compute::{ConvolutionGeometry, Tensor};

use crate::random::Random;

/// An affine op at some samples.
pub struct Case {
    pub name: String,
    pub op: Box<dyn Op>,
    pub matrix: Matrix,
    /// `[N, C, ...]`
    pub x: Tensor,
}

/// An affine function of one sample, written out: the output `o` is `bias[o] + Σ weight · x[i]` over its connections
/// `(o, i, weight)`. An input in the padding has none.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub inputs: usize,
    pub outputs: usize,
    pub connections: Vec<(usize, usize, f64)>,
    pub bias: Vec<f64>,
}

impl Case {
    /// The `seed`-th random op: one dense layer in four, else a convolution over 1 to 3 axes.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        if seed.is_multiple_of(4) { dense(&mut random) } else { convolution(&mut random, 1 + (seed % 3) as usize) }
    }
}

/// Inputs of both signs; those of every third case are not negative, as behind a ReLU, and some of them zero.
fn inputs(random: &mut Random, shape: &[usize]) -> Tensor {
    let mut x = random.tensor(shape);
    if random.within(0, 2) == 0 {
        x.data_mut().iter_mut().for_each(|value| *value = value.max(0.0));
    }
    x
}

fn dense(random: &mut Random) -> Case {
    let (features, units, samples) = (random.within(1, 24), random.within(1, 12), random.within(1, 3));
    let weight = random.tensor(&[units, features]);
    let bias = random.flip().then(|| random.tensor(&[units]));
    let rows = weight.data().chunks(features).enumerate();
    let connections = rows.flat_map(|(unit, row)| {
        row.iter().enumerate().map(move |(feature, &weight)| (unit, feature, f64::from(weight)))
    });
    let matrix = Matrix {
        inputs: features,
        outputs: units,
        connections: connections.collect(),
        bias: bias_of(bias.as_ref(), units, 1),
    };
    let x = inputs(random, &[samples, features]);
    let name = format!("dense {features} to {units}, bias: {}", bias.is_some());
    Case { name, op: Box::new(Dense { parameters: Parameters::new(weight, bias) }), matrix, x }
}

fn convolution(random: &mut Random, rank: usize) -> Case {
    let group = random.pick(&[1, 1, 2, 3]);
    let group_in = random.within(1, 2);
    // Depthwise, sometimes with a multiplier, when each group has one input channel.
    let group_out = random.within(1, 2);
    let (channels, out_channels, samples) = (group * group_in, group * group_out, random.within(1, 2));
    let largest = [9, 6, 4][rank - 1];
    let (geometry, kernel, spatial) = loop {
        let kernel = random.several(rank, 1, 3);
        let spatial = random.several(rank, 2, largest);
        let geometry = ConvolutionGeometry {
            strides: random.several(rank, 1, 3),
            dilations: random.several(rank, 1, 2),
            pads_begin: random.several(rank, 0, 2),
            pads_end: random.several(rank, 0, 2),
            group,
        };
        if geometry.output_spatial(&spatial, &kernel).is_some() {
            break (geometry, kernel, spatial);
        }
    };
    let out = geometry.output_spatial(&spatial, &kernel).unwrap();
    let weight = random.tensor(&[&[out_channels, group_in], kernel.as_slice()].concat());
    let bias = random.flip().then(|| random.tensor(&[out_channels]));
    let (plane, out_plane): (usize, usize) = (spatial.iter().product(), out.iter().product());
    let mut connections = Vec::new();
    for out_channel in 0..out_channels {
        let first = out_channel / group_out * group_in;
        for position in 0..out_plane {
            for channel in 0..group_in {
                for tap in 0..kernel.iter().product() {
                    let Some(source) = source(&geometry, &kernel, &spatial, &out, position, tap) else { continue };
                    let taps: usize = kernel.iter().product();
                    let weight = weight.data()[(out_channel * group_in + channel) * taps + tap];
                    let (to, from) = (out_channel * out_plane + position, (first + channel) * plane + source);
                    connections.push((to, from, f64::from(weight)));
                }
            }
        }
    }
    let matrix = Matrix {
        inputs: channels * plane,
        outputs: out_channels * out_plane,
        connections,
        bias: bias_of(bias.as_ref(), out_channels, out_plane),
    };
    let x = inputs(random, &[&[samples, channels], spatial.as_slice()].concat());
    let name = format!("convolution {channels}x{spatial:?} to {out_channels}, kernel {kernel:?}, {geometry:?}");
    Case { name, op: Box::new(Convolution { parameters: Parameters::new(weight, bias), geometry }), matrix, x }
}

/// The element of the input's plane that a kernel element reads for an output position; `None` in the padding.
fn source(
    geometry: &ConvolutionGeometry,
    kernel: &[usize],
    spatial: &[usize],
    out: &[usize],
    mut position: usize,
    mut tap: usize,
) -> Option<usize> {
    let (mut index, mut step) = (0, 1);
    for axis in (0..spatial.len()).rev() {
        let padded = position % out[axis] * geometry.strides[axis] + tap % kernel[axis] * geometry.dilations[axis];
        let at = padded.checked_sub(geometry.pads_begin[axis]).filter(|at| *at < spatial[axis])?;
        index += at * step;
        step *= spatial[axis];
        position /= out[axis];
        tap /= kernel[axis];
    }
    Some(index)
}

fn bias_of(bias: Option<&Tensor>, channels: usize, plane: usize) -> Vec<f64> {
    let of = |channel: usize| bias.map_or(0.0, |bias| f64::from(bias.data()[channel]));
    (0..channels).flat_map(|channel| vec![of(channel); plane]).collect()
}
