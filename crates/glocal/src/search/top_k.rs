//! The best `k` entries, in a total order that does not depend on how they came.

use std::cmp::Ordering;

use smallvec::SmallVec;

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
        self.key().cmp(&other.key())
    }

    /// What entries are ordered by, as one number: a search that compares it has no branches to be mistaken in.
    fn key(&self) -> u128 {
        let bits = self.score.to_bits();
        // The greatest float first: the bits of a negative one, from which the sign is taken, grow as it falls.
        let falling = if bits >> 31 == 0 { bits ^ 0x7fff_ffff } else { bits };
        u128::from(falling) << 96 | u128::from(self.sample.0) << 32 | u128::from(self.target)
    }
}

/// So many entries lie in the ranking itself: there are millions of rankings of a class, most of few samples.
const FEW: usize = 2;

/// The best `k` of the entries it was given. Merging is associative and commutative.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    k: usize,
    /// The score of the last entry where there is no room for more, at hand for the many that are worse; else below all.
    least: f32,
    /// Best first.
    entries: SmallVec<[Entry; FEW]>,
}

impl TopK {
    /// Room for the best `k`.
    pub fn new(k: usize) -> Self {
        Self { k, least: f32::NEG_INFINITY, entries: SmallVec::new() }
    }

    /// Makes room for so many entries more, as far as they may be kept.
    pub(super) fn reserve(&mut self, more: usize) {
        let room = self.k - self.entries.len();
        // Not more than will ever be used.
        if more < room { self.entries.reserve(more) } else { self.entries.reserve_exact(room) }
    }

    /// Takes an entry in, if it is among the best. An entry with a score of NaN is refused: `false`.
    #[inline]
    pub fn insert(&mut self, entry: Entry) -> bool {
        if entry.score < self.least {
            return true;
        }
        self.place(entry)
    }

    fn place(&mut self, entry: Entry) -> bool {
        if entry.score.is_nan() {
            return false;
        }
        let key = entry.key();
        let position = self.entries.partition_point(|known| known.key() < key);
        if position >= self.k {
            return true;
        }
        if self.entries.len() == self.k {
            self.entries.pop();
        }
        self.entries.insert(position, entry);
        if let Some(last) = self.entries.last().filter(|_| self.entries.len() == self.k) {
            self.least = last.score;
        }
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

    /// Scores whose order is easily got wrong, among them several that are equal as numbers.
    fn score() -> impl Strategy<Value = f32> {
        let zeros = prop_oneof![Just(0.0), Just(-0.0)];
        let ends = prop_oneof![Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::MIN_POSITIVE), Just(f32::MIN)];
        prop_oneof![4 => (-2i8..3).prop_map(f32::from), 3 => zeros, 1 => ends, 1 => any::<f32>()]
    }

    #[test]
    fn no_room_takes_nothing() {
        let mut top = TopK::new(0);
        assert!(top.insert(entry(f32::INFINITY, 0)) && !top.insert(entry(f32::NAN, 1)));
        assert_eq!(top.entries(), []);
    }

    proptest! {
        #[test]
        fn the_key_orders_by_score_then_sample_then_target(
            one in (any::<u32>(), any::<u64>(), any::<u32>()),
            other in (any::<u32>(), any::<u64>(), any::<u32>()),
            same in (any::<bool>(), any::<bool>()),
        ) {
            let entry = |(bits, sample, target)| Entry { target, ..entry(f32::from_bits(bits), sample) };
            let other = (if same.0 { one.0 } else { other.0 }, if same.1 { one.1 } else { other.1 }, other.2);
            let (one, other) = (entry(one), entry(other));
            let by_score = other.score.total_cmp(&one.score);
            let expected = by_score.then(one.sample.cmp(&other.sample)).then(one.target.cmp(&other.target));
            prop_assert_eq!(one.order(&other), expected);
        }

        #[test]
        fn the_best_are_kept_whatever_their_scores(
            scores in prop::collection::vec((score(), 0u64..4, 0u32..3), 0..60),
            k in 0usize..8,
        ) {
            let given = scores.iter().map(|(score, sample, target)| Entry { target: *target, ..entry(*score, *sample) });
            // Of entries that are alike the last one given comes first.
            let mut expected: Vec<Entry> = Vec::new();
            for (peak, given) in (0..).zip(given.clone()).filter(|(_, given)| !given.score.is_nan()) {
                let position = expected.iter().position(|known| known.order(&given) != Ordering::Less);
                expected.insert(position.unwrap_or(expected.len()), Entry { peak, ..given });
                expected.truncate(k);
            }
            let mut top = TopK::new(k);
            for (peak, given) in (0..).zip(given) {
                prop_assert_eq!(top.insert(Entry { peak, ..given }), !given.score.is_nan());
            }
            let bits = |entries: &[Entry]| -> Vec<(u32, SampleId, u32, u32)> {
                entries.iter().map(|entry| (entry.score.to_bits(), entry.sample, entry.target, entry.peak)).collect()
            };
            prop_assert_eq!(bits(top.entries()), bits(&expected));
        }

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
