//! Channels: feature maps of convolutions, units of dense layers, features of tokens.

use std::borrow::Cow;

use crate::concept::{Concept, Site};

/// Each channel, with all of its positions, is a concept. Which axis holds the channels is the layer's to say: axis 0 for
/// convolutions, `[C, ...]`, the last one for dense layers over tokens, `[T, C]` (see [`Site::channel_axis`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel;

/// Each index along axis `axis` of a sample, with all it holds, is a concept, whatever the layer's channels are. A layer
/// with fewer axes is cut along its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Along {
    /// The axis, from 0; the batch is not counted.
    pub axis: usize,
}

impl Concept for Channel {
    fn unit(&self) -> &'static str {
        "channels"
    }

    fn count(&self, site: &Site<'_>) -> usize {
        site.channels()
    }

    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]) {
        let channels = site.channels().max(1);
        for (plane, values) in relevance.chunks_mut(site.inner()).enumerate() {
            if ids.binary_search(&(plane % channels)).is_err() {
                values.fill(0.0);
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        let (inner, channels) = (site.inner(), site.channels().max(1));
        if inner * channels == sample.len() {
            return Cow::Borrowed(sample.get(id * inner..(id + 1) * inner).unwrap_or(&[]));
        }
        let planes = sample.chunks(inner).skip(id).step_by(channels);
        Cow::Owned(planes.flatten().copied().collect())
    }

    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize {
        site.element(id, index)
    }
}

impl Along {
    fn site<'a>(&self, site: &Site<'a>) -> Site<'a> {
        site.with_channel_axis(self.axis)
    }
}

impl Concept for Along {
    fn unit(&self) -> &'static str {
        "indices"
    }

    fn count(&self, site: &Site<'_>) -> usize {
        self.site(site).channels()
    }

    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]) {
        Channel.mask(relevance, &self.site(site), ids);
    }

    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        Channel.values(sample, &self.site(site), id)
    }

    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize {
        self.site(site).element(id, index)
    }
}
