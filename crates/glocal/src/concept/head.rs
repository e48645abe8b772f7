//! Heads: equal ranges of channels.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use crate::concept::{Concept, Site};

/// Each of `heads` equal ranges of consecutive channels, at all positions, is a concept: the heads of an attention layer where
/// they lie side by side in the features, `[T, heads · width]`, as they do before its output projection.
///
/// Where a layer has an axis of heads of its own, `[heads, T, width]`, take [`Along`](crate::concept::Along) that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many there are; the number of channels must be a multiple of it.
    pub heads: NonZeroUsize,
}

impl Head {
    fn width(self, site: &Site<'_>) -> usize {
        (site.channels() / self.heads).max(1)
    }
}

impl Concept for Head {
    fn unit(&self) -> &'static str {
        "heads"
    }

    fn count(&self, _: &Site<'_>) -> usize {
        self.heads.get()
    }

    fn check(&self, site: &Site<'_>) -> Result<(), String> {
        let (channels, heads) = (site.channels(), self.heads);
        if channels > 0 && channels % heads == 0 {
            return Ok(());
        }
        Err(format!("{channels} channels cannot be cut into {heads} heads of equal width"))
    }

    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]) {
        for (element, value) in relevance.iter_mut().enumerate() {
            if ids.binary_search(&(site.place(element).0 / self.width(site))).is_err() {
                *value = 0.0;
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        let count = self.width(site) * site.positions();
        Cow::Owned((0..count).filter_map(|index| sample.get(self.element(site, id, index)).copied()).collect())
    }

    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize {
        let positions = site.positions().max(1);
        site.element(id * self.width(site) + index / positions, index % positions)
    }
}
