//! Operations between relevance rows and the samples that they belong to.

use crate::{ComputeError, Rows, Tensor};

use super::{check, parallel};

/// `function(r, x[rows])`, element by element.
pub(super) fn zip(
    operation: &'static str,
    r: &Tensor,
    rows: &Rows,
    x: &Tensor,
    function: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<Tensor, ComputeError> {
    checked(operation, r, rows, x)?;
    let mut out = Tensor::unspecified(r.shape())?;
    let data = r.data();
    for_row_parts(out.data_mut(), rows, x, |offset, out, x| {
        for ((out, &r), &x) in out.iter_mut().zip(&data[offset..]).zip(x) {
            *out = function(r, x);
        }
    });
    Ok(out)
}

/// See [`Backend::multiply_rows`](crate::Backend::multiply_rows).
pub(super) fn multiply(r: Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError> {
    // Adding zero makes a negative zero one like all others.
    zip_owned("multiply_rows", r, rows, x, |r, x| r * x + 0.0)
}

/// See [`Backend::divide_rows`](crate::Backend::divide_rows).
pub(super) fn divide(r: Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError> {
    zip_owned("divide_rows", r, rows, x, |r, x| r / x)
}

/// `function(r, x[rows])`, in place where `r` is not shared.
fn zip_owned(
    operation: &'static str,
    mut r: Tensor,
    rows: &Rows,
    x: &Tensor,
    function: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<Tensor, ComputeError> {
    if r.sharers() > 1 {
        return zip(operation, &r, rows, x, function);
    }
    checked(operation, &r, rows, x)?;
    for_row_parts(r.data_mut(), rows, x, |_, out, x| {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = function(*out, x);
        }
    });
    Ok(r)
}

/// See [`Backend::add_multiplied_rows`](crate::Backend::add_multiplied_rows).
pub(super) fn add_multiplied(mut total: Tensor, r: &Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "add_multiplied_rows";
    checked(OPERATION, r, rows, x)?;
    check::shape(OPERATION, &total, r.shape())?;
    let data = r.data();
    for_row_parts(total.data_mut(), rows, x, |offset, total, x| {
        for ((total, &r), &x) in total.iter_mut().zip(&data[offset..]).zip(x) {
            *total += r * x;
        }
    });
    Ok(total)
}

/// See [`Backend::gather_rows`](crate::Backend::gather_rows).
pub(super) fn gather(x: &Tensor, rows: &Rows) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "gather_rows";
    check::rows(OPERATION, rows, rows.len(), x.batch())?;
    if x.rank() > 0 && rows.is_identity(x.batch()) {
        return Ok(x.clone());
    }
    let shape: Vec<usize> = [rows.len()].into_iter().chain(x.sample_shape().iter().copied()).collect();
    let mut out = Tensor::unspecified(shape)?;
    for_row_parts(out.data_mut(), rows, x, |_, out, x| out.copy_from_slice(&x[..out.len()]));
    Ok(out)
}

fn checked(operation: &'static str, r: &Tensor, rows: &Rows, x: &Tensor) -> Result<(), ComputeError> {
    if r.rank() == 0 || x.rank() == 0 || r.sample_shape() != x.sample_shape() {
        let expected: Vec<usize> = [r.batch()].into_iter().chain(x.sample_shape().iter().copied()).collect();
        return Err(ComputeError::shapes(operation, &expected, r.shape()));
    }
    check::rows(operation, rows, r.batch(), x.batch())
}

/// Calls `work` with parts of `out`, none of which spans two rows: its offset, its elements, and what `x` holds for
/// the sample from the part's first element on.
fn for_row_parts(out: &mut [f32], rows: &Rows, x: &Tensor, work: impl Fn(usize, &mut [f32], &[f32]) + Sync) {
    let (row_len, x) = (x.row_len(), x.data());
    parallel::for_chunks(out, |mut offset, mut out| {
        while !out.is_empty() {
            let (row, inside) = (offset / row_len, offset % row_len);
            let (part, rest) = out.split_at_mut((row_len - inside).min(out.len()));
            let (from, len) = (rows.samples()[row] * row_len + inside, part.len());
            work(offset, part, &x[from..from + len]);
            offset += len;
            out = rest;
        }
    });
}
