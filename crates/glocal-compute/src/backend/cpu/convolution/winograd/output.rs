//! The transform of products, `Aᵀ · m · A` and a bias, straight to the lines of the result.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::gemm::right::copy_short;
use crate::backend::cpu::gemm::tile::MOST_LANES;

use super::lines::CACHE_LINE;
use super::pieces::Pieces;
use super::{POINTS, SLACK};

/// So many channels ahead, what will be written is asked for.
const AHEAD: usize = 4;

/// The lines of a result that some tiles make up.
pub(super) struct Planes<'a, 'out> {
    /// For each image, for each channel.
    pub(super) planes: &'a mut [&'out mut [f32]],
    /// The line of the result that planes start with.
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) bias: Option<&'a [f32]>,
}

/// The transform of some tiles of all channels.
pub(super) struct FromPoints<'a, 'out> {
    /// For each point `stride` elements: for each panel of columns, the rows of its tiles; and [`SLACK`] or more elements.
    pub(super) products: &'a [f32],
    pub(super) stride: usize,
    /// The rows of a product.
    pub(super) rows: usize,
    pub(super) pieces: &'a Pieces,
    pub(super) channels: usize,
    pub(super) result: Planes<'a, 'out>,
}

impl SimdOp for FromPoints<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let lanes = ops.len();
        let stride = self.stride;
        let products = &self.products[..POINTS * stride];
        let Planes { planes, top, width, bias } = self.result;
        for (panel, pieces) in self.pieces.panels() {
            for channel in 0..self.channels {
                let start = panel.first * self.rows + channel * panel.width;
                let bias = ops.splat(bias.map_or(0.0, |bias| bias[channel]));
                for piece in pieces {
                    if channel + AHEAD < self.channels {
                        let plane = &planes[piece.image * self.channels + channel + AHEAD];
                        let line = &plane[(piece.y - top) * width + piece.x..];
                        for at in (0..2 * piece.len).step_by(CACHE_LINE) {
                            ops.prefetch_write(line.as_ptr().wrapping_add(at).cast_mut());
                            ops.prefetch_write(line.as_ptr().wrapping_add(at + width).cast_mut());
                        }
                    }
                    let plane = &mut planes[piece.image * self.channels + channel][(piece.y - top) * width..];
                    let (upper, lower) = plane.split_at_mut(width);
                    let lower = lower.get_mut(..width).unwrap_or_default();
                    for at in (0..piece.len).step_by(lanes) {
                        let from = &products[start + piece.column + at..][..(POINTS - 1) * stride + SLACK];
                        let [above, below] = vector(isa, from, stride, bias);
                        let x = piece.x + 2 * at;
                        let end = width.min(piece.x + 2 * piece.len);
                        store_pairs(isa, above, &mut upper[x..end]);
                        if !lower.is_empty() {
                            store_pairs(isa, below, &mut lower[x..end]);
                        }
                    }
                }
            }
        }
    }
}

/// The transform of a vector of tiles: of the upper and of the lower line the even and the odd elements.
#[inline(always)]
fn vector<I: Isa>(isa: I, products: &[f32], stride: usize, bias: I::F32) -> [[I::F32; 2]; 2] {
    let ops = isa.f32();
    assert!(ops.len() <= SLACK && products.len() >= (POINTS - 1) * stride + SLACK);
    let (mut above, mut below) = ([ops.zero(); 4], [ops.zero(); 4]);
    for (column, (above, below)) in above.iter_mut().zip(&mut below).enumerate() {
        let mut points = [ops.zero(); 4];
        for (row, point) in points.iter_mut().enumerate() {
            // SAFETY: at most 15 strides and a vector, which the assertion above holds `products` to.
            *point = unsafe { ops.load_ptr(products.as_ptr().add((4 * row + column) * stride)) };
        }
        let [a, b, c, d] = points;
        *above = ops.add(ops.add(a, b), c);
        *below = ops.sub(ops.sub(b, c), d);
    }
    [pair(isa, above, bias), pair(isa, below, bias)]
}

/// Of one line the even and the odd elements.
#[inline(always)]
fn pair<I: Isa>(isa: I, [a, b, c, d]: [I::F32; 4], bias: I::F32) -> [I::F32; 2] {
    let ops = isa.f32();
    [ops.add(ops.add(ops.add(a, b), c), bias), ops.add(ops.sub(ops.sub(b, c), d), bias)]
}

/// Stores elements by turns, as many as `to` takes.
#[inline(always)]
fn store_pairs<I: Isa>(isa: I, [even, odd]: [I::F32; 2], to: &mut [f32]) {
    let ops = isa.f32();
    let lanes = ops.len();
    let (mut evens, mut odds) = ([0.0; MOST_LANES], [0.0; MOST_LANES]);
    ops.store(even, &mut evens);
    ops.store(odd, &mut odds);
    let mut pairs = [0.0; 2 * MOST_LANES];
    for ((pair, even), odd) in pairs[..2 * lanes].chunks_exact_mut(2).zip(evens).zip(odds) {
        pair[0] = even;
        pair[1] = odd;
    }
    match to.get_mut(..2 * lanes) {
        Some(to) => to.copy_from_slice(&pairs[..2 * lanes]),
        None => copy_short(&pairs[..to.len()], to),
    }
}

#[cfg(test)]
mod tests {
    use rten_simd::isa::GenericIsa;

    use super::*;

    const STRIDE: usize = 32;
    const READ: usize = (POINTS - 1) * STRIDE + SLACK;

    fn transform(read: usize) {
        let isa = GenericIsa::new();
        vector(isa, &vec![0.0; read], STRIDE, isa.f32().zero());
    }

    #[test]
    fn what_is_long_enough_is_transformed() {
        transform(READ);
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn too_few_products_are_not_read() {
        transform(READ - 1);
    }
}
