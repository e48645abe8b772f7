//! How much memory a model needs, roughly.

use crate::model::Model;

/// The memory of a model's parts.
pub(crate) struct Need {
    /// The bytes of weights and of their parts in the backend's layout.
    weights: usize,
    /// The bytes of a sample's values, and of what rules prepare from them.
    sample: usize,
    /// The elements of the largest layer of a sample.
    pub(crate) largest: usize,
}

impl Need {
    pub(crate) fn new(model: &Model) -> Self {
        let (mut weights, mut values, mut largest) = (0usize, 0usize, 0usize);
        for (_, node) in model.graph().nodes().filter(|(id, _)| *id <= model.explained()) {
            let elements = node.shape.iter().product();
            (values, largest) = (values.saturating_add(elements), largest.max(elements));
            weights = weights.saturating_add(node.op.affine().map_or(0, |affine| affine.parameter_count()));
        }
        let bytes = |elements: usize| elements.saturating_mul(size_of::<f32>());
        // Not all weights are packed, and not all ops prepare anything; what is, is there once or twice more.
        Self { weights: bytes(weights.saturating_add(weights / 2)), sample: bytes(values.saturating_mul(2)), largest }
    }

    /// The bytes of the weights, and of so many samples.
    pub(crate) fn of_samples(&self, samples: usize) -> usize {
        self.weights.saturating_add(samples.saturating_mul(self.sample))
    }

    /// How many samples have their values in so many bytes, at least one.
    pub(crate) fn samples_in(&self, bytes: usize) -> usize {
        (bytes / self.sample.max(1)).max(1)
    }

    /// How many samples fit into half of what the weights leave of so many bytes, at least one.
    pub(crate) fn samples_within(&self, bytes: usize) -> usize {
        (bytes.saturating_sub(self.weights) / 2 / self.sample.max(1)).max(1)
    }
}
