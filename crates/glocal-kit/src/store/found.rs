//! What a scan has found and not written yet.

use glocal::search::{Observation, References};

use super::{ConceptVector, SkippedSample};

/// What was found in samples that follow one another.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Rankings and statistics.
    pub(crate) references: References,
    /// The vectors of each layer, in the order of the samples; `None` where they are not kept.
    pub(crate) vectors: Option<Vec<Vec<ConceptVector>>>,
    /// The samples that were passed over, in their order.
    pub(crate) skipped: Vec<SkippedSample>,
}

impl Found {
    /// Nothing yet. `empty` has the layers, and no rankings; `vectors` says whether vectors are kept.
    pub(crate) fn new(empty: References, vectors: bool) -> Self {
        let vectors = vectors.then(|| vec![Vec::new(); empty.layers().len()]);
        Self { references: empty, vectors, skipped: Vec::new() }
    }

    /// Takes in what was observed in samples that follow those before.
    pub(crate) fn collect(&mut self, observations: &[Observation]) {
        self.references.collect(observations);
        for (layer, vectors) in self.vectors.iter_mut().flatten().enumerate() {
            let of_layer = observations.iter().filter(|observation| observation.layer == layer);
            vectors.extend(of_layer.map(|observation| ConceptVector {
                sample: observation.sample.0,
                target: observation.target,
                relevance: observation.relevance.iter().map(|(score, _)| *score).collect(),
            }));
        }
    }

    /// About how much memory this takes, in bytes.
    pub(crate) fn held(&self) -> usize {
        let of_vector = |vector: &ConceptVector| size_of::<ConceptVector>() + vector.relevance.len() * size_of::<f32>();
        // All vectors of a layer are of the same length.
        let of_layer = |vectors: &Vec<ConceptVector>| vectors.len() * vectors.first().map_or(0, of_vector);
        self.references.held() + self.vectors.iter().flatten().map(of_layer).sum::<usize>()
    }

    /// Hands over all that was found, and begins anew.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            references: self.references.take(),
            vectors: self.vectors.as_mut().map(|vectors| vectors.iter_mut().map(std::mem::take).collect()),
            skipped: std::mem::take(&mut self.skipped),
        }
    }
}
