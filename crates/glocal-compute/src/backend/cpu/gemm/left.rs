//! The left operand of our own matrix products, packed once: weights.

use crate::backend::cpu::parallel;
use crate::memory::many_zeros;

use super::tile::{Panels, TileShape};

/// The depth that goes by, mostly, before sums are added to earlier ones: the panels of a tile then fit the first cache,
/// and sums of sums round less than long ones.
pub(in crate::backend::cpu) const DEPTH: usize = 64;

/// The gap after each panel of a matrix that is used transposed, too: one line of a cache. A tile then reads a little of each
/// panel; panels that lay powers of two apart would share the few places that a cache has for them.
const TURNED_GAP: usize = 16;

/// A matrix in the order in which tiles read it: for each block of the depth, for each panel of rows, the panel's
/// columns one after the other, and a gap. Missing rows of the last panel are zeros.
pub(in crate::backend::cpu) struct LeftPanels {
    pub(in crate::backend::cpu) shape: TileShape,
    rows: usize,
    depth: usize,
    /// The depth of a block; that of the last one may be less.
    pub(in crate::backend::cpu) step: usize,
    /// The number of elements after each panel.
    gap: usize,
    elements: Vec<f32>,
}

/// What one tile reads of a packed matrix that is used transposed: as many of its columns as a tile has rows.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Squares<'a> {
    /// From the first square on. A square is what of these columns lies in one panel, column by column.
    pub(in crate::backend::cpu) elements: &'a [f32],
    /// From a square to the one below it.
    pub(in crate::backend::cpu) apart: usize,
    /// From a square to that of the next tile.
    pub(in crate::backend::cpu) ahead: isize,
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
    /// Packs a row-major matrix in blocks that are `step` deep, to be used transposed, too, where it [turns](Self::turns).
    /// `matrix` must hold exactly `rows · depth` elements.
    pub(in crate::backend::cpu) fn pack(matrix: &[f32], rows: usize, depth: usize, step: usize) -> Self {
        Self::pack_for(TileShape::of_this_machine(), matrix, rows, depth, step)
    }

    /// The same, for tiles of `shape`.
    pub(in crate::backend::cpu) fn pack_for(
        shape: TileShape,
        matrix: &[f32],
        rows: usize,
        depth: usize,
        step: usize,
    ) -> Self {
        let columns: Vec<usize> = (0..depth).collect();
        let matrix = Unpacked { elements: matrix, rows, apart: depth, columns: &columns };
        let gap = if falls_into_squares(shape, [rows, depth, step]) { TURNED_GAP } else { 0 };
        Self::pack_changed_for(shape, matrix, step, gap, |element| element)
    }

    /// Packs a matrix, each element of which is changed on the way, in blocks that are `step` deep.
    pub(in crate::backend::cpu) fn pack_changed(
        matrix: Unpacked<'_>,
        step: usize,
        change: impl Fn(f32) -> f32 + Copy + Sync,
    ) -> Self {
        Self::pack_changed_for(TileShape::of_this_machine(), matrix, step, 0, change)
    }

    fn pack_changed_for(
        shape: TileShape,
        matrix: Unpacked<'_>,
        step: usize,
        gap: usize,
        change: impl Fn(f32) -> f32 + Copy + Sync,
    ) -> Self {
        let Unpacked { elements: from, rows, apart, columns } = matrix;
        let (tall, depth) = (shape.rows, columns.len());
        let panels = rows.div_ceil(tall);
        let mut elements = many_zeros(panels * (depth * tall + depth.div_ceil(step) * gap));
        let block = panels * (step * tall + gap);
        parallel::for_blocks(&mut elements, block, block, |index, block| {
            let columns = &columns[index * step..depth.min((index + 1) * step)];
            for (first, panel) in (0..rows).step_by(tall).zip(block.chunks_exact_mut(columns.len() * tall + gap)) {
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
        Self { shape, rows, depth, step, gap, elements }
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
        let panel = len * self.shape.rows + self.gap;
        let block = &self.elements[self.block_start(start)..];
        Panels { elements: &block[first * panel..(first + count) * panel], gap: self.gap }
    }

    /// Where the block of the depth that starts at `start` does.
    fn block_start(&self, start: usize) -> usize {
        self.panels() * (start * self.shape.rows + start / self.step * self.gap)
    }

    /// Whether a matrix of this size can be used transposed, too: it falls into whole squares.
    pub(in crate::backend::cpu) fn turns(rows: usize, depth: usize, step: usize) -> bool {
        falls_into_squares(TileShape::of_this_machine(), [rows, depth, step])
    }

    /// The squares of a tile's columns from `column` on, those in the panel of row `row` first. Both must be multiples of a
    /// tile's rows.
    pub(in crate::backend::cpu) fn squares(&self, row: usize, column: usize) -> Squares<'_> {
        let tall = self.shape.rows;
        let start = column / self.step * self.step;
        let len = self.step.min(self.depth - start);
        let at = |row: usize, column: usize| {
            let start = column / self.step * self.step;
            let len = self.step.min(self.depth - start);
            self.block_start(start) + row / tall * (len * tall + self.gap) + (column - start) * tall
        };
        let from = at(row, column);
        let next = if column + tall < self.depth { at(row, column + tall) } else { at(row + self.step, 0) };
        Squares {
            elements: &self.elements[from..],
            apart: len * tall + self.gap,
            ahead: next.wrapping_sub(from).cast_signed(),
        }
    }
}

fn falls_into_squares(shape: TileShape, sizes: [usize; 3]) -> bool {
    sizes.into_iter().all(|size| size.is_multiple_of(shape.rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_its_place() {
        for (rows, depth, step) in [(1, 1, 64), (13, 300, 64), (8, 128, 32), (9, 129, 64), (3, 256, 32)] {
            let matrix: Vec<f32> = (0..rows * depth).map(|index| index as f32 + 1.0).collect();
            let packed = LeftPanels::pack(&matrix, rows, depth, step);
            let tall = packed.shape.rows;
            for start in (0..depth).step_by(step) {
                let len = step.min(depth - start);
                for panel in 0..packed.panels() {
                    let elements = &packed.block(start, len, panel, 1).elements[..len * tall];
                    for (index, &element) in elements.iter().enumerate() {
                        let (row, column) = (panel * tall + index % tall, start + index / tall);
                        let expected = if row < rows { matrix[row * depth + column] } else { 0.0 };
                        assert_eq!(element, expected, "row {row}, column {column} of {rows} × {depth}");
                    }
                }
            }
        }
    }
}
