//! Which sample each row of a relevance tensor belongs to.
//!
//! One forward pass serves many conditions: activations and denominators have one row per sample, relevances one row
//! per (sample, condition). `Rows` is the map from the second to the first, so that nothing per-sample is ever repeated.

use std::sync::Arc;

/// For each row of a relevance tensor, the row of the per-sample tensors that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(Arc<[usize]>);

impl Rows {
    /// Row `i` belongs to sample `i`.
    pub fn identity(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// All `count` rows belong to sample 0: for what does not depend on the sample.
    pub fn shared(count: usize) -> Self {
        Self(vec![0; count].into())
    }

    /// Row `i` belongs to sample `samples[i]`.
    pub fn new(samples: impl Into<Arc<[usize]>>) -> Self {
        Self(samples.into())
    }

    /// The number of relevance rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sample of each row.
    pub fn samples(&self) -> &[usize] {
        &self.0
    }

    /// Whether row `i` belongs to sample `i` and there are exactly `count` of them.
    pub fn is_identity(&self, count: usize) -> bool {
        self.0.len() == count && self.0.iter().enumerate().all(|(row, &sample)| row == sample)
    }
}
