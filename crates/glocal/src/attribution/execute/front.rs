//! Rows of relevance on their way down, and the results that each is for.

use glocal_compute::{Backend, Rows, Tensor};

use crate::error::RequestError;

/// Rows of relevance on their way down.
pub(super) struct Front {
    pub(super) relevance: Tensor,
    /// The sample of each row.
    pub(super) samples: Vec<usize>,
    /// The results (their index in the run) that each row is for.
    pub(super) members: Vec<Vec<usize>>,
}

impl Front {
    /// The rows that are for some of `members`, for those alone.
    pub(super) fn restricted(&self, backend: &dyn Backend, members: &[usize]) -> Result<Self, RequestError> {
        let mut rows = Vec::new();
        let mut kept = Vec::new();
        for (row, all) in self.members.iter().enumerate() {
            let some: Vec<usize> = all.iter().copied().filter(|member| members.contains(member)).collect();
            if !some.is_empty() {
                rows.push(row);
                kept.push(some);
            }
        }
        let relevance = if rows.len() == self.samples.len() {
            self.relevance.clone()
        } else {
            backend.gather_rows(&self.relevance, &Rows::new(rows.as_slice()))?
        };
        let samples = rows.iter().map(|&row| self.samples[row]).collect();
        Ok(Self { relevance, samples, members: kept })
    }
}
