//! Large matrices transposed and applied to a few vectors, as sums of rows that are read where they are: rows that a
//! vector has a zero for are not read.
//!
//! Each vector's sum runs over its elements that are not zero in the same order, whatever is computed beside it: blocks of
//! the depth from first to last, each summed by itself.

use rayon::prelude::*;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

/// The depth of a block: its rows stay in the second cache while one vector after the other takes of them.
const DEPTH: usize = 64;

/// The columns of a part: so much of a row, and of the sum of a block, is in the first cache.
const COLUMNS: usize = 1024;

/// The fewest columns of a part.
const LEAST_COLUMNS: usize = 128;

/// Rows that are added together, so that the sum is read and written once for all of them.
const ROWS: usize = 8;

/// `r · weight`: `r` `[vectors, outputs]`, `weight` `[outputs, inputs]`, result `[vectors, inputs]`.
pub(super) fn sums(weight: &[f32], r: &[f32], inputs: usize, out: &mut [f32]) {
    let share = inputs / (4 * rayon::current_num_threads());
    let columns = share.clamp(LEAST_COLUMNS, COLUMNS).next_multiple_of(LEAST_COLUMNS);
    let mut parts: Vec<Part<'_>> = (0..inputs)
        .step_by(columns)
        .map(|first| Part { weight, r, inputs, first, out: Vec::with_capacity(out.len() / inputs) })
        .collect();
    for vector in out.chunks_exact_mut(inputs) {
        for (part, columns) in parts.iter_mut().zip(vector.chunks_mut(columns)) {
            part.out.push(columns);
        }
    }
    parts.into_par_iter().for_each(SimdOp::dispatch);
}

/// Some columns of all vectors' sums.
struct Part<'a> {
    weight: &'a [f32],
    r: &'a [f32],
    inputs: usize,
    /// The first column.
    first: usize,
    out: Vec<&'a mut [f32]>,
}

impl SimdOp for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { weight, r, inputs, first, mut out } = self;
        let (width, outputs) = (out.first().map_or(0, |out| out.len()), weight.len() / inputs);
        let row = |index: usize| &weight[index * inputs + first..][..width];
        let mut sum = [0.0; COLUMNS];
        let sum = &mut sum[..width];
        out.iter_mut().for_each(|out| out.fill(0.0));
        let mut taken: Vec<(f32, &[f32])> = Vec::with_capacity(DEPTH);
        for start in (0..outputs).step_by(DEPTH) {
            for (vector, out) in r.chunks_exact(outputs).zip(&mut out) {
                taken.clear();
                let block = vector[start..outputs.min(start + DEPTH)].iter().enumerate();
                taken.extend(
                    block.filter(|(_, value)| **value != 0.0).map(|(index, value)| (*value, row(start + index))),
                );
                sum.fill(0.0);
                let (groups, rest) = taken.as_chunks::<ROWS>();
                groups.iter().for_each(|rows| add::<I, ROWS>(isa, rows, sum));
                rest.iter().for_each(|row| add::<I, 1>(isa, std::array::from_ref(row), sum));
                out.iter_mut().zip(&*sum).for_each(|(out, sum)| *out += sum);
            }
        }
    }
}

/// Adds multiples of rows to `sum`.
#[inline(always)]
fn add<I: Isa, const ROWS: usize>(isa: I, rows: &[(f32, &[f32]); ROWS], sum: &mut [f32]) {
    let ops = isa.f32();
    let lanes = ops.len();
    let factors = rows.map(|(factor, _)| ops.splat(factor));
    let rows = rows.map(|(_, row)| &row[..sum.len()]);
    let whole = sum.len() - sum.len() % lanes;
    let mut at = 0;
    while at < whole {
        let mut total = ops.load(&sum[at..]);
        for index in 0..ROWS {
            total = ops.mul_add(factors[index], ops.load(&rows[index][at..]), total);
        }
        ops.store(total, &mut sum[at..]);
        at += lanes;
    }
    if whole < sum.len() {
        let (mut total, _) = ops.load_pad(&sum[whole..]);
        for index in 0..ROWS {
            total = ops.mul_add(factors[index], ops.load_pad(&rows[index][whole..]).0, total);
        }
        sum[whole..].iter_mut().zip(total.to_array()).for_each(|(to, value)| *to = value);
    }
}
