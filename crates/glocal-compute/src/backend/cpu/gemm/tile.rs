//! The inner loop of our own matrix products: a tile of the result stays in registers while the depth goes by.
//!
//! Both operands come as panels: `[depth, rows of a tile]` and `[depth, columns of a tile]`, so that one step of the depth
//! reads neighbouring elements of each. An element's sum runs over the depth in order, or over parts of it whose sums are then
//! summed, fused where the machine fuses, and is added to what earlier blocks of the depth gave: it depends neither on its place
//! in the tile nor on its neighbours.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, SimdOp};

/// The largest number of lanes that a vector of any machine has.
pub(in crate::backend::cpu) const MOST_LANES: usize = 16;

/// The number of lanes of vectors of half the largest size.
const NARROW: usize = 8;

/// The instructions for [`NARROW`] lanes of a machine whose vectors have twice as many.
#[cfg(target_arch = "x86_64")]
fn narrow_isa() -> Option<rten_simd::isa::Avx2Isa> {
    rten_simd::isa::Avx2Isa::new()
}

#[cfg(not(target_arch = "x86_64"))]
fn narrow_isa() -> Option<rten_simd::isa::GenericIsa> {
    None
}

/// The size of a machine's tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend::cpu) struct TileShape {
    /// The number of rows.
    pub(in crate::backend::cpu) rows: usize,
    /// The number of vectors of columns.
    pub(in crate::backend::cpu) vectors: usize,
    /// The number of elements of a vector.
    pub(in crate::backend::cpu) lanes: usize,
    /// That of the narrowest vector that the last panel of columns is made of.
    pub(in crate::backend::cpu) narrow: usize,
}

impl TileShape {
    /// The tiles of the instructions that are dispatched to.
    pub(in crate::backend::cpu) fn of_this_machine() -> Self {
        struct Lanes;
        impl SimdOp for Lanes {
            type Output = usize;

            #[inline(always)]
            fn eval<I: Isa>(self, isa: I) -> usize {
                isa.f32().len()
            }
        }
        Self::of(Lanes.dispatch())
    }

    /// The tiles of vectors of so many lanes: as many sums as the registers hold and as keep the multipliers busy, few enough
    /// rows that most layers' channels are a multiple of them.
    #[inline(always)]
    pub(in crate::backend::cpu) fn of(lanes: usize) -> Self {
        let (rows, vectors) = if lanes == 8 { (4, 3) } else { (8, 2) };
        let narrow = if lanes == 2 * NARROW && narrow_isa().is_some() { NARROW } else { lanes };
        Self { rows, vectors, lanes, narrow }
    }

    /// The number of columns of a whole tile.
    pub(in crate::backend::cpu) fn columns(self) -> usize {
        self.vectors * self.lanes
    }
}

/// The left operand of a block of the depth.
pub(in crate::backend::cpu) trait Left: Copy {
    /// The number of tiles that its rows make up.
    fn tiles<const ROWS: usize>(self, depth: usize) -> usize;

    /// The products of its rows from `index · ROWS` on and of the columns of `right`.
    fn multiply<I: Isa, const ROWS: usize, const VECTORS: usize>(
        self,
        isa: I,
        index: usize,
        depth: usize,
        right: &[f32],
    ) -> [[I::F32; VECTORS]; ROWS];
}

/// Panels `[depth, rows]`, one after the other.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Panels<'a>(pub(in crate::backend::cpu) &'a [f32]);

/// The same, so many elements of the depth summed together before their sum is added to others: sums of sums round less
/// than long ones.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Parts<'a> {
    pub(in crate::backend::cpu) panels: Panels<'a>,
    pub(in crate::backend::cpu) together: usize,
}

/// One block of the depth of `left · right`.
pub(in crate::backend::cpu) struct Block<'a, 'out, L> {
    pub(in crate::backend::cpu) left: L,
    /// Panels `[depth, columns]`; the last one may have fewer vectors, and narrow ones.
    pub(in crate::backend::cpu) right: &'a [f32],
    /// The number of elements between two right panels, and after the last one.
    pub(in crate::backend::cpu) gap: usize,
    pub(in crate::backend::cpu) depth: usize,
    /// The sums so far: for each right panel, for each left panel, a tile, row by row. Not touched where the depth has
    /// one block only.
    pub(in crate::backend::cpu) sums: &'a mut [f32],
    /// Whether `sums` holds those of earlier blocks.
    pub(in crate::backend::cpu) add: bool,
    /// For the last block: where the results go.
    pub(in crate::backend::cpu) finish: Option<Finish<'a, 'out>>,
}

/// The rows of a result.
pub(in crate::backend::cpu) struct Finish<'a, 'out> {
    /// For each row, as many elements as there are columns.
    pub(in crate::backend::cpu) rows: &'a mut [&'out mut [f32]],
    /// What is added to each row's elements.
    pub(in crate::backend::cpu) bias: Option<&'a [f32]>,
}

impl<L: Left> SimdOp for Block<'_, '_, L> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let TileShape { rows, vectors, .. } = TileShape::of(isa.f32().len());
        match (rows, vectors) {
            (4, 3) => self.panels::<I, 4, 3>(isa),
            (8, 2) => self.panels::<I, 8, 2>(isa),
            _ => debug_assert!(false, "no tiles of {rows} rows and {vectors} vectors"),
        }
    }
}

impl<L: Left> Block<'_, '_, L> {
    #[inline(always)]
    fn panels<I: Isa, const ROWS: usize, const VECTORS: usize>(mut self, isa: I) {
        let lanes = isa.f32().len();
        let panel = self.depth * VECTORS * lanes + self.gap;
        let mut rights = self.right.chunks_exact(panel);
        let mut first = 0;
        for right in rights.by_ref() {
            self.column::<I, ROWS, VECTORS>(isa, right, first);
            first += VECTORS * lanes;
        }
        let right = rights.remainder();
        let columns = right.len().saturating_sub(self.gap) / self.depth;
        if lanes == 2 * NARROW && !columns.is_multiple_of(lanes) {
            match (narrow_isa(), columns / NARROW) {
                (Some(isa), 1) => self.column::<_, ROWS, 1>(isa, right, first),
                (Some(isa), 3) => self.column::<_, ROWS, 3>(isa, right, first),
                _ => debug_assert!(false, "no narrow vectors for {columns} columns"),
            }
            return;
        }
        match columns / lanes {
            0 => {}
            1 => self.column::<I, ROWS, 1>(isa, right, first),
            2 => self.column::<I, ROWS, 2>(isa, right, first),
            _ => debug_assert!(false, "{columns} columns are a whole panel or more"),
        }
    }

    /// The tiles of all left panels and the right panel that starts at column `first`.
    #[inline(always)]
    fn column<I: Isa, const ROWS: usize, const VECTORS: usize>(&mut self, isa: I, right: &[f32], first: usize) {
        let width = VECTORS * isa.f32().len();
        let tiles = self.left.tiles::<ROWS>(self.depth);
        for index in 0..tiles {
            let mut tile = self.left.multiply::<I, ROWS, VECTORS>(isa, index, self.depth, right);
            let sums = (first * tiles + index * width) * ROWS;
            if self.add {
                add::<I, ROWS, VECTORS>(isa, &mut tile, &self.sums[sums..]);
            }
            match &mut self.finish {
                None => store::<I, ROWS, VECTORS>(isa, tile, &mut self.sums[sums..]),
                Some(finish) => finish.store::<I, ROWS, VECTORS>(isa, tile, index * ROWS, first),
            }
        }
    }
}

impl Left for Panels<'_> {
    fn tiles<const ROWS: usize>(self, depth: usize) -> usize {
        self.0.len() / (depth * ROWS)
    }

    #[inline(always)]
    fn multiply<I: Isa, const ROWS: usize, const VECTORS: usize>(
        self,
        isa: I,
        index: usize,
        depth: usize,
        right: &[f32],
    ) -> [[I::F32; VECTORS]; ROWS] {
        let panel = depth * ROWS;
        sums_in_order::<I, ROWS, VECTORS>(isa, &self.0[index * panel..][..panel], panel, right)
    }
}

/// Sums over all columns of `left`, which lie one after the other, and as many rows of `right`. The next tile reads what lies
/// `ahead` elements further on.
#[inline(always)]
fn sums_in_order<I: Isa, const ROWS: usize, const VECTORS: usize>(
    isa: I,
    left: &[f32],
    ahead: usize,
    right: &[f32],
) -> [[I::F32; VECTORS]; ROWS] {
    let ops = isa.f32();
    let mut sums = [[ops.zero(); VECTORS]; ROWS];
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    let (left, right) = match avx2::Avx2::of_this_machine() {
        Some(avx2) if (ROWS, VECTORS, ops.len()) == (avx2::ROWS, avx2::VECTORS, avx2::LANES) => {
            let ((columns, others), (rows, _)) = (left.as_chunks(), right.as_chunks());
            let given = avx2.sums(columns, rows, ahead);
            for (sum, given) in sums.as_flattened_mut().iter_mut().zip(given.as_chunks::<{ avx2::LANES }>().0) {
                *sum = ops.load(given);
            }
            (others, &right[columns.len() * avx2::STEPS * VECTORS * avx2::LANES..])
        }
        _ => (left, right),
    };
    let (left, _) = left.as_chunks::<ROWS>();
    for (left, right) in left.iter().zip(right.chunks_exact(VECTORS * ops.len())) {
        ops.prefetch(left.as_ptr().wrapping_add(ahead));
        let values = ops.load_many::<VECTORS>(right);
        for row in 0..ROWS {
            let weight = ops.splat(left[row]);
            for vector in 0..VECTORS {
                sums[row][vector] = ops.mul_add(weight, values[vector], sums[row][vector]);
            }
        }
    }
    sums
}

impl Left for Parts<'_> {
    fn tiles<const ROWS: usize>(self, depth: usize) -> usize {
        self.panels.tiles::<ROWS>(depth)
    }

    #[inline(always)]
    fn multiply<I: Isa, const ROWS: usize, const VECTORS: usize>(
        self,
        isa: I,
        index: usize,
        depth: usize,
        right: &[f32],
    ) -> [[I::F32; VECTORS]; ROWS] {
        let (ops, together) = (isa.f32(), self.together);
        let mut totals = [[ops.zero(); VECTORS]; ROWS];
        let panel = depth * ROWS;
        let left = &self.panels.0[index * panel..][..panel];
        let rights = right.chunks(together * VECTORS * ops.len());
        for (left, right) in left.chunks(together * ROWS).zip(rights) {
            let sums = sums_in_order::<I, ROWS, VECTORS>(isa, left, panel, right);
            plus::<I, ROWS, VECTORS>(isa, &mut totals, &sums);
        }
        totals
    }
}

#[inline(always)]
pub(in crate::backend::cpu) fn plus<I: Isa, const ROWS: usize, const VECTORS: usize>(
    isa: I,
    totals: &mut [[I::F32; VECTORS]; ROWS],
    sums: &[[I::F32; VECTORS]; ROWS],
) {
    for row in 0..ROWS {
        for vector in 0..VECTORS {
            totals[row][vector] = isa.f32().add(totals[row][vector], sums[row][vector]);
        }
    }
}

#[inline(always)]
fn add<I: Isa, const ROWS: usize, const VECTORS: usize>(isa: I, tile: &mut [[I::F32; VECTORS]; ROWS], sums: &[f32]) {
    let ops = isa.f32();
    let rows = sums[..ROWS * VECTORS * ops.len()].chunks_exact(VECTORS * ops.len());
    for (row, from) in tile.iter_mut().zip(rows) {
        let from = ops.load_many::<VECTORS>(from);
        for vector in 0..VECTORS {
            row[vector] = ops.add(from[vector], row[vector]);
        }
    }
}

#[inline(always)]
fn store<I: Isa, const ROWS: usize, const VECTORS: usize>(isa: I, tile: [[I::F32; VECTORS]; ROWS], sums: &mut [f32]) {
    let ops = isa.f32();
    let vectors = sums[..ROWS * VECTORS * ops.len()].chunks_exact_mut(ops.len());
    for (value, to) in tile.as_flattened().iter().zip(vectors) {
        ops.store(*value, to);
    }
}

impl Finish<'_, '_> {
    /// Writes what there is room for of the tile whose first row is `row`, and first column `column`.
    #[inline(always)]
    fn store<I: Isa, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        isa: I,
        tile: [[I::F32; VECTORS]; ROWS],
        row: usize,
        column: usize,
    ) {
        let ops = isa.f32();
        let lanes = ops.len();
        for (index, vectors) in tile.into_iter().enumerate() {
            let Some(out) = self.rows.get_mut(row + index) else { return };
            let out = &mut out[column..];
            let bias = ops.splat(self.bias.map_or(0.0, |bias| bias[row + index]));
            if out.len() >= VECTORS * lanes {
                for (value, to) in vectors.into_iter().zip(out.chunks_exact_mut(lanes)) {
                    ops.store(ops.add(value, bias), to);
                }
            } else {
                for (value, to) in vectors.into_iter().zip(out.chunks_mut(lanes)) {
                    let mut whole = [0.0; MOST_LANES];
                    ops.store(ops.add(value, bias), &mut whole);
                    to.copy_from_slice(&whole[..to.len()]);
                }
            }
        }
    }
}
