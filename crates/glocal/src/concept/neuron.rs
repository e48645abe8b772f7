//! Neurons: one channel at one position.

use std::borrow::Cow;

use crate::concept::{Concept, Site};

/// Each element of a layer's output is a concept, numbered in row-major order: channel · positions + position where the
/// channels are axis 0 (else see [`Site::element`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neuron;

impl Concept for Neuron {
    fn unit(&self) -> &'static str {
        "neurons"
    }

    fn count(&self, site: &Site<'_>) -> usize {
        site.len()
    }

    fn mask(&self, relevance: &mut [f32], _: &Site<'_>, ids: &[usize]) {
        for (neuron, value) in relevance.iter_mut().enumerate() {
            if ids.binary_search(&neuron).is_err() {
                *value = 0.0;
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], _: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        Cow::Borrowed(sample.get(id..=id).unwrap_or(&[]))
    }

    fn element(&self, _: &Site<'_>, id: usize, _: usize) -> usize {
        id
    }
}
