//! Random affine ops with their inputs, and each op written out as the matrix that it is.

use glocal::op::convolution::Convolution;
use glocal::op::convolution_transpose::ConvolutionTranspose;
use glocal::op::dense::Dense;
use glocal::op::{Op, Parameters};
use glocal_compute::{ConvolutionGeometry, Tensor};

use crate::random::Random;

/// The affine ops with parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Convolution,
    ConvolutionTranspose,
    Dense,
}

/// An affine op at some samples.
#[derive(Debug)]
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

impl Kind {
    pub const ALL: [Self; 3] = [Self::Convolution, Self::ConvolutionTranspose, Self::Dense];
}

impl Case {
    /// The `seed`-th random op of a kind: convolutions over 1 to 3 axes in turn, dense layers on vectors and on tokens.
    pub fn random(kind: Kind, seed: u64) -> Self {
        let mut random = Random::new(3 * seed + kind as u64);
        let rank = 1 + (seed % 3) as usize;
        Self::of(kind, rank, &mut random)
    }

    /// An op of any kind, with what the choices make of it.
    pub fn drawn(choices: Vec<u64>) -> Self {
        let mut random = Random::chosen(choices);
        let (kind, rank) = (random.pick(&Kind::ALL), random.within(1, 3));
        Self::of(kind, rank, &mut random)
    }

    fn of(kind: Kind, rank: usize, random: &mut Random) -> Self {
        match kind {
            Kind::Convolution => convolution(random, rank),
            Kind::ConvolutionTranspose => convolution_transpose(random, rank),
            Kind::Dense => dense(random),
        }
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

/// A dense layer on vectors, or on the last of several axes: on tokens, or on each pixel of a map.
fn dense(random: &mut Random) -> Case {
    let outer = random.pick(&[0, 0, 1, 2]);
    let outer = random.several(outer, 1, 4);
    let (features, units, samples) = (random.within(1, 24), random.within(1, 12), random.within(1, 3));
    let tokens: usize = outer.iter().product();
    let weight = random.tensor(&[units, features]);
    let bias = random.flip().then(|| random.tensor(&[units]));
    let mut connections = Vec::new();
    for token in 0..tokens {
        for (index, &weight) in weight.data().iter().enumerate() {
            let (unit, feature) = (index / features, index % features);
            connections.push((token * units + unit, token * features + feature, f64::from(weight)));
        }
    }
    let matrix = Matrix {
        inputs: tokens * features,
        outputs: tokens * units,
        connections,
        bias: bias_of(bias.as_ref(), units, 1).repeat(tokens),
    };
    let x = inputs(random, &[&[samples], outer.as_slice(), &[features]].concat());
    let name = format!("dense {features} to {units} on {outer:?}, bias: {}", bias.is_some());
    Case { name, op: Box::new(Dense { parameters: Parameters::new(weight, bias) }), matrix, x }
}

/// Strides, dilations, pads and groups.
fn geometry(random: &mut Random, rank: usize, group: usize) -> ConvolutionGeometry {
    ConvolutionGeometry {
        strides: random.several(rank, 1, 3),
        dilations: random.several(rank, 1, 2),
        pads_begin: random.several(rank, 0, 2),
        pads_end: random.several(rank, 0, 2),
        group,
    }
}

/// The groups, and the input and output channels of each: depthwise, sometimes with a multiplier, when each group has
/// one input channel.
fn channels(random: &mut Random) -> (usize, usize, usize) {
    (random.pick(&[1, 1, 2, 3]), random.within(1, 2), random.within(1, 2))
}

fn convolution(random: &mut Random, rank: usize) -> Case {
    let (group, group_in, group_out) = channels(random);
    let (channels, out_channels, samples) = (group * group_in, group * group_out, random.within(1, 2));
    let largest = [9, 6, 4][rank - 1];
    let (geometry, kernel, spatial, out) = loop {
        let (kernel, spatial) = (random.several(rank, 1, 3), random.several(rank, 2, largest));
        let geometry = geometry(random, rank, group);
        if let Some(out) = geometry.output_spatial(&spatial, &kernel) {
            break (geometry, kernel, spatial, out);
        }
    };
    let weight = random.tensor(&[&[out_channels, group_in], kernel.as_slice()].concat());
    let bias = random.flip().then(|| random.tensor(&[out_channels]));
    let (plane, out_plane, taps) = (size(&spatial), size(&out), size(&kernel));
    let mut connections = Vec::new();
    for (index, &weight) in weight.data().iter().enumerate() {
        let (out_channel, channel, tap) = (index / taps / group_in, index / taps % group_in, index % taps);
        let channel = out_channel / group_out * group_in + channel;
        for position in 0..out_plane {
            let Some(source) = window_element(&geometry, &kernel, &spatial, &out, position, tap) else { continue };
            connections.push((out_channel * out_plane + position, channel * plane + source, f64::from(weight)));
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

/// As a convolution whose windows lie in the output: what a window takes there, it gets here.
fn convolution_transpose(random: &mut Random, rank: usize) -> Case {
    let (group, group_in, group_out) = channels(random);
    let (channels, out_channels, samples) = (group * group_in, group * group_out, random.within(1, 2));
    let largest = [6, 4, 3][rank - 1];
    let (geometry, kernel, spatial, out, output_padding) = loop {
        let (kernel, spatial) = (random.several(rank, 1, 3), random.several(rank, 1, largest));
        let geometry = geometry(random, rank, group);
        let most = |axis: usize| geometry.strides[axis].max(geometry.dilations[axis]) - 1;
        let output_padding: Vec<usize> = (0..rank).map(|axis| random.within(0, most(axis))).collect();
        let out = (0..rank).map(|axis| {
            let span = (kernel[axis] - 1) * geometry.dilations[axis] + 1;
            let full = (spatial[axis] - 1) * geometry.strides[axis] + span + output_padding[axis];
            full.checked_sub(geometry.pads_begin[axis] + geometry.pads_end[axis]).filter(|&size| size > 0)
        });
        if let Some(out) = out.collect::<Option<Vec<usize>>>() {
            break (geometry, kernel, spatial, out, output_padding);
        }
    };
    let weight = random.tensor(&[&[channels, group_out], kernel.as_slice()].concat());
    let bias = random.flip().then(|| random.tensor(&[out_channels]));
    let (plane, out_plane, taps) = (size(&spatial), size(&out), size(&kernel));
    let mut connections = Vec::new();
    for (index, &weight) in weight.data().iter().enumerate() {
        let (channel, out_channel, tap) = (index / taps / group_out, index / taps % group_out, index % taps);
        let out_channel = channel / group_in * group_out + out_channel;
        for position in 0..plane {
            let Some(target) = window_element(&geometry, &kernel, &out, &spatial, position, tap) else { continue };
            connections.push((out_channel * out_plane + target, channel * plane + position, f64::from(weight)));
        }
    }
    let matrix = Matrix {
        inputs: channels * plane,
        outputs: out_channels * out_plane,
        connections,
        bias: bias_of(bias.as_ref(), out_channels, out_plane),
    };
    let x = inputs(random, &[&[samples, channels], spatial.as_slice()].concat());
    let name = format!(
        "transposed convolution {channels}x{spatial:?} to {out_channels}, kernel {kernel:?}, {geometry:?}, \
         output_padding: {output_padding:?}"
    );
    let op = ConvolutionTranspose { parameters: Parameters::new(weight, bias), geometry, output_padding };
    Case { name, op: Box::new(op), matrix, x }
}

/// The element of a plane of sizes `spatial` that the kernel element `tap` of the window at `position` of a plane of
/// sizes `windows` lies on; `None` in the padding.
fn window_element(
    geometry: &ConvolutionGeometry,
    kernel: &[usize],
    spatial: &[usize],
    windows: &[usize],
    mut position: usize,
    mut tap: usize,
) -> Option<usize> {
    let (mut index, mut step) = (0, 1);
    for axis in (0..spatial.len()).rev() {
        let padded = position % windows[axis] * geometry.strides[axis] + tap % kernel[axis] * geometry.dilations[axis];
        let at = padded.checked_sub(geometry.pads_begin[axis]).filter(|at| *at < spatial[axis])?;
        index += at * step;
        step *= spatial[axis];
        position /= windows[axis];
        tap /= kernel[axis];
    }
    Some(index)
}

fn size(spatial: &[usize]) -> usize {
    spatial.iter().product()
}

fn bias_of(bias: Option<&Tensor>, channels: usize, plane: usize) -> Vec<f64> {
    let of = |channel: usize| bias.map_or(0.0, |bias| f64::from(bias.data()[channel]));
    (0..channels).flat_map(|channel| vec![of(channel); plane]).collect()
}
