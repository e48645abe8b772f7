//! Planes of any depthwise convolution: three axes, several image channels, any distances of taps and windows. Loops over
//! a padded copy of the image, the outputs of a line side by side in vectors.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::axis::Axis;
use crate::{ComputeError, ComputeErrorKind};

use super::super::padded::PaddedImage;

/// How far a vector may read past a line's last element: the width of the widest vectors.
const SLACK: usize = 16;

/// Output planes of one channel, line by line.
pub(super) struct Windows {
    axes: [Axis; 3],
    padded: PaddedImage,
    /// Where each tap (channel by channel) stands from a window's start.
    offsets: Vec<usize>,
    /// For each output plane, the weight of each tap.
    kernels: Vec<f32>,
}

impl Windows {
    pub(super) fn new(
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
        Ok(Self { axes: axes.clone(), padded, offsets, kernels })
    }

    /// Room for a padded image, its padding in place.
    pub(super) fn workspace(&self) -> Vec<f32> {
        vec![0.0; self.padded.len()]
    }

    /// `workspace` comes from [`workspace`](Self::workspace), or from an earlier call.
    pub(super) fn run(&self, plane: usize, image: &[f32], workspace: &mut [f32], bias: f32, out: &mut [f32]) {
        Plane {
            windows: self,
            kernel: &self.kernels[plane * self.offsets.len()..][..self.offsets.len()],
            image,
            workspace,
            bias,
            out,
        }
        .dispatch();
    }
}

/// One output plane, for the machine's vectors.
struct Plane<'a> {
    windows: &'a Windows,
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
        let Self { windows, kernel, image, workspace, bias, out } = self;
        windows.padded.fill_inside(image, workspace);
        any(isa, windows, kernel, workspace, bias, out);
    }
}

/// An output plane of any kernel.
#[inline(always)]
fn any<I: Isa>(isa: I, windows: &Windows, kernel: &[f32], image: &[f32], bias: f32, out: &mut [f32]) {
    let (height, width) = (windows.axes[1].count, windows.axes[2].count);
    let lane = isa.f32().len();
    for (index, line) in out.chunks_exact_mut(width).enumerate() {
        let image = &image[windows.padded.output_offset([index / height, index % height, 0])..];
        let mut x = 0;
        while x + 4 * lane <= width {
            vectors::<I, 4>(isa, &windows.offsets, kernel, &image[x..], bias, &mut line[x..]);
            x += 4 * lane;
        }
        while x + lane <= width {
            vectors::<I, 1>(isa, &windows.offsets, kernel, &image[x..], bias, &mut line[x..]);
            x += lane;
        }
        if x < width {
            let mut rest = [0.0; SLACK];
            vectors::<I, 1>(isa, &windows.offsets, kernel, &image[x..], bias, &mut rest);
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
