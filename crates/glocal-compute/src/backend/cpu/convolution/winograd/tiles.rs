//! The computation of blocks of tiles.

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::gemm::tile::{Block, MOST_LANES, Parts};
use crate::backend::cpu::scratch::{Keep, Scratch, aligned};

use super::blocks::{Grid, Tiles, at_once};
use super::input::ToPoints;
use super::lines::Lines;
use super::output::{FromPoints, Planes};
use super::pieces::Pieces;
use super::{POINTS, SLACK, STEP, Winograd, together, weights};

/// Where a thread would have fewer tiles, it takes channels instead: it reads their weights alone then, and transforms what
/// others transform, too.
const FEW_TILES: usize = 64;

/// What one thread uses again and again.
#[derive(Default)]
struct Workspace {
    pieces: Pieces,
    copy: Vec<f32>,
    transformed: Vec<f32>,
    products: Vec<f32>,
    turned: Vec<f32>,
}

impl Keep for Workspace {
    fn elements(&self) -> usize {
        self.copy.capacity() + self.transformed.capacity() + self.products.capacity() + self.turned.capacity()
    }
}

thread_local! {
    static WORKSPACE: Scratch<Workspace> = const { Scratch::new() };
}

/// What is computed together: some lines of tiles, and the channels of some panels of weights.
#[derive(Clone, Debug)]
struct Part {
    lines: Range<usize>,
    panels: Range<usize>,
}

/// A layer on images of one size.
pub(super) struct Tiled<'a> {
    pub(super) winograd: Winograd<'a>,
    pub(super) grid: Grid,
    pub(super) bias: Option<&'a [f32]>,
}

impl Tiled<'_> {
    /// All tiles of some images, on this thread.
    pub(super) fn whole(&self, images: &[f32], out: &mut [f32]) {
        let mut planes: Vec<&mut [f32]> = out.chunks_exact_mut(self.grid.result_len()).collect();
        let count = planes.len() / self.winograd.channels_out;
        let (down, panels) = (self.grid.down, 0..self.panels());
        if count > 1 {
            return self.block(images, 0..count, &Part { lines: 0..down, panels }, &mut planes, 0);
        }
        let lines = self.lines_at_once();
        for first in (0..down).step_by(lines) {
            let part = Part { lines: first..(first + lines).min(down), panels: panels.clone() };
            self.block(images, 0..1, &part, &mut planes, 0);
        }
    }

    /// All tiles of one image, in parallel: lines of tiles, and where there are too few for all threads, channels.
    pub(super) fn split(&self, image: &[f32], out: &mut [f32]) {
        let (threads, [height, width], down) = (rayon::current_num_threads(), self.grid.result, self.grid.down);
        let most = down.div_ceil(self.lines_at_once());
        let are_few = down * self.grid.across < threads.saturating_mul(FEW_TILES);
        // as many blocks as keep all threads busy to the end
        let beside = if are_few { threads.div_ceil(most).min(self.panels()) } else { 1 };
        let below = if beside > 1 { most } else { most.next_multiple_of(threads).min(down) };
        let lines = |block: usize| down * block / below..down * (block + 1) / below;
        let (tall, channels) = (self.winograd.shape().rows, self.winograd.channels_out);
        let mut planes = out.chunks_exact_mut(self.grid.result_len());
        let mut tasks: Vec<(Part, Vec<&mut [f32]>)> = Vec::with_capacity(below * beside);
        for part in 0..beside {
            let panels = self.panels() * part / beside..self.panels() * (part + 1) / beside;
            let count = (panels.end * tall).min(channels) - panels.start * tall;
            let first = tasks.len();
            tasks.extend(
                (0..below)
                    .map(|block| (Part { lines: lines(block), panels: panels.clone() }, Vec::with_capacity(count))),
            );
            for mut plane in planes.by_ref().take(count) {
                for (part, task) in &mut tasks[first..] {
                    let rows = (part.lines.end * 2).min(height) - part.lines.start * 2;
                    task.extend(plane.split_off_mut(..rows * width));
                }
            }
        }
        tasks.into_par_iter().for_each(|(part, mut planes)| {
            self.block(image, 0..1, &part, &mut planes, part.lines.start * 2);
        });
    }

    /// How many lines of one image are computed together.
    fn lines_at_once(&self) -> usize {
        at_once(self.winograd.shape(), self.grid.down, self.grid.across, self.winograd.least_tiles())
    }

    /// The number of panels of weights.
    fn panels(&self) -> usize {
        self.winograd.channels_out.div_ceil(self.winograd.shape().rows)
    }

    /// A part of some images. `planes` are those of the result, for each image and channel, from line `top` on.
    fn block(&self, images: &[f32], of_images: Range<usize>, part: &Part, planes: &mut [&mut [f32]], top: usize) {
        // lines are parted where one alone is too long
        let across = self.grid.across;
        let parts = across.div_ceil(2 * self.winograd.least_tiles());
        let wide = across.div_ceil(parts).next_multiple_of(self.winograd.shape().lanes);
        let bias = self.bias.map(|bias| &bias[part.panels.start * self.winograd.shape().rows..]);
        for first in (0..across).step_by(wide) {
            let places = first..(first + wide).min(across);
            let tiles = Tiles { images: of_images.clone(), lines: part.lines.clone(), places };
            let result = Planes { planes, top, width: self.grid.result[1], bias };
            WORKSPACE.with(|scratch| {
                scratch.lend(|workspace| self.tiles(workspace, images, &tiles, part.panels.clone(), result));
            });
        }
    }

    fn tiles(
        &self,
        workspace: &mut Workspace,
        images: &[f32],
        tiles: &Tiles,
        panels: Range<usize>,
        result: Planes<'_, '_>,
    ) {
        let Winograd { channels_in, .. } = self.winograd;
        let rows = panels.len() * self.winograd.shape().rows;
        let lines = Lines::new(&self.grid, tiles, channels_in * self.grid.plane);
        let Workspace { pieces, copy, transformed, products, turned } = workspace;
        pieces.fill(self.winograd.shape(), tiles, &lines);
        let copy = aligned(copy, lines.len());
        copy.fill(0.0);
        let blocks = channels_in.div_ceil(STEP);
        let stride = apart(channels_in * pieces.padded + blocks * pieces.count() * SLACK);
        let transformed = aligned(transformed, POINTS * stride);
        ToPoints {
            images,
            plane: self.grid.plane,
            lines: &lines,
            copy,
            pieces,
            channels: channels_in,
            to: transformed,
            stride,
        }
        .dispatch();
        let products_stride = apart(rows * pieces.padded + SLACK);
        let products = aligned(products, POINTS * products_stride);
        Products { winograd: self.winograd, panels, transformed, stride, pieces, products, products_stride, turned }
            .dispatch();
        let channels = result.planes.len() / tiles.images.len();
        FromPoints { products, stride: products_stride, rows, pieces, channels, result }.dispatch();
    }
}

/// At least `len` elements, such that what lies so far apart does not share the few places that a cache has for what lies
/// powers of two apart.
fn apart(len: usize) -> usize {
    (len.div_ceil(MOST_LANES) | 1) * MOST_LANES
}

/// The matrix products of all points.
struct Products<'a> {
    winograd: Winograd<'a>,
    /// Of weights.
    panels: Range<usize>,
    /// For each point `stride` elements: the panels of each block of the depth, each followed by [`SLACK`] elements.
    transformed: &'a [f32],
    stride: usize,
    pieces: &'a Pieces,
    /// For each point `products_stride` elements: for each panel, the rows of its tiles.
    products: &'a mut [f32],
    products_stride: usize,
    /// For weights that are used transposed.
    turned: &'a mut Vec<f32>,
}

impl SimdOp for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Winograd { weights: packed, turned, channels_in, .. } = self.winograd;
        let together = together(channels_in);
        let (first, count) = (self.panels.start, self.panels.len());
        let rights = self.transformed.chunks_exact(self.stride);
        let products = self.products.chunks_exact_mut(self.products_stride);
        for (point, (mut right, sums)) in rights.zip(products).enumerate() {
            for start in (0..channels_in).step_by(STEP) {
                let depth = STEP.min(channels_in - start);
                let (block, rest) = right.split_at(depth * self.pieces.padded + self.pieces.count() * SLACK);
                right = rest;
                let panels = if turned {
                    packed[weights::turned(point)].turned(start, depth, first, count, self.turned)
                } else {
                    packed[point].block(start, depth, first, count)
                };
                let (left, add) = (Parts { panels, together }, start > 0);
                Block { left, right: block, gap: SLACK, depth, sums: &mut *sums, add, finish: None }.eval(isa);
            }
        }
    }
}
