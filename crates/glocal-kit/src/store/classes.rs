//! The classes for which a concept matters most.

use glocal::search::{ConceptReferences, Measure};

/// How much a concept matters for a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// The class.
    pub class: u32,
    /// The mean score of the class's best entries.
    pub mean: f64,
    /// How many entries the mean is of.
    pub entries: usize,
}

/// The `top` classes by the mean of their best `mean_of` entries.
pub(super) fn rank(concept: &ConceptReferences, measure: Measure, top: usize, mean_of: usize) -> Vec<ClassScore> {
    let by_class = match measure {
        Measure::Relevance => &concept.relevance_by_class,
        Measure::Activation => &concept.activation_by_class,
    };
    let scores = by_class.iter().filter_map(|(class, ranking)| {
        let best = ranking.entries().get(..mean_of).unwrap_or(ranking.entries());
        let sum: f64 = best.iter().map(|entry| f64::from(entry.score)).sum();
        (!best.is_empty()).then(|| ClassScore { class, mean: sum / best.len() as f64, entries: best.len() })
    });
    let mut scores: Vec<ClassScore> = scores.collect();
    scores.sort_by(|a, b| b.mean.total_cmp(&a.mean).then(a.class.cmp(&b.class)));
    scores.truncate(top);
    scores
}
