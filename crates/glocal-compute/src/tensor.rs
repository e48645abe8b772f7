//! The dense `f32` array that everything is made of.

use std::sync::Arc;

use crate::buffer::Buffer;
use crate::error::{ComputeError, ComputeErrorKind};

/// More elements than these (1 GiB) are tried first: an allocation that fails would end the process.
const UNTRIED_ELEMENTS: usize = 1 << 28;

/// A dense, row-major `f32` array whose axis 0 is the batch. Cloning and reshaping share the data; writing copies it
/// when it is shared.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Arc<Buffer>,
}

impl Tensor {
    /// A tensor of `shape` with `data` in row-major order.
    ///
    /// # Errors
    /// When `data` does not hold exactly the product of `shape` elements.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Result<Self, ComputeError> {
        let shape = shape.into();
        if element_count(&shape) != Some(data.len()) {
            return Err(ComputeError::new("tensor", ComputeErrorKind::ElementCount { shape, elements: data.len() }));
        }
        Ok(Self { shape, data: Arc::new(Buffer::new(data)) })
    }

    /// A tensor of `shape` filled with `value`.
    ///
    /// # Errors
    /// When the shape has more elements than can be addressed, or than there is memory for.
    pub fn full(shape: impl Into<Vec<usize>>, value: f32) -> Result<Self, ComputeError> {
        Self::made(shape.into(), |count| Buffer::full(count, value))
    }

    /// A tensor of `shape` whose elements are all to be overwritten: what they are now is not defined.
    pub(crate) fn unspecified(shape: impl Into<Vec<usize>>) -> Result<Self, ComputeError> {
        Self::made(shape.into(), Buffer::unspecified)
    }

    fn made(shape: Vec<usize>, make: impl FnOnce(usize) -> Buffer) -> Result<Self, ComputeError> {
        match element_count(&shape) {
            Some(count) if has_memory_for(count) => Ok(Self { shape, data: Arc::new(make(count)) }),
            _ => Err(ComputeError::new("tensor", ComputeErrorKind::TooLarge { shape })),
        }
    }

    /// A tensor of `shape` filled with zeros.
    ///
    /// # Errors
    /// When the shape has more elements than can be addressed, or than there is memory for.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Result<Self, ComputeError> {
        Self::full(shape, 0.0)
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The size of axis 0; 1 for a tensor without axes.
    pub fn batch(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The sizes of all axes but the first.
    pub fn sample_shape(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or(&[])
    }

    /// The number of elements of one row of axis 0.
    pub fn row_len(&self) -> usize {
        self.sample_shape().iter().product()
    }

    /// All elements in row-major order.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All elements, to be written; copied first when another tensor shares them.
    pub fn data_mut(&mut self) -> &mut [f32] {
        let data: &mut Buffer = Arc::make_mut(&mut self.data);
        data
    }

    /// The elements, without a copy when nobody shares them.
    pub fn into_data(self) -> Vec<f32> {
        Arc::try_unwrap(self.data).map_or_else(|shared| shared.to_vec(), Buffer::into_vec)
    }

    /// The elements of row `index` of axis 0; empty when there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        let len = self.row_len();
        self.data.get(index * len..(index + 1) * len).unwrap_or(&[])
    }

    /// How many tensors hold these elements, this one included.
    pub fn sharers(&self) -> usize {
        Arc::strong_count(&self.data)
    }

    /// The same elements under another shape, shared.
    ///
    /// # Errors
    /// When the new shape has another number of elements.
    pub fn reshape(&self, shape: impl Into<Vec<usize>>) -> Result<Self, ComputeError> {
        let shape = shape.into();
        if element_count(&shape) != Some(self.len()) {
            return Err(ComputeError::new("reshape", ComputeErrorKind::ElementCount { shape, elements: self.len() }));
        }
        Ok(Self { shape, data: Arc::clone(&self.data) })
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tensor").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// Whether `count` elements can be allocated.
pub(crate) fn has_memory_for(count: usize) -> bool {
    count <= UNTRIED_ELEMENTS || Vec::<f32>::new().try_reserve_exact(count).is_ok()
}

/// The product of `shape`, or `None` when it, or that of some of its axes, overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    let of_others = shape.iter().filter(|&&axis| axis != 0).try_fold(1usize, |count, &axis| count.checked_mul(axis))?;
    Some(if shape.contains(&0) { 0 } else { of_others })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        assert!(Tensor::new([2, 3], vec![0.0; 6]).is_ok());
        assert!(Tensor::new([2, 3], vec![0.0; 5]).is_err());
        assert!(Tensor::zeros([usize::MAX, 2]).is_err());
        assert!(Tensor::zeros([usize::MAX / 8]).is_err());
        assert!(Tensor::zeros([1 << 50]).is_err());
        assert!(Tensor::zeros([0, usize::MAX, 2]).is_err());
        assert_eq!(Tensor::zeros([3, 0]).unwrap().len(), 0);
    }

    #[test]
    fn writing_leaves_sharers_alone() {
        let first = Tensor::zeros([2, 2]).unwrap();
        let mut second = first.reshape([4]).unwrap();
        second.data_mut()[0] = 1.0;
        assert_eq!(first.data(), [0.0; 4]);
        assert_eq!(second.row(0), [1.0]);
    }
}
