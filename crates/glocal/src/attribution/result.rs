//! What an attribution request returns.

use std::collections::BTreeMap;

use glocal_compute::Tensor;

/// The attributions of a request, in its order, with what they share.
#[derive(Debug, Clone)]
pub struct Attributions {
    /// The explained output of each sample, `[N, ...]`.
    pub prediction: Tensor,
    /// The recorded layers' activations, `[N, ...]` each, by the name that the request used.
    pub activations: BTreeMap<String, Tensor>,
    /// One for each sample and condition: sample-major for a product.
    pub items: Vec<Attribution>,
}

/// The relevance of one sample under one condition, or what the request's [method](crate::attribution::method) makes of it.
#[derive(Debug, Clone)]
pub struct Attribution {
    /// The sample's index in the batch.
    pub sample: usize,
    /// The condition's index in the request.
    pub condition: usize,
    /// The relevance of the input, of one sample's shape, before a mask of the input itself; `None` when no relevance can
    /// reach it.
    pub input: Option<Tensor>,
    /// What arrived at the output of each recorded layer, before its mask, of one sample's shape; the mean over the passes
    /// of methods with several. A layer that relevance cannot reach is absent.
    pub layers: BTreeMap<String, Tensor>,
    /// What the condition's mask let through of that, for the recorded layers that the condition names.
    pub masked: BTreeMap<String, Tensor>,
}

impl Attribution {
    /// The input's relevance summed over channels, one number per position; feature vectors keep their features.
    pub fn heatmap(&self) -> Option<Tensor> {
        let input = self.input.as_ref()?;
        let [_, positions @ ..] = input.shape() else { return Some(input.clone()) };
        if positions.is_empty() {
            return Some(input.clone());
        }
        let plane: usize = positions.iter().product();
        let mut sums = vec![0.0; plane];
        for channel in input.data().chunks(plane.max(1)) {
            for (sum, value) in sums.iter_mut().zip(channel) {
                *sum += value;
            }
        }
        Tensor::new(positions, sums).ok()
    }
}
