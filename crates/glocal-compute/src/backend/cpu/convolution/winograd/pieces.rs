//! Where tiles lie: in the lines that they are read from, in the panels of the products, and in the result.

use std::ops::Range;

use crate::backend::cpu::gemm::right::padded_columns;
use crate::backend::cpu::gemm::tile::TileShape;

use super::blocks::Tiles;
use super::lines::Lines;

/// Tiles side by side, of one line of tiles and of one panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The first one's column in its panel.
    pub(super) column: usize,
    pub(super) len: usize,
    /// Where the first one's elements start in the copy that is read.
    pub(super) from: usize,
    /// The image, and the first element of its result.
    pub(super) image: usize,
    pub(super) y: usize,
    pub(super) x: usize,
}

/// The columns of one panel of right operands.
#[derive(Debug)]
pub(super) struct Panel {
    /// Its first column, counted through all panels.
    pub(super) first: usize,
    /// Its columns, those without a tile included.
    pub(super) width: usize,
    pieces: Range<usize>,
}

/// How some tiles fall into panels.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    panels: Vec<Panel>,
    /// The columns of all panels.
    pub(super) padded: usize,
}

impl Pieces {
    pub(super) fn fill(&mut self, shape: TileShape, tiles: &Tiles, lines: &Lines) {
        self.pieces.clear();
        self.panels.clear();
        let (across, wide) = (tiles.places.len(), shape.columns());
        let count = tiles.all_lines() * across;
        self.padded = padded_columns(shape, count);
        for first in (0..count).step_by(wide) {
            let end = count.min(first + wide);
            let start = self.pieces.len();
            let mut column = first;
            while column < end {
                let (line, place) = (column / across, column % across);
                let len = (across - place).min(end - column);
                let image = tiles.images.start + line / tiles.lines.len();
                let y = 2 * (tiles.lines.start + line % tiles.lines.len());
                let x = 2 * (tiles.places.start + place);
                self.pieces.push(Piece { column: column - first, len, from: lines.start(line) + place, image, y, x });
                column += len;
            }
            let width = wide.min(self.padded - first);
            self.panels.push(Panel { first, width, pieces: start..self.pieces.len() });
        }
    }

    /// The number of panels.
    pub(super) fn count(&self) -> usize {
        self.panels.len()
    }

    /// Each panel with its pieces.
    pub(super) fn panels(&self) -> impl Iterator<Item = (&Panel, &[Piece])> {
        self.panels.iter().map(|panel| (panel, &self.pieces[panel.pieces.clone()]))
    }
}
