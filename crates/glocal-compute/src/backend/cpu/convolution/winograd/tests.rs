//! The transforms with each machine's vectors that can run here, beside plain ones, and how much is computed together.

use std::ops::Range;

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use crate::backend::cpu::machines::on_every_machine;

use super::blocks::Tiles;
use super::input::ToPoints;
use super::lines::Lines;
use super::output::{FromPoints, Planes};
use super::pieces::Pieces;
use super::*;

/// `Bᵀ` of the transform of what tiles read.
const OF_ELEMENTS: [[f32; 4]; 4] = [[1., 0., -1., 0.], [0., 1., 1., 0.], [0., -1., 1., 0.], [0., 1., 0., -1.]];

/// `Aᵀ` of the transform of products.
const OF_PRODUCTS: [[f32; 4]; 2] = [[1., 1., 1., 0.], [0., 1., -1., -1.]];

const IMAGES: usize = 2;

/// Whole numbers, whose sums are exact.
fn number(index: usize) -> f32 {
    (index * 7919 % 2017) as f32 - 1008.0
}

/// `matrix · square · matrixᵀ`
fn transformed<const ROWS: usize>(matrix: [[f32; 4]; ROWS], square: [[f32; 4]; 4]) -> [[f32; ROWS]; ROWS] {
    let sum = |row: usize, column: usize| -> f32 {
        let terms = (0..16).map(|at| matrix[row][at / 4] * square[at / 4][at % 4] * matrix[column][at % 4]);
        terms.sum()
    };
    std::array::from_fn(|row| std::array::from_fn(|column| sum(row, column)))
}

/// Some tiles of a layer: an image's size, the padding before and behind it, channels, lines and places of tiles.
#[derive(Clone, Copy)]
struct Case {
    size: [usize; 2],
    pads: [usize; 2],
    channels: usize,
    lines: (usize, usize),
    places: (usize, usize),
}

/// Where a tile lies.
struct Tile {
    /// Its panel's first column, counted through all panels, and that panel's width.
    first: usize,
    width: usize,
    panel: usize,
    /// Its column in its panel.
    column: usize,
    image: usize,
    line: usize,
    place: usize,
}

impl Case {
    fn axes(&self) -> [Axis; 3] {
        let axis = |index: usize| {
            let (size, [before, behind]) = (self.size[index], self.pads);
            Axis::window(size, 3, 1, 1, before, size + before + behind - 2)
        };
        [Axis::window(1, 1, 1, 1, 0, 1), axis(0), axis(1)]
    }

    /// The tiles, in their order.
    fn tiles(&self, shape: TileShape) -> Vec<Tile> {
        let (lines, places): (Range<usize>, Range<usize>) = (self.lines.0..self.lines.1, self.places.0..self.places.1);
        let (wide, count) = (shape.columns(), IMAGES * lines.len() * places.len());
        let tile = |index: usize| {
            let (of_image, first) = (lines.len() * places.len(), index - index % wide);
            Tile {
                first,
                width: (count - first).min(wide).next_multiple_of(shape.narrow),
                panel: index / wide,
                column: index - first,
                image: index / of_image,
                line: lines.start + index % of_image / places.len(),
                place: places.start + index % places.len(),
            }
        };
        (0..count).map(tile).collect()
    }

    fn check_elements<I: Isa>(&self, isa: I, shape: TileShape, grid: &Grid, lines: &Lines, pieces: &Pieces) {
        let [height, width] = self.size;
        let image_len = self.channels * grid.plane;
        let images: Vec<f32> = (0..IMAGES * image_len).map(number).collect();
        let slack = pieces.count() * SLACK;
        let stride = self.channels * pieces.padded + self.channels.div_ceil(STEP) * slack;
        let (mut copy, mut to) = (vec![0.0; lines.len()], vec![f32::NAN; POINTS * stride]);
        let (plane, channels) = (grid.plane, self.channels);
        ToPoints { images: &images, plane, lines, copy: &mut copy, pieces, channels, to: &mut to, stride }.eval(isa);
        for tile in self.tiles(shape) {
            for channel in 0..channels {
                let element = |row: usize, column: usize| {
                    let y = usize::try_from(grid.top + (2 * tile.line + row) as i64).ok().filter(|&y| y < height);
                    let x = usize::try_from(grid.left + (2 * tile.place + column) as i64).ok().filter(|&x| x < width);
                    let at = |(y, x)| images[tile.image * image_len + channel * plane + y * width + x];
                    y.zip(x).map_or(0.0, at)
                };
                let square = std::array::from_fn(|row| std::array::from_fn(|column| element(row, column)));
                let start = channel - channel % STEP;
                let depth = STEP.min(channels - start);
                let block = start * pieces.padded + start / STEP * slack;
                let panel = depth * tile.first + tile.panel * SLACK;
                let at = block + panel + (channel - start) * tile.width + tile.column;
                let given: [[f32; 4]; 4] =
                    std::array::from_fn(|row| std::array::from_fn(|column| to[(4 * row + column) * stride + at]));
                assert_eq!(given, transformed(OF_ELEMENTS, square), "{shape:?}, {:?}", self.size);
            }
        }
    }

    fn check_products<I: Isa>(&self, isa: I, shape: TileShape, grid: &Grid, pieces: &Pieces) {
        let [height, width] = grid.result;
        let (channels, plane) = (self.channels, grid.result_len());
        let rows = channels.next_multiple_of(shape.rows);
        let stride = rows * pieces.padded + SLACK;
        let bias: Vec<f32> = (0..channels).map(|channel| number(channel + 5)).collect();
        let mut products = vec![f32::NAN; POINTS * stride];
        let mut expected = vec![f32::NAN; IMAGES * channels * plane];
        for (index, tile) in self.tiles(shape).into_iter().enumerate() {
            for (channel, bias) in bias.iter().enumerate() {
                let product = |point: usize| number((index * channels + channel) * POINTS + point);
                let at = tile.first * rows + channel * tile.width + tile.column;
                (0..POINTS).for_each(|point| products[point * stride + at] = product(point));
                let square = std::array::from_fn(|row| std::array::from_fn(|column| product(4 * row + column)));
                for (y, line) in (2 * tile.line..height).zip(transformed(OF_PRODUCTS, square)) {
                    for (x, value) in (2 * tile.place..width).zip(line) {
                        expected[((tile.image * channels + channel) * height + y) * width + x] = value + bias;
                    }
                }
            }
        }
        let mut out = vec![f32::NAN; IMAGES * channels * plane];
        let (top, end) = (2 * self.lines.0, height.min(2 * self.lines.1));
        let mut planes: Vec<&mut [f32]> =
            out.chunks_exact_mut(plane).map(|plane| &mut plane[top * width..end * width]).collect();
        let result = Planes { planes: &mut planes, top, width, bias: Some(&bias) };
        FromPoints { products: &products, stride, rows, pieces, channels, result }.eval(isa);
        // the rest of the result is not touched
        let same =
            out.iter().zip(&expected).all(|(out, expected)| out == expected || out.is_nan() && expected.is_nan());
        assert!(same, "{shape:?}, {:?}", self.size);
    }
}

impl SimdOp for Case {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let shape = TileShape::of(isa.f32().len());
        let grid = Grid::new(&self.axes());
        let (lines, places) = (self.lines.0..self.lines.1, self.places.0..self.places.1);
        let tiles = Tiles { images: 0..IMAGES, lines, places };
        let lines = Lines::new(&grid, &tiles, self.channels * grid.plane);
        let mut pieces = Pieces::default();
        pieces.fill(shape, &tiles, &lines);
        self.check_elements(isa, shape, &grid, &lines, &pieces);
        self.check_products(isa, shape, &grid, &pieces);
    }
}

#[test]
fn transforms_agree_with_plain_ones_on_every_machine() {
    for (size, channels) in [([6, 6], 8), ([7, 9], 3), ([8, 35], 33), ([9, 70], 5), ([5, 131], 2), ([5, 6], STEP + 1)] {
        for pads in [[0, 0], [1, 1], [2, 1], [4, 5]] {
            let [down, across] = size.map(|size: usize| (size + pads[0] + pads[1] - 2).div_ceil(2));
            on_every_machine(Case { size, pads, channels, lines: (0, down), places: (0, across) });
            on_every_machine(Case { size, pads, channels, lines: (1, down), places: (across / 2, across) });
            on_every_machine(Case { size, pads, channels, lines: (0, 1), places: (0, across / 2) });
        }
    }
}

#[test]
fn tiles_of_many_channels_are_few_at_a_time() {
    let least =
        |channels_in, channels_out| Winograd { weights: &[], turned: false, channels_in, channels_out }.least_tiles();
    for (channels_in, channels_out) in [(65_536, 32), (8, 8), (64, 64), (4096, 4096), (300_000, 8)] {
        let elements = 2 * least(channels_in, channels_out) * POINTS * (channels_in + channels_out);
        assert!(elements <= MOST_ELEMENTS, "{channels_in} → {channels_out}");
    }
    // where there is room, all weights are read for many
    assert_eq!((least(512, 512), least(64, 64)), (2 * LEAST_TILES, LEAST_TILES));
    assert_eq!(least(usize::MAX >> 16, 8), 1);
}
