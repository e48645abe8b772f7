//! Windows that tile a sample.

use std::ops::Range;

use crate::error::{RequestError, RequestErrorKind};

/// The size of a window, or of the steps between windows, along each axis of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// So many elements along every axis, channels included; the whole axis where it has fewer.
    Every(usize),
    /// So many elements along each of the last axes, or the whole axis where it has fewer; the whole of all axes before.
    Last(Vec<usize>),
}

impl Extent {
    /// The size along each axis of a sample of `shape`; `None` when it names more axes than there are, or a size of 0.
    fn along(&self, shape: &[usize]) -> Option<Vec<usize>> {
        let sizes = match self {
            Self::Every(size) => vec![*size; shape.len()],
            Self::Last(sizes) => {
                let whole = shape.get(..shape.len().checked_sub(sizes.len())?)?;
                [whole, sizes].concat()
            }
        };
        if sizes.contains(&0) {
            return None;
        }
        Some(sizes.iter().zip(shape).map(|(size, axis)| *size.min(axis)).collect())
    }
}

/// The windows over a sample: along each axis one a stride, until one reaches the end, where it is cut off.
pub(super) struct Windows {
    shape: Vec<usize>,
    /// The windows along each axis.
    axes: Vec<Vec<Range<usize>>>,
}

impl Windows {
    /// The windows over samples of `shape`.
    ///
    /// # Errors
    /// When a size is 0, there are more sizes than axes, or the stride leaves out elements between windows.
    pub(super) fn new(shape: &[usize], window: &Extent, stride: &Extent) -> Result<Self, RequestError> {
        let refused = |what| RequestErrorKind::Window { what, shape: shape.to_vec() };
        let window = window.along(shape).ok_or_else(|| refused("a window of 1 or more elements along its axes"))?;
        let stride = stride.along(shape).ok_or_else(|| refused("a stride of 1 or more elements along its axes"))?;
        if stride.iter().zip(&window).any(|(stride, window)| stride > window) {
            return Err(refused("a stride of at most the window, or elements between windows have no score").into());
        }
        let along = |((&axis, window), stride): ((&usize, &usize), usize)| {
            let last = axis.saturating_sub(*window).div_ceil(stride);
            (0..=last).map(|index| index * stride..(index * stride + window).min(axis)).collect()
        };
        let axes = shape.iter().zip(&window).zip(stride).map(along).collect();
        Ok(Self { shape: shape.to_vec(), axes })
    }

    /// The number of windows.
    pub(super) fn len(&self) -> usize {
        self.axes.iter().map(Vec::len).product()
    }

    /// The elements of the window of an index less than [`len`](Self::len), in row-major order, as ranges of a sample.
    pub(super) fn elements(&self, index: usize) -> Vec<Range<usize>> {
        let mut rest = index;
        let mut ranges: Vec<Range<usize>> = Vec::with_capacity(self.axes.len());
        for windows in self.axes.iter().rev() {
            ranges.push(windows[rest % windows.len()].clone());
            rest /= windows.len();
        }
        // From the first axis to the last: the ranges so far, each place of which becomes a range of the next axis.
        let mut elements: Vec<Range<usize>> = std::iter::once(0..1).collect();
        for (range, size) in ranges.into_iter().rev().zip(&self.shape) {
            elements = elements
                .into_iter()
                .flatten()
                .map(|place| place * size + range.start..place * size + range.end)
                .collect();
        }
        elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(shape: &[usize], window: Extent, stride: Extent) -> Vec<Vec<Range<usize>>> {
        let windows = Windows::new(shape, &window, &stride).unwrap();
        (0..windows.len()).map(|index| windows.elements(index)).collect()
    }

    #[test]
    fn windows_cover_everything_and_are_cut_off_at_the_end() {
        assert_eq!(windows(&[5], Extent::Every(2), Extent::Every(2)).concat(), [0..2, 2..4, 4..5]);
        assert_eq!(windows(&[6], Extent::Every(4), Extent::Every(1)).concat(), [0..4, 1..5, 2..6]);
        for (shape, whole) in [(&[3][..], 0..3), (&[], 0..1)] {
            assert_eq!(windows(shape, Extent::Every(9), Extent::Every(9)).concat(), std::slice::from_ref(&whole));
        }
        let all = windows(&[2, 4, 4], Extent::Last(vec![2, 3]), Extent::Last(vec![2, 3]));
        assert_eq!(all.len(), 4);
        assert_eq!(all[0], [0..3, 4..7, 16..19, 20..23]);
        assert_eq!(all[3], [11..12, 15..16, 27..28, 31..32]);
    }

    #[test]
    fn windows_that_make_no_sense_are_refused() {
        for (window, stride) in [
            (Extent::Every(0), Extent::Every(1)),
            (Extent::Every(2), Extent::Every(0)),
            (Extent::Every(2), Extent::Every(3)),
            (Extent::Last(vec![1, 1, 1]), Extent::Every(1)),
        ] {
            assert!(Windows::new(&[4, 4], &window, &stride).is_err(), "{window:?}, {stride:?}");
        }
    }
}
