//! Whether the samples that a concept is most relevant for are those that it is most active in.

use std::collections::BTreeSet;

use glocal::search::{ConceptReferences, SampleId, TopK};

/// RelMax beside ActMax in one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// The layer.
    pub layer: String,
    /// The concepts that ever had a positive score, in their order.
    pub concepts: Vec<ConceptAgreement>,
    /// How many concepts never had one, by relevance or by activation.
    pub dead: usize,
    /// How many samples a ranking keeps.
    pub top_k: usize,
    /// How many samples there were.
    pub samples: u64,
}

/// The same of one concept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConceptAgreement {
    /// The concept.
    pub id: usize,
    /// How many of the best samples by relevance are among the best by activation, as a part of the shorter ranking, 0 to 1, of samples with
    /// positive scores; `None` where a ranking has none.
    pub overlap: Option<f64>,
    /// The mean of its activation over samples; `None` where it is not known.
    pub activation: Option<f64>,
    /// The mean of its relevance over pairs of a sample and a target; `None` where it is not known.
    pub relevance: Option<f64>,
}

impl ConceptAgreement {
    pub(super) fn new(id: usize, concept: &ConceptReferences) -> Self {
        // A concept that is of no use for a sample, or not active in it, has it in its ranking by its number alone.
        let samples = |ranking: &TopK| -> BTreeSet<SampleId> {
            let positive = ranking.entries().iter().filter(|entry| entry.score > 0.0);
            positive.map(|entry| entry.sample).collect()
        };
        let (relevance, activation) = (samples(&concept.relevance), samples(&concept.activation));
        let shorter = relevance.len().min(activation.len());
        let common = relevance.intersection(&activation).count();
        Self {
            id,
            overlap: (shorter > 0).then(|| common as f64 / shorter as f64),
            activation: concept.statistics.activation.mean(),
            relevance: concept.statistics.relevance.mean(),
        }
    }
}

impl Agreement {
    /// The mean overlap of the concepts' two rankings, 0 to 1; `None` without any.
    pub fn overlap(&self) -> Option<f64> {
        let overlaps: Vec<f64> = self.concepts.iter().filter_map(|concept| concept.overlap).collect();
        (!overlaps.is_empty()).then(|| overlaps.iter().sum::<f64>() / overlaps.len() as f64)
    }

    /// The overlap of rankings that have nothing to do with each other.
    pub fn overlap_by_chance(&self) -> f64 {
        (self.top_k as f64 / self.samples.max(1) as f64).min(1.0)
    }

    /// Mean activation and mean relevance of each concept for which both are known.
    pub fn means(&self) -> Vec<(f64, f64)> {
        self.concepts.iter().filter_map(|concept| concept.activation.zip(concept.relevance)).collect()
    }

    /// Pearson's correlation, over concepts, of mean activation and mean relevance, -1 to 1; `None` where one of them is the
    /// same for all.
    pub fn correlation(&self) -> Option<f64> {
        let means = self.means();
        let count = means.len() as f64;
        let center = |of: fn(&(f64, f64)) -> f64| means.iter().map(of).sum::<f64>() / count;
        let (x, y) = (center(|mean| mean.0), center(|mean| mean.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| means.iter().map(|mean| of(mean.0 - x, mean.1 - y)).sum::<f64>();
        let (xx, yy, xy) = (sum(&|x, _| x * x), sum(&|_, y| y * y), sum(&|x, y| x * y));
        (xx > 0.0 && yy > 0.0).then(|| (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use glocal::search::Entry;

    use super::*;

    fn concept(relevance: &[u64], activation: &[u64], means: &[(f32, f32)]) -> ConceptReferences {
        let mut concept = ConceptReferences::new(4);
        let entry = |sample| Entry { sample: SampleId(sample), target: 0, score: 1.0, other: 0.0, peak: 0 };
        relevance.iter().for_each(|sample| assert!(concept.relevance.insert(entry(*sample))));
        activation.iter().for_each(|sample| assert!(concept.activation.insert(entry(*sample))));
        for (activation, relevance) in means {
            concept.statistics.add_sample(*activation);
            concept.statistics.add_pair(*activation, *relevance);
        }
        concept
    }

    fn agreement(concepts: &[ConceptReferences]) -> Agreement {
        let concepts = concepts.iter().enumerate().map(|(id, concept)| ConceptAgreement::new(id, concept)).collect();
        Agreement { layer: "l".to_owned(), concepts, dead: 0, top_k: 4, samples: 16 }
    }

    #[test]
    fn overlaps_are_of_the_shorter_ranking() {
        let mut zeros = TopK::new(4);
        for sample in [1, 2] {
            zeros.insert(Entry { sample: SampleId(sample), target: 0, score: 0.0, other: 0.0, peak: 0 });
        }
        let found = agreement(&[
            concept(&[1, 2, 3, 4], &[4, 9, 1, 7], &[]),
            concept(&[1, 2], &[2, 5, 6], &[]),
            concept(&[1, 2], &[], &[]),
            ConceptReferences { activation: zeros, ..concept(&[1, 2], &[], &[]) },
        ]);
        let overlaps: Vec<Option<f64>> = found.concepts.iter().map(|concept| concept.overlap).collect();
        assert_eq!(overlaps, [Some(0.5), Some(0.5), None, None]);
        assert_eq!((found.overlap(), found.overlap_by_chance()), (Some(0.5), 0.25));
        assert_eq!(agreement(&[]).overlap(), None);
    }

    #[test]
    fn means_of_concepts_are_correlated() {
        let found = agreement(&[
            concept(&[], &[], &[(0.0, 1.0), (2.0, 3.0)]),
            concept(&[], &[], &[(3.0, 4.0)]),
            concept(&[], &[], &[]),
        ]);
        assert_eq!(found.means(), [(1.0, 2.0), (3.0, 4.0)]);
        assert!((found.correlation().unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(agreement(&[concept(&[], &[], &[(1.0, 1.0)])]).correlation(), None);
    }
}
