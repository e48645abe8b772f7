//! Output lines in vectors: a column of the kernel at a time, its weights in registers, over all that the lines read.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd};

/// The width of the widest vectors.
pub(super) const LANES: usize = 16;

/// The most lines that are computed together, so that what they read in common is read once; with their sums, a
/// column of weights and a vector of the image, sixteen registers are enough, but for long columns, whose sums are apart.
pub(super) const LINES: usize = 7;

/// Where fewer lines are left, so many.
pub(super) const FEW_LINES: usize = 4;

/// The products of columns of so many rows, or more, are summed up by themselves: that rounds less.
const LONG_COLUMN: usize = 5;

/// Lines of outputs that one kernel computes from padded rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    /// The rows, from the one where the window of the first line starts.
    pub(super) rows: &'a [f32],
    /// The distance from one row to the next.
    pub(super) row_len: usize,
    /// The rows between the windows of neighbouring lines.
    pub(super) step: usize,
    /// For each column of the kernel, how far into a row its first element stands.
    pub(super) columns: &'a [usize],
    /// The weights, column by column, each of so many rows.
    pub(super) kernel: &'a [f32],
    pub(super) kernel_rows: usize,
    pub(super) bias: f32,
    /// The number of lines.
    pub(super) height: usize,
    /// The number of elements of a line.
    pub(super) width: usize,
    /// The distance from one line to the next in the output.
    pub(super) pitch: usize,
    /// Where a vector holds two lines, how far the second one is from the first in the output.
    pub(super) halves: Option<usize>,
}

/// Whether kernels of so many rows can be computed with lines `step` rows apart.
pub(super) fn are_supported(rows: usize, step: i64) -> bool {
    matches!((rows, step), (1..=5 | 7, 1) | (3 | 5, 2))
}

impl Lines<'_> {
    /// Each element: the bias plus its products, column by column, from the top down, or plus those of long columns.
    ///
    /// A vector may be wider than what is left of a line: what is too much is written over the following lines, which
    /// come later. There are rows for as many lines as are computed together.
    #[inline(always)]
    pub(super) fn compute<I: Isa>(self, isa: I, out: &mut [f32]) {
        match (self.kernel_rows, self.step, self.halves.is_some()) {
            (1, 1, false) => self.all::<I, 1, 1, false>(isa, out),
            (2, 1, false) => self.all::<I, 2, 1, false>(isa, out),
            (3, 1, false) => self.all::<I, 3, 1, false>(isa, out),
            (4, 1, false) => self.all::<I, 4, 1, false>(isa, out),
            (5, 1, false) => self.all::<I, 5, 1, false>(isa, out),
            (7, 1, false) => self.all::<I, 7, 1, false>(isa, out),
            (3, 2, false) => self.all::<I, 3, 2, false>(isa, out),
            (5, 2, false) => self.all::<I, 5, 2, false>(isa, out),
            (1, 2, true) => self.all::<I, 1, 2, true>(isa, out),
            (2, 2, true) => self.all::<I, 2, 2, true>(isa, out),
            (3, 2, true) => self.all::<I, 3, 2, true>(isa, out),
            (rows, step, _) => debug_assert!(false, "a kernel of {rows} rows at step {step}"),
        }
    }

    #[inline(always)]
    fn all<I: Isa, const ROWS: usize, const STEP: usize, const HALVES: bool>(self, isa: I, out: &mut [f32]) {
        let lanes = isa.f32().len();
        let mut short = [0.0; (LINES + 1) * LANES];
        let mut first = 0;
        while first < self.height {
            let count = if self.height - first > FEW_LINES { LINES } else { FEW_LINES };
            let stored = count.min(self.height - first);
            let len = (stored - 1) * self.pitch + self.halves.unwrap_or(0) + self.width.max(lanes);
            let out = &mut out[first * self.pitch..];
            // at the end of the output there may be no room for a last vector
            let (has_room, room) = (out.len() >= len, out.len().min(short.len()));
            let to = if has_room { &mut *out } else { &mut short[..] };
            if count == LINES {
                self.some::<I, ROWS, STEP, LINES, HALVES>(isa, first, stored, to);
            } else {
                self.some::<I, ROWS, STEP, FEW_LINES, HALVES>(isa, first, stored, to);
            }
            if !has_room {
                out[..room].copy_from_slice(&short[..room]);
            }
            first += count;
        }
    }

    /// `COUNT` lines from the first on, of which the first `stored` are kept.
    #[inline(always)]
    fn some<I: Isa, const ROWS: usize, const STEP: usize, const COUNT: usize, const HALVES: bool>(
        self,
        isa: I,
        first: usize,
        stored: usize,
        out: &mut [f32],
    ) {
        let ops = isa.f32();
        let lanes = ops.len();
        let (columns, _) = self.kernel.as_chunks::<ROWS>();
        let rows = &self.rows[first * STEP * self.row_len..];
        let mut x = 0;
        while x < self.width {
            // the first of them may be there already: they get the same values
            let start = x.min(self.width.saturating_sub(lanes));
            let mut sums = [ops.splat(self.bias); COUNT];
            for (column, &offset) in columns.iter().zip(self.columns) {
                let mut weights = [ops.zero(); ROWS];
                for (weight, &number) in weights.iter_mut().zip(column) {
                    *weight = ops.splat(number);
                }
                let mut partial = if ROWS < LONG_COLUMN { sums } else { [ops.zero(); COUNT] };
                let mut from = &rows[start + offset..];
                for row in 0..(COUNT - 1) * STEP + ROWS {
                    let values = ops.load(from);
                    from = &from[self.row_len..];
                    for (line, sum) in partial.iter_mut().enumerate() {
                        if let Some(tap) = row.checked_sub(line * STEP)
                            && tap < ROWS
                        {
                            *sum = ops.mul_add(weights[tap], values, *sum);
                        }
                    }
                }
                if ROWS < LONG_COLUMN {
                    sums = partial;
                } else {
                    for (sum, partial) in sums.iter_mut().zip(partial) {
                        *sum = ops.add(*sum, partial);
                    }
                }
            }
            let mut to = &mut out[start..];
            for (line, sum) in sums.iter().enumerate() {
                if HALVES {
                    let whole = sum.to_array();
                    let (upper, lower) = whole.as_ref().split_at(lanes / 2);
                    to[..lanes / 2].copy_from_slice(upper);
                    to[self.halves.unwrap_or(0)..][..lanes / 2].copy_from_slice(lower);
                } else {
                    ops.store(*sum, to);
                }
                if line + 1 >= stored {
                    break;
                }
                to = &mut to[self.pitch..];
            }
            x += lanes;
        }
    }
}
