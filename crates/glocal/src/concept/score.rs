//! One number per concept and sample, and where in the layer it peaks.

use std::borrow::Cow;

use crate::concept::{Concept, Site};

/// How the values of a concept become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Score {
    /// The sum over all positions.
    Sum,
    /// The sum over the positions with positive values.
    PositiveSum,
    /// The largest value.
    Max,
}

/// What a score is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// Nothing.
    Raw,
    /// The sum of the sizes of all concepts' scores in that layer and sample, so that samples compare.
    Share,
}

/// How concepts are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scoring {
    /// How the values of a concept become one number.
    pub score: Score,
    /// What it is divided by.
    pub normalization: Normalization,
}

/// A concept's score in one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The score.
    pub score: f32,
    /// The position, in the layer's output, of the concept's largest value (the first on ties).
    pub peak: usize,
    /// Whether any of the concept's values is not zero.
    pub active: bool,
}

impl Scoring {
    /// The default for relevance: its sum, as a share.
    pub const RELEVANCE: Self = Self { score: Score::Sum, normalization: Normalization::Share };
    /// The default for activation: the positive sum, raw.
    pub const ACTIVATION: Self = Self { score: Score::PositiveSum, normalization: Normalization::Raw };

    /// The score and peak of every concept in one sample's relevance `values` at a layer. Sums run in double precision, in
    /// an order that is always the same.
    pub fn apply<'a>(self, concept: &dyn Concept, values: &[f32], site: impl Into<Site<'a>>) -> Vec<Scored> {
        let site = site.into();
        self.score(concept, &site, |id| concept.values(values, &site, id))
    }

    /// The same for the activation of `site`; nothing scores where there is none.
    pub fn apply_to_activation(self, concept: &dyn Concept, site: &Site<'_>) -> Vec<Scored> {
        self.score(concept, site, |id| concept.activation(site, id))
    }

    fn score<'v>(
        self,
        concept: &dyn Concept,
        site: &Site<'_>,
        values: impl Fn(usize) -> Cow<'v, [f32]>,
    ) -> Vec<Scored> {
        let raw = (0..concept.count(site)).map(|id| {
            let part = values(id);
            let Summary { sum, positive_sum, peak, active } = Summary::of(&part);
            let score = match self.score {
                Score::Sum => sum,
                Score::PositiveSum => positive_sum,
                Score::Max => part.get(peak).copied().map_or(0.0, f64::from),
            };
            (score, concept.element(site, id, peak), active)
        });
        let raw: Vec<(f64, usize, bool)> = raw.collect();
        let divisor = divisor(raw.iter().map(|(score, ..)| *score), self.normalization);
        // Adding zero turns a negative zero, which would sort below zero, into zero.
        let scored = |(score, peak, active)| Scored { score: (score / divisor) as f32 + 0.0, peak, active };
        raw.into_iter().map(scored).collect()
    }
}

/// How many sums run side by side, so that a processor adds several numbers at once.
const LANES: usize = 8;

/// What there is to know of some values, found in one pass.
struct Summary {
    sum: f64,
    /// A NaN counts as positive, so that it is seen.
    positive_sum: f64,
    /// The index of the first largest value, or of the first NaN.
    peak: usize,
    /// Whether any value is not zero.
    active: bool,
}

impl Summary {
    fn of(values: &[f32]) -> Self {
        let (mut sums, mut positive_sums) = ([0.0f64; LANES], [0.0f64; LANES]);
        let (mut peak, mut largest, mut active) = (0, f32::NEG_INFINITY, false);
        let mut look = |first: usize, values: &[f32]| {
            // Few chunks hold a larger value than all before; a NaN is no less than any.
            let less = values.iter().fold(true, |all, &value| all & (value <= largest));
            if !less {
                for (index, &value) in values.iter().enumerate() {
                    if value > largest || (value.is_nan() && !largest.is_nan()) {
                        (peak, largest) = (first + index, value);
                    }
                }
            }
            active |= values.iter().fold(false, |any, &value| any | (value != 0.0));
        };
        let (chunks, rest) = values.as_chunks::<LANES>();
        for (index, chunk) in chunks.iter().enumerate() {
            for ((sum, positive_sum), &value) in sums.iter_mut().zip(&mut positive_sums).zip(chunk) {
                *sum += f64::from(value);
                *positive_sum += if value <= 0.0 { 0.0 } else { f64::from(value) };
            }
            look(index * LANES, chunk);
        }
        for ((sum, positive_sum), &value) in sums.iter_mut().zip(&mut positive_sums).zip(rest) {
            *sum += f64::from(value);
            *positive_sum += if value <= 0.0 { 0.0 } else { f64::from(value) };
        }
        look(chunks.len() * LANES, rest);
        Self { sum: sums.iter().sum(), positive_sum: positive_sums.iter().sum(), peak, active }
    }
}

/// What the scores of one sample are divided by; 1 when all of them are zero, and so are their shares.
pub(crate) fn divisor(scores: impl Iterator<Item = f64>, normalization: Normalization) -> f64 {
    match normalization {
        Normalization::Raw => 1.0,
        Normalization::Share => Some(scores.map(f64::abs).sum()).filter(|total| *total != 0.0).unwrap_or(1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f32> {
        prop_oneof![
            20 => (-3i8..4).prop_map(f32::from),
            20 => Just(0.0),
            1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(-0.0)],
        ]
    }

    proptest! {
        #[test]
        fn a_summary_says_what_three_passes_say(values in prop::collection::vec(value(), 0..40)) {
            let found = Summary::of(&values);
            // Small integers sum exactly in any order.
            let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
            let positive: f64 = values.iter().filter(|value| value.is_nan() || **value > 0.0).map(|value| f64::from(*value)).sum();
            prop_assert!(found.sum == sum || (found.sum.is_nan() && sum.is_nan()));
            prop_assert!(found.positive_sum == positive || (found.positive_sum.is_nan() && positive.is_nan()));
            let nan = values.iter().position(|value| value.is_nan());
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = values.iter().position(|value| *value == largest);
            prop_assert_eq!(found.peak, nan.or(first).unwrap_or(0));
            prop_assert_eq!(found.active, values.iter().any(|value| *value != 0.0));
        }
    }
}
