//! The three transforms of F(2×2, 3×3): of weights, of what tiles read, of products. Those of tiles take vectors of tiles.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::POINTS;
use crate::backend::cpu::gemm::tile::MOST_LANES;

/// The matrix `G` of the weights' transform `G · g · Gᵀ`.
const OF_WEIGHTS: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// One point of a kernel's transform, rounded once.
pub(super) fn weight(kernel: &[f32; 9], point: usize) -> f32 {
    let (vertical, horizontal) = (OF_WEIGHTS[point / 4], OF_WEIGHTS[point % 4]);
    let mut sum = 0.0;
    for (row, factor) in kernel.chunks_exact(3).zip(vertical) {
        let row: f64 = row.iter().zip(horizontal).map(|(&element, factor)| f64::from(element) * factor).sum();
        sum += factor * row;
    }
    sum as f32
}

/// The transform of what tiles read: `Bᵀ · d · B`.
pub(super) struct Forth<'a> {
    /// Panels `[channels, 16, columns]`.
    pub(super) read: &'a [f32],
    /// The columns of a whole panel, and of all.
    pub(super) wide: usize,
    pub(super) padded: usize,
    pub(super) channels: usize,
    /// For the first point: panels `[depth, columns]`, of which rows from `first` on are written; the next point's start
    /// `stride` elements further.
    pub(super) to: &'a mut [f32],
    pub(super) first: usize,
    pub(super) depth: usize,
    pub(super) stride: usize,
}

impl SimdOp for Forth<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        for start in (0..self.padded).step_by(self.wide) {
            let width = self.wide.min(self.padded - start);
            for channel in 0..self.channels {
                let read = &self.read[(start * self.channels + channel * width) * POINTS..][..POINTS * width];
                let to = start * self.depth + (self.first + channel) * width;
                for at in (0..width).step_by(lanes) {
                    let mut points = [ops.zero(); POINTS];
                    for (point, value) in points.iter_mut().enumerate() {
                        *value = ops.load(&read[point * width + at..]);
                    }
                    for column in 0..4 {
                        let [a, b, c, d] = [0, 4, 8, 12].map(|row| points[row + column]);
                        points[column] = ops.sub(a, c);
                        points[column + 4] = ops.add(b, c);
                        points[column + 8] = ops.sub(c, b);
                        points[column + 12] = ops.sub(b, d);
                    }
                    for row in [0, 4, 8, 12] {
                        let [a, b, c, d] = [0, 1, 2, 3].map(|column| points[row + column]);
                        points[row] = ops.sub(a, c);
                        points[row + 1] = ops.add(b, c);
                        points[row + 2] = ops.sub(c, b);
                        points[row + 3] = ops.sub(b, d);
                    }
                    for (point, value) in points.into_iter().enumerate() {
                        ops.store(value, &mut self.to[point * self.stride + to + at..]);
                    }
                }
            }
        }
    }
}

/// The transform of a row of products: `Aᵀ · m · A`, plus a bias.
pub(super) struct Back<'a> {
    /// The first point's elements of some tiles; the next point's start `stride` elements further.
    pub(super) products: &'a [f32],
    pub(super) stride: usize,
    pub(super) bias: f32,
    /// Two elements for each tile.
    pub(super) upper: &'a mut [f32],
    /// The two below them.
    pub(super) lower: &'a mut [f32],
}

impl SimdOp for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        let bias = ops.splat(self.bias);
        let lines = self.upper.chunks_exact_mut(2 * lanes).zip(self.lower.chunks_exact_mut(2 * lanes));
        for (index, (upper, lower)) in lines.enumerate() {
            let at = index * lanes;
            let (mut above, mut below) = ([ops.zero(); 4], [ops.zero(); 4]);
            for (column, (above, below)) in above.iter_mut().zip(&mut below).enumerate() {
                let [a, b, c, d] =
                    [0, 4, 8, 12].map(|row| ops.load(&self.products[(row + column) * self.stride + at..]));
                *above = ops.add(ops.add(a, b), c);
                *below = ops.sub(ops.sub(b, c), d);
            }
            for ([a, b, c, d], line) in [above, below].into_iter().zip([upper, lower]) {
                let even = ops.add(ops.add(ops.add(a, b), c), bias);
                let odd = ops.add(ops.sub(ops.sub(b, c), d), bias);
                let (mut evens, mut odds) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
                ops.store(even, &mut evens);
                ops.store(odd, &mut odds);
                for ((pair, even), odd) in line.chunks_exact_mut(2).zip(evens).zip(odds) {
                    pair[0] = even;
                    pair[1] = odd;
                }
            }
        }
    }
}
