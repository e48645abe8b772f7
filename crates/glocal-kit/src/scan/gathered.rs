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
}

impl Gathered {
    /// Nothing beside what was `found` before.
    pub(super) fn new(found: Found) -> Self {
        Self { found, waiting: Vec::new(), bytes: 0 }
    }

    /// Takes in what was observed in samples that follow those before.
    pub(super) fn extend(&mut self, observations: Vec<Observation>) {
        self.bytes += observations.iter().map(bytes_of).sum::<usize>();
        self.waiting.extend(observations);
        if self.bytes > WAITING {
            self.rank();
        }
    }

    /// Takes in the samples that were passed over.
    pub(super) fn pass_over(&mut self, skipped: Vec<SkippedSample>) {
        self.found.skipped.extend(skipped);
    }

    /// About how much memory this takes, in bytes.
    pub(super) fn held(&self) -> usize {
        self.found.held() + self.bytes
    }

    /// All that was observed, ranked.
    pub(super) fn found(&mut self) -> &mut Found {
        self.rank();
        &mut self.found
    }

    fn rank(&mut self) {
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
