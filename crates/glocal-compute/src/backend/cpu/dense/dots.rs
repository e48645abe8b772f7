//! Large matrices applied to a few vectors, as scalar products of rows that are read where they are.
//!
//! Each scalar product is summed in the same order whatever is computed beside it: blocks of the depth from first to
//! last; in each, one partial sum for each lane of a vector, then the lanes, then what no vector holds.

use rayon::prelude::*;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

/// The depth of a block: the vectors of a batch then fit the second cache while the weights stream by.
const DEPTH: usize = 2048;

/// Rows of weights, and vectors, that are computed together, so that enough sums are under way at a time.
const WEIGHTS: usize = 4;
const VECTORS: usize = 2;

/// `weight · xᵀ`: `weight` `[outputs, inputs]`, `x` `[vectors, inputs]`, result `[outputs, vectors]`.
pub(super) fn dots(weight: &[f32], x: &[f32], inputs: usize) -> Vec<f32> {
    let (outputs, vectors) = (weight.len() / inputs, x.len() / inputs);
    let mut out = vec![0.0; outputs * vectors];
    let run = outputs.div_ceil(8 * rayon::current_num_threads()).next_multiple_of(WEIGHTS);
    let parts = out.par_chunks_mut(run * vectors).zip(weight.par_chunks(run * inputs));
    parts.for_each(|(out, weight)| Part { weight, x, inputs, vectors, out }.dispatch());
    out
}

/// Some rows of the result, for the machine's vectors.
struct Part<'a> {
    weight: &'a [f32],
    x: &'a [f32],
    inputs: usize,
    vectors: usize,
    out: &'a mut [f32],
}

impl SimdOp for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { weight, x, inputs, vectors, out } = self;
        for start in (0..inputs).step_by(DEPTH) {
            let depth = start..(start + DEPTH).min(inputs);
            let mut tiles = out.chunks_exact_mut(WEIGHTS * vectors);
            let mut weights = weight.chunks_exact(WEIGHTS * inputs);
            for (out, weight) in tiles.by_ref().zip(weights.by_ref()) {
                let rows = std::array::from_fn(|row| &weight[row * inputs..][depth.clone()]);
                line::<I, WEIGHTS>(isa, rows, x, inputs, depth.clone(), vectors, out);
            }
            let rest = tiles.into_remainder().chunks_exact_mut(vectors);
            for (out, weight) in rest.zip(weights.remainder().chunks_exact(inputs)) {
                line::<I, 1>(isa, [&weight[depth.clone()]], x, inputs, depth.clone(), vectors, out);
            }
        }
    }
}

/// Adds the scalar products of `rows` with the `depth` of all vectors of `x`.
#[inline(always)]
fn line<I: Isa, const ROWS: usize>(
    isa: I,
    rows: [&[f32]; ROWS],
    x: &[f32],
    inputs: usize,
    depth: std::ops::Range<usize>,
    vectors: usize,
    out: &mut [f32],
) {
    let vector = |index: usize| &x[index * inputs..][depth.clone()];
    let mut first = 0;
    while first + VECTORS <= vectors {
        let columns = std::array::from_fn(|column| vector(first + column));
        tile::<I, ROWS, VECTORS>(isa, rows, columns, &mut out[first..], vectors);
        first += VECTORS;
    }
    for index in first..vectors {
        tile::<I, ROWS, 1>(isa, rows, [vector(index)], &mut out[index..], vectors);
    }
}

#[inline(always)]
fn tile<I: Isa, const ROWS: usize, const COLUMNS: usize>(
    isa: I,
    rows: [&[f32]; ROWS],
    columns: [&[f32]; COLUMNS],
    out: &mut [f32],
    stride: usize,
) {
    let ops = isa.f32();
    let depth = rows[0].len();
    let whole = depth - depth % ops.len();
    let mut sums = [[ops.zero(); COLUMNS]; ROWS];
    let mut at = 0;
    while at < whole {
        let column: [I::F32; COLUMNS] = std::array::from_fn(
            #[inline(always)]
            |column| ops.load(&columns[column][at..]),
        );
        for (row, sums) in rows.iter().zip(&mut sums) {
            let row = ops.load(&row[at..]);
            for (sum, column) in sums.iter_mut().zip(column) {
                *sum = ops.mul_add(row, column, *sum);
            }
        }
        at += ops.len();
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (column, sum) in sums.into_iter().enumerate() {
            let lanes = sum.to_array().into_iter().fold(0.0, |total, lane| total + lane);
            let rest = rows[row][whole..].iter().zip(&columns[column][whole..]);
            out[row * stride + column] += rest.fold(lanes, |total, (row, column)| total + row * column);
        }
    }
}
