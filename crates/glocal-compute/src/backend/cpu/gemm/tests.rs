//! Our own products with each machine's vectors that can run here, beside plain loops.

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use super::left::{DEPTH, LeftPanels};
use super::right::{RightSource, Run, padded_columns};
use super::tile::{Block, Finish, Parts, TileShape};
use crate::backend::cpu::machines::on_every_machine;

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index * 7919 % 2017) as f32 / 1008.0 - 1.0).collect()
}

/// `panels` of `columns` columns, with `gap` elements after each.
fn spread(panels: &[f32], shape: TileShape, columns: usize, gap: usize) -> Vec<f32> {
    let depth = panels.len() / columns;
    let panels = panels.chunks(depth * shape.columns());
    panels.flat_map(|panel| panel.iter().copied().chain(std::iter::repeat_n(f32::NAN, gap))).collect()
}

/// A product whose columns lie in runs of these lengths, with spaces between them; all rows 1 element further apart than they need.
#[derive(Clone, Copy)]
struct Product<'a> {
    rows: usize,
    depth: usize,
    runs: &'a [usize],
    gap: usize,
    /// How many products are summed together, where not all of a block are.
    together: Option<usize>,
}

impl SimdOp for Product<'_> {
    type Output = ();

    fn eval<I: Isa>(self, isa: I) {
        let Self { rows, depth, runs, gap, together } = self;
        let left = numbers(rows * depth);
        let columns: usize = runs.iter().sum();
        let pitch = columns + 3 * runs.len() + 1;
        let source = numbers(depth * pitch + 10).split_off(11);
        let starts: Vec<usize> = (0..depth).map(|row| row * pitch).collect();
        let mut at = 0;
        let runs: Vec<Run> = runs
            .iter()
            .map(|&len| {
                let start = at + 3;
                at = start + len;
                Run { start, len }
            })
            .collect();
        let packed = LeftPanels::of_rows(TileShape::of(isa.f32().len()), &left, depth, DEPTH);
        let padded = padded_columns(packed.shape, columns);
        let mut sums = vec![f32::NAN; packed.panels() * packed.shape.rows * padded];
        let mut out = vec![f32::NAN; rows * columns];
        let bias = numbers(rows + 5).split_off(5);
        let mut panels = Vec::new();
        for start in (0..depth).step_by(DEPTH) {
            let len = DEPTH.min(depth - start);
            RightSource { elements: &source, rows: &starts }.pack(packed.shape, start..start + len, &runs, &mut panels);
            let mut lines: Vec<&mut [f32]> = out.chunks_exact_mut(columns).collect();
            let finish = (start + len == depth).then_some(Finish { rows: &mut lines, bias: Some(&bias) });
            let left = packed.block(start, len, 0, packed.panels());
            let right = &spread(&panels[..padded * len], packed.shape, padded, gap);
            let (sums, add) = (&mut sums[..], start > 0);
            match together {
                None => Block { left, right, gap, depth: len, sums, add, finish }.eval(isa),
                Some(together) => {
                    let left = Parts { panels: left, together };
                    Block { left, right, gap, depth: len, sums, add, finish }.eval(isa);
                }
            }
        }
        let of_columns: Vec<usize> = runs.iter().flat_map(|run| run.start..run.start + run.len).collect();
        for row in 0..rows {
            for (column, from) in of_columns.iter().enumerate() {
                let terms = (0..depth).map(|k| f64::from(left[row * depth + k]) * f64::from(source[starts[k] + from]));
                let (sum, size) =
                    terms.fold((f64::from(bias[row]), 1.0), |(sum, size), term| (sum + term, size + term.abs()));
                // one rounding for each term, and for the bias
                let tolerance = f64::from(f32::EPSILON) * (depth + 1) as f64 * size;
                let given = f64::from(out[row * columns + column]);
                let shape = packed.shape;
                assert!((given - sum).abs() <= tolerance, "({row}, {column}) of {shape:?} is {given}, not {sum}");
            }
        }
    }
}

#[test]
fn products_of_panels_agree_with_plain_loops() {
    for rows in [1, 3, 4, 8, 9, 17] {
        for depth in [1, 2, 27, DEPTH - 1, DEPTH, DEPTH + 1] {
            for runs in [&[1][..], &[3, 5], &[16], &[48, 1], &[7, 7, 7, 7, 7], &[40, 9, 2]] {
                for (gap, together) in [(0, None), (16, None), (0, Some(16)), (16, Some(7))] {
                    on_every_machine(Product { rows, depth, runs, gap, together });
                }
            }
        }
    }
}

#[test]
fn a_matrix_turned_is_its_transpose() {
    const STEP: usize = 32;
    for shape in [4, 8, 16].map(TileShape::of) {
        for (rows, depth) in [(8, 8), (8, 40), (64, 32), (72, 136)] {
            let matrix = numbers(rows * depth);
            let element = |index: usize| matrix[index % rows * depth + index / rows];
            let transposed: Vec<f32> = (0..rows * depth).map(element).collect();
            let expected = LeftPanels::of_rows(shape, &transposed, rows, STEP);
            let (packed, mut buffer) = (LeftPanels::of_rows(shape, &matrix, depth, STEP), vec![f32::NAN; 5]);
            for start in (0..rows).step_by(STEP) {
                let (len, panels) = (STEP.min(rows - start), depth / shape.rows);
                // all panels, and those of the middle
                for (first, count) in [(0, panels), (panels / 3, panels / 2)] {
                    let given = packed.turned(start, len, first, count, &mut buffer).0;
                    assert_eq!(given, expected.block(start, len, first, count).0, "{rows} × {depth}, {shape:?}");
                }
            }
        }
    }
}
