//! Padded rows of an image, some at a time, so that windows need no checks and what is read again stays in the first
//! cache; with even and odd columns apart where windows are two columns apart.

use rten_simd::Isa;
use rten_simd::ops::{BitOps, NumOps};

use super::lines::LANES;

/// How far past the rows vectors are read and written: two short rows, or one vector, and where it starts.
const SLACK: usize = 4 * LANES;

/// Room in which the end of a row is made whole.
const SCRATCH: usize = 2 * LANES;

/// The distance between rows at which a vector of [`LANES`] holds two of them.
const HALF: usize = LANES / 2;

/// The number of each lane.
const NUMBERS: [f32; LANES] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];

/// Where the image stands in the rows: reached columns are counted from the first one that any window touches.
#[derive(Clone, Debug)]
pub(super) struct PaddedRows {
    /// The size of the image.
    size: [usize; 2],
    /// The image's row and column at the start of the rows; negative in the padding.
    first: [i64; 2],
    /// The image columns that are copied, and the reached column where the first of them goes.
    copied: std::ops::Range<usize>,
    before: usize,
    /// The distance from one row to the next.
    row_len: usize,
    /// Whether a row holds its even columns and then its odd ones.
    is_split: bool,
}

impl PaddedRows {
    /// Rows of an image of `size`, from the row and column `first` on, with `columns` columns; `step` columns (1 or 2) lie
    /// between windows. `None` when they are too long to be counted.
    pub(super) fn new(size: [usize; 2], first: [i64; 2], columns: usize, step: usize) -> Option<Self> {
        let before = usize::try_from(first[1].min(0).unsigned_abs()).ok()?.min(columns);
        let from = usize::try_from(first[1].max(0)).ok()?.min(size[1]);
        let len = (size[1] - from).min(columns - before);
        let after = columns - before - len;
        let is_split = step == 2;
        let row_len = if is_split {
            let of_copied = len.div_ceil(2 * LANES).checked_mul(LANES)?;
            let half = before.div_ceil(2).checked_add(of_copied)?.max(columns.div_ceil(2));
            half.checked_next_multiple_of(LANES)?.checked_mul(2)?
        } else {
            // the padding after a row is that before the next one
            let row_len = len.checked_add(before.max(after))?;
            row_len.checked_next_multiple_of(if row_len <= HALF { HALF } else { LANES })?
        };
        Some(Self { size, first, copied: from..from + len, before, row_len, is_split })
    }

    /// The distance from one row to the next.
    pub(super) fn row_len(&self) -> usize {
        self.row_len
    }

    /// The number of elements of a buffer for `count` rows.
    pub(super) fn len(&self, count: usize) -> Option<usize> {
        count.checked_mul(self.row_len)?.checked_add(SLACK + SCRATCH)
    }

    /// Where the reached column `column` stands in a row.
    pub(super) fn column(&self, column: usize) -> usize {
        if self.is_split { column % 2 * (self.row_len / 2) + column / 2 } else { column }
    }

    /// Puts `count` rows, from row `start` on, into `buffer`, which holds zeros or what an earlier call left; that call put
    /// the same rows there where `are_same`. Other images may follow in `image`.
    #[inline(always)]
    pub(super) fn fill<I: Isa>(
        &self,
        isa: I,
        image: &[f32],
        start: usize,
        count: usize,
        are_same: bool,
        buffer: &mut [f32],
    ) {
        let Self { size: [height, width], row_len, .. } = *self;
        let first = self.first[0] + start as i64;
        let above = usize::try_from(first.min(0).unsigned_abs()).unwrap_or(count).min(count);
        let y = usize::try_from(first).unwrap_or(0).min(height);
        let inside = (height - y).min(count - above);
        let (rows, last) = buffer.split_at_mut(buffer.len() - SCRATCH);
        if !are_same {
            rows[..above * row_len].fill(0.0);
            rows[(above + inside) * row_len..count * row_len].fill(0.0);
        }
        let rows = &mut rows[above * row_len..];
        let len = self.copied.len();
        // where the padding is odd, the first column of the image is an odd one
        let places = [self.column(self.before), self.column(self.before + 1)];
        if inside == 0 {
            return;
        }
        let image = &image[y * width + self.copied.start..];
        if self.is_split {
            for row in 0..inside {
                split_row(isa, &image[row * width..], len, places, &mut rows[row * row_len..], last);
            }
        } else {
            let rows = &mut rows[self.before..];
            for row in 0..inside {
                copy_row(isa, &image[row * width..], len, &mut rows[row * row_len..]);
            }
        }
    }
}

/// Copies the first `len` elements, those of even columns to the first of the places and the others to the second, and
/// zeros after both up to a whole vector.
#[inline(always)]
fn split_row<I: Isa>(isa: I, from: &[f32], len: usize, places: [usize; 2], to: &mut [f32], last: &mut [f32]) {
    let pieces = len / (2 * LANES);
    for (index, pairs) in from.as_chunks::<{ 2 * LANES }>().0.iter().take(pieces).enumerate() {
        split(pairs, places.map(|place| place + index * LANES), to);
    }
    let rest = len % (2 * LANES);
    if rest > 0
        && let Some((pairs, _)) = last.split_first_chunk_mut::<{ 2 * LANES }>()
    {
        let ops = isa.f32();
        let from = &from[len - rest..];
        for (index, to) in pairs.chunks_exact_mut(ops.len()).enumerate() {
            ops.store(start_of(isa, from, index * ops.len(), rest), to);
        }
        split(pairs, places.map(|place| place + pieces * LANES), to);
    }
}

/// Copies the first `len` elements, and zeros after them up to a whole vector.
#[inline(always)]
fn copy_row<I: Isa>(isa: I, from: &[f32], len: usize, to: &mut [f32]) {
    let ops = isa.f32();
    let mut x = 0;
    while x + ops.len() <= len {
        ops.store(ops.load(&from[x..]), &mut to[x..]);
        x += ops.len();
    }
    if x < len {
        ops.store(start_of(isa, from, x, len), &mut to[x..]);
    }
}

/// The vector at `from[x..]`, with zeros instead of what is past the first `len` elements.
#[inline(always)]
fn start_of<I: Isa>(isa: I, from: &[f32], x: usize, len: usize) -> I::F32 {
    let ops = isa.f32();
    let count = len.saturating_sub(x).min(LANES);
    match from.get(x..) {
        Some(from) if from.len() >= ops.len() => {
            let is_inside = ops.gt(ops.splat(count as f32), ops.load(&NUMBERS));
            ops.select(ops.load(from), ops.zero(), is_inside)
        }
        Some(from) => ops.load(&copied(&from[..count.min(from.len())])),
        None => ops.zero(),
    }
}

/// At the end of all images.
#[cold]
#[inline(never)]
fn copied(from: &[f32]) -> [f32; LANES] {
    let mut whole = [0.0; LANES];
    whole[..from.len()].copy_from_slice(from);
    whole
}

/// Puts the first elements of pairs at the first of the places, the second ones at the second.
#[inline(always)]
fn split(pairs: &[f32; 2 * LANES], places: [usize; 2], to: &mut [f32]) {
    let (mut firsts, mut seconds) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        firsts[lane] = pairs[2 * lane];
        seconds[lane] = pairs[2 * lane + 1];
    }
    to[places[0]..][..LANES].copy_from_slice(&firsts);
    to[places[1]..][..LANES].copy_from_slice(&seconds);
}
