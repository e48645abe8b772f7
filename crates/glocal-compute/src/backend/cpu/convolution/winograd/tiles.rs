//! How the tiles of a layer are computed: some at a time, so many that what is under way stays in the second cache.

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::convolution::unroll::Unroll;
use crate::backend::cpu::gemm::left::{DEPTH, LeftPanels};
use crate::backend::cpu::gemm::tile::Block;
use crate::backend::cpu::scratch::{Keep, Scratch, sized};

use super::input::{Source, ToPoints};
use super::output::{FromPoints, Lines};
use super::pieces::Pieces;
use super::{POINTS, SLACK, Winograd};

/// What one thread uses again and again.
#[derive(Default)]
struct Workspace {
    pieces: Pieces,
    transformed: Vec<f32>,
    products: Vec<f32>,
}

impl Keep for Workspace {
    fn elements(&self) -> usize {
        self.transformed.capacity() + self.products.capacity()
    }
}

thread_local! {
    static WORKSPACE: Scratch<Workspace> = const { Scratch::new() };
}

/// A layer and how its output falls into tiles.
pub(super) struct Tiled<'a> {
    pub(super) winograd: &'a Winograd,
    pub(super) unroll: &'a Unroll,
    /// The number of tiles side by side.
    pub(super) across: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) bias: Option<&'a [f32]>,
}

impl Tiled<'_> {
    /// All tiles of some images, on this thread.
    pub(super) fn whole(&self, images: &[f32], image_len: usize, out: &mut [f32]) {
        let mut planes: Vec<&mut [f32]> = out.chunks_exact_mut(self.height * self.width).collect();
        let tiles = planes.len() / self.winograd.channels_out * self.unroll.columns();
        let at_once = self.winograd.tiles_at_once(tiles);
        for first in (0..tiles).step_by(at_once) {
            self.block(images, image_len, first..(first + at_once).min(tiles), &mut planes, 0);
        }
    }

    /// All tiles of one image, lines of tiles in parallel.
    pub(super) fn split(&self, image: &[f32], image_len: usize, out: &mut [f32]) {
        let (plane, width) = (self.height * self.width, self.width);
        let down = self.height.div_ceil(2);
        let blocks = self.unroll.columns().div_ceil(self.winograd.tiles_at_once(self.unroll.columns()));
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
        tasks.into_par_iter().enumerate().for_each(|(block, mut planes)| {
            let lines = lines(block);
            let tiles = lines.start * self.across..lines.end * self.across;
            self.block(image, image_len, tiles, &mut planes, lines.start * 2);
        });
    }

    /// Some tiles, counted through all images. `planes` are those of the result, for each image and channel, from line
    /// `top` on.
    fn block(&self, images: &[f32], image_len: usize, tiles: Range<usize>, planes: &mut [&mut [f32]], top: usize) {
        let Winograd { weights, channels_in, channels_out } = self.winograd;
        let Some(packed) = weights.first() else { return };
        let (shape, rows) = (packed.shape, packed.panels() * packed.shape.rows);
        WORKSPACE.with(|scratch| {
            scratch.lend(|Workspace { pieces, transformed, products }| {
                pieces.fill(shape, self.unroll, image_len, self.across, tiles);
                let transformed = sized(transformed, POINTS * (channels_in * pieces.padded + SLACK));
                let products = sized(products, POINTS * (rows * pieces.padded + SLACK));
                ToPoints { images, source: self.source(), pieces, channels: *channels_in, to: transformed }.dispatch();
                Products { weights, transformed, padded: pieces.padded, products }.dispatch();
                FromPoints {
                    products,
                    rows,
                    pieces,
                    channels: *channels_out,
                    lines: Lines { planes, top, width: self.width, bias: self.bias },
                }
                .dispatch();
            });
        });
    }

    /// Where the elements of a padded image lie.
    fn source(&self) -> Source {
        let taps = self.unroll.taps();
        Source { channel: taps.get(POINTS).copied().unwrap_or(0), row: taps[4], odd: taps[1] }
    }
}

/// The matrix products of all points.
struct Products<'a> {
    weights: &'a [LeftPanels],
    /// For each point, panels of `padded` columns in all, and [`SLACK`] more elements.
    transformed: &'a [f32],
    padded: usize,
    /// The same for the results.
    products: &'a mut [f32],
}

impl SimdOp for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Some(packed) = self.weights.first() else { return };
        let (channels, rows, padded) = (packed.depth(), packed.panels() * packed.shape.rows, self.padded);
        let rights = self.transformed.chunks_exact(channels * padded + SLACK);
        let products = self.products.chunks_exact_mut(rows * padded + SLACK);
        for ((packed, right), sums) in self.weights.iter().zip(rights).zip(products) {
            for start in (0..channels).step_by(DEPTH) {
                let depth = DEPTH.min(channels - start);
                Block {
                    left: packed.block(start, depth, 0, packed.panels()),
                    right: &right[start * padded..(start + depth) * padded],
                    depth,
                    sums: &mut *sums,
                    add: start > 0,
                    finish: None,
                }
                .eval(isa);
            }
        }
    }
}
