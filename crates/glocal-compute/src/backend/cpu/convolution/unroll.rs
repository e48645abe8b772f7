//! The right operand of a convolution's matrix product: the windows of an image as columns, some of them at a time.

use rayon::prelude::*;
use rten_gemm::{GemmInputA, GemmInputB, PackedAMatrix};

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::{self, Bias};
use crate::{ComputeError, ComputeErrorKind};

use super::padded::PaddedImage;

/// The number of elements that are unrolled at a time: about what the second cache holds...
const BLOCK_ELEMENTS: usize = 1 << 17;

/// ...but enough columns that reading all weights for each block does not count.
const BLOCK_COLUMNS: usize = 384;

/// Short runs are copied as whole vectors of this many elements; what is too much is overwritten by the next run.
const SHORT_RUN: usize = 8;

/// How the windows of one layer are found in an image. Row `channel · taps + tap`, column: output position.
#[derive(Clone, Debug)]
pub(super) struct Unroll {
    channels: usize,
    columns: usize,
    /// `None` when a window is one element, the same as the output's: the image is the matrix.
    windows: Option<Windows>,
}

#[derive(Clone, Debug)]
struct Windows {
    padded: PaddedImage,
    /// For each row, the tap's distance from the start of a window.
    taps: Vec<usize>,
    /// For each line of output positions, the start of the first window.
    lines: Vec<usize>,
    /// The number of positions of a line.
    width: usize,
}

/// What the products of one thread use again and again.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    image: Vec<f32>,
    block: BlockWorkspace,
}

#[derive(Debug, Default)]
struct BlockWorkspace {
    columns: Vec<f32>,
    product: Vec<f32>,
}

/// What every block of one product shares.
struct Product<'a> {
    operation: &'static str,
    windows: &'a Windows,
    image: &'a [f32],
    weight: &'a PackedAMatrix<f32>,
    bias: Option<&'a [f32]>,
}

impl Unroll {
    /// The windows that `axes` describe, over images of `channels` channels. Every axis has a tap and an output element.
    pub(super) fn new(operation: &'static str, axes: &[Axis; 3], channels: usize) -> Result<Self, ComputeError> {
        let windows = if axes.iter().all(Axis::is_identity) {
            None
        } else {
            Some(Windows::new(axes, channels).ok_or_else(|| {
                let shape = axes.iter().map(|axis| axis.size).collect();
                ComputeError::new(operation, ComputeErrorKind::TooLarge { shape })
            })?)
        };
        Ok(Self { channels, columns: axes.iter().map(|axis| axis.count).product(), windows })
    }

    /// The number of output positions.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// `out = weight · windows(image) + bias`, with the blocks of columns in parallel where `parallel`.
    pub(super) fn multiply(
        &self,
        operation: &'static str,
        workspace: &mut Workspace,
        parallel: bool,
        out: &mut [f32],
        weight: &PackedAMatrix<f32>,
        image: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<(), ComputeError> {
        let Some(windows) = &self.windows else {
            let b = gemm::matrix(image, self.channels, self.columns);
            let (a, b) = (GemmInputA::Packed(weight), GemmInputB::Unpacked(b));
            return gemm::multiply(operation, out, a, b, Bias::rows(bias));
        };
        if workspace.image.len() != windows.padded.len() {
            workspace.image = vec![0.0; windows.padded.len()];
        }
        windows.padded.fill(image, &mut workspace.image);
        let product = Product { operation, windows, image: &workspace.image, weight, bias };
        let at_once = (BLOCK_ELEMENTS / windows.taps.len()).max(BLOCK_COLUMNS).min(self.columns);
        let blocks = self.columns.div_ceil(at_once);
        if blocks == 1 {
            return product.whole(&mut workspace.block, out);
        }
        let at_once = self.columns.div_ceil(blocks);
        let mut parts: Vec<Vec<&mut [f32]>> = (0..blocks).map(|_| Vec::with_capacity(weight.rows())).collect();
        for row in out.chunks_exact_mut(self.columns) {
            parts.iter_mut().zip(row.chunks_mut(at_once)).for_each(|(part, row)| part.push(row));
        }
        if parallel {
            let run = blocks.div_ceil(4 * rayon::current_num_threads());
            parts.par_chunks_mut(run).enumerate().try_for_each_init(
                BlockWorkspace::default,
                |workspace, (index, parts)| {
                    let mut blocks = parts.iter_mut().enumerate();
                    blocks.try_for_each(|(block, part)| product.part(workspace, (index * run + block) * at_once, part))
                },
            )
        } else {
            let mut blocks = parts.iter_mut().enumerate();
            blocks.try_for_each(|(block, part)| product.part(&mut workspace.block, block * at_once, part))
        }
    }
}

impl Windows {
    fn new(axes: &[Axis; 3], channels: usize) -> Option<Self> {
        let padded = PaddedImage::new(axes, channels, SHORT_RUN)?;
        let [deep, vertical, horizontal] = axes;
        let mut taps = Vec::new();
        for channel in 0..channels {
            for z in 0..deep.taps.len() {
                for y in 0..vertical.taps.len() {
                    taps.extend((0..horizontal.taps.len()).map(|x| padded.tap_offset(channel, [z, y, x])));
                }
            }
        }
        let lines = (0..deep.count).flat_map(|z| (0..vertical.count).map(move |y| [z, y, 0]));
        let lines = lines.map(|line| padded.output_offset(line)).collect();
        Some(Self { padded, taps, lines, width: horizontal.count })
    }

    /// Lays out the windows of output positions `first..first + count` as the first columns of a matrix.
    fn unroll(&self, image: &[f32], first: usize, count: usize, columns: &mut Vec<f32>) {
        columns.resize(self.taps.len() * count + SHORT_RUN, 0.0);
        // (where a run of neighbouring windows starts, its first column, its length)
        let mut runs = Vec::with_capacity(count / self.width + 2);
        let mut column = 0;
        while column < count {
            let (line, x) = ((first + column) / self.width, (first + column) % self.width);
            let len = (self.width - x).min(count - column);
            runs.push((self.lines[line] + x, column, len));
            column += len;
        }
        for (row, tap) in self.taps.iter().enumerate() {
            let from = &image[*tap..];
            let to = &mut columns[row * count..];
            for &(start, column, len) in &runs {
                if len <= SHORT_RUN {
                    let run = from[start..].first_chunk::<SHORT_RUN>();
                    if let (Some(run), Some(to)) = (run, to[column..].first_chunk_mut::<SHORT_RUN>()) {
                        *to = *run;
                    }
                } else {
                    to[column..column + len].copy_from_slice(&from[start..start + len]);
                }
            }
        }
    }
}

impl Product<'_> {
    /// All columns at once.
    fn whole(&self, workspace: &mut BlockWorkspace, out: &mut [f32]) -> Result<(), ComputeError> {
        let count = out.len() / self.weight.rows();
        let (rows, columns) = (self.windows.taps.len(), &mut workspace.columns);
        self.windows.unroll(self.image, 0, count, columns);
        let b = gemm::matrix(&columns[..rows * count], rows, count);
        let (a, b) = (GemmInputA::Packed(self.weight), GemmInputB::Unpacked(b));
        gemm::multiply(self.operation, out, a, b, Bias::rows(self.bias))
    }

    /// The columns from `first` on, as many as each of `rows` has room for.
    fn part(&self, workspace: &mut BlockWorkspace, first: usize, rows: &mut [&mut [f32]]) -> Result<(), ComputeError> {
        let count = rows.first().map_or(0, |row| row.len());
        let BlockWorkspace { columns, product } = workspace;
        self.windows.unroll(self.image, first, count, columns);
        product.resize(rows.len() * count, 0.0);
        let depth = self.windows.taps.len();
        let b = gemm::matrix(&columns[..depth * count], depth, count);
        let (a, b) = (GemmInputA::Packed(self.weight), GemmInputB::Unpacked(b));
        gemm::multiply(self.operation, product, a, b, Bias::rows(self.bias))?;
        rows.iter_mut().zip(product.chunks_exact(count)).for_each(|(to, from)| to.copy_from_slice(from));
        Ok(())
    }
}
