//! The concept relevance vectors of one class.

use crate::attribution::Cancel;
use crate::error::RunError;
use crate::search::SampleId;

use super::{ClassPrototypes, PrototypeOptions};

/// The concept relevance vectors of one class in one layer, in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassVectors {
    class: u32,
    concepts: usize,
    samples: Vec<SampleId>,
    /// One row after the other.
    values: Vec<f32>,
    unusable: usize,
}

impl ClassVectors {
    /// None yet, of a class and a layer of so many concepts.
    pub fn new(class: u32, concepts: usize) -> Self {
        Self { class, concepts, samples: Vec::new(), values: Vec::new(), unusable: 0 }
    }

    /// Adds the vector of a sample. One that is empty (no relevance reaches the layer), of another length, or not finite is only
    /// counted.
    pub fn push(&mut self, sample: SampleId, relevance: &[f32]) {
        if !self.takes(relevance) {
            self.unusable += 1;
            return;
        }
        self.samples.push(sample);
        self.values.extend_from_slice(relevance);
    }

    /// The class.
    pub fn class(&self) -> u32 {
        self.class
    }

    /// The number of concepts of the layer.
    pub fn concepts(&self) -> usize {
        self.concepts
    }

    /// The number of vectors.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// How many could not be used.
    pub fn unusable(&self) -> usize {
        self.unusable
    }

    /// Fits prototypes; `None` without any vector.
    ///
    /// # Errors
    /// When cancelled, or when so many clusters of so many vectors would take more than 1 GiB.
    pub fn fit(&self, options: &PrototypeOptions, cancel: &Cancel) -> Result<Option<ClassPrototypes>, RunError> {
        ClassPrototypes::fit(self, options, cancel)
    }

    /// Whether `relevance` is a vector that can be used.
    pub(super) fn takes(&self, relevance: &[f32]) -> bool {
        usable(relevance, self.concepts)
    }

    pub(super) fn samples(&self) -> &[SampleId] {
        &self.samples
    }

    /// All vectors.
    pub(super) fn rows(&self) -> Vec<&[f32]> {
        self.values.chunks_exact(self.concepts.max(1)).collect()
    }
}

/// Whether `relevance` has finite numbers for so many concepts.
pub(super) fn usable(relevance: &[f32], concepts: usize) -> bool {
    !relevance.is_empty() && relevance.len() == concepts && relevance.iter().all(|value| value.is_finite())
}
