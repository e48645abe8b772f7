//! Lines that were computed part by part, put together in the output.

use super::lines::LANES;

/// Lines of each part, with room after them that may be read.
pub(super) struct Made<'a> {
    pub(super) elements: &'a [f32],
    /// The distance from one part to the next.
    pub(super) part_len: usize,
    /// The distance from one line to the next.
    pub(super) pitch: usize,
    /// The parts are those of the lines and elements of a period of the output.
    pub(super) period: [usize; 2],
}

impl Made<'_> {
    /// Writes the lines of the periods from `first` on, `count` of them, to an output of size `output`.
    ///
    /// Lines are copied in pieces of one length: what is too much is written over the following lines, which come later.
    #[inline(always)]
    pub(super) fn write(&self, first: usize, count: usize, output: [usize; 2], out: &mut [f32]) {
        let [height, width] = output;
        let [down, across] = self.period;
        for line in 0..count {
            for phase in 0..down.min(height - (first + line) * down) {
                let out = &mut out[((first + line) * down + phase) * width..];
                let from = &self.elements[phase * across * self.part_len + line * self.pitch..];
                match (across, self.pitch < LANES) {
                    (1, true) => copy_pieces::<{ LANES / 2 }>(from, width, out),
                    (1, false) => copy_pieces::<LANES>(from, width, out),
                    (2, _) if width <= LANES => interleave::<{ LANES / 2 }>(from, &from[self.part_len..], width, out),
                    (2, _) => interleave::<LANES>(from, &from[self.part_len..], width, out),
                    _ => {
                        for (x, to) in out[..width].iter_mut().enumerate() {
                            *to = from[x % across * self.part_len + x / across];
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn copy_pieces<const LEN: usize>(from: &[f32], width: usize, out: &mut [f32]) {
    for (index, piece) in from.as_chunks::<LEN>().0.iter().take(width.div_ceil(LEN)).enumerate() {
        put(piece, &mut out[index * LEN..]);
    }
}

/// Writes the elements of two lines by turns.
#[inline(always)]
fn interleave<const LEN: usize>(even: &[f32], odd: &[f32], width: usize, out: &mut [f32]) {
    let pieces = even.as_chunks::<LEN>().0.iter().zip(odd.as_chunks::<LEN>().0);
    for (index, (even, odd)) in pieces.take(width.div_ceil(2 * LEN)).enumerate() {
        let out = &mut out[index * 2 * LEN..];
        match out.as_chunks_mut::<2>().0.first_chunk_mut() {
            Some(pairs) => mix(*even, *odd, pairs),
            None => {
                let mut pairs = [[0.0; 2]; LEN];
                mix(*even, *odd, &mut pairs);
                put_start(pairs.as_flattened(), out);
            }
        }
    }
}

#[inline(always)]
fn mix<const LEN: usize>(even: [f32; LEN], odd: [f32; LEN], pairs: &mut [[f32; 2]; LEN]) {
    for (pair, (even, odd)) in pairs.iter_mut().zip(even.into_iter().zip(odd)) {
        *pair = [even, odd];
    }
}

/// Copies a piece, or as much of it as there is room for.
#[inline(always)]
fn put(piece: &[f32], out: &mut [f32]) {
    match out.get_mut(..piece.len()) {
        Some(out) => out.copy_from_slice(piece),
        None => put_start(piece, out),
    }
}

#[cold]
#[inline(never)]
fn put_start(piece: &[f32], out: &mut [f32]) {
    out.copy_from_slice(&piece[..out.len()]);
}
