//! What arrives at a node, where most of it may be zero.

use glocal_compute::backend::Zip;
use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::Patch;

/// From this share of a layer on, a patch of it is propagated as the whole: cutting activations to patches takes time, too.
const WHOLE_FROM: (usize, usize) = (4, 5);

/// Relevance at a node.
pub(crate) struct Arrived {
    /// `[R, ...]`, of the patch where there is one.
    pub(super) relevance: Tensor,
    /// Outside of which there is none. All rows are then of one sample.
    pub(super) patch: Option<Patch>,
}

impl From<Tensor> for Arrived {
    fn from(relevance: Tensor) -> Self {
        Self { relevance, patch: None }
    }
}

impl Arrived {
    /// Relevance that is zero outside of a patch, whole if that is most of a sample of `shape`; all rows are of one sample.
    pub(crate) fn within(
        backend: &dyn Backend,
        patch: Patch,
        relevance: Tensor,
        shape: &[usize],
    ) -> Result<Self, ComputeError> {
        let is_small = Self::is_small(&patch, shape);
        let arrived = Self { relevance, patch: Some(patch) };
        if is_small { Ok(arrived) } else { Ok(arrived.whole(backend, shape)?.into()) }
    }

    /// Whether a patch of a sample of `shape` is worth being propagated as one.
    pub(crate) fn is_small(patch: &Patch, shape: &[usize]) -> bool {
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        elements(&patch.shape()) * WHOLE_FROM.1 < elements(shape) * WHOLE_FROM.0
    }

    /// All of it, `[R, shape...]`.
    pub(crate) fn whole(&self, backend: &dyn Backend, shape: &[usize]) -> Result<Tensor, ComputeError> {
        match &self.patch {
            Some(patch) => patch.spread(backend, &self.relevance, shape),
            None => Ok(self.relevance.clone()),
        }
    }

    /// The same, for nobody else.
    pub(crate) fn into_whole(self, backend: &dyn Backend, shape: &[usize]) -> Result<Tensor, ComputeError> {
        if self.patch.is_some() { self.whole(backend, shape) } else { Ok(self.relevance) }
    }

    /// The sum of two.
    pub(super) fn plus(self, other: Self, backend: &dyn Backend, shape: &[usize]) -> Result<Self, ComputeError> {
        let (Some(a), Some(b)) = (&self.patch, &other.patch) else {
            let sum = backend.zip(&self.whole(backend, shape)?, &other.whole(backend, shape)?, Zip::Add)?;
            return Ok(sum.into());
        };
        let patch = a.joined(b);
        let inside = |arrived: &Self, own: &Patch| match *own == patch {
            true => Ok(arrived.relevance.clone()),
            false => own.inside(&patch).spread(backend, &arrived.relevance, &patch.shape()),
        };
        let sum = backend.zip(&inside(&self, a)?, &inside(&other, b)?, Zip::Add)?;
        Self::within(backend, patch, sum, shape)
    }
}
