//! Functions of two numbers with broadcasting, and the adjoint of broadcasting.

use crate::backend::{Reduction, Zip};
use crate::{ComputeError, Tensor};

use super::{check, parallel, reduce};

/// See [`Backend::zip`](crate::Backend::zip).
pub(super) fn zip(a: &Tensor, b: &Tensor, zip: Zip) -> Result<Tensor, ComputeError> {
    match zip {
        Zip::Add => apply(a, b, |a, b| a + b),
        Zip::Subtract => apply(a, b, |a, b| a - b),
        Zip::Multiply => apply(a, b, |a, b| a * b),
        Zip::Divide => apply(a, b, |a, b| a / b),
        // Written so that NaN stays NaN, which f32::max and f32::min would replace.
        Zip::Maximum => apply(a, b, |a, b| if a > b || a.is_nan() { a } else { b }),
        Zip::Minimum => apply(a, b, |a, b| if a < b || a.is_nan() { a } else { b }),
    }
}

/// See [`Backend::sum_to`](crate::Backend::sum_to).
pub(super) fn sum_to(x: &Tensor, sample_shape: &[usize]) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "sum_to";
    let from = x.sample_shape();
    let mismatch = || ComputeError::shapes(OPERATION, sample_shape, from);
    let extra = from.len().checked_sub(sample_shape.len()).ok_or_else(mismatch)?;
    if x.rank() == 0 {
        return Err(mismatch());
    }
    let mut axes: Vec<usize> = (1..=extra).collect();
    for (index, (&from, &to)) in from[extra..].iter().zip(sample_shape).enumerate() {
        if to == 1 && from != 1 {
            axes.push(1 + extra + index);
        } else if from != to {
            return Err(mismatch());
        }
    }
    let shape: Vec<usize> = [x.batch()].into_iter().chain(sample_shape.iter().copied()).collect();
    if axes.is_empty() { x.reshape(shape) } else { reduce::reduce(x, &axes, Reduction::Sum)?.reshape(shape) }
}

/// One axis of the result, or several that both operands run through alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    size: usize,
    /// The distance between neighbours in each operand; 0 where it is broadcast.
    strides: [usize; 2],
}

fn apply(a: &Tensor, b: &Tensor, function: impl Fn(f32, f32) -> f32 + Sync) -> Result<Tensor, ComputeError> {
    let shape = broadcast_shape(a.shape(), b.shape())?;
    let mut out = Tensor::unspecified(shape)?;
    if out.is_empty() {
        return Ok(out);
    }
    let spans = spans(out.shape(), [a.shape(), b.shape()]);
    let (a, b) = (a.data(), b.data());
    let (&inner, outer) = match spans.split_last() {
        Some(split) => split,
        None => (&Span { size: 1, strides: [1, 1] }, &[][..]),
    };
    parallel::for_chunks(out.data_mut(), |mut offset, mut out| {
        while !out.is_empty() {
            let inside = offset % inner.size;
            let [mut at_a, mut at_b] = inner.strides.map(|stride| stride * inside);
            let mut line = offset / inner.size;
            for span in outer.iter().rev() {
                at_a += line % span.size * span.strides[0];
                at_b += line % span.size * span.strides[1];
                line /= span.size;
            }
            let (part, rest) = out.split_at_mut((inner.size - inside).min(out.len()));
            let len = part.len();
            // An inner span is contiguous or constant in each operand.
            match inner.strides {
                [0, 0] => part.fill(function(a[at_a], b[at_b])),
                [0, _] => {
                    let a = a[at_a];
                    part.iter_mut().zip(&b[at_b..at_b + len]).for_each(|(out, &b)| *out = function(a, b));
                }
                [_, 0] => {
                    let b = b[at_b];
                    part.iter_mut().zip(&a[at_a..at_a + len]).for_each(|(out, &a)| *out = function(a, b));
                }
                _ => {
                    let pairs = a[at_a..at_a + len].iter().zip(&b[at_b..at_b + len]);
                    part.iter_mut().zip(pairs).for_each(|(out, (&a, &b))| *out = function(a, b));
                }
            }
            offset += len;
            out = rest;
        }
    });
    Ok(out)
}

fn broadcast_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, ComputeError> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let mut shape = Vec::with_capacity(rank);
    for axis in 0..rank {
        match (size(a, axis), size(b, axis)) {
            (1, size) | (size, 1) => shape.push(size),
            (first, second) if first == second => shape.push(first),
            _ => return Err(ComputeError::shapes("zip", a, b)),
        }
    }
    check::elements("zip", &shape)?;
    Ok(shape)
}

/// The axes of `shape` larger than 1, neighbours joined where both operands run through them alike.
fn spans(shape: &[usize], operands: [&[usize]; 2]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut strides = [1usize; 2];
    for (from_last, &size) in shape.iter().rev().enumerate() {
        let own = operands.map(|operand| operand.iter().rev().nth(from_last).copied().unwrap_or(1));
        let span = Span { size, strides: [0, 1].map(|operand| if own[operand] == 1 { 0 } else { strides[operand] }) };
        strides = [0, 1].map(|operand| strides[operand] * own[operand]);
        if size == 1 {
            continue;
        }
        match spans.last_mut() {
            Some(last) if [0, 1].into_iter().all(|operand| joins(last, &span, operand)) => last.size *= size,
            _ => spans.push(span),
        }
    }
    spans.reverse();
    spans
}

/// Whether `outer`, for this operand, goes on where `inner` ends.
fn joins(inner: &Span, outer: &Span, operand: usize) -> bool {
    outer.strides[operand] == inner.strides[operand] * inner.size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shapes_are_one_span() {
        assert_eq!(spans(&[2, 3, 4], [&[2, 3, 4], &[2, 3, 4]]), [Span { size: 24, strides: [1, 1] }]);
    }

    #[test]
    fn a_channel_vector_is_constant_along_the_plane() {
        let expected = [
            Span { size: 2, strides: [60, 0] },
            Span { size: 3, strides: [20, 1] },
            Span { size: 20, strides: [1, 0] },
        ];
        assert_eq!(spans(&[2, 3, 4, 5], [&[2, 3, 4, 5], &[3, 1, 1]]), expected);
    }
}
