//! Where tiles lie: in what they are read from, in the panels of the products, and in the result.

use std::ops::Range;

use crate::backend::cpu::convolution::unroll::Unroll;
use crate::backend::cpu::gemm::right::padded_columns;
use crate::backend::cpu::gemm::tile::TileShape;

/// Tiles side by side, of one line of tiles and of one panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The first one's column in its panel.
    pub(super) column: usize,
    pub(super) len: usize,
    /// Where the first one's elements start in the first channel of the padded images.
    pub(super) from: usize,
    pub(super) image: usize,
    /// The first element of the result.
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
    /// Its pieces.
    pub(super) pieces: Range<usize>,
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
    /// Those of `tiles`, counted through all images, of which one is `image_len` elements long and `across` tiles wide.
    pub(super) fn fill(
        &mut self,
        shape: TileShape,
        unroll: &Unroll,
        image_len: usize,
        across: usize,
        tiles: Range<usize>,
    ) {
        self.pieces.clear();
        self.panels.clear();
        self.padded = padded_columns(shape, tiles.len());
        let wide = shape.columns();
        for first in (0..tiles.len()).step_by(wide) {
            let width = wide.min(self.padded - first);
            let end = tiles.len().min(first + wide);
            let start = self.pieces.len();
            let mut column = first;
            while column < end {
                let (image, tile) =
                    ((tiles.start + column) / unroll.columns(), (tiles.start + column) % unroll.columns());
                let (line, x) = (tile / across, tile % across);
                let len = (across - x).min(end - column);
                let from = image * image_len + unroll.line(line) + x;
                self.pieces.push(Piece { column: column - first, len, from, image, y: 2 * line, x: 2 * x });
                column += len;
            }
            self.panels.push(Panel { first, width, pieces: start..self.pieces.len() });
        }
    }

    /// Each panel with its pieces.
    pub(super) fn panels(&self) -> impl Iterator<Item = (&Panel, &[Piece])> {
        self.panels.iter().map(|panel| (panel, &self.pieces[panel.pieces.clone()]))
    }
}
