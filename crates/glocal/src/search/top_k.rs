//! The best `k` entries, in a total order that does not depend on how they came.

use std::cmp::Ordering;

/// A sample's index in its data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleId(pub u64);

/// How useful, or how active, a concept was in one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The sample.
    pub sample: SampleId,
    /// The target that relevance was computed for.
    pub target: u32,
    /// The score that ranks the entry; never NaN.
    pub score: f32,
    /// The other score: activation beside relevance, relevance beside activation.
    pub other: f32,
    /// The position of the concept's peak in the layer's output, in row-major order.
    pub peak: u32,
}

impl Entry {
    /// Better entries come first: by score, descending in the total order of floats, then by sample and by target,
    /// ascending.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.sample.cmp(&other.sample)).then(self.target.cmp(&other.target))
    }
}

/// The best `k` of the entries it was given. Merging is associative and commutative.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    k: usize,
    /// Best first.
    entries: Vec<Entry>,
}

impl TopK {
    /// Room for the best `k`.
    pub fn new(k: usize) -> Self {
        Self { k, entries: Vec::new() }
    }

    /// Takes an entry in, if it is among the best. An entry with a score of NaN is refused: `false`.
    pub fn insert(&mut self, entry: Entry) -> bool {
        if entry.score.is_nan() {
            return false;
        }
        let position = self.entries.partition_point(|known| known.order(&entry) == Ordering::Less);
        if position >= self.k {
            return true;
        }
        if self.entries.len() == self.k {
            self.entries.pop();
        }
        self.entries.insert(position, entry);
        true
    }

    /// Takes in the entries of another.
    pub fn merge(&mut self, other: &Self) {
        for entry in &other.entries {
            self.insert(*entry);
        }
    }

    /// The entries, best first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many entries there is room for.
    pub fn k(&self) -> usize {
        self.k
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(score: f32, sample: u64) -> Entry {
        Entry { sample: SampleId(sample), target: 0, score, other: 0.0, peak: 0 }
    }

    #[test]
    fn nan_is_refused_and_ties_go_to_the_first_sample() {
        let mut top = TopK::new(2);
        assert!(!top.insert(entry(f32::NAN, 0)));
        for sample in [5, 3, 9] {
            assert!(top.insert(entry(1.0, sample)));
        }
        let samples: Vec<u64> = top.entries().iter().map(|entry| entry.sample.0).collect();
        assert_eq!(samples, [3, 5]);
    }

    proptest! {
        #[test]
        fn any_split_and_order_gives_the_same(
            scores in prop::collection::vec(prop_oneof![-2i8..3, Just(0)], 0..60),
            cuts in prop::collection::vec(0usize..60, 0..4),
            reversed in any::<bool>(),
            k in 1usize..8,
        ) {
            let entries: Vec<Entry> =
                scores.iter().enumerate().map(|(sample, score)| entry(f32::from(*score), sample as u64)).collect();
            let mut expected = entries.clone();
            expected.sort_by(Entry::order);
            expected.truncate(k);
            let mut parts = vec![TopK::new(k); cuts.len() + 1];
            for entry in &entries {
                let part = cuts.iter().filter(|cut| **cut <= entry.sample.0 as usize).count();
                parts[part].insert(*entry);
            }
            if reversed {
                parts.reverse();
            }
            let mut whole = TopK::new(k);
            for part in &parts {
                whole.merge(part);
            }
            prop_assert_eq!(whole.entries(), expected.as_slice());
        }
    }
}
