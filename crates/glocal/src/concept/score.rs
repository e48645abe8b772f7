//! One number per concept and sample, and where in the layer it peaks.

use std::borrow::Cow;

use crate::concept::summary::{Summary, Summed};
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
        let summed = if self.score == Score::Sum { Summed::All } else { Summed::Positive };
        let raw = (0..concept.count(site)).map(|id| {
            let part = values(id);
            let Summary { sum, peak, active } = Summary::of(&part, summed);
            let score = match self.score {
                Score::Sum | Score::PositiveSum => sum,
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

/// What the scores of one sample are divided by; 1 when all of them are zero, and so are their shares.
pub(crate) fn divisor(scores: impl Iterator<Item = f64>, normalization: Normalization) -> f64 {
    match normalization {
        Normalization::Raw => 1.0,
        Normalization::Share => Some(scores.map(f64::abs).sum()).filter(|total| *total != 0.0).unwrap_or(1.0),
    }
}
