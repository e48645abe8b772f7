//! The transform of what tiles read, `Bᵀ · d · B`, from the images to the panels of right operands.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use super::lines::Lines;
use super::pieces::Pieces;
use super::{POINTS, SLACK, STEP};

/// The transform of some tiles of all channels.
pub(super) struct ToPoints<'a> {
    pub(super) images: &'a [f32],
    /// From a channel of an image to the next.
    pub(super) plane: usize,
    pub(super) lines: &'a Lines,
    /// Zeros, for a copy of the lines of one channel.
    pub(super) copy: &'a mut [f32],
    pub(super) pieces: &'a Pieces,
    pub(super) channels: usize,
    /// For each point `stride` elements: the panels of each block of the depth, each followed by [`SLACK`] elements.
    pub(super) to: &'a mut [f32],
    pub(super) stride: usize,
}

impl SimdOp for ToPoints<'_> {
    type Output = ();

    /// Vectors are stored whole: what reaches past the end of a piece is overwritten by the next one, or by the next
    /// channel, or lies past the end of the panel.
    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let (row, odd, stride) = (self.lines.stride(), self.lines.half(), self.stride);
        let to = &mut self.to[..POINTS * stride];
        let mut block = 0;
        for first in (0..self.channels).step_by(STEP) {
            let depth = STEP.min(self.channels - first);
            for channel in 0..depth {
                self.lines.fill(isa, self.images, (first + channel) * self.plane, self.copy);
                if first + channel + 1 < self.channels {
                    self.lines.prefetch(isa, self.images, (first + channel + 1) * self.plane);
                }
                let mut panel_start = block;
                for (panel, pieces) in self.pieces.panels() {
                    for piece in pieces {
                        for at in (0..piece.len).step_by(isa.f32().len()) {
                            let from = &self.copy[piece.from + at..][..3 * row + odd + 1 + SLACK];
                            let start = panel_start + channel * panel.width + piece.column + at;
                            vector(isa, from, row, odd, &mut to[start..][..(POINTS - 1) * stride + SLACK], stride);
                        }
                    }
                    panel_start += depth * panel.width + SLACK;
                }
            }
            block += depth * self.pieces.padded + self.pieces.count() * SLACK;
        }
    }
}

/// `Bᵀ` times a column. (A function, and no closure: what is not inlined knows nothing of the machine's vectors.)
#[inline(always)]
fn step<I: Isa>(isa: I, [a, b, c, d]: [I::F32; 4]) -> [I::F32; 4] {
    let ops = isa.f32();
    [ops.sub(a, c), ops.add(b, c), ops.sub(c, b), ops.sub(b, d)]
}

/// The transform of a vector of tiles.
#[inline(always)]
fn vector<I: Isa>(isa: I, from: &[f32], row: usize, odd: usize, to: &mut [f32], stride: usize) {
    let ops = isa.f32();
    assert!(ops.len() <= SLACK && from.len() >= 3 * row + odd + 1 + SLACK && to.len() >= (POINTS - 1) * stride + SLACK);
    let mut points = [[ops.zero(); 4]; 4];
    for (index, points) in points.iter_mut().enumerate() {
        for (value, at) in points.iter_mut().zip([0, odd, 1, odd + 1]) {
            // SAFETY: at most 3 · row + odd + 1 and a vector, which the assertion above holds `from` to.
            *value = unsafe { ops.load_ptr(from.as_ptr().add(index * row + at)) };
        }
    }
    let mut columns = [[ops.zero(); 4]; 4];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = step(isa, [points[0][index], points[1][index], points[2][index], points[3][index]]);
    }
    let [a, b, c, d] = columns;
    let rows = a.into_iter().zip(b).zip(c).zip(d);
    for (index, (((a, b), c), d)) in rows.enumerate() {
        for (column, value) in step(isa, [a, b, c, d]).into_iter().enumerate() {
            // SAFETY: at most 15 strides and a vector, which the assertion above holds `to` to.
            unsafe { ops.store_ptr(value, to.as_mut_ptr().add((4 * index + column) * stride)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use rten_simd::isa::GenericIsa;

    use super::*;

    const ROW: usize = 32;
    const ODD: usize = 16;
    const STRIDE: usize = 16;
    const READ: usize = 3 * ROW + ODD + 1 + SLACK;
    const WRITTEN: usize = (POINTS - 1) * STRIDE + SLACK;

    fn transform(read: usize, written: usize) {
        vector(GenericIsa::new(), &vec![0.0; read], ROW, ODD, &mut vec![f32::NAN; written], STRIDE);
    }

    #[test]
    fn what_is_long_enough_is_transformed() {
        transform(READ, WRITTEN);
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn too_few_elements_are_not_read() {
        transform(READ - 1, WRITTEN);
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn too_little_room_is_not_written() {
        transform(READ, WRITTEN - 1);
    }
}
