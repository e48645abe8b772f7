//! A rectangular part of a layer, and relevance that is zero outside of it.
//!
//! A single neuron is reached from a part of the input only, its receptive field. Relevance that starts there is propagated in
//! the patches that it can reach, as long as every op on the way knows which part of its inputs a part of its output takes.

use glocal_compute::{Backend, ComputeError, Rows, SliceRange, Tensor};

use crate::op::Propagate;

/// A range along each axis of a sample.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Patch {
    /// The first element and the number of elements, along each axis.
    ranges: Vec<(usize, usize)>,
}

/// A node's way back for relevance that is zero outside of a patch of its output, of one sample.
#[derive(Debug)]
pub struct Within {
    /// Takes relevance `[R, ...]` of the shape of the output's patch, whose rows all belong to its one sample, number 0, and
    /// hands down `[R, ...]` of the shapes of the inputs' patches.
    pub rule: Box<dyn Propagate>,
    /// Of each input, the patch outside of which nothing arrives.
    pub inputs: Vec<Patch>,
}

impl Patch {
    /// The patch of so many elements from `start` along each axis: `(start, count)`.
    pub fn new(ranges: Vec<(usize, usize)>) -> Self {
        Self { ranges }
    }

    /// The smallest patch, of all channels (axis 0 of a sample), outside of which a sample of `shape` is zero.
    pub fn around(sample: &[f32], shape: &[usize]) -> Self {
        let [channels, positions @ ..] = shape else { return Self::new(Vec::new()) };
        let mut ends = vec![(usize::MAX, 0); positions.len()];
        let plane: usize = positions.iter().product();
        for index in sample.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(index, _)| index) {
            let mut rest = index % plane;
            for (&size, (first, end)) in positions.iter().zip(&mut ends).rev() {
                (*first, *end) = ((*first).min(rest % size), (*end).max(rest % size + 1));
                rest /= size;
            }
        }
        // A sample of zeros is zero outside of any patch.
        let ranges = ends.into_iter().map(|(first, end)| if end == 0 { (0, 1) } else { (first, end - first) });
        Self { ranges: std::iter::once((0, *channels)).chain(ranges).collect() }
    }

    /// The first element and the number of elements, along each axis.
    pub fn ranges(&self) -> &[(usize, usize)] {
        &self.ranges
    }

    /// The number of elements along each axis.
    pub fn shape(&self) -> Vec<usize> {
        self.ranges.iter().map(|(_, count)| *count).collect()
    }

    /// The smallest patch that holds both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let join = |(&(a, a_count), &(b, b_count)): (&(usize, usize), &(usize, usize))| {
            let first = a.min(b);
            (first, (a + a_count).max(b + b_count) - first)
        };
        Self { ranges: self.ranges.iter().zip(&other.ranges).map(join).collect() }
    }

    /// This patch of the `sample`-th row of `x` `[N, ...]`, or of its only one: `[1, patch...]`.
    ///
    /// # Errors
    /// When the patch does not lie in `x`.
    pub fn cut(&self, backend: &dyn Backend, x: &Tensor, sample: usize) -> Result<Tensor, ComputeError> {
        let row = if x.batch() == 1 { x.clone() } else { backend.gather_rows(x, &Rows::new([sample]))? };
        self.cut_rows(backend, &row)
    }

    /// This patch of every row of `x` `[N, ...]`: `[N, patch...]`.
    ///
    /// # Errors
    /// When the patch does not lie in `x`.
    pub fn cut_rows(&self, backend: &dyn Backend, x: &Tensor) -> Result<Tensor, ComputeError> {
        backend.slice(x, &self.slices())
    }

    /// `[R, patch...]` as `[R, shape...]`, zero outside of the patch.
    ///
    /// # Errors
    /// When the patch does not lie in samples of `shape`.
    pub fn spread(&self, backend: &dyn Backend, r: &Tensor, shape: &[usize]) -> Result<Tensor, ComputeError> {
        backend.slice_input_gradient(r, &self.slices(), shape)
    }

    /// Where this patch lies inside of another that holds it.
    #[must_use]
    pub fn inside(&self, outer: &Self) -> Self {
        let relative = |(&(first, count), &(outer, _)): (&(usize, usize), &(usize, usize))| (first - outer, count);
        Self { ranges: self.ranges.iter().zip(&outer.ranges).map(relative).collect() }
    }

    fn slices(&self) -> Vec<SliceRange> {
        self.ranges.iter().map(|&(start, count)| SliceRange { start, step: 1, count }).collect()
    }
}

/// A way back for a larger patch, given relevance of a smaller one.
#[derive(Debug)]
pub(crate) struct Grown {
    /// Where the smaller patch lies in the larger.
    pub(crate) patch: Patch,
    /// The shape of the larger.
    pub(crate) shape: Vec<usize>,
    pub(crate) rule: Box<dyn Propagate>,
}

impl Propagate for Grown {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        self.rule.propagate(backend, self.patch.spread(backend, &relevance, &self.shape)?, rows)
    }
}

#[cfg(test)]
mod tests {
    use glocal_compute::CpuBackend;

    use super::*;

    #[test]
    fn a_patch_holds_what_is_not_zero() {
        let mut sample = vec![0.0; 2 * 3 * 4];
        assert_eq!(Patch::around(&sample, &[2, 3, 4]).ranges(), [(0, 2), (0, 1), (0, 1)]);
        sample[4 + 2] = 1.0;
        sample[12 + 8 + 1] = f32::NAN;
        let patch = Patch::around(&sample, &[2, 3, 4]);
        assert_eq!(patch.ranges(), [(0, 2), (1, 2), (1, 2)]);
        let backend = CpuBackend::new();
        let x = Tensor::new([2, 2, 3, 4], (0..48).map(|x| x as f32).collect()).unwrap();
        let cut = patch.cut(&backend, &x, 1).unwrap();
        assert_eq!(cut.shape(), [1, 2, 2, 2]);
        assert_eq!(cut.row(0)[..3], [29.0, 30.0, 33.0]);
        assert_eq!(
            patch.spread(&backend, &cut, &[2, 3, 4]).unwrap().data().iter().sum::<f32>(),
            cut.data().iter().sum()
        );
        let other = Patch::new(vec![(0, 2), (0, 1), (3, 1)]);
        let joined = patch.joined(&other);
        assert_eq!(joined.ranges(), [(0, 2), (0, 3), (1, 3)]);
        assert_eq!(patch.inside(&joined).ranges(), [(0, 2), (1, 2), (0, 2)]);
    }
}
