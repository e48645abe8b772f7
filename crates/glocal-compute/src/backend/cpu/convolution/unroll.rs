//! The right operand of a convolution's matrix product: the windows of an image as columns. They are never laid out as a
//! whole: each block of the product packs what it needs from a padded copy of the image, or from the image itself where a
//! window is one element; or, where images are small, reads the copy where it lies.

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::SimdOp;

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::left::LeftPanels;
use crate::backend::cpu::gemm::right::{RightSource, Run, padded_columns};
use crate::backend::cpu::gemm::tile::{Block, Finish, MOST_LANES, Parts};
use crate::backend::cpu::scratch::{Keep, Scratch, sized};
use crate::{ComputeError, ComputeErrorKind};

use super::in_place::{self, InPlace};
use super::padded::PaddedImage;

/// The columns of a block of the product, roughly: with the rows of a block, about what the second cache holds.
const BLOCK_COLUMNS: usize = 256;

/// The largest number of rows of a block of the product.
const BLOCK_ROWS: usize = 512;

/// Images with few output positions share one product, of about this many columns.
const SHARED_COLUMNS: usize = 256;

/// The padded images that share a product have at most this many elements, roughly.
const SHARED_ELEMENTS: usize = 1 << 17;

/// For at most so many rows of weights, padded images of at most so many elements are read where they lie, if lines are no
/// longer than a block of columns. Packing pays where more rows read what is packed.
const IN_PLACE_ROWS: usize = 40;
const IN_PLACE_ELEMENTS: usize = 1 << 16;

/// Windows that are no deeper, and not an image as it is, are summed in two parts: as first layers are, with sums that would
/// otherwise be long ones in a single block.
const SHALLOW: usize = 32;

/// The multiply-adds below which a block of a product is not split for another thread.
const SPLIT_STEPS: usize = 1 << 19;

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
    /// Whether windows are read where they lie.
    is_in_place: bool,
    /// For each row, the tap's distance from the start of a window.
    taps: Vec<usize>,
    /// For each line of output positions, the start of the first window.
    lines: Vec<usize>,
    /// The number of positions of a line.
    width: usize,
}

/// What the products of one thread use again and again.
#[derive(Debug, Default)]
struct Workspace {
    runs: Vec<Run>,
    right: Vec<f32>,
    sums: Vec<f32>,
    /// The results of images that share a product.
    shared: Vec<f32>,
}

impl Keep for Workspace {
    fn elements(&self) -> usize {
        self.right.capacity() + self.sums.capacity() + self.shared.capacity()
    }
}

thread_local! {
    static WORKSPACE: Scratch<Workspace> = const { Scratch::new() };
    static IMAGES: Scratch<Vec<f32>> = const { Scratch::new() };
}

/// The left operand of a product, and what is added to it.
#[derive(Clone, Copy)]
pub(super) struct Weight<'a> {
    pub(super) packed: &'a LeftPanels,
    /// One number for each row.
    pub(super) bias: Option<&'a [f32]>,
}

/// What every block of one product shares.
struct Product<'a> {
    unroll: &'a Unroll,
    /// The images, padded or not, one after the other.
    images: &'a [f32],
    /// The distance from one to the next.
    image_len: usize,
    weight: &'a Weight<'a>,
}

/// A block of a product of one image, and the parts of the result's rows that it computes.
struct Task<'a> {
    /// Panels of rows.
    panels: Range<usize>,
    columns: Range<usize>,
    out: Vec<&'a mut [f32]>,
}

impl Unroll {
    /// The windows that `axes` describe, over images of `channels` channels, for weights of `rows` rows. Every axis has a tap
    /// and an output element.
    pub(super) fn new(
        operation: &'static str,
        axes: &[Axis; 3],
        channels: usize,
        rows: usize,
    ) -> Result<Self, ComputeError> {
        let padded = PaddedImage::new(axes, channels, in_place::SLACK).ok_or_else(|| {
            let shape = axes.iter().map(|axis| axis.size).collect();
            ComputeError::new(operation, ComputeErrorKind::TooLarge { shape })
        })?;
        let [deep, vertical, horizontal] = axes;
        let columns: usize = axes.iter().map(|axis| axis.count).product();
        let plane: usize = axes.iter().map(|axis| axis.size).product();
        if axes.iter().all(Axis::is_identity) {
            let taps = (0..channels).map(|channel| channel * plane).collect();
            let lines = vec![0];
            let (is_image, is_in_place, width) = (true, false, columns);
            return Ok(Self { channels, columns, plane, is_image, is_in_place, padded, taps, lines, width });
        }
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
        let are_lines_neighbours = deep.count == 1 && vertical.step == 1 && horizontal.step == 1;
        let (is_image, width) = (false, horizontal.count);
        let is_in_place = are_lines_neighbours
            && rows <= IN_PLACE_ROWS
            && padded.len() <= IN_PLACE_ELEMENTS
            && width <= BLOCK_COLUMNS
            // what is computed between the lines is left out
            && 2 * in_place::reach(vertical.count, padded.row_len(), width) <= 3 * columns.next_multiple_of(MOST_LANES);
        Ok(Self { channels, columns, plane, is_image, is_in_place, padded, taps, lines, width })
    }

    /// The number of output positions.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// How many of `images` images one call of [`multiply`](Self::multiply) should take.
    pub(super) fn images_at_once(&self, images: usize) -> usize {
        if self.is_in_place {
            return 1;
        }
        let share = images.div_ceil(rayon::current_num_threads()).max(1);
        let room = SHARED_ELEMENTS / self.padded.len();
        (SHARED_COLUMNS / self.columns).min(room).clamp(1, share)
    }

    /// `out = weight · windows(image) + bias` for each of the `images`, with blocks in parallel where `parallel`.
    pub(super) fn multiply(&self, parallel: bool, out: &mut [f32], weight: &Weight<'_>, images: &[f32]) {
        let count = self.count(images);
        self.with_images(parallel, images, |images, image_len| {
            Product { unroll: self, images, image_len, weight }.run(parallel, count, out);
        });
    }

    /// The number of images.
    pub(super) fn count(&self, images: &[f32]) -> usize {
        images.len() / (self.channels * self.plane)
    }

    /// Calls `work` with images that windows can be read from, and the distance from one to the next.
    fn with_images(&self, parallel: bool, images: &[f32], work: impl FnOnce(&[f32], usize)) {
        let image_len = self.channels * self.plane;
        if self.is_image {
            return work(images, image_len);
        }
        let padded_len = self.padded.len();
        IMAGES.with(|scratch| {
            scratch.lend(|buffer| {
                let buffer = sized(buffer, images.len() / image_len * padded_len);
                for (image, padded) in images.chunks_exact(image_len).zip(buffer.chunks_exact_mut(padded_len)) {
                    self.padded.fill(image, padded, parallel);
                }
                work(buffer, padded_len);
            });
        });
    }

    /// The windows of some output positions, counted through all images, as runs of neighbours.
    fn runs(&self, image_len: usize, columns: Range<usize>, runs: &mut Vec<Run>) {
        runs.clear();
        let mut column = columns.start;
        while column < columns.end {
            let (image, position) = (column / self.columns, column % self.columns);
            let (line, x) = (position / self.width, position % self.width);
            let len = (self.width - x).min(columns.end - column);
            runs.push(Run { start: image * image_len + self.lines[line] + x, len });
            column += len;
        }
    }
}

impl<'a> Product<'a> {
    fn run(&self, parallel: bool, count: usize, out: &mut [f32]) {
        if count > 1 {
            WORKSPACE.with(|scratch| scratch.lend(|workspace| self.shared(workspace, count, out)));
        } else if parallel && self.steps() >= SPLIT_STEPS {
            let tasks = self.tasks(out, rayon::current_num_threads());
            tasks.into_par_iter().for_each(|task| self.part(task));
        } else {
            self.tasks(out, 1).into_iter().for_each(|task| self.part(task));
        }
    }

    /// The multiply-adds of one image.
    fn steps(&self) -> usize {
        let packed = self.weight.packed;
        packed.rows().saturating_mul(packed.depth()).saturating_mul(self.unroll.columns)
    }

    /// All columns of `count` images, their results one after the other.
    fn shared(&self, workspace: &mut Workspace, count: usize, out: &mut [f32]) {
        let packed = self.weight.packed;
        let (columns, rows, tall) = (self.unroll.columns, packed.rows(), packed.shape.rows);
        let panels_at_once = (BLOCK_ROWS / tall).max(1);
        let mut shared = std::mem::take(&mut workspace.shared);
        for first in (0..packed.panels()).step_by(panels_at_once) {
            let panels = first..(first + panels_at_once).min(packed.panels());
            let (start, end) = (first * tall, (panels.end * tall).min(rows));
            let results = sized(&mut shared, (end - start) * count * columns);
            let mut lines: Vec<&mut [f32]> = results.chunks_exact_mut(count * columns).collect();
            self.block(workspace, panels, 0..count * columns, &mut lines);
            for (image, out) in out.chunks_exact_mut(rows * columns).enumerate() {
                for (to, from) in out[start * columns..end * columns].chunks_exact_mut(columns).zip(&lines) {
                    to.copy_from_slice(&from[image * columns..(image + 1) * columns]);
                }
            }
        }
        workspace.shared = shared;
    }

    /// The blocks of one image's product, for so many threads.
    fn tasks<'out>(&self, out: &'out mut [f32], threads: usize) -> Vec<Task<'out>> {
        let packed = self.weight.packed;
        let (columns, tall) = (self.unroll.columns, packed.shape.rows);
        let wide = if self.unroll.is_in_place { self.unroll.width } else { packed.shape.columns() };
        let wide_panels = columns.div_ceil(wide);
        let across = columns.div_ceil(BLOCK_COLUMNS).min(wide_panels);
        let wanted = if threads > 1 { (self.steps() / SPLIT_STEPS).clamp(1, 4 * threads) } else { 1 };
        let down = (packed.panels() * tall).div_ceil(BLOCK_ROWS).max(wanted.div_ceil(across)).min(packed.panels());
        // what is left to be split is so wide, and so low, that columns are split
        let across = across.max(wanted.div_ceil(down)).min(wide_panels);
        let share = |panels: usize, parts: usize, part: usize| panels * part / parts;
        let mut tasks: Vec<Task<'out>> = (0..down)
            .flat_map(|below| (0..across).map(move |beside| (below, beside)))
            .map(|(below, beside)| {
                let panels = share(packed.panels(), down, below)..share(packed.panels(), down, below + 1);
                let columns = share(wide_panels, across, beside) * wide
                    ..(share(wide_panels, across, beside + 1) * wide).min(columns);
                Task { out: Vec::with_capacity(panels.len() * tall), panels, columns }
            })
            .collect();
        let mut rows = out.chunks_exact_mut(columns);
        for tasks in tasks.chunks_mut(across) {
            let count = tasks.first().map_or(0, |task| task.panels.len() * tall);
            for mut row in rows.by_ref().take(count) {
                for task in tasks.iter_mut() {
                    task.out.extend(row.split_off_mut(..task.columns.len()));
                }
            }
        }
        tasks
    }

    fn part(&self, mut task: Task<'_>) {
        WORKSPACE.with(|scratch| {
            scratch.lend(|workspace| self.block(workspace, task.panels.clone(), task.columns.clone(), &mut task.out));
        });
    }

    /// Computes some panels of rows and some columns.
    fn block(&self, workspace: &mut Workspace, panels: Range<usize>, columns: Range<usize>, out: &mut [&mut [f32]]) {
        let Weight { packed, bias } = *self.weight;
        let tall = packed.shape.rows;
        let bias = bias.map(|bias| &bias[panels.start * tall..]);
        if self.unroll.is_in_place {
            let Unroll { taps, lines, width, padded, .. } = self.unroll;
            let (pitch, count) = (padded.row_len(), columns.len() / width);
            let image = &self.images[lines[columns.start / width]..];
            let made = sized(&mut workspace.sums, in_place::room(packed.shape, panels.len(), count, pitch, *width));
            return InPlace { packed, panels, image, taps, bias, pitch, width: *width, made, out }.dispatch();
        }
        let padded = padded_columns(packed.shape, columns.len());
        let Workspace { runs, right, sums, .. } = workspace;
        let sums = sized(sums, if packed.depth() > packed.step { panels.len() * tall * padded } else { 0 });
        self.unroll.runs(self.image_len, columns, runs);
        let source = RightSource { elements: self.images, rows: &self.unroll.taps };
        for start in (0..packed.depth()).step_by(packed.step) {
            let depth = packed.step.min(packed.depth() - start);
            source.pack(packed.shape, start..start + depth, runs, right);
            let is_last = start + depth == packed.depth();
            let (left, right) = (packed.block(start, depth, panels.start, panels.len()), &right[..padded * depth]);
            let (add, finish) = (start > 0, is_last.then_some(Finish { rows: out, bias }));
            if self.unroll.is_image || packed.depth() > SHALLOW {
                Block { left, right, gap: 0, depth, sums, add, finish }.dispatch();
            } else {
                let left = Parts { panels: left, together: depth.div_ceil(2) };
                Block { left, right, gap: 0, depth, sums, add, finish }.dispatch();
            }
        }
    }
}
