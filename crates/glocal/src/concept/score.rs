//! One number per concept and sample, and where in the layer it peaks.

use crate::concept::Concept;

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
    /// The sum of the absolute values of the whole sample in that layer, so that samples compare.
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
pub(crate) struct Scored {
    /// The score.
    pub(crate) score: f32,
    /// The position, in the layer's output, of the concept's largest value (the first on ties).
    pub(crate) peak: usize,
    /// Whether any of the concept's values is not zero.
    pub(crate) active: bool,
}

impl Scoring {
    /// The default for relevance: its sum, as a share.
    pub const RELEVANCE: Self = Self { score: Score::Sum, normalization: Normalization::Share };
    /// The default for activation: the positive sum, raw.
    pub const ACTIVATION: Self = Self { score: Score::PositiveSum, normalization: Normalization::Raw };

    /// The score and peak of every concept in one sample's `values` of `shape`. Sums run in double precision, in order.
    pub(crate) fn apply(self, concept: &dyn Concept, values: &[f32], shape: &[usize]) -> Vec<Scored> {
        let divisor = divisor(values, self.normalization);
        (0..concept.count(shape))
            .map(|id| {
                let (start, part) = concept.values(values, shape, id);
                let sum: f64 = match self.score {
                    Score::Sum => part.iter().map(|&value| f64::from(value)).sum(),
                    // Written so that a NaN is seen.
                    Score::PositiveSum => part.iter().map(|&v| if v <= 0.0 { 0.0 } else { f64::from(v) }).sum(),
                    Score::Max => 0.0,
                };
                let mut peak = 0;
                for (index, &value) in part.iter().enumerate() {
                    if value > part[peak] || (value.is_nan() && !part[peak].is_nan()) {
                        peak = index;
                    }
                }
                let raw = if self.score == Score::Max { part.get(peak).copied().map_or(0.0, f64::from) } else { sum };
                // Adding zero turns a negative zero, which would sort below zero, into zero.
                let score = (raw / divisor) as f32 + 0.0;
                Scored { score, peak: start + peak, active: part.iter().any(|&value| value != 0.0) }
            })
            .collect()
    }
}

/// What a score of one sample is divided by; 1 for a sample that is zero everywhere, whose shares are all zero.
pub(crate) fn divisor(values: &[f32], normalization: Normalization) -> f64 {
    match normalization {
        Normalization::Raw => 1.0,
        Normalization::Share => {
            let total: f64 = values.iter().map(|&value| f64::from(value.abs())).sum();
            if total == 0.0 { 1.0 } else { total }
        }
    }
}
