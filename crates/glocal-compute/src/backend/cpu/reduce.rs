//! Sums, means and maxima over axes, and softmax. Sums are taken in `f64` and in a fixed order.

use crate::backend::Reduction;
use crate::{ComputeError, Tensor};

use super::{check, parallel};

/// A line is summed as this many interleaved partial sums, which the compiler turns into vectors.
const LANES: usize = 8;

/// See [`Backend::reduce`](crate::Backend::reduce).
pub(super) fn reduce(x: &Tensor, axes: &[usize], reduction: Reduction) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "reduce";
    for &axis in axes {
        check::axis(OPERATION, x, axis)?;
    }
    let folded: Vec<bool> = (0..x.rank()).map(|axis| axes.contains(&axis)).collect();
    let mut shape = x.shape().to_vec();
    let mut count = 1;
    for (size, _) in shape.iter_mut().zip(&folded).filter(|(_, folded)| **folded) {
        count *= std::mem::replace(size, 1);
    }
    if count == 0 && reduction != Reduction::Sum {
        let reason = format!("{axes:?} of shape {:?} have no elements", x.shape());
        return Err(check::attribute(OPERATION, "axes", reason));
    }
    let mut out = Tensor::zeros(shape)?;
    if out.is_empty() || count == 0 {
        return Ok(out);
    }
    match reduction {
        Reduction::Sum => fold::<Sum>(x, &folded, count, out.data_mut(), |sum| sum as f32),
        Reduction::Mean => fold::<Sum>(x, &folded, count, out.data_mut(), |sum| (sum / count as f64) as f32),
        Reduction::Maximum => fold::<Largest>(x, &folded, count, out.data_mut(), |largest| largest),
    }
    Ok(out)
}

/// How elements are folded.
trait Fold {
    type Total: Copy + Send + Sync;
    const START: Self::Total;
    fn add(total: Self::Total, value: f32) -> Self::Total;
    fn join(first: Self::Total, second: Self::Total) -> Self::Total;
}

struct Sum;

impl Fold for Sum {
    type Total = f64;
    const START: f64 = 0.0;

    fn add(total: f64, value: f32) -> f64 {
        total + f64::from(value)
    }

    fn join(first: f64, second: f64) -> f64 {
        first + second
    }
}

struct Largest;

impl Fold for Largest {
    type Total = f32;
    const START: f32 = f32::NEG_INFINITY;

    fn add(total: f32, value: f32) -> f32 {
        Self::join(total, value)
    }

    fn join(first: f32, second: f32) -> f32 {
        if first >= second || first.is_nan() { first } else { second }
    }
}

/// Folds `x` over the `folded` axes (of `count` elements) into `out`.
fn fold<F: Fold>(x: &Tensor, folded: &[bool], count: usize, out: &mut [f32], finish: impl Fn(F::Total) -> f32 + Sync) {
    // Neighbouring axes that are both folded, or both kept, are one.
    let mut spans: Vec<(usize, bool)> = Vec::new();
    for (&size, &folded) in x.shape().iter().zip(folded).filter(|(size, _)| **size != 1) {
        match spans.last_mut() {
            Some((last, same)) if *same == folded => *last *= size,
            _ => spans.push((size, folded)),
        }
    }
    let mut stride = 1;
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for &(size, folded) in spans.iter().rev() {
        if folded {
            gone.push((size, stride))
        } else {
            kept.push((size, stride))
        }
        stride *= size;
    }
    let x = x.data();
    let last_is_folded = spans.last().is_some_and(|&(_, folded)| folded);
    if last_is_folded {
        // `gone[0]` is the contiguous line.
        let (line, starts) = (gone[0].0, offsets(&gone[1..]));
        parallel::for_blocks(out, 1, count, |index, out| {
            let base = offset(&kept, index);
            let lines = starts.iter().map(|start| fold_line::<F>(&x[base + start..][..line]));
            out[0] = finish(lines.fold(F::START, F::join));
        });
    } else {
        // `kept[0]`, if any, is contiguous: lines are folded element by element.
        let line = kept.first().map_or(1, |&(size, _)| size);
        let (outer, starts) = (kept.get(1..).unwrap_or(&[]), offsets(&gone));
        parallel::for_blocks(out, line, line * count, |index, out| {
            let base = offset(outer, index);
            let mut totals = vec![F::START; line];
            for start in &starts {
                for (total, &value) in totals.iter_mut().zip(&x[base + start..]) {
                    *total = F::add(*total, value);
                }
            }
            out.iter_mut().zip(totals).for_each(|(out, total)| *out = finish(total));
        });
    }
}

fn fold_line<F: Fold>(line: &[f32]) -> F::Total {
    let mut lanes = [F::START; LANES];
    let (groups, rest) = line.as_chunks::<LANES>();
    for group in groups {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane = F::add(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = F::add(*lane, value);
    }
    lanes.into_iter().fold(F::START, F::join)
}

/// The offset of the element with row-major `index` over `spans`, given from the innermost as (size, stride).
fn offset(spans: &[(usize, usize)], mut index: usize) -> usize {
    let mut offset = 0;
    for &(size, stride) in spans {
        offset += index % size * stride;
        index /= size;
    }
    offset
}

/// The offsets of all elements over `spans`, in row-major order.
fn offsets(spans: &[(usize, usize)]) -> Vec<usize> {
    (0..spans.iter().map(|&(size, _)| size).product()).map(|index| offset(spans, index)).collect()
}

/// See [`Backend::softmax`](crate::Backend::softmax).
pub(super) fn softmax(x: &Tensor, axis: usize) -> Result<Tensor, ComputeError> {
    check::axis("softmax", x, axis)?;
    let mut out = Tensor::zeros(x.shape())?;
    let size = x.shape()[axis];
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let x = x.data();
    parallel::for_blocks(out.data_mut(), size * inner, 32 * size * inner, |block, out| {
        let x = &x[block * size * inner..(block + 1) * size * inner];
        for start in 0..inner {
            let line = || x[start..].iter().step_by(inner);
            let largest = line().fold(f32::NEG_INFINITY, |largest, &x| Largest::join(largest, x));
            let mut total = 0.0f64;
            for (out, &x) in out[start..].iter_mut().step_by(inner).zip(line()) {
                *out = (x - largest).exp();
                total += f64::from(*out);
            }
            for out in out[start..].iter_mut().step_by(inner) {
                *out = (f64::from(*out) / total) as f32;
            }
        }
    });
    Ok(out)
}
