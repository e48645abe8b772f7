//! The relevance of few concepts of a layer, without the zeros of all others.

use crate::concept::{Selection, Site};

/// The elements of one sample's relevance that are not zero, by their position.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse(Vec<(usize, f32)>);

impl Sparse {
    /// What `selection` keeps of the `relevance` of a layer.
    pub(super) fn masked(relevance: &[f32], site: &Site<'_>, selection: &Selection) -> Self {
        let mut kept = relevance.to_vec();
        selection.mask(&mut kept, site);
        Self(kept.into_iter().enumerate().filter(|(_, value)| *value != 0.0).collect())
    }

    /// Adds to `dense`.
    pub(super) fn add_to(&self, dense: &mut [f32]) {
        for &(position, value) in &self.0 {
            if let Some(sum) = dense.get_mut(position) {
                *sum += value;
            }
        }
    }

    /// Adds what arrived by another way.
    pub(super) fn merge(&mut self, other: Self) {
        let old = std::mem::take(&mut self.0);
        let (mut left, mut right) = (old.into_iter().peekable(), other.0.into_iter().peekable());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    left.next().zip(right.next()).map(|((position, a), (_, b))| (position, a + b))
                }
                (Some(a), Some(b)) if a.0 < b.0 => left.next(),
                (_, Some(_)) => right.next(),
                (_, None) => left.next(),
            };
            match next {
                Some(element) => self.0.push(element),
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_and_merged_is_the_sum() {
        let site = Site::new(&[3, 2]);
        let of = |id| Sparse::masked(&[1.0, 0.0, 3.0, 4.0, 5.0, 6.0], &site, &Selection::channels([id]));
        let mut sum = of(0);
        sum.merge(of(2));
        sum.merge(of(2));
        let mut dense = vec![0.0; 6];
        sum.add_to(&mut dense);
        assert_eq!(dense, [1.0, 0.0, 0.0, 0.0, 10.0, 12.0]);
        assert_eq!(sum.0.len(), 3);
    }
}
