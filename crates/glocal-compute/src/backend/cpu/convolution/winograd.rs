//! Convolutions with 3×3 kernels at stride 1 by Winograd's minimal filtering F(2×2, 3×3): 16 products for four outputs
//! instead of 36 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4.1).
//!
//! The output falls into tiles of 2×2. For each, the 4×4 elements that it reads are transformed; each of the 16 results
//! meets its own matrix of transformed weights; and the 16 products are transformed back. Tiles are columns of these 16
//! matrix products, so a tile's results do not depend on its neighbours.

mod input;
mod level;
mod output;
mod pieces;
mod tiles;
mod weights;

use rayon::prelude::*;

use crate::ComputeError;
use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::left::LeftPanels;
use crate::backend::cpu::gemm::tile::MOST_LANES;
use crate::backend::cpu::parallel;

use super::Layer;
use super::unroll::Unroll;
pub(super) use level::is_level;
use tiles::Tiled;

/// The number of elements that a tile reads: 4×4.
const POINTS: usize = 16;

/// Fewer channels than these, in or out, do not pay for the transforms.
const LEAST_CHANNELS: usize = 32;

/// Planes with fewer output elements along an axis are faster without: all weights are read for few tiles.
const LEAST_SIZE: usize = 14;

/// The transformed elements and the products that are under way, roughly: about twice what the second cache holds.
const BLOCK_ELEMENTS: usize = 1 << 19;

/// All weights are read for so many tiles at least.
const LEAST_TILES: usize = 128;

/// Images with few tiles are computed together, about so many tiles at a time.
const SHARED_TILES: usize = 128;

/// Elements that may be read or written past the end, so that vectors are whole. Of no power of two, so that the points
/// of a tile are not all kept in the same few places of a cache.
const SLACK: usize = MOST_LANES;

/// One direction of a layer: 16 matrices of transformed weights.
pub(super) struct Winograd {
    weights: Vec<LeftPanels>,
    channels_in: usize,
    channels_out: usize,
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

impl Winograd {
    /// The forward direction.
    pub(super) fn forward(layer: &Layer) -> Self {
        let (inputs, weights) = (layer.inputs, layer.weight.data());
        Self::pack(layer.outputs, inputs, |row, column| {
            std::array::from_fn(|tap| weights[(row * inputs + column) * 9 + tap])
        })
    }

    /// The input gradient: channels swapped, kernels turned by half.
    pub(super) fn gradient(layer: &Layer) -> Self {
        let (inputs, weights) = (layer.inputs, layer.weight.data());
        Self::pack(inputs, layer.outputs, |row, column| {
            std::array::from_fn(|tap| weights[(column * inputs + row) * 9 + 8 - tap])
        })
    }

    fn pack(channels_out: usize, channels_in: usize, kernel: impl Fn(usize, usize) -> [f32; 9] + Sync) -> Self {
        let pack = |point: usize| {
            let mut matrix = Vec::with_capacity(channels_out * channels_in);
            for row in 0..channels_out {
                matrix.extend((0..channels_in).map(|column| weights::transformed(&kernel(row, column), point)));
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
        let unroll = Unroll::new(operation, &tiles, self.channels_in, SLACK)?;
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

    /// How many of `tiles` tiles are computed together.
    fn tiles_at_once(&self, tiles: usize) -> usize {
        let lanes = self.weights.first().map_or(1, |panels| panels.shape.lanes);
        let room = BLOCK_ELEMENTS / (POINTS * (self.channels_in + self.channels_out));
        let blocks = tiles.div_ceil(room.max(LEAST_TILES));
        tiles.div_ceil(blocks).next_multiple_of(lanes)
    }
}

/// The axis whose outputs are tiles of two, and whose taps are the four elements that a tile reads.
fn tiles_of(axis: &Axis) -> Axis {
    let first = axis.taps.first().copied().unwrap_or(0);
    Axis { size: axis.size, start: axis.start + first, step: 2, count: axis.count.div_ceil(2), taps: vec![0, 1, 2, 3] }
}
