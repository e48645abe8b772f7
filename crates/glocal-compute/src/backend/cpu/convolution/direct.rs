//! Depthwise convolutions: loops over a padded copy of a channel, the outputs of a line side by side in vectors.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::parallel;
use crate::{ComputeError, ComputeErrorKind};

use super::Layer;
use super::padded::PaddedImage;
use super::phase::Phases;

/// How far a vector may read past a line's last element: the width of the widest vectors.
const SLACK: usize = 16;

/// See [`ProductsForward::run`](super::products::ProductsForward::run).
pub(super) fn forward(
    operation: &'static str,
    layer: &Layer,
    axes: &[Axis; 3],
    x: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) -> Result<(), ComputeError> {
    let taps = layer.taps();
    let kernels = layer.weight.data().chunks_exact(taps).map(<[f32]>::to_vec).collect();
    let lines = Lines::new(operation, axes, 1, kernels)?;
    let plane = axes.iter().map(|axis| axis.size).product::<usize>();
    let block = axes.iter().map(|axis| axis.count).product::<usize>();
    let channels_out = layer.outputs * layer.geometry.group;
    parallel::for_tasks(
        out,
        block,
        block * taps,
        || lines.workspace(),
        |buffer, task, out| {
            let (sample, channel) = (task / channels_out, task % channels_out);
            let group = sample * layer.geometry.group + channel / layer.outputs;
            lines.padded.fill(&x[group * plane..(group + 1) * plane], buffer, false);
            lines.run(channel, buffer, bias.map_or(0.0, |bias| bias[channel]), out);
            Ok(())
        },
    )
}

/// See [`ProductsGradient::run`](super::products::ProductsGradient::run).
pub(super) fn input_gradient(
    operation: &'static str,
    layer: &Layer,
    input: [usize; 3],
    output: [usize; 3],
    r: &[f32],
    out: &mut [f32],
) -> Result<(), ComputeError> {
    let phases = layer.phases();
    let combinations = Phases::all(&phases)
        .filter_map(|phases| phases.axes(input, output).map(|axes| (phases, axes)))
        .map(|(phases, axes)| {
            let elements = phases.kernel(layer.kernel);
            let groups = layer.weight.data().chunks_exact(layer.outputs * layer.taps());
            let kernels = groups.map(|group| {
                let outputs = group.chunks_exact(layer.taps());
                outputs.flat_map(|weights| elements.iter().map(|&element| weights[element])).collect()
            });
            Ok((phases, Lines::new(operation, &axes, layer.outputs, kernels.collect())?))
        })
        .collect::<Result<Vec<_>, ComputeError>>()?;
    let block = input.iter().product::<usize>();
    let image_len = layer.outputs * output.iter().product::<usize>();
    let workspace = || (combinations.iter().map(|(_, lines)| lines.workspace()).collect::<Vec<_>>(), Vec::<f32>::new());
    parallel::for_tasks(out, block, image_len * layer.taps(), workspace, |(buffers, spread), task, out| {
        let group = task % layer.geometry.group;
        let image = &r[task * image_len..(task + 1) * image_len];
        for ((phases, lines), buffer) in combinations.iter().zip(buffers) {
            lines.padded.fill(image, buffer, false);
            if phases.is_everything() {
                lines.run(group, buffer, 0.0, out);
                continue;
            }
            spread.resize(lines.axes.iter().map(|axis| axis.count).product(), 0.0);
            lines.run(group, buffer, 0.0, spread);
            phases.spread(&lines.axes, input, spread, out);
        }
        Ok(())
    })
}

/// Output planes of one channel, line by line.
struct Lines {
    axes: [Axis; 3],
    padded: PaddedImage,
    /// Where each tap (channel by channel) stands from a window's start.
    offsets: Vec<usize>,
    /// For each output plane, the weight of each tap.
    kernels: Vec<Vec<f32>>,
}

impl Lines {
    fn new(
        operation: &'static str,
        axes: &[Axis; 3],
        channels: usize,
        kernels: Vec<Vec<f32>>,
    ) -> Result<Self, ComputeError> {
        let padded = PaddedImage::new(axes, channels, SLACK).ok_or_else(|| {
            let shape = axes.iter().map(|axis| axis.size).collect();
            ComputeError::new(operation, ComputeErrorKind::TooLarge { shape })
        })?;
        let [deep, vertical, horizontal] = axes.each_ref().map(|axis| axis.taps.len());
        let mut offsets = Vec::with_capacity(channels * deep * vertical * horizontal);
        for channel in 0..channels {
            for z in 0..deep {
                for y in 0..vertical {
                    offsets.extend((0..horizontal).map(|x| padded.tap_offset(channel, [z, y, x])));
                }
            }
        }
        Ok(Self { axes: axes.clone(), padded, offsets, kernels })
    }

    fn workspace(&self) -> Vec<f32> {
        vec![0.0; self.padded.len()]
    }

    fn run(&self, plane: usize, image: &[f32], bias: f32, out: &mut [f32]) {
        Plane { lines: self, kernel: &self.kernels[plane], image, bias, out }.dispatch();
    }
}

/// One output plane, for the machine's vectors.
struct Plane<'a> {
    lines: &'a Lines,
    kernel: &'a [f32],
    image: &'a [f32],
    bias: f32,
    out: &'a mut [f32],
}

impl SimdOp for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { lines, kernel, image, bias, out } = self;
        let (height, width) = (lines.axes[1].count, lines.axes[2].count);
        let lane = isa.f32().len();
        for (index, line) in out.chunks_exact_mut(width).enumerate() {
            let image = &image[lines.padded.output_offset([index / height, index % height, 0])..];
            let mut x = 0;
            while x + 4 * lane <= width {
                vectors::<I, 4>(isa, &lines.offsets, kernel, &image[x..], bias, &mut line[x..]);
                x += 4 * lane;
            }
            while x + lane <= width {
                vectors::<I, 1>(isa, &lines.offsets, kernel, &image[x..], bias, &mut line[x..]);
                x += lane;
            }
            if x < width {
                let mut rest = [0.0; SLACK];
                vectors::<I, 1>(isa, &lines.offsets, kernel, &image[x..], bias, &mut rest);
                line[x..].copy_from_slice(&rest[..width - x]);
            }
        }
    }
}

/// The first `COUNT` vectors of outputs: for each, the bias plus the taps in order.
#[inline(always)]
fn vectors<I: Isa, const COUNT: usize>(
    isa: I,
    offsets: &[usize],
    kernel: &[f32],
    image: &[f32],
    bias: f32,
    out: &mut [f32],
) {
    let ops = isa.f32();
    let mut sums = [ops.splat(bias); COUNT];
    for (&offset, &weight) in offsets.iter().zip(kernel) {
        let weight = ops.splat(weight);
        let values = ops.load_many::<COUNT>(&image[offset..]);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = ops.mul_add(weight, value, *sum);
        }
    }
    for (sum, out) in sums.into_iter().zip(out.chunks_exact_mut(ops.len())) {
        ops.store(sum, out);
    }
}
