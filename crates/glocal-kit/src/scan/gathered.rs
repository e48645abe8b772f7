//! What a scan has observed: ranked, or waiting for that.

use glocal::search::Observation;

use crate::store::{Found, SkippedSample};

/// About how many bytes of observations wait until they are ranked together: whoever goes through the rankings of all concepts
/// finds most of them in no cache, and they grow.
const WAITING: usize = 8 << 20;

/// What was observed in samples that follow one another.
pub(super) struct Gathered {
    found: Found,
    /// What is not ranked yet.
    waiting: Vec<Observation>,
    /// About how many bytes it takes.
    bytes: usize,
    /// More are ranked.
    most: usize,
}

impl Gathered {
    /// Nothing beside what was `found` before.
    pub(super) fn new(found: Found) -> Self {
        Self { found, waiting: Vec::new(), bytes: 0, most: WAITING }
    }

    /// Takes in what was observed in samples that follow those before.
    pub(super) fn extend(&mut self, observations: Vec<Observation>) {
        self.bytes += observations.iter().map(bytes_of).sum::<usize>();
        self.waiting.extend(observations);
        if self.bytes > self.most {
            self.rank();
        }
    }

    /// Takes in the samples that were passed over.
    pub(super) fn pass_over(&mut self, skipped: Vec<SkippedSample>) {
        self.found.skipped.extend(skipped);
    }

    /// Whether this takes more memory than that, in bytes, when all is ranked.
    pub(super) fn exceeds(&mut self, memory: usize) -> bool {
        // Of what waits little stays, where rankings are full.
        self.held() > memory && self.found().held() > memory
    }

    /// About how much memory this takes, in bytes.
    fn held(&self) -> usize {
        self.found.held() + self.bytes
    }

    /// All that was observed, ranked.
    pub(super) fn found(&mut self) -> &mut Found {
        self.rank();
        &mut self.found
    }

    fn rank(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.found.collect(&std::mem::take(&mut self.waiting));
        self.bytes = 0;
    }
}

fn bytes_of(observation: &Observation) -> usize {
    let Observation { relevance, activation, active, .. } = observation;
    size_of_val(observation)
        + size_of_val(relevance.as_slice())
        + size_of_val(activation.as_slice())
        + size_of_val(active.as_slice())
}

#[cfg(test)]
mod tests {
    use glocal::search::{ConceptReferences, LayerReferences, References, SampleId};

    use super::*;

    const CONCEPTS: usize = 5;

    fn empty() -> Found {
        let concepts = vec![ConceptReferences::new(3); CONCEPTS];
        Found::new(References::from_parts(3, vec![LayerReferences { layer: "layer".to_owned(), concepts }], 0), true)
    }

    fn observe(sample: u64) -> Observation {
        let scores = |salt: u64| (0..CONCEPTS as u64).map(move |id| ((sample * 7 + salt + id * 3) % 11) as f32);
        Observation {
            sample: SampleId(sample),
            target: sample as u32 % 2,
            first: true,
            layer: 0,
            relevance: scores(1).map(|score| (score, 0)).collect(),
            activation: scores(2).map(|score| (score, 1)).collect(),
            active: vec![true; CONCEPTS],
        }
    }

    #[test]
    fn what_waits_is_counted_and_found_as_if_it_had_not_waited() {
        let all: Vec<Observation> = (0..20).map(observe).collect();
        let mut expected = empty();
        expected.collect(&all);
        let one = bytes_of(&all[0]);
        let mut gathered = Gathered { most: 3 * one, ..Gathered::new(empty()) };
        for (observation, count) in all.into_iter().zip(1..) {
            gathered.extend(vec![observation]);
            // Every fourth is one too many.
            let waiting = count % 4;
            assert_eq!((gathered.waiting.len(), gathered.bytes), (waiting, waiting * one));
            assert_eq!(gathered.held(), gathered.found.held() + waiting * one);
        }
        gathered.extend(vec![observe(20)]);
        expected.collect(&[observe(20)]);
        let memory = expected.held();
        assert!(gathered.held() > memory && !gathered.exceeds(memory), "only what waits is too much");
        assert!(gathered.waiting.is_empty() && gathered.exceeds(memory - 1));
        let found = gathered.found();
        assert_eq!((&found.references, &found.vectors), (&expected.references, &expected.vectors));
    }
}
