//! Products whose right operand is read where it lies: a row of windows is a part of a padded image. Positions are counted
//! through the padding between lines, too, so that those of neighbouring lines are neighbours; what is computed there is
//! left out.

use std::ops::Range;

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::gemm::left::LeftPanels;
use crate::backend::cpu::gemm::right::copy_run;
use crate::backend::cpu::gemm::tile::{MOST_LANES, TileShape, plus};

/// How far past an image's last element vectors are read.
pub(super) const SLACK: usize = MOST_LANES;

/// Some rows of `weight · windows(image) + bias` and some of an image's lines.
pub(super) struct InPlace<'a, 'out> {
    pub(super) packed: &'a LeftPanels,
    /// Panels of rows.
    pub(super) panels: Range<usize>,
    /// From the first window of the first line on, to [`SLACK`] elements past the image.
    pub(super) image: &'a [f32],
    /// For each element of the depth, how far past the start of a window it lies.
    pub(super) taps: &'a [usize],
    /// One number for each row.
    pub(super) bias: Option<&'a [f32]>,
    /// From a line to the next.
    pub(super) pitch: usize,
    /// The number of positions of a line that are wanted.
    pub(super) width: usize,
    /// Room for [`room`] elements.
    pub(super) made: &'a mut [f32],
    /// For each row, the lines of the result.
    pub(super) out: &'a mut [&'out mut [f32]],
}

/// The number of positions from the first to the last one of some lines, in whole vectors of any machine.
pub(super) fn reach(lines: usize, pitch: usize, width: usize) -> usize {
    ((lines - 1) * pitch + width).next_multiple_of(MOST_LANES)
}

/// The number of elements that are made of `lines` lines and so many panels.
pub(super) fn room(shape: TileShape, panels: usize, lines: usize, pitch: usize, width: usize) -> usize {
    panels * shape.rows * reach(lines, pitch, width)
}

/// How many products are summed up before their sum is added to that of others: what rounds least, for numbers of any or of
/// one sign, is about the root of twice the depth. A power of two, so that blocks of packed operands fall into them.
fn summed_together(depth: usize) -> usize {
    1 << ((2 * depth.max(1)).ilog2().div_ceil(2)).clamp(3, 6)
}

impl SimdOp for InPlace<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        match TileShape::of(isa.f32().len()) {
            TileShape { rows: 4, vectors: 3, .. } => self.lines::<I, 4, 3>(isa),
            TileShape { rows: 8, vectors: 2, .. } => self.lines::<I, 8, 2>(isa),
            TileShape { rows, vectors, .. } => {
                debug_assert!(false, "no tiles of {rows} rows and {vectors} vectors");
            }
        }
    }
}

impl InPlace<'_, '_> {
    #[inline(always)]
    fn lines<I: Isa, const ROWS: usize, const VECTORS: usize>(mut self, isa: I) {
        let lanes = isa.f32().len();
        let lines = self.out.first().map_or(0, |row| row.len() / self.width);
        if lines == 0 {
            return;
        }
        let apart = reach(lines, self.pitch, self.width);
        let mut first = 0;
        while first < apart {
            match (apart - first) / lanes {
                1 => self.tiles::<I, ROWS, 1>(isa, first, apart),
                2 if VECTORS > 2 => self.tiles::<I, ROWS, 2>(isa, first, apart),
                _ => self.tiles::<I, ROWS, VECTORS>(isa, first, apart),
            }
            first += VECTORS * lanes;
        }
        for (row, out) in self.made.chunks_exact(apart).zip(self.out.iter_mut()) {
            for (line, out) in row.chunks(self.pitch).zip(out.chunks_exact_mut(self.width)) {
                copy_run(isa, &line[..self.width], out);
            }
        }
    }

    /// The tiles of all panels and of the vectors from position `first` on.
    #[inline(always)]
    fn tiles<I: Isa, const ROWS: usize, const VECTORS: usize>(&mut self, isa: I, first: usize, apart: usize) {
        let ops = isa.f32();
        for (index, panel) in self.panels.clone().enumerate() {
            let tile = self.tile::<I, ROWS, VECTORS>(isa, panel, first);
            let rows = self.made[index * ROWS * apart..][..ROWS * apart].chunks_exact_mut(apart);
            for (row, (vectors, to)) in tile.into_iter().zip(rows).enumerate() {
                let bias = self.bias.and_then(|bias| bias.get(index * ROWS + row)).copied().unwrap_or(0.0);
                let bias = ops.splat(bias);
                for (value, to) in vectors.into_iter().zip(to[first..].chunks_exact_mut(ops.len())) {
                    ops.store(ops.add(value, bias), to);
                }
            }
        }
    }

    #[inline(always)]
    fn tile<I: Isa, const ROWS: usize, const VECTORS: usize>(
        &self,
        isa: I,
        panel: usize,
        first: usize,
    ) -> [[I::F32; VECTORS]; ROWS] {
        let ops = isa.f32();
        let (packed, depth) = (self.packed, self.packed.depth());
        let together = summed_together(depth);
        let mut totals = [[ops.zero(); VECTORS]; ROWS];
        for start in (0..depth).step_by(packed.step) {
            let len = packed.step.min(depth - start);
            let (left, _) = packed.block(start, len, panel, 1).0.as_chunks::<ROWS>();
            for (left, taps) in left.chunks(together).zip(self.taps[start..start + len].chunks(together)) {
                let mut sums = [[ops.zero(); VECTORS]; ROWS];
                for (left, &tap) in left.iter().zip(taps) {
                    let values = ops.load_many::<VECTORS>(&self.image[tap + first..]);
                    for row in 0..ROWS {
                        let weight = ops.splat(left[row]);
                        for vector in 0..VECTORS {
                            sums[row][vector] = ops.mul_add(weight, values[vector], sums[row][vector]);
                        }
                    }
                }
                plus::<I, ROWS, VECTORS>(isa, &mut totals, &sums);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::cpu::machines::on_every_machine;

    use super::*;

    const CHANNELS: usize = 3;

    /// A layer of 3 channels with the kernel's and the result's height and width.
    #[derive(Clone, Copy)]
    struct Layer {
        rows: usize,
        kernel: [usize; 2],
        size: [usize; 2],
    }

    /// Whole numbers, whose sums are exact.
    fn number(index: usize) -> f32 {
        (index * 7919 % 201) as f32 - 100.0
    }

    impl SimdOp for Layer {
        type Output = ();

        fn eval<I: Isa>(self, isa: I) {
            let Self { rows, kernel: [tall, wide], size: [height, width] } = self;
            let (pitch, plane) = (width + wide - 1, (width + wide - 1) * (height + tall - 1));
            let depth = CHANNELS * tall * wide;
            let mut image: Vec<f32> = (0..CHANNELS * plane).map(number).collect();
            // what is past the image is read, and must not be seen
            image.resize(image.len() + SLACK, f32::NAN);
            let weights: Vec<f32> = (0..rows * depth).map(|index| number(index + 17)).collect();
            let bias: Vec<f32> = (0..rows).map(|row| number(row + 5)).collect();
            let taps: Vec<usize> =
                (0..depth).map(|k| k / (tall * wide) * plane + k / wide % tall * pitch + k % wide).collect();
            let packed = LeftPanels::of_rows(TileShape::of(isa.f32().len()), &weights, depth, 64);
            // all panels and all lines, and the last ones only
            for (first_panel, first_line) in [(0, 0), (packed.panels() - 1, height - 1)] {
                let (panels, lines) = (first_panel..packed.panels(), height - first_line);
                let first_row = first_panel * packed.shape.rows;
                let mut made = vec![f32::NAN; room(packed.shape, panels.len(), lines, pitch, width)];
                let mut out = vec![f32::NAN; (rows - first_row) * lines * width];
                InPlace {
                    packed: &packed,
                    panels,
                    image: &image[first_line * pitch..],
                    taps: &taps,
                    bias: Some(&bias[first_row..]),
                    pitch,
                    width,
                    made: &mut made,
                    out: &mut out.chunks_exact_mut(lines * width).collect::<Vec<_>>(),
                }
                .eval(isa);
                for (index, given) in out.into_iter().enumerate() {
                    let (row, position) = (first_row + index / (lines * width), index % (lines * width));
                    let start = (first_line + position / width) * pitch + position % width;
                    let products =
                        taps.iter().enumerate().map(|(k, tap)| weights[row * depth + k] * image[start + tap]);
                    assert_eq!(
                        given,
                        bias[row] + products.sum::<f32>(),
                        "row {row}, position {position} of {size:?}",
                        size = self.size
                    );
                }
            }
        }
    }

    #[test]
    fn every_line_of_every_row_is_computed() {
        for rows in [1, 8, 13] {
            for kernel in [[3, 3], [1, 2], [5, 5]] {
                for size in [[1, 1], [7, 7], [3, 14], [4, 15], [2, 16], [5, 33]] {
                    on_every_machine(Layer { rows, kernel, size });
                }
            }
        }
    }

    #[test]
    fn more_is_summed_together_where_there_is_more() {
        assert_eq!([1, 27, 72, 144, 288, 576, 4608].map(summed_together), [8, 8, 16, 16, 32, 32, 64]);
    }
}
