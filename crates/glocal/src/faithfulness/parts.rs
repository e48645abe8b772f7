//! What of a layer or an input is replaced together.

use crate::concept::Site;

/// A partition of the elements of one sample's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The part of each element.
    of: Vec<usize>,
    count: usize,
}

impl Parts {
    /// The channels of a layer's value: one part each, with all of its positions. A shape `[C, ...]` stands for a layer with the
    /// channels along axis 0; [`Graph::site`](crate::model::Graph::site) knows where a layer has them.
    pub fn channels<'a>(site: impl Into<Site<'a>>) -> Self {
        let site = site.into();
        Self { of: (0..site.len()).map(|element| site.place(element).0).collect(), count: site.channels().max(1) }
    }

    /// The patches of a value of `shape` `[C, ...]`: along every axis but that of channels `side` positions, fewer at the end,
    /// with all channels; row-major. `side` 1 gives the pixels. Vectors `[C]` have no positions: each of their features is a part.
    pub fn patches(shape: &[usize], side: usize) -> Self {
        let Some((_, axes @ [_, ..])) = shape.split_first() else { return Self::channels(shape) };
        let side = side.max(1);
        let positions: usize = axes.iter().product();
        let patch = |position: usize| {
            let (mut rest, mut stride, mut patch) = (position, 1, 0);
            for &size in axes.iter().rev() {
                patch += rest % size / side * stride;
                rest /= size;
                stride *= size.div_ceil(side);
            }
            patch
        };
        let of_position: Vec<usize> = (0..positions).map(patch).collect();
        let of = of_position.iter().copied().cycle().take(shape.iter().product()).collect();
        Self { of, count: axes.iter().map(|size| size.div_ceil(side)).product() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of elements of the value.
    pub fn elements(&self) -> usize {
        self.of.len()
    }

    /// The part of each element.
    pub(crate) fn of(&self) -> &[usize] {
        &self.of
    }

    /// The sum of the values, one for each element in order, in each part.
    pub fn sums(&self, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        for (part, value) in self.of.iter().zip(values) {
            sums[*part] += value;
        }
        sums
    }

    /// For every element the number of its part.
    pub fn spread(&self, numbers: &[f64]) -> Vec<f64> {
        self.of.iter().map(|&part| numbers.get(part).copied().unwrap_or(0.0)).collect()
    }

    /// For every element the mean of its part's values, one for each element in order.
    pub fn means(&self, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let means: Vec<f64> = self.sums(values).iter().zip(self.sizes()).map(|(sum, size)| sum / size as f64).collect();
        self.spread(&means)
    }

    /// The number of elements of each part.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.count];
        self.of.iter().for_each(|&part| sizes[part] += 1);
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_all_of_their_positions() {
        assert_eq!(Parts::channels(&[2, 3]).of, [0, 0, 0, 1, 1, 1]);
        assert_eq!(Parts::channels(&[3]).of, [0, 1, 2]);
        assert_eq!(Parts::channels(&[3]).count(), 3);
        // Tokens have their features last.
        let tokens = Parts::channels(Site::new(&[2, 3]).with_channel_axis(1));
        assert_eq!((tokens.of.as_slice(), tokens.count()), (&[0, 1, 2, 0, 1, 2][..], 3));
        assert_eq!((Parts::channels(&[]).of.as_slice(), Parts::channels(&[]).count()), (&[0][..], 1));
    }

    #[test]
    fn patches_tile_the_positions_of_all_channels() {
        let parts = Parts::patches(&[2, 3, 4], 2);
        let plane = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3];
        assert_eq!(parts.of, [plane, plane].concat());
        assert_eq!(parts.count(), 4);
        assert_eq!(Parts::patches(&[1, 2, 2], 1).of, [0, 1, 2, 3]);
        assert_eq!(Parts::patches(&[2, 5], 3).of, [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]);
        assert_eq!(Parts::patches(&[4], 2).of, [0, 1, 2, 3]);
    }

    #[test]
    fn sums_and_means_are_those_of_parts() {
        let parts = Parts::channels(&[2, 2]);
        assert_eq!(parts.sums([1.0, 2.0, 3.0, 5.0]), [3.0, 8.0]);
        assert_eq!(parts.means([1.0, 2.0, 3.0, 5.0]), [1.5, 1.5, 4.0, 4.0]);
        assert_eq!((parts.spread(&[1.0, 2.0]), parts.sizes()), (vec![1.0, 1.0, 2.0, 2.0], vec![2, 2]));
    }
}
