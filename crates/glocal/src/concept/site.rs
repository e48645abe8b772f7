//! What a concept sees of a layer: shape, channel axis, and the activation of one sample.

/// One sample at a layer: its shape, which of its axes holds the channels, and its activation.
///
/// A shape alone is a site whose channels are axis 0 and whose activation is not known. The site of a layer of a model
/// comes from [`Graph::site`](crate::model::Graph::site), that of a traced sample from
/// [`Trace::site`](crate::attribution::Trace::site).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site<'a> {
    shape: &'a [usize],
    channel_axis: usize,
    activation: Option<&'a [f32]>,
}

impl<'a> Site<'a> {
    /// A layer whose output for one sample has `shape`, with the channels along axis 0.
    pub fn new(shape: &'a [usize]) -> Self {
        Self { shape, channel_axis: 0, activation: None }
    }

    /// The same with the channels along `axis` (the last one where there are not so many).
    #[must_use]
    pub fn with_channel_axis(self, axis: usize) -> Self {
        Self { channel_axis: axis.min(self.shape.len().saturating_sub(1)), ..self }
    }

    /// The same with the layer's output, in row-major order; none when its size is not that of the shape.
    #[must_use]
    pub fn with_activation(self, activation: &'a [f32]) -> Self {
        Self { activation: Some(activation).filter(|values| values.len() == self.len()), ..self }
    }

    /// The shape of the layer's output for one sample.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The axis of the channels: of features, for tokens.
    pub fn channel_axis(&self) -> usize {
        self.channel_axis
    }

    /// The layer's output, in row-major order, where it is known.
    pub fn activation(&self) -> Option<&'a [f32]> {
        self.activation
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of channels; 0 of a scalar.
    pub fn channels(&self) -> usize {
        self.shape.get(self.channel_axis).copied().unwrap_or(0)
    }

    /// The number of positions: what each channel has values at.
    pub fn positions(&self) -> usize {
        self.len().checked_div(self.channels()).unwrap_or(0)
    }

    /// The row-major index of the element of `channel` at `position`. Positions are numbered in row-major order over the
    /// other axes.
    pub fn element(&self, channel: usize, position: usize) -> usize {
        let inner = self.inner();
        // Most often all positions of a channel lie side by side, and divisions take long.
        if position < inner {
            return channel * inner + position;
        }
        (position / inner * self.channels() + channel) * inner + position % inner
    }

    /// The channel and the position of an element: the inverse of [`element`](Self::element).
    pub fn place(&self, element: usize) -> (usize, usize) {
        let (inner, channels) = (self.inner(), self.channels().max(1));
        (element / inner % channels, element / (inner * channels) * inner + element % inner)
    }

    /// The number of elements between two channels of one position; at least 1, so that it can divide.
    pub(crate) fn inner(&self) -> usize {
        self.shape.get(self.channel_axis + 1..).unwrap_or(&[]).iter().product::<usize>().max(1)
    }
}

impl<'a> From<&'a [usize]> for Site<'a> {
    fn from(shape: &'a [usize]) -> Self {
        Self::new(shape)
    }
}

impl<'a, const AXES: usize> From<&'a [usize; AXES]> for Site<'a> {
    fn from(shape: &'a [usize; AXES]) -> Self {
        Self::new(shape)
    }
}

impl<'a> From<&'a Vec<usize>> for Site<'a> {
    fn from(shape: &'a Vec<usize>) -> Self {
        Self::new(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_place_whatever_the_channel_axis() {
        let shape = [2, 3, 4];
        for (axis, channels) in shape.into_iter().enumerate() {
            let site = Site::new(&shape).with_channel_axis(axis);
            assert_eq!((site.channels(), site.positions()), (channels, 24 / channels));
            for element in 0..24 {
                let (channel, position) = site.place(element);
                assert!(channel < site.channels() && position < site.positions());
                assert_eq!(site.element(channel, position), element);
            }
        }
        // Tokens: the features of a token lie beside each other.
        let tokens = Site::new(&[5, 7]).with_channel_axis(1);
        assert_eq!(tokens.place(9), (2, 1));
    }
}
