//! Tokens: all channels at one position.

use std::borrow::Cow;

use crate::concept::{Concept, Site};

/// Each position of a layer, with all of its channels, is a concept: a token of a transformer, a pixel of a feature map.
/// Positions are numbered in row-major order over the axes that are not the channels'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token;

impl Concept for Token {
    fn unit(&self) -> &'static str {
        "positions"
    }

    fn count(&self, site: &Site<'_>) -> usize {
        site.positions()
    }

    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]) {
        for (element, value) in relevance.iter_mut().enumerate() {
            if ids.binary_search(&site.place(element).1).is_err() {
                *value = 0.0;
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        let value = |channel| sample.get(site.element(channel, id)).copied();
        Cow::Owned((0..site.channels()).filter_map(value).collect())
    }

    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize {
        site.element(index, id)
    }
}
