//! The right operand of a convolution's matrix product: the windows of an image as columns, some of them at a time.

use rayon::prelude::*;
use rten_gemm::{GemmInputA, GemmInputB, PackedAMatrix};
use rten_tensor::Matrix;

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

/// Images with few output positions share one product, of about this many columns.
const SHARED_COLUMNS: usize = 256;

/// How the windows of one layer are found in an image. Row `channel · taps + tap`, column: output position.
#[derive(Clone, Debug)]
pub(super) struct Unroll {
    padded: PaddedImage,
    channels: usize,
    /// The number of output positions.
    columns: usize,
    /// The number of elements of an image's channel.
    plane: usize,
    /// Whether a window is one element, the same as the output's: the image is the matrix.
    is_image: bool,
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
    images: Vec<f32>,
    block: BlockWorkspace,
}

#[derive(Debug, Default)]
struct BlockWorkspace {
    columns: Vec<f32>,
    product: Vec<f32>,
}

/// The left operand of a product, and what is added to it.
#[derive(Clone, Copy)]
pub(super) struct Weight<'a> {
    pub(super) operation: &'static str,
    pub(super) packed: &'a PackedAMatrix<f32>,
    /// One number for each row.
    pub(super) bias: Option<&'a [f32]>,
}

/// What every block of one product shares.
struct Product<'a> {
    unroll: &'a Unroll,
    /// Padded images, one after the other.
    images: &'a [f32],
    weight: &'a Weight<'a>,
}

impl Unroll {
    /// The windows that `axes` describe, over images of `channels` channels. Every axis has a tap and an output element.
    pub(super) fn new(operation: &'static str, axes: &[Axis; 3], channels: usize) -> Result<Self, ComputeError> {
        let padded = PaddedImage::new(axes, channels, SHORT_RUN).ok_or_else(|| {
            let shape = axes.iter().map(|axis| axis.size).collect();
            ComputeError::new(operation, ComputeErrorKind::TooLarge { shape })
        })?;
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
        Ok(Self {
            channels,
            columns: axes.iter().map(|axis| axis.count).product(),
            plane: axes.iter().map(|axis| axis.size).product(),
            is_image: axes.iter().all(Axis::is_identity),
            padded,
            taps,
            lines,
            width: horizontal.count,
        })
    }

    /// The number of output positions.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// How many of `images` images one call of [`multiply`](Self::multiply) should take.
    pub(super) fn images_at_once(&self, images: usize) -> usize {
        let share = images.div_ceil(rayon::current_num_threads()).max(1);
        let room = BLOCK_ELEMENTS / self.padded.len();
        (SHARED_COLUMNS / self.columns).min(room).clamp(1, share)
    }

    /// `out = weight · windows(image) + bias` for each of the `images`, with blocks of columns in parallel where
    /// `parallel`.
    pub(super) fn multiply(
        &self,
        workspace: &mut Workspace,
        parallel: bool,
        out: &mut [f32],
        weight: &Weight<'_>,
        images: &[f32],
    ) -> Result<(), ComputeError> {
        let image_len = self.channels * self.plane;
        let count = images.len() / image_len;
        if self.is_image && count == 1 {
            return weight.multiply(out, gemm::matrix(images, self.channels, self.columns));
        }
        let padded_len = self.padded.len();
        if workspace.images.len() < count * padded_len {
            workspace.images = vec![0.0; count * padded_len];
        }
        for (image, padded) in images.chunks_exact(image_len).zip(workspace.images.chunks_exact_mut(padded_len)) {
            self.padded.fill(image, padded);
        }
        let product = Product { unroll: self, images: &workspace.images, weight };
        if count > 1 {
            return product.shared(&mut workspace.block, count, out);
        }
        let at_once = (BLOCK_ELEMENTS / self.taps.len()).max(BLOCK_COLUMNS).min(self.columns);
        let blocks = self.columns.div_ceil(at_once);
        if blocks == 1 {
            return product.whole(&mut workspace.block, out);
        }
        let at_once = self.columns.div_ceil(blocks);
        let mut parts: Vec<Vec<&mut [f32]>> = (0..blocks).map(|_| Vec::with_capacity(weight.packed.rows())).collect();
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

    /// Lays out the windows of `count` output positions from the `first` on, counted through all the padded `images`,
    /// as the first columns of a matrix.
    fn unroll(&self, images: &[f32], first: usize, count: usize, columns: &mut Vec<f32>) {
        columns.resize(self.taps.len() * count + SHORT_RUN, 0.0);
        // (where a run of neighbouring windows starts, its first column, its length)
        let mut runs = Vec::with_capacity(count / self.width + 2);
        let mut column = 0;
        while column < count {
            let (image, position) = ((first + column) / self.columns, (first + column) % self.columns);
            let (line, x) = (position / self.width, position % self.width);
            let len = (self.width - x).min(count - column);
            runs.push((image * self.padded.len() + self.lines[line] + x, column, len));
            column += len;
        }
        for (row, tap) in self.taps.iter().enumerate() {
            let from = &images[*tap..];
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

impl Weight<'_> {
    fn multiply(&self, out: &mut [f32], columns: Matrix<'_, f32>) -> Result<(), ComputeError> {
        let (a, b) = (GemmInputA::Packed(self.packed), GemmInputB::Unpacked(columns));
        gemm::multiply(self.operation, out, a, b, Bias::rows(self.bias))
    }
}

impl Product<'_> {
    /// All columns of one image at once.
    fn whole(&self, workspace: &mut BlockWorkspace, out: &mut [f32]) -> Result<(), ComputeError> {
        self.block(&mut workspace.columns, 0, self.unroll.columns, out)
    }

    /// All columns of `count` images at once.
    fn shared(&self, workspace: &mut BlockWorkspace, count: usize, out: &mut [f32]) -> Result<(), ComputeError> {
        let (columns, rows) = (self.unroll.columns, self.weight.packed.rows());
        let BlockWorkspace { columns: buffer, product } = workspace;
        product.resize(rows * count * columns, 0.0);
        self.block(buffer, 0, count * columns, product)?;
        for (image, out) in out.chunks_exact_mut(rows * columns).enumerate() {
            for (to, from) in out.chunks_exact_mut(columns).zip(product.chunks_exact(count * columns)) {
                to.copy_from_slice(&from[image * columns..(image + 1) * columns]);
            }
        }
        Ok(())
    }

    /// The columns of one image from `first` on, as many as each of `rows` has room for.
    fn part(&self, workspace: &mut BlockWorkspace, first: usize, rows: &mut [&mut [f32]]) -> Result<(), ComputeError> {
        let count = rows.first().map_or(0, |row| row.len());
        let BlockWorkspace { columns, product } = workspace;
        product.resize(rows.len() * count, 0.0);
        self.block(columns, first, count, product)?;
        rows.iter_mut().zip(product.chunks_exact(count)).for_each(|(to, from)| to.copy_from_slice(from));
        Ok(())
    }

    fn block(&self, columns: &mut Vec<f32>, first: usize, count: usize, out: &mut [f32]) -> Result<(), ComputeError> {
        self.unroll.unroll(self.images, first, count, columns);
        let rows = self.unroll.taps.len();
        self.weight.multiply(out, gemm::matrix(&columns[..rows * count], rows, count))
    }
}
