//! Convolutions with 3×3 kernels at stride 1 by Winograd's minimal filtering F(2×2, 3×3): 16 products for four outputs
//! instead of 36 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1).
//!
//! The output falls into tiles of 2×2. For each, the 4×4 elements that it reads are transformed; each of the 16 results
//! meets its own matrix of transformed weights; and the 16 products are transformed back. Tiles are columns of these 16
//! matrix products, so a tile's results do not depend on its neighbours.

mod blocks;
mod input;
mod level;
mod lines;
mod output;
mod pieces;
mod tiles;
mod weights;

use std::sync::OnceLock;

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::left::LeftPanels;
use crate::backend::cpu::gemm::tile::{MOST_LANES, TileShape};
use crate::backend::cpu::parallel;

use super::Layer;
use blocks::{Grid, at_once};
pub(super) use level::by_rows;
use tiles::Tiled;

/// The number of elements that a tile reads: 4×4.
const POINTS: usize = 16;

/// Fewer channels than these, in or out, do not pay for the transforms.
const LEAST_CHANNELS: usize = 8;

/// Layers of at most this many multiply-adds an image are as fast without, or nearly, and more exact.
const FEW_STEPS: usize = 1 << 19;

/// Planes with fewer output elements along an axis are faster without: all weights are read for few tiles.
const LEAST_SIZE: usize = 6;

/// The transformed elements and the products that are under way, roughly: what the second cache holds.
const BLOCK_ELEMENTS: usize = 1 << 18;

/// All weights are read for so many tiles at least.
const LEAST_TILES: usize = 128;

/// No more transformed elements and products than these are under way in a thread (64 MiB), if a few tiles have no more.
const MOST_ELEMENTS: usize = 1 << 24;

/// So many weights are read for twice as many tiles: they come from far.
const MANY_WEIGHTS: usize = 1 << 21;

/// The depth of a block of the products: a panel of each operand fits the first cache.
const STEP: usize = 128;

/// How many products are summed up before their sum is added to others, of so many channels. Transforms round too, so that
/// sums are kept shorter than elsewhere: as precise as those without transforms.
fn together(channels: usize) -> usize {
    if channels <= 64 { 16 } else { 32 }
}

/// Elements that may be read or written past the end, so that vectors are whole.
const SLACK: usize = MOST_LANES;

/// The packed weights of a layer. The matrices of the input gradient are those of the forward direction transposed: one form
/// serves both where it falls into whole squares.
#[derive(Default)]
pub(super) struct PackedWinograd {
    forward: OnceLock<Vec<LeftPanels>>,
    gradient: OnceLock<Vec<LeftPanels>>,
}

/// One direction of a layer.
#[derive(Clone, Copy)]
pub(super) struct Winograd<'a> {
    /// For each point a matrix of transformed weights.
    weights: &'a [LeftPanels],
    /// Whether they are those of the other direction.
    turned: bool,
    channels_in: usize,
    channels_out: usize,
}

/// Whether a layer whose outputs lie along `output` is computed this way, in the direction from `channels_in` to
/// `channels_out`.
pub(super) fn suits(layer: &Layer, output: [usize; 3], channels_in: usize, channels_out: usize) -> bool {
    let [depth, height, width] = output;
    let steps = [height, width, 9, channels_in, channels_out].into_iter().fold(1, usize::saturating_mul);
    layer.kernel == [1, 3, 3]
        && layer.strides[1..] == [1, 1]
        && layer.dilations[1..] == [1, 1]
        && layer.pads_begin[0] == 0
        && layer.geometry.group == 1
        && depth == 1
        && height.min(width) >= LEAST_SIZE
        && channels_in.min(channels_out) >= LEAST_CHANNELS
        && steps > FEW_STEPS
}

impl PackedWinograd {
    /// The forward direction.
    pub(super) fn forward(&self, layer: &Layer) -> Winograd<'_> {
        let weights = parallel::made_once(&self.forward, || {
            let (inputs, weights) = (layer.inputs, layer.elements());
            pack(layer.outputs, inputs, |row, column| {
                std::array::from_fn(|tap| weights[(row * inputs + column) * 9 + tap])
            })
        });
        Winograd { weights, turned: false, channels_in: layer.inputs, channels_out: layer.outputs }
    }

    /// The input gradient: channels swapped, kernels turned by half.
    pub(super) fn gradient(&self, layer: &Layer) -> Winograd<'_> {
        let (channels_in, channels_out) = (layer.outputs, layer.inputs);
        if LeftPanels::turns(channels_in, channels_out, STEP) {
            return Winograd { turned: true, channels_in, channels_out, ..self.forward(layer) };
        }
        let weights = parallel::made_once(&self.gradient, || {
            let weights = layer.elements();
            pack(channels_out, channels_in, |row, column| {
                std::array::from_fn(|tap| weights[(column * channels_out + row) * 9 + 8 - tap])
            })
        });
        Winograd { weights, turned: false, channels_in, channels_out }
    }
}

fn pack(channels_out: usize, channels_in: usize, kernel: impl Fn(usize, usize) -> [f32; 9] + Sync) -> Vec<LeftPanels> {
    LeftPanels::pack_all(POINTS, [channels_out, channels_in], STEP, |point| {
        let mut matrix = Vec::with_capacity(channels_out * channels_in);
        for row in 0..channels_out {
            matrix.extend((0..channels_in).map(|column| weights::transformed(&kernel(row, column), point)));
        }
        matrix
    })
}

impl Winograd<'_> {
    /// `axes` are those of the direction, with three neighbouring taps each along the last two.
    pub(super) fn run(&self, axes: &[Axis; 3], x: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let layer = Tiled { winograd: *self, grid: Grid::new(axes), bias };
        let grid = &layer.grid;
        let image_len = self.channels_in * grid.plane;
        let out_len = self.channels_out * grid.result_len();
        let batch = out.len() / out_len;
        let share = batch.div_ceil(rayon::current_num_threads()).max(1);
        let (tiles, least) = (grid.down * grid.across, self.least_tiles());
        let at_once = if tiles < least { at_once(self.shape(), share, tiles, least) } else { 1 };
        let few = parallel::are_few(batch.div_ceil(at_once));
        let steps = at_once * out_len * self.channels_in * 4;
        parallel::for_blocks(out, at_once * out_len, steps, |task, out| {
            let first = task * at_once;
            let images = &x[first * image_len..(first + out.len() / out_len) * image_len];
            if few && out.len() == out_len { layer.split(images, out) } else { layer.whole(images, out) }
        });
    }

    /// How many tiles are computed together, at least. Twice as many may be.
    fn least_tiles(&self) -> usize {
        let room = BLOCK_ELEMENTS / (POINTS * (self.channels_in + self.channels_out));
        let weights = POINTS * self.channels_in * self.channels_out;
        let most = MOST_ELEMENTS / (2 * POINTS * (self.channels_in + self.channels_out));
        room.max(if weights < MANY_WEIGHTS { LEAST_TILES } else { 2 * LEAST_TILES }).min(most.max(1))
    }

    fn shape(&self) -> TileShape {
        self.weights.first().map_or_else(TileShape::of_this_machine, |panels| panels.shape)
    }
}

#[cfg(test)]
mod tests;
