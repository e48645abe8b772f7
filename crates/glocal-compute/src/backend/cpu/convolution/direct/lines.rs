//! Output lines in vectors: a column of the kernel at a time, its weights in registers, over all that the lines read.

use rten_simd::Isa;
use rten_simd::ops::{BitOps, NumOps};

/// The width of the widest vectors.
pub(super) const LANES: usize = 16;

/// The most lines that are computed together, so that what they read in common is read once; with their sums, a
/// column of weights and a vector of the image, sixteen registers are enough.
pub(super) const LINES: usize = 7;

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
    /// The weights, column by column.
    pub(super) kernel: &'a [f32],
    pub(super) bias: f32,
    /// The number of lines.
    pub(super) height: usize,
    /// The number of elements of a line.
    pub(super) width: usize,
    /// The distance from one line to the next in the output.
    pub(super) pitch: usize,
}

/// Whether kernels of so many rows can be computed with lines `step` rows apart.
pub(super) fn are_supported(rows: usize, step: i64) -> bool {
    matches!((rows, step), (1..=5 | 7, 1) | (1 | 3 | 5 | 7, 2))
}

impl Lines<'_> {
    /// Each element: the bias plus its products, column by column, from the top down.
    ///
    /// A vector may be wider than what is left of a line: what is too much is written over the following lines, which
    /// come later, or not at all where `out` ends.
    #[inline(always)]
    pub(super) fn compute<I: Isa>(self, isa: I, out: &mut [f32]) {
        match (self.kernel.len() / self.columns.len(), self.step) {
            (1, 1) => self.all::<I, 1, 1>(isa, out),
            (2, 1) => self.all::<I, 2, 1>(isa, out),
            (3, 1) => self.all::<I, 3, 1>(isa, out),
            (4, 1) => self.all::<I, 4, 1>(isa, out),
            (5, 1) => self.all::<I, 5, 1>(isa, out),
            (7, 1) => self.all::<I, 7, 1>(isa, out),
            (1, 2) => self.all::<I, 1, 2>(isa, out),
            (2, 2) => self.all::<I, 2, 2>(isa, out),
            (3, 2) => self.all::<I, 3, 2>(isa, out),
            (4, 2) => self.all::<I, 4, 2>(isa, out),
            (5, 2) => self.all::<I, 5, 2>(isa, out),
            (7, 2) => self.all::<I, 7, 2>(isa, out),
            (rows, step) => debug_assert!(false, "a kernel of {rows} rows at step {step}"),
        }
    }

    #[inline(always)]
    fn all<I: Isa, const ROWS: usize, const STEP: usize>(self, isa: I, out: &mut [f32]) {
        let mut line = 0;
        while line < self.height {
            // the first of them may be there already: they get the same values
            let left = self.height - line;
            if self.height >= LINES && left > 4 {
                let first = line.min(self.height - LINES);
                self.some::<I, ROWS, STEP, LINES>(isa, first, out);
                line = first + LINES;
            } else if self.height >= 4 {
                let first = line.min(self.height - 4);
                self.some::<I, ROWS, STEP, 4>(isa, first, out);
                line = first + 4;
            } else {
                self.some::<I, ROWS, STEP, 1>(isa, line, out);
                line += 1;
            }
        }
    }

    /// `COUNT` lines from the first on.
    #[inline(always)]
    fn some<I: Isa, const ROWS: usize, const STEP: usize, const COUNT: usize>(
        self,
        isa: I,
        first: usize,
        out: &mut [f32],
    ) {
        let ops = isa.f32();
        let lanes = ops.len();
        let (columns, _) = self.kernel.as_chunks::<ROWS>();
        let rows = &self.rows[first * STEP * self.row_len..];
        let out = &mut out[first * self.pitch..];
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
                let from = &rows[start + offset..];
                for row in 0..(COUNT - 1) * STEP + ROWS {
                    let values = ops.load(&from[row * self.row_len..]);
                    for (line, sum) in sums.iter_mut().enumerate() {
                        if let Some(tap) = row.checked_sub(line * STEP)
                            && tap < ROWS
                        {
                            *sum = ops.mul_add(weights[tap], values, *sum);
                        }
                    }
                }
            }
            for (line, sum) in sums.into_iter().enumerate() {
                let out = &mut out[line * self.pitch + start..];
                if out.len() >= lanes {
                    ops.store(sum, out);
                } else {
                    let mut whole = [0.0; LANES];
                    ops.store(sum, &mut whole);
                    for (to, from) in out.iter_mut().zip(whole) {
                        *to = from;
                    }
                }
            }
            x += lanes;
        }
    }
}
