//! The right operand of our own matrix products, packed block by block from wherever its rows lie.

use std::ops::Range;

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use super::tile::TileShape;
use crate::backend::cpu::scratch::sized;

/// Columns that stand side by side in memory, in every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend::cpu) struct Run {
    /// Where the first column's element lies, from where the row starts.
    pub(in crate::backend::cpu) start: usize,
    pub(in crate::backend::cpu) len: usize,
}

/// Which elements of a source make up some columns of a matrix: element `source[row start + column start]`.
pub(in crate::backend::cpu) struct RightSource<'a> {
    pub(in crate::backend::cpu) elements: &'a [f32],
    /// Where each row starts.
    pub(in crate::backend::cpu) rows: &'a [usize],
}

/// How many columns panels of tiles of `shape` hold for `columns` columns: whole vectors, narrow ones where those do.
pub(in crate::backend::cpu) fn padded_columns(shape: TileShape, columns: usize) -> usize {
    columns.next_multiple_of(shape.narrow)
}

/// A run, or what of it lies in one panel.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where its first element of the first row stands in the panels.
    to: usize,
    /// The number of columns of its panel.
    width: usize,
    run: Run,
}

impl RightSource<'_> {
    /// Packs some rows of the columns that `runs` name into panels; what stands in a last panel past the last column is
    /// not defined. `panels` is made as long as needed.
    pub(in crate::backend::cpu) fn pack(
        &self,
        shape: TileShape,
        depth: Range<usize>,
        runs: &[Run],
        panels: &mut Vec<f32>,
    ) {
        let columns: usize = runs.iter().map(|run| run.len).sum();
        let rows = &self.rows[depth];
        let len = padded_columns(shape, columns) * rows.len();
        let panels = sized(panels, len);
        let wide = shape.columns();
        let mut pieces = Vec::with_capacity(runs.len() + columns / wide + 1);
        let mut column = 0;
        for run in runs {
            let mut done = 0;
            while done < run.len {
                let first = column - column % wide;
                let width = padded_columns(shape, wide.min(columns - first));
                let len = (first + wide - column).min(run.len - done);
                let to = first * rows.len() + column - first;
                pieces.push(Piece { to, width, run: Run { start: run.start + done, len } });
                column += len;
                done += len;
            }
        }
        Panels { source: self.elements, rows, pieces: &pieces, to: panels }.dispatch();
    }
}

/// Panels to be packed.
struct Panels<'a> {
    source: &'a [f32],
    rows: &'a [usize],
    pieces: &'a [Piece],
    to: &'a mut [f32],
}

impl SimdOp for Panels<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        for (row, &start) in self.rows.iter().enumerate() {
            let from = &self.source[start..];
            for piece in self.pieces {
                let from = &from[piece.run.start..][..piece.run.len];
                copy_run(isa, from, &mut self.to[piece.to + row * piece.width..][..piece.run.len]);
            }
        }
    }
}

/// Copies elements, of which there are few, to as many.
#[inline(always)]
pub(in crate::backend::cpu) fn copy_run<I: Isa>(isa: I, from: &[f32], to: &mut [f32]) {
    let lanes = isa.f32().len();
    if from.len() < lanes {
        return copy_short(from, to);
    }
    let last = from.len() - lanes;
    let mut at = 0;
    while at < last {
        copy_vector(isa, &from[at..], &mut to[at..]);
        at += lanes;
    }
    copy_vector(isa, &from[last..], &mut to[last..]);
}

#[inline(always)]
fn copy_vector<I: Isa>(isa: I, from: &[f32], to: &mut [f32]) {
    isa.f32().store(isa.f32().load(from), to);
}

/// Copies less than 32 elements to as many.
#[inline(always)]
pub(in crate::backend::cpu) fn copy_short(from: &[f32], to: &mut [f32]) {
    match from.len() {
        16.. => copy_ends::<16>(from, to),
        8.. => copy_ends::<8>(from, to),
        4.. => copy_ends::<4>(from, to),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// Copies `LEN` to twice as many elements: the first ones, and the last ones.
#[inline(always)]
fn copy_ends<const LEN: usize>(from: &[f32], to: &mut [f32]) {
    if let (Some(from), Some(to)) = (from.first_chunk::<LEN>(), to.first_chunk_mut::<LEN>()) {
        *to = *from;
    }
    if let (Some(from), Some(to)) = (from.last_chunk::<LEN>(), to.last_chunk_mut::<LEN>()) {
        *to = *from;
    }
}
