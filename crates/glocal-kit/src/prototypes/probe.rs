//! The concept relevance vectors of new samples.

use glocal::attribution::{Attributor, Cancel};
use glocal::error::RequestError;
use glocal::search::{SampleId, Scan, ScanOptions};
use glocal_compute::Tensor;

use crate::store::Store;

/// Makes concept relevance vectors of a layer, as those of a store were made.
#[derive(Debug)]
pub struct Prober(Scan);

/// The vector of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The class that the model predicts, which the vector explains.
    pub predicted: u32,
    /// The relevance of each concept; none where no relevance can reach the layer.
    pub relevance: Vec<f32>,
}

impl Prober {
    /// Of a layer of `store`, with the model and the rules that the store was made with.
    ///
    /// # Errors
    /// When the model's explained output does not depend on a layer of that name.
    pub fn new(store: &Store, attributor: Attributor, layer: &str) -> Result<Self, RequestError> {
        let stored = &store.manifest().options;
        let options =
            ScanOptions { top_k: 0, relevance: stored.relevance.into(), activation: stored.activation.into() };
        Ok(Self(Scan::new(attributor, &[layer.to_owned()], options)?))
    }

    /// The vectors of a batch of samples `[N, ...]`, in their order.
    ///
    /// # Errors
    /// When the samples do not fit the model, its output is no row of classes, or the work was cancelled.
    pub fn probe(&self, inputs: &Tensor, cancel: &Cancel) -> Result<Vec<Probe>, RequestError> {
        let samples: Vec<SampleId> = (0..inputs.batch() as u64).map(SampleId).collect();
        let observed = self.0.observe(inputs, &samples, &[], cancel)?;
        let probes = observed.into_iter().map(|observation| Probe {
            predicted: observation.target,
            relevance: observation.relevance.iter().map(|(score, _)| *score).collect(),
        });
        Ok(probes.collect())
    }
}
