//! Channels: feature maps of convolutions, units of dense layers on vectors.

use crate::concept::Concept;

/// Each channel, with all of its positions, is a concept. Axis 0 of a sample is the channel: `[C, ...]`. For layers that keep
/// features last (`[T, C]`, a dense layer on tokens) axis 0 is the token, and so is the concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel;

impl Concept for Channel {
    fn unit(&self) -> &'static str {
        "channels"
    }

    fn count(&self, shape: &[usize]) -> usize {
        shape.first().copied().unwrap_or(0)
    }

    fn mask(&self, relevance: &mut [f32], shape: &[usize], ids: &[usize]) {
        let plane = plane(shape);
        for (channel, values) in relevance.chunks_mut(plane).enumerate() {
            if ids.binary_search(&channel).is_err() {
                values.fill(0.0);
            }
        }
    }

    fn values<'a>(&self, sample: &'a [f32], shape: &[usize], id: usize) -> (usize, &'a [f32]) {
        let plane = plane(shape);
        (id * plane, sample.get(id * plane..(id + 1) * plane).unwrap_or(&[]))
    }
}

/// The number of positions of one channel; 1 for an empty one, so that it can divide.
fn plane(shape: &[usize]) -> usize {
    shape.get(1..).unwrap_or(&[]).iter().product::<usize>().max(1)
}
