//! The best concepts of a layer.

use glocal_compute::Tensor;

use crate::concept::{Channel, Normalization, Site, relevance};
use crate::error::RequestError;
use crate::flow::Order;

/// The relevance of every concept of a layer, as sums and as shares.
#[derive(Debug, Clone)]
pub(super) struct Scores {
    pub(super) sums: Vec<f64>,
    pub(super) shares: Vec<f64>,
}

impl Scores {
    /// Of one sample's relevance at a layer.
    pub(super) fn of(arrived: &Tensor, site: Site<'_>) -> Result<Self, RequestError> {
        let of = |normalization| relevance(&Channel, arrived.data(), site, None, normalization);
        Ok(Self { sums: of(Normalization::Raw)?, shares: of(Normalization::Share)? })
    }

    /// The `width` best concepts, the best first, lower numbers first on ties; those without relevance only `with_zeros`.
    pub(super) fn best(&self, width: usize, order: Order, with_zeros: bool) -> Vec<usize> {
        let key = |id: usize| match order {
            Order::Relevance => self.sums[id],
            Order::Size => self.sums[id].abs(),
        };
        let mut ids: Vec<usize> = (0..self.sums.len()).filter(|&id| with_zeros || self.sums[id] != 0.0).collect();
        ids.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
        ids.truncate(width);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_concepts_and_ties_go_by_number() {
        let arrived = Tensor::new([6], vec![-4.0, 0.0, 1.0, 2.0, 1.0, -0.5]).unwrap();
        let scores = Scores::of(&arrived, arrived.shape().into()).unwrap();
        assert_eq!(scores.best(4, Order::Relevance, false), [3, 2, 4, 5]);
        assert_eq!(scores.best(9, Order::Relevance, false), [3, 2, 4, 5, 0]);
        assert_eq!(scores.best(2, Order::Size, false), [0, 3]);
        assert_eq!(scores.best(4, Order::Relevance, true), [3, 2, 4, 1]);
        assert_eq!(scores.shares[0], -4.0 / 8.5);
    }
}
