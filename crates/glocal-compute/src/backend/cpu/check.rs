//! The checks of operands that several operations share.

use crate::backend::{Packed, PackedWeight};
use crate::tensor::element_count;
use crate::{ComputeError, ComputeErrorKind, Rows, Tensor};

/// The largest stride, dilation, pad or window size: far beyond use, and small enough that tables of them are harmless.
const LARGEST_ATTRIBUTE: usize = 1 << 24;

/// The largest spatial size: positions and their sums then fit 64 bits with room to spare.
const LARGEST_SIZE: usize = i32::MAX as usize;

/// An attribute that is out of an operation's domain.
pub(super) fn attribute(operation: &'static str, name: &'static str, reason: String) -> ComputeError {
    ComputeError::new(operation, ComputeErrorKind::Attribute { name, reason })
}

/// The backend's own type inside a packed weight.
pub(super) fn packed<'a, T: Packed>(operation: &'static str, weight: &'a PackedWeight) -> Result<&'a T, ComputeError> {
    weight.downcast().ok_or_else(|| {
        attribute(operation, "weight", "was packed by another backend, or for another kind of layer".to_owned())
    })
}

/// The elements of a tensor that must be of `shape`.
pub(super) fn shape<'a>(
    operation: &'static str,
    tensor: &'a Tensor,
    shape: &[usize],
) -> Result<&'a [f32], ComputeError> {
    if tensor.shape() == shape {
        Ok(tensor.data())
    } else {
        Err(ComputeError::shapes(operation, shape, tensor.shape()))
    }
}

/// The number of spatial axes (1 to 3) of `[N, C, spatial...]`.
pub(super) fn spatial_rank(operation: &'static str, tensor: &Tensor) -> Result<usize, ComputeError> {
    match tensor.rank() {
        rank @ 3..=5 => Ok(rank - 2),
        _ => {
            let expected = "two axes and 1 to 3 spatial ones";
            Err(ComputeError::new(operation, ComputeErrorKind::Rank { expected, given: tensor.shape().to_vec() }))
        }
    }
}

/// An attribute with one number for each of `rank` axes, none below `least`.
pub(super) fn per_axis(
    operation: &'static str,
    name: &'static str,
    values: &[usize],
    rank: usize,
    least: usize,
) -> Result<(), ComputeError> {
    if values.len() != rank {
        return Err(attribute(operation, name, format!("{values:?} given for {rank} spatial axes")));
    }
    in_range(operation, name, values, least, LARGEST_ATTRIBUTE)
}

/// Spatial sizes, which may not be 0.
pub(super) fn sizes(operation: &'static str, name: &'static str, sizes: &[usize]) -> Result<(), ComputeError> {
    in_range(operation, name, sizes, 1, LARGEST_SIZE)
}

fn in_range(
    operation: &'static str,
    name: &'static str,
    values: &[usize],
    least: usize,
    most: usize,
) -> Result<(), ComputeError> {
    match values.iter().find(|&&value| value < least || value > most) {
        Some(value) => Err(attribute(operation, name, format!("{value} is not in {least}..={most}"))),
        None => Ok(()),
    }
}

/// Rows that `count` relevance rows use, each with a sample among `samples`.
pub(super) fn rows(operation: &'static str, rows: &Rows, count: usize, samples: usize) -> Result<(), ComputeError> {
    if rows.len() != count {
        return Err(ComputeError::shapes(operation, &[rows.len()], &[count]));
    }
    match rows.samples().iter().find(|&&sample| sample >= samples) {
        Some(sample) => Err(attribute(operation, "rows", format!("sample {sample} of a batch of {samples}"))),
        None => Ok(()),
    }
}

/// An axis of `tensor` that is not the batch.
pub(super) fn axis(operation: &'static str, tensor: &Tensor, axis: usize) -> Result<(), ComputeError> {
    if axis == 0 || axis >= tensor.rank() {
        let reason = format!("{axis} is not one of the axes 1..{} of shape {:?}", tensor.rank(), tensor.shape());
        return Err(attribute(operation, "axis", reason));
    }
    Ok(())
}

/// A result's shape, whose number of elements must be addressable.
pub(super) fn elements(operation: &'static str, shape: &[usize]) -> Result<(), ComputeError> {
    match element_count(shape) {
        Some(count) if count <= isize::MAX as usize / size_of::<f32>() => Ok(()),
        _ => Err(ComputeError::new(operation, ComputeErrorKind::TooLarge { shape: shape.to_vec() })),
    }
}
