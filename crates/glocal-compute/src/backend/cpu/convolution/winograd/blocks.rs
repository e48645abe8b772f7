//! How a layer falls into tiles, and these into blocks that are computed together.

use std::ops::Range;

use crate::backend::cpu::axis::Axis;
use crate::backend::cpu::gemm::right::padded_columns;
use crate::backend::cpu::gemm::tile::TileShape;

/// Where the tiles of a layer lie in an image and in its result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// The number of lines of tiles.
    pub(super) down: usize,
    /// The number of tiles of a line.
    pub(super) across: usize,
    /// The first line of the image that a tile reads; negative in the padding.
    pub(super) top: i64,
    /// The first column.
    pub(super) left: i64,
    /// The height and the width of an image.
    pub(super) image: [usize; 2],
    /// From a channel of an image to the next.
    pub(super) plane: usize,
    /// The height and the width of the result.
    pub(super) result: [usize; 2],
}

/// Tiles that are computed together: lines of one image, or of several, or a part of each line.
#[derive(Clone, Debug)]
pub(super) struct Tiles {
    pub(super) images: Range<usize>,
    pub(super) lines: Range<usize>,
    pub(super) places: Range<usize>,
}

impl Grid {
    /// `axes` are those of a direction, with three neighbouring taps each along the last two.
    pub(super) fn new([deep, vertical, horizontal]: &[Axis; 3]) -> Self {
        let plane = [deep, vertical, horizontal].iter().map(|axis| axis.size).product();
        Self {
            down: vertical.count.div_ceil(2),
            across: horizontal.count.div_ceil(2),
            top: vertical.reach().0,
            left: horizontal.reach().0,
            image: [vertical.size, horizontal.size],
            plane,
            result: [vertical.count, horizontal.count],
        }
    }

    /// The number of elements of a channel of the result.
    pub(super) fn result_len(&self) -> usize {
        self.result.iter().product()
    }
}

impl Tiles {
    /// The number of lines of all images.
    pub(super) fn all_lines(&self) -> usize {
        self.images.len() * self.lines.len()
    }
}

/// How many of `count` parts of `tiles` tiles each are computed together, so that they are `least` tiles or more: so many
/// that the fewest columns are computed for nothing.
pub(super) fn at_once(shape: TileShape, count: usize, tiles: usize, least: usize) -> usize {
    let fewest = (least / tiles).max(1).min(count);
    let columns = |parts: usize| {
        count / parts * padded_columns(shape, parts * tiles) + padded_columns(shape, count % parts * tiles)
    };
    (fewest..=(2 * fewest).min(count)).min_by_key(|&parts| columns(parts)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_parts_are_taken_as_leave_the_fewest_columns_empty() {
        let shape = TileShape { rows: 8, vectors: 2, lanes: 16, narrow: 8 };
        // 4 · 28 tiles are whole vectors
        assert_eq!(at_once(shape, 28, 28, 128), 4);
        // 49, 98, 147 and 196 tiles take 56, 104, 152 and 200 columns
        assert_eq!(at_once(shape, 12, 49, 128), 4);
        // no more than there are, and one at least
        assert_eq!(at_once(shape, 1, 49, 128), 1);
        assert_eq!(at_once(shape, 28, 1000, 128), 1);
    }
}
