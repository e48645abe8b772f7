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
    let kernels = layer.weight.data().to_vec();
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
            let image = &x[group * plane..(group + 1) * plane];
            lines.run(channel, image, buffer, bias.map_or(0.0, |bias| bias[channel]), out);
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
            let weights = layer.weight.data().chunks_exact(layer.taps());
            let kernels = weights.flat_map(|weights| elements.iter().map(|&element| weights[element]));
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
            if phases.is_everything() {
                lines.run(group, image, buffer, 0.0, out);
                continue;
            }
            spread.resize(lines.axes.iter().map(|axis| axis.count).product(), 0.0);
            lines.run(group, image, buffer, 0.0, spread);
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
    kernels: Vec<f32>,
    /// The size of a square kernel of neighbouring elements of one image channel, and the distance of lines.
    square: Option<(usize, i64)>,
}

impl Lines {
    fn new(
        operation: &'static str,
        axes: &[Axis; 3],
        channels: usize,
        kernels: Vec<f32>,
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
        let square = square_kernel(axes, offsets.len());
        Ok(Self { axes: axes.clone(), padded, offsets, kernels, square })
    }

    /// Room for a padded image, its padding in place.
    fn workspace(&self) -> Vec<f32> {
        vec![0.0; self.padded.len()]
    }

    /// `workspace` comes from [`workspace`](Self::workspace), or from an earlier call.
    fn run(&self, plane: usize, image: &[f32], workspace: &mut [f32], bias: f32, out: &mut [f32]) {
        Plane {
            lines: self,
            kernel: &self.kernels[plane * self.offsets.len()..][..self.offsets.len()],
            image,
            workspace,
            bias,
            out,
        }
        .dispatch();
    }
}

/// See [`Lines::square`]; `taps` counts those of all channels.
fn square_kernel(axes: &[Axis; 3], taps: usize) -> Option<(usize, i64)> {
    let [deep, vertical, horizontal] = axes;
    let size = horizontal.taps.len();
    let are_neighbours =
        [vertical, horizontal].iter().all(|axis| axis.taps.windows(2).all(|taps| taps[1] - taps[0] == 1));
    let is_square = vertical.taps.len() == size && taps == size * size && deep.count == 1;
    (are_neighbours && is_square).then_some((size, vertical.step))
}

/// One output plane, for the machine's vectors.
struct Plane<'a> {
    lines: &'a Lines,
    kernel: &'a [f32],
    image: &'a [f32],
    workspace: &'a mut [f32],
    bias: f32,
    out: &'a mut [f32],
}

impl SimdOp for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { lines, kernel, image, workspace, bias, out } = self;
        lines.padded.fill_inside(image, workspace);
        match lines.square {
            Some((3, 1)) => square::<I, 3, 1>(isa, lines, kernel, workspace, bias, out),
            Some((3, 2)) => square::<I, 3, 2>(isa, lines, kernel, workspace, bias, out),
            Some((5, 1)) => square::<I, 5, 1>(isa, lines, kernel, workspace, bias, out),
            Some((5, 2)) => square::<I, 5, 2>(isa, lines, kernel, workspace, bias, out),
            _ => any(isa, lines, kernel, workspace, bias, out),
        }
    }
}

/// The output lines that are computed together, so that what they read in common is read once.
const LINES: usize = 4;

/// An output plane of a square kernel of `SIZE`, its lines `STEP` apart.
#[inline(always)]
fn square<I: Isa, const SIZE: usize, const STEP: usize>(
    isa: I,
    lines: &Lines,
    kernel: &[f32],
    image: &[f32],
    bias: f32,
    out: &mut [f32],
) {
    let (height, width) = (lines.axes[1].count, lines.axes[2].count);
    let mut line = 0;
    while line < height {
        if height < LINES {
            square_lines::<I, SIZE, STEP, 1>(isa, lines, kernel, image, bias, line, &mut out[line * width..]);
            line += 1;
        } else {
            // the last lines may be some that are there already: they get the same values
            let first = line.min(height - LINES);
            square_lines::<I, SIZE, STEP, LINES>(isa, lines, kernel, image, bias, first, &mut out[first * width..]);
            line += LINES;
        }
    }
}

/// `COUNT` lines of a plane, from the first on. Each element: the bias plus its products in the order
/// of the taps.
#[inline(always)]
fn square_lines<I: Isa, const SIZE: usize, const STEP: usize, const COUNT: usize>(
    isa: I,
    lines: &Lines,
    kernel: &[f32],
    image: &[f32],
    bias: f32,
    first: usize,
    out: &mut [f32],
) {
    let ops = isa.f32();
    let (width, lanes, row_len) = (lines.axes[2].count, ops.len(), lines.padded.row_len());
    let image = &image[lines.padded.output_offset([0, first, 0])..];
    let mut x = 0;
    loop {
        // the last vector may hold some that are there already: they get the same values
        let start = x.min(width.saturating_sub(lanes));
        let mut sums = [ops.splat(bias); COUNT];
        for row in 0..(COUNT - 1) * STEP + SIZE {
            let from = &image[row * row_len + start..];
            for column in 0..SIZE {
                let values = ops.load(&from[lines.offsets[column]..]);
                for (line, sum) in sums.iter_mut().enumerate() {
                    if let Some(tap) = row.checked_sub(line * STEP)
                        && tap < SIZE
                    {
                        *sum = ops.mul_add(ops.splat(kernel[tap * SIZE + column]), values, *sum);
                    }
                }
            }
        }
        for (line, sum) in sums.into_iter().enumerate() {
            let out = &mut out[line * width + start..];
            if out.len() >= lanes {
                // what is too much stands in the following lines, which are written later
                ops.store(sum, out);
            } else {
                let mut whole = [0.0; SLACK];
                ops.store(sum, &mut whole);
                let len = out.len();
                out.copy_from_slice(&whole[..len]);
            }
        }
        x += lanes;
        if x >= width {
            return;
        }
    }
}

/// An output plane of any kernel.
#[inline(always)]
fn any<I: Isa>(isa: I, lines: &Lines, kernel: &[f32], image: &[f32], bias: f32, out: &mut [f32]) {
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
