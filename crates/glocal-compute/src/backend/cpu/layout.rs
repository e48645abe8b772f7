//! Operations that only move elements: transposing and joining.

use crate::{ComputeError, ComputeErrorKind, Tensor};

use super::{check, parallel};

/// See [`Backend::transpose`](crate::Backend::transpose).
pub(super) fn transpose(x: &Tensor, permutation: &[usize]) -> Result<Tensor, ComputeError> {
    let rank = x.rank();
    let is_permutation = permutation.len() == rank && (0..rank).all(|axis| permutation.contains(&axis));
    if !is_permutation || permutation.first().is_some_and(|&first| first != 0) {
        let reason = format!("{permutation:?} is no permutation of the {rank} axes that keeps the first");
        return Err(check::attribute("transpose", "permutation", reason));
    }
    if permutation.is_sorted() {
        return Ok(x.clone());
    }
    let shape: Vec<usize> = permutation.iter().map(|&axis| x.shape()[axis]).collect();
    let mut strides = vec![1; rank];
    for axis in (0..rank.saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * x.shape()[axis + 1];
    }
    // From the innermost axis of the result: its size, and the distance in x.
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (&size, &axis) in shape.iter().zip(permutation).rev().filter(|(size, _)| **size != 1) {
        match spans.last_mut() {
            Some((last, stride)) if strides[axis] == *last * *stride => *last *= size,
            _ => spans.push((size, strides[axis])),
        }
    }
    let mut out = Tensor::unspecified(shape)?;
    let x = x.data();
    let (&(line, step), outer) = spans.split_first().unwrap_or((&(1, 1), &[]));
    match outer {
        // Matrices: neighbours of the next axis are neighbours in x, so a few lines are written at a time.
        [(lines, 1), outer @ ..] if step != 1 => {
            parallel::for_blocks(out.data_mut(), lines * line, lines * line, |index, out| {
                let x = &x[start(outer, index)..];
                parallel::for_blocks(out, TILE * line, TILE * line, |tile, out| {
                    let count = out.len() / line;
                    for (column, from) in x[tile * TILE..].chunks(step).take(line).enumerate() {
                        let to = out[column..].iter_mut().step_by(line);
                        to.zip(&from[..count]).for_each(|(to, from)| *to = *from);
                    }
                });
            });
        }
        _ => parallel::for_blocks(out.data_mut(), line, line, |index, out| {
            let x = &x[start(outer, index)..];
            if step == 1 {
                out.copy_from_slice(&x[..line]);
            } else {
                out.iter_mut().zip(x.iter().step_by(step)).for_each(|(to, from)| *to = *from);
            }
        }),
    }
    Ok(out)
}

/// The lines that are written together: a cache line of each column that they are read from.
const TILE: usize = 16;

/// Where the block with this index starts, over `spans` given from the innermost as (size, distance).
fn start(spans: &[(usize, usize)], mut index: usize) -> usize {
    let mut start = 0;
    for &(size, stride) in spans {
        start += index % size * stride;
        index /= size;
    }
    start
}

/// See [`Backend::concat`](crate::Backend::concat).
pub(super) fn concat(parts: &[&Tensor], axis: usize) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "concat";
    let Some(first) = parts.first() else {
        return Err(check::attribute(OPERATION, "parts", "there are none".to_owned()));
    };
    check::axis(OPERATION, first, axis)?;
    let mut shape = first.shape().to_vec();
    for part in &parts[1..] {
        let fits = part.rank() == shape.len()
            && part.shape()[..axis] == shape[..axis]
            && part.shape()[axis + 1..] == shape[axis + 1..];
        if !fits {
            return Err(ComputeError::shapes(OPERATION, first.shape(), part.shape()));
        }
        shape[axis] = shape[axis]
            .checked_add(part.shape()[axis])
            .ok_or_else(|| ComputeError::new(OPERATION, ComputeErrorKind::TooLarge { shape: shape.clone() }))?;
    }
    let mut out = Tensor::unspecified(shape)?;
    let block: usize = out.shape()[axis..].iter().product();
    let pieces: Vec<(&[f32], usize)> =
        parts.iter().map(|part| (part.data(), part.shape()[axis..].iter().product())).collect();
    parallel::for_blocks(out.data_mut(), block, block, |index, mut out| {
        for &(data, len) in &pieces {
            let (to, rest) = out.split_at_mut(len);
            to.copy_from_slice(&data[index * len..(index + 1) * len]);
            out = rest;
        }
    });
    Ok(out)
}
