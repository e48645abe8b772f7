//! The left operand of our own matrix products, packed once: weights.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::backend::cpu::parallel;
use crate::backend::cpu::scratch::aligned;
use crate::memory::many_zeros;

use super::tile::{Panels, TileShape};

/// The depth that goes by, mostly, before sums are added to earlier ones: the panels of a tile then fit the first cache,
/// and sums of sums round less than long ones.
pub(in crate::backend::cpu) const DEPTH: usize = 64;

/// A matrix in the order in which tiles read it: for each block of the depth, for each panel of rows, the panel's
/// columns one after the other. Missing rows of the last panel are zeros.
pub(in crate::backend::cpu) struct LeftPanels {
    pub(in crate::backend::cpu) shape: TileShape,
    rows: usize,
    depth: usize,
    /// The depth of a block; that of the last one may be less.
    pub(in crate::backend::cpu) step: usize,
    /// Those of this matrix, and of others that were packed with it: together they fill large pages.
    elements: Arc<Vec<f32>>,
    place: Range<usize>,
}

/// A matrix that is to be packed, as it lies in memory.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Unpacked<'a> {
    /// Those of the matrix, and maybe others between them.
    pub(in crate::backend::cpu) elements: &'a [f32],
    pub(in crate::backend::cpu) rows: usize,
    /// From an element to the one in the next row.
    pub(in crate::backend::cpu) apart: usize,
    /// Where the elements of the first row are.
    pub(in crate::backend::cpu) columns: &'a [usize],
}

impl LeftPanels {
    /// Packs `count` row-major matrices of `rows · depth` elements each in blocks that are `step` deep.
    pub(in crate::backend::cpu) fn pack_all(
        count: usize,
        [rows, depth]: [usize; 2],
        step: usize,
        matrix: impl Fn(usize) -> Vec<f32> + Sync,
    ) -> Vec<Self> {
        let (shape, columns) = (TileShape::of_this_machine(), (0..depth).collect::<Vec<usize>>());
        let len = rows.next_multiple_of(shape.rows) * depth;
        let mut elements = many_zeros(count * len);
        elements.par_chunks_mut(len.max(1)).enumerate().for_each(|(index, to)| {
            let matrix = matrix(index);
            let matrix = Unpacked { elements: &matrix, rows, apart: depth, columns: &columns };
            matrix.pack(shape, step, |element| element, to);
        });
        let elements = Arc::new(elements);
        let places = (0..count).map(|index| index * len..(index + 1) * len);
        places.map(|place| Self { shape, rows, depth, step, elements: Arc::clone(&elements), place }).collect()
    }

    /// Packs a matrix, each element of which is changed on the way, in blocks that are `step` deep.
    pub(in crate::backend::cpu) fn pack_changed(
        matrix: Unpacked<'_>,
        step: usize,
        change: impl Fn(f32) -> f32 + Copy + Sync,
    ) -> Self {
        Self::pack_for(TileShape::of_this_machine(), matrix, step, change)
    }

    /// The same, for tiles of `shape`.
    pub(in crate::backend::cpu) fn pack_for(
        shape: TileShape,
        matrix: Unpacked<'_>,
        step: usize,
        change: impl Fn(f32) -> f32 + Copy + Sync,
    ) -> Self {
        let (rows, depth) = (matrix.rows, matrix.columns.len());
        let mut elements = many_zeros(rows.next_multiple_of(shape.rows) * depth);
        matrix.pack(shape, step, change, &mut elements);
        let place = 0..elements.len();
        Self { shape, rows, depth, step, elements: Arc::new(elements), place }
    }

    /// The number of rows.
    pub(in crate::backend::cpu) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of panels of rows.
    pub(in crate::backend::cpu) fn panels(&self) -> usize {
        self.rows.div_ceil(self.shape.rows)
    }

    /// The number of columns.
    pub(in crate::backend::cpu) fn depth(&self) -> usize {
        self.depth
    }

    /// The panels `first..first + count` of the block of the depth that starts at `start` and is `len` deep.
    pub(in crate::backend::cpu) fn block(&self, start: usize, len: usize, first: usize, count: usize) -> Panels<'_> {
        let panel = len * self.shape.rows;
        Panels(&self.elements()[self.block_start(start)..][first * panel..(first + count) * panel])
    }

    /// Where the block of the depth that starts at `start` does.
    fn block_start(&self, start: usize) -> usize {
        self.panels() * start * self.shape.rows
    }

    fn elements(&self) -> &[f32] {
        &self.elements[self.place.clone()]
    }

    /// Whether a matrix of this size can be used transposed, too: it falls into whole squares.
    pub(in crate::backend::cpu) fn turns(rows: usize, depth: usize, step: usize) -> bool {
        let tall = TileShape::of_this_machine().rows;
        [rows, depth, step].into_iter().all(|size| size.is_multiple_of(tall))
    }

    /// Of the matrix transposed, which must [turn](Self::turns), the panels `first..first + count` of the block of the depth
    /// that starts at `start` and is `len` deep, both multiples of a tile's rows. They are copied to `to`: for hundreds of
    /// columns that costs a few hundredths of the products, and tiles that read squares all over the matrix would take longer.
    pub(in crate::backend::cpu) fn turned<'a>(
        &self,
        start: usize,
        len: usize,
        first: usize,
        count: usize,
        to: &'a mut Vec<f32>,
    ) -> Panels<'a> {
        let to = aligned(to, count * self.shape.rows * len);
        match self.shape.rows {
            4 => self.turn::<4>(start, len, first, to),
            8 => self.turn::<8>(start, len, first, to),
            rows => debug_assert!(false, "no tiles of {rows} rows"),
        }
        Panels(to)
    }

    /// Squares of `ROWS · ROWS` elements are read one after the other and turned on their way to the panels.
    fn turn<const ROWS: usize>(&self, start: usize, len: usize, first: usize, to: &mut [f32]) {
        let (to, _) = to.as_chunks_mut::<ROWS>();
        let (first, end) = (first * ROWS, first * ROWS + to.len() / len * ROWS);
        for row in (0..len).step_by(ROWS) {
            let mut column = first;
            while column < end {
                let block = column / self.step * self.step;
                let deep = self.step.min(self.depth - block);
                let count = end.min(block + deep) - column;
                let from = self.block_start(block) + (start + row) * deep + (column - block) * ROWS;
                let (columns, _) = self.elements()[from..][..count * ROWS].as_chunks::<ROWS>();
                let (squares, _) = columns.as_chunks::<ROWS>();
                let panels = to[(column - first) / ROWS * len..].chunks_exact_mut(len);
                for (square, panel) in squares.iter().zip(panels) {
                    let row_of = |index: usize| std::array::from_fn(|column| square[column][index]);
                    let turned: [[f32; ROWS]; ROWS] = std::array::from_fn(row_of);
                    panel[row..row + ROWS].copy_from_slice(&turned);
                }
                column += count;
            }
        }
    }
}

impl Unpacked<'_> {
    /// Packs the matrix, in blocks that are `step` deep, to zeros.
    fn pack(self, shape: TileShape, step: usize, change: impl Fn(f32) -> f32 + Copy + Sync, to: &mut [f32]) {
        let Self { elements: from, rows, apart, columns } = self;
        let (tall, depth) = (shape.rows, columns.len());
        let block = rows.next_multiple_of(tall) * step;
        parallel::for_blocks(to, block, block, |index, block| {
            let columns = &columns[index * step..depth.min((index + 1) * step)];
            for (first, panel) in (0..rows).step_by(tall).zip(block.chunks_exact_mut(columns.len() * tall)) {
                let (from, present) = (&from[first * apart..], tall.min(rows - first));
                for (&column, to) in columns.iter().zip(panel.chunks_exact_mut(tall)) {
                    let to = &mut to[..present];
                    // Rows that lie side by side are the columns of a matrix that is used transposed.
                    if apart == 1 {
                        to.iter_mut().zip(&from[column..]).for_each(|(to, from)| *to = change(*from));
                    } else {
                        let from = from[column..].iter().step_by(apart);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = change(*from));
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl LeftPanels {
        /// A row-major matrix.
        pub(in crate::backend::cpu) fn of_rows(shape: TileShape, matrix: &[f32], depth: usize, step: usize) -> Self {
            let columns: Vec<usize> = (0..depth).collect();
            let matrix = Unpacked { elements: matrix, rows: matrix.len() / depth, apart: depth, columns: &columns };
            Self::pack_for(shape, matrix, step, |element| element)
        }
    }

    #[test]
    fn every_element_has_its_place() {
        for (rows, depth, step) in [(1, 1, 64), (13, 300, 64), (8, 128, 32), (9, 129, 64), (3, 256, 32)] {
            let matrix: Vec<f32> = (0..rows * depth).map(|index| index as f32 + 1.0).collect();
            // the second of two
            let packed = LeftPanels::pack_all(2, [rows, depth], step, |index| {
                matrix.iter().map(|element| element * index as f32).collect()
            });
            let (packed, tall) = (&packed[1], packed[1].shape.rows);
            for start in (0..depth).step_by(step) {
                let len = step.min(depth - start);
                for panel in 0..packed.panels() {
                    for (index, &element) in packed.block(start, len, panel, 1).0.iter().enumerate() {
                        let (row, column) = (panel * tall + index % tall, start + index / tall);
                        let expected = if row < rows { matrix[row * depth + column] } else { 0.0 };
                        assert_eq!(element, expected, "row {row}, column {column} of {rows} × {depth}");
                    }
                }
            }
        }
    }
}
