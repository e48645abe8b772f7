//! Neurons: one channel at one position.

use crate::concept::Concept;

/// Each element of a layer's output is a concept, numbered in row-major order: channel · positions + position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neuron;

impl Concept for Neuron {
    fn unit(&self) -> &'static str {
        "neurons"
    }

    fn count(&self, shape: &[usize]) -> usize {
        shape.iter().product()
    }

    fn mask(&self, relevance: &mut [f32], _: &[usize], ids: &[usize]) {
        for (neuron, value) in relevance.iter_mut().enumerate() {
            if ids.binary_search(&neuron).is_err() {
                *value = 0.0;
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], _: &[usize], id: usize) -> (usize, &'a [f32]) {
        (id, sample.get(id..=id).unwrap_or(&[]))
    }
}
