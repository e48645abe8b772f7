//! The transform of what tiles read, `Bᵀ · d · B`, straight from the padded images to the panels of right operands.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::gemm::left::DEPTH;

use super::pieces::Pieces;
use super::{POINTS, SLACK};

/// Where the elements of a padded image lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// From a channel to the next.
    pub(super) channel: usize,
    /// From a row to the next.
    pub(super) row: usize,
    /// From an element to the next of its row, where the first has an even place. The one after that stands beside the
    /// first, as those of the next tile do.
    pub(super) odd: usize,
}

/// The transform of some tiles of all channels.
pub(super) struct ToPoints<'a> {
    /// The padded images, with [`SLACK`] more elements at the end.
    pub(super) images: &'a [f32],
    pub(super) source: Source,
    pub(super) pieces: &'a Pieces,
    pub(super) channels: usize,
    /// For each point, panels as a matrix product takes them, and [`SLACK`] more elements.
    pub(super) to: &'a mut [f32],
}

impl SimdOp for ToPoints<'_> {
    type Output = ();

    /// Vectors are stored whole: what reaches past the end of a piece is overwritten by what comes next in memory,
    /// because all is written in that order.
    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Source { channel: channel_len, row, odd } = self.source;
        let padded = self.pieces.padded;
        let stride = self.channels * padded + SLACK;
        let to = &mut self.to[..POINTS * stride];
        for block in (0..self.channels).step_by(DEPTH) {
            let depth = DEPTH.min(self.channels - block);
            for (panel, pieces) in self.pieces.panels() {
                for channel in 0..depth {
                    let images = &self.images[(block + channel) * channel_len..];
                    let start = block * padded + panel.first * depth + channel * panel.width;
                    for piece in pieces {
                        for at in (0..piece.len).step_by(isa.f32().len()) {
                            let from = &images[piece.from + at..][..3 * row + odd + 1 + SLACK];
                            let to = &mut to[start + piece.column + at..][..(POINTS - 1) * stride + SLACK];
                            vector(isa, from, row, odd, to, stride);
                        }
                    }
                }
            }
        }
    }
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
    let step = |[a, b, c, d]: [I::F32; 4]| [ops.sub(a, c), ops.add(b, c), ops.sub(c, b), ops.sub(b, d)];
    let columns: [[I::F32; 4]; 4] = std::array::from_fn(|column| step(points.map(|row| row[column])));
    for index in 0..4 {
        for (column, value) in step(columns.map(|column| column[index])).into_iter().enumerate() {
            // SAFETY: at most 15 strides and a vector, which the assertion above holds `to` to.
            unsafe { ops.store_ptr(value, to.as_mut_ptr().add((4 * index + column) * stride)) };
        }
    }
}
