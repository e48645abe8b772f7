//! Convolutions with 3×3 kernels at stride 1 by Winograd's minimal filtering F(2×2, 3×3): 16 products for four outputs
//! instead of 36 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1).
//!
//! The output falls into tiles of 2×2. For each, the 4×4 elements that it reads are transformed; each of the 16 results
//! meets its own matrix of transformed weights; and the 16 products are transformed back. Tiles are columns of these 16
//! matrix products, so a tile's results do not depend on its neighbours.

mod transform;

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::SimdOp;

use crate::ComputeError;
use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::left::{DEPTH, LeftPanels};
use crate::backend::cpu::gemm::right::{RightSource, Run, padded_columns};
use crate::backend::cpu::gemm::tile::Block;
use crate::backend::cpu::parallel;
use crate::backend::cpu::scratch::{Keep, Scratch, sized};

use super::Layer;
use super::unroll::Unroll;
use transform::{Back, Forth};

/// The number of elements that a tile reads: 4×4.
const POINTS: usize = 16;

/// Fewer channels than these, in or out, do not pay for the transforms.
const LEAST_CHANNELS: usize = 32;

/// Planes with fewer output elements along an axis are faster without: all weights are read for few tiles.
const LEAST_SIZE: usize = 14;

/// The transformed elements and the products that are under way, roughly: what the second cache holds.
const BLOCK_ELEMENTS: usize = 1 << 18;

/// Images with few tiles are computed together, about so many tiles at a time.
const SHARED_TILES: usize = 128;

/// The channels that are transformed at a time; divides [`DEPTH`].
const CHANNELS: usize = 8;

/// One direction of a layer: 16 matrices of transformed weights.
pub(super) struct Winograd {
    weights: Vec<LeftPanels>,
    channels_in: usize,
    channels_out: usize,
}

/// What one thread uses again and again.
#[derive(Default)]
struct Workspace {
    runs: Vec<Run>,
    read: Vec<f32>,
    transformed: Vec<f32>,
    products: Vec<f32>,
}

impl Keep for Workspace {
    fn elements(&self) -> usize {
        self.read.capacity() + self.transformed.capacity() + self.products.capacity()
    }
}

thread_local! {
    static WORKSPACE: Scratch<Workspace> = const { Scratch::new() };
}

/// Whether a layer whose outputs lie along `output` is computed this way, in the direction from `channels_in` to
/// `channels_out`.
pub(super) fn suits(layer: &Layer, output: [usize; 3], channels_in: usize, channels_out: usize) -> bool {
    let [depth, height, width] = output;
    layer.kernel == [1, 3, 3]
        && layer.strides[1..] == [1, 1]
        && layer.dilations[1..] == [1, 1]
        && layer.pads_begin[0] == 0
        && layer.geometry.group == 1
        && depth == 1
        && height.min(width) >= LEAST_SIZE
        && channels_in.min(channels_out) >= LEAST_CHANNELS
}

/// How many times the median a value may be, as a power of two, for [`is_level`].
const LEVEL: u32 = 10;

/// From so many values, evenly taken, the median is told.
const MEDIAN_OF: usize = 4096;

/// Whether no value stands far above the others.
///
/// A tile's transform adds its elements up and subtracts them again, so that an element is off by roundings of the largest of
/// its tile. Relevance divided by a denominator that is next to nothing is such an element, by which others would be
/// lost.
pub(super) fn is_level(values: &[f32]) -> bool {
    let exponent = |value: f32| value.to_bits() << 1 >> 24;
    let mut counts = [0usize; 256];
    for value in values.iter().step_by(values.len().div_ceil(MEDIAN_OF).max(1)).filter(|value| **value != 0.0) {
        counts[exponent(*value) as usize] += 1;
    }
    let half = counts.iter().sum::<usize>() / 2;
    let mut below = 0;
    let median = counts.iter().position(|count| {
        below += count;
        below > half
    });
    // As bits without their sign, floats are ordered like their sizes, and what is not finite is larger than all.
    let largest = values.iter().fold(0, |largest, value| largest.max(value.to_bits() << 1)) >> 24;
    largest <= median.unwrap_or(0) as u32 + LEVEL
}

impl Winograd {
    /// The forward direction.
    pub(super) fn forward(layer: &Layer) -> Self {
        let (inputs, weights) = (layer.inputs, layer.elements());
        Self::pack(layer.outputs, inputs, |row, column| {
            std::array::from_fn(|tap| weights[(row * inputs + column) * 9 + tap])
        })
    }

    /// The input gradient: channels swapped, kernels turned by half.
    pub(super) fn gradient(layer: &Layer) -> Self {
        let (inputs, weights) = (layer.inputs, layer.elements());
        Self::pack(inputs, layer.outputs, |row, column| {
            std::array::from_fn(|tap| weights[(column * inputs + row) * 9 + 8 - tap])
        })
    }

    fn pack(channels_out: usize, channels_in: usize, kernel: impl Fn(usize, usize) -> [f32; 9] + Sync) -> Self {
        let pack = |point: usize| {
            let mut matrix = Vec::with_capacity(channels_out * channels_in);
            for row in 0..channels_out {
                matrix.extend((0..channels_in).map(|column| transform::weight(&kernel(row, column), point)));
            }
            LeftPanels::pack(&matrix, channels_out, channels_in)
        };
        Self { weights: (0..POINTS).into_par_iter().map(pack).collect(), channels_in, channels_out }
    }

    /// `axes` are those of the direction, with three neighbouring taps each along the last two.
    pub(super) fn run(
        &self,
        operation: &'static str,
        axes: &[Axis; 3],
        x: &[f32],
        bias: Option<&[f32]>,
        out: &mut [f32],
    ) -> Result<(), ComputeError> {
        let [deep, vertical, horizontal] = axes;
        let tiles = [deep.clone(), tiles_of(vertical), tiles_of(horizontal)];
        let unroll = Unroll::new(operation, &tiles, self.channels_in)?;
        let layer = Tiled {
            winograd: self,
            unroll: &unroll,
            across: tiles[2].count,
            height: vertical.count,
            width: horizontal.count,
            bias,
        };
        let image_len = self.channels_in * axes.iter().map(|axis| axis.size).product::<usize>();
        let out_len = self.channels_out * vertical.count * horizontal.count;
        let batch = out.len() / out_len;
        let share = batch.div_ceil(rayon::current_num_threads()).max(1);
        let at_once = (SHARED_TILES / unroll.columns()).clamp(1, share);
        let few = parallel::are_few(batch.div_ceil(at_once));
        parallel::for_tasks(
            out,
            at_once * out_len,
            at_once * out_len * self.channels_in * 4,
            || (),
            |(), task, out| {
                let first = task * at_once;
                let images = &x[first * image_len..(first + out.len() / out_len) * image_len];
                unroll.with_images(few, images, |images, image_len| {
                    if few && out.len() == out_len {
                        layer.split(images, image_len, out);
                    } else {
                        layer.whole(images, image_len, out);
                    }
                });
                Ok(())
            },
        )
    }

    /// How many tiles are computed together.
    fn tiles_at_once(&self) -> usize {
        let wide = self.weights.first().map_or(1, |panels| panels.shape.columns());
        let room = BLOCK_ELEMENTS / (POINTS * (self.channels_in + self.channels_out));
        (room / wide).max(1) * wide
    }
}

/// The axis whose outputs are tiles of two, and whose taps are the four elements that a tile reads.
fn tiles_of(axis: &Axis) -> Axis {
    let first = axis.taps.first().copied().unwrap_or(0);
    Axis { size: axis.size, start: axis.start + first, step: 2, count: axis.count.div_ceil(2), taps: vec![0, 1, 2, 3] }
}

/// A layer and how its output falls into tiles.
struct Tiled<'a> {
    winograd: &'a Winograd,
    unroll: &'a Unroll,
    /// The number of tiles side by side.
    across: usize,
    height: usize,
    width: usize,
    bias: Option<&'a [f32]>,
}

impl Tiled<'_> {
    /// All tiles of some images, on this thread.
    fn whole(&self, images: &[f32], image_len: usize, out: &mut [f32]) {
        let (channels, plane, width) = (self.winograd.channels_out, self.height * self.width, self.width);
        let tiles = out.len() / (channels * plane) * self.unroll.columns();
        let at_once = self.winograd.tiles_at_once();
        for first in (0..tiles).step_by(at_once) {
            self.block(images, image_len, first..(first + at_once).min(tiles), |channel, image, y, x, line| {
                out[(image * channels + channel) * plane + y * width + x..][..line.len()].copy_from_slice(line);
            });
        }
    }

    /// All tiles of one image, lines of tiles in parallel.
    fn split(&self, image: &[f32], image_len: usize, out: &mut [f32]) {
        let (plane, width) = (self.height * self.width, self.width);
        let down = self.height.div_ceil(2);
        let blocks = self.unroll.columns().div_ceil(self.winograd.tiles_at_once());
        // as many blocks as keep all threads busy to the end
        let blocks = blocks.next_multiple_of(rayon::current_num_threads()).min(down);
        let lines = |block: usize| down * block / blocks..down * (block + 1) / blocks;
        let mut tasks: Vec<Vec<&mut [f32]>> =
            (0..blocks).map(|_| Vec::with_capacity(self.winograd.channels_out)).collect();
        for mut plane in out.chunks_exact_mut(plane) {
            for (block, task) in tasks.iter_mut().enumerate() {
                let rows = (lines(block).end * 2).min(self.height) - lines(block).start * 2;
                task.extend(plane.split_off_mut(..rows * width));
            }
        }
        tasks.into_par_iter().enumerate().for_each(|(block, mut out)| {
            let lines = lines(block);
            let tiles = lines.start * self.across..lines.end * self.across;
            self.block(image, image_len, tiles, |channel, _, y, x, line| {
                out[channel][(y - lines.start * 2) * width + x..][..line.len()].copy_from_slice(line);
            });
        });
    }

    /// Some tiles, counted through all images. Hands out parts of lines of the result: channel, image, y, x, elements.
    fn block(
        &self,
        images: &[f32],
        image_len: usize,
        tiles: Range<usize>,
        take: impl FnMut(usize, usize, usize, usize, &[f32]),
    ) {
        WORKSPACE.with(|scratch| {
            scratch.lend(|workspace| {
                self.forth(workspace, images, image_len, tiles.clone());
                self.multiply(workspace, tiles.len());
                self.back(workspace, tiles, take);
            });
        });
    }

    /// Transforms what the tiles read. For each point: panels, as a matrix product takes them.
    fn forth(&self, workspace: &mut Workspace, images: &[f32], image_len: usize, tiles: Range<usize>) {
        let Some(shape) = self.winograd.weights.first().map(|panels| panels.shape) else { return };
        let channels = self.winograd.channels_in;
        let padded = padded_columns(shape, tiles.len());
        let Workspace { runs, read, transformed, .. } = workspace;
        let transformed = sized(transformed, POINTS * channels * padded);
        self.unroll.runs(image_len, tiles, runs);
        let source = RightSource { elements: images, rows: self.unroll.taps() };
        for first in (0..channels).step_by(CHANNELS) {
            let count = CHANNELS.min(channels - first);
            source.pack(shape, first * POINTS..(first + count) * POINTS, runs, read);
            let block = first - first % DEPTH;
            Forth {
                read: &read[..count * POINTS * padded],
                wide: shape.columns(),
                padded,
                channels: count,
                to: &mut transformed[block * padded..],
                first: first - block,
                depth: DEPTH.min(channels - block),
                stride: channels * padded,
            }
            .dispatch();
        }
    }

    /// The product of each point.
    fn multiply(&self, workspace: &mut Workspace, tiles: usize) {
        let Some(packed) = self.winograd.weights.first() else { return };
        let (shape, channels) = (packed.shape, packed.depth());
        let padded = padded_columns(shape, tiles);
        let len = packed.panels() * shape.rows * padded;
        let products = sized(&mut workspace.products, POINTS * len);
        let rights = workspace.transformed.chunks_exact(channels * padded);
        for ((packed, right), sums) in self.winograd.weights.iter().zip(rights).zip(products.chunks_exact_mut(len)) {
            for start in (0..channels).step_by(DEPTH) {
                let depth = DEPTH.min(channels - start);
                Block {
                    left: packed.block(start, depth, 0, packed.panels()),
                    right: &right[start * padded..(start + depth) * padded],
                    depth,
                    sums,
                    add: start > 0,
                    finish: None,
                }
                .dispatch();
            }
        }
    }

    /// Transforms the products back.
    fn back(
        &self,
        workspace: &mut Workspace,
        tiles: Range<usize>,
        mut take: impl FnMut(usize, usize, usize, usize, &[f32]),
    ) {
        let Some(packed) = self.winograd.weights.first() else { return };
        let (wide, rows) = (packed.shape.columns(), packed.panels() * packed.shape.rows);
        let padded = padded_columns(packed.shape, tiles.len());
        let products = &workspace.products[..POINTS * rows * padded];
        let (of_image, across) = (self.unroll.columns(), self.across);
        // neighbouring tiles of a line and of a panel: first column, length, image, y, x
        let mut pieces = Vec::new();
        let mut column = 0;
        while column < tiles.len() {
            let tile = tiles.start + column;
            let (image, tile) = (tile / of_image, tile % of_image);
            let (y, x) = (tile / across, tile % across);
            let len = (across - x).min(tiles.len() - column).min(wide - column % wide);
            pieces.push((column, len, image, 2 * y, 2 * x));
            column += len;
        }
        let mut upper = vec![0.0; 2 * wide];
        let mut lower = vec![0.0; 2 * wide];
        for pieces in pieces.chunk_by(|a, b| a.0 / wide == b.0 / wide) {
            let first = pieces.first().map_or(0, |piece| piece.0 - piece.0 % wide);
            let width = wide.min(padded - first);
            for channel in 0..self.winograd.channels_out {
                Back {
                    products: &products[first * rows + channel * width..],
                    stride: rows * padded,
                    bias: self.bias.map_or(0.0, |bias| bias[channel]),
                    upper: &mut upper[..2 * width],
                    lower: &mut lower[..2 * width],
                }
                .dispatch();
                for &(column, len, image, y, x) in pieces {
                    let at = 2 * (column - first);
                    let len = (2 * len).min(self.width - x);
                    take(channel, image, y, x, &upper[at..at + len]);
                    if y + 1 < self.height {
                        take(channel, image, y + 1, x, &lower[at..at + len]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_level;

    #[test]
    fn what_stands_far_above_the_others_is_seen_wherever_it_is() {
        let mut values: Vec<f32> = (0..100_000).map(|index| (index % 97) as f32 - 48.0).collect();
        assert!(is_level(&values));
        for index in [0, 1, 54_321, 99_999] {
            let before = values[index];
            for outlier in [-1e6, f32::NAN, f32::INFINITY] {
                values[index] = outlier;
                assert!(!is_level(&values), "{outlier} at {index}");
            }
            values[index] = before;
        }
        // Scale does not matter, nor do zeros.
        let small: Vec<f32> = values.iter().map(|value| value * 1e-30).collect();
        assert!(is_level(&small) && is_level(&[]) && is_level(&[0.0; 9]));
    }
}
