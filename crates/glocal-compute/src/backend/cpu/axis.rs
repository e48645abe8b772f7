//! One spatial axis of anything that slides a window: which element of an image each tap of each output element reads.

use std::ops::Range;

/// Output element `o` reads, with its tap `t`, image element `start + o · step + taps[t]`, or padding outside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// The size of the image.
    pub(super) size: usize,
    /// Where the window of output element 0 starts.
    pub(super) start: i64,
    /// The distance between the windows of neighbouring output elements; at least 1.
    pub(super) step: i64,
    /// The number of output elements.
    pub(super) count: usize,
    /// The offset of each tap from its window's start, in ascending order.
    pub(super) taps: Vec<i64>,
}

impl Axis {
    /// The axis of a sliding window of `kernel` elements, as convolutions and pools define it.
    pub(super) fn window(
        size: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        pad_begin: usize,
        count: usize,
    ) -> Self {
        let taps = (0..kernel).map(|tap| tap as i64 * dilation as i64).collect();
        Self { size, start: -(pad_begin as i64), step: stride as i64, count, taps }
    }

    /// The image element that tap `tap` of output element `output` reads; `None` in the padding.
    pub(super) fn position(&self, output: usize, tap: usize) -> Option<usize> {
        let position = self.start + output as i64 * self.step + self.taps[tap];
        usize::try_from(position).ok().filter(|&position| position < self.size)
    }

    /// The output elements whose tap `tap` lies inside the image.
    pub(super) fn inside(&self, tap: usize) -> Range<usize> {
        let first = self.start + self.taps[tap];
        // first + o · step lies in 0..size
        let low = (-first).max(0).div_ceil_by(self.step);
        let high = (self.size as i64 - first).max(0).div_ceil_by(self.step);
        let (low, high) = (low.min(self.count as i64), high.min(self.count as i64));
        low as usize..high.max(low) as usize
    }

    /// The first and last image position that any window touches, padding included. Needs a tap and an output element.
    pub(super) fn reach(&self) -> (i64, i64) {
        let first = self.start + self.taps.first().copied().unwrap_or(0);
        let last = self.start + (self.count as i64 - 1) * self.step + self.taps.last().copied().unwrap_or(0);
        (first, last)
    }

    /// Whether output element `o` reads image element `o` and nothing else.
    pub(super) fn is_identity(&self) -> bool {
        self.step == 1 && self.count == self.size && self.taps.len() == 1 && self.start + self.taps[0] == 0
    }
}

/// Division that rounds up, for a dividend that is not negative.
trait DivideUp {
    fn div_ceil_by(self, divisor: Self) -> Self;
}

impl DivideUp for i64 {
    fn div_ceil_by(self, divisor: Self) -> Self {
        (self + divisor - 1) / divisor
    }
}

/// `sizes` of 1 to 3 spatial axes as 3, with `fill` for the missing leading ones.
pub(super) fn three_axes(sizes: &[usize], fill: usize) -> [usize; 3] {
    let mut axes = [fill; 3];
    for (axis, &size) in axes.iter_mut().rev().zip(sizes.iter().rev()) {
        *axis = size;
    }
    axes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_agrees_with_position() {
        for size in 1..7 {
            for pad in 0..4 {
                for stride in 1..4 {
                    for count in 1..6 {
                        let axis = Axis::window(size, 3, stride, 2, pad, count);
                        for tap in 0..3 {
                            let expected: Vec<usize> =
                                (0..count).filter(|&output| axis.position(output, tap).is_some()).collect();
                            assert_eq!(axis.inside(tap).collect::<Vec<_>>(), expected, "{axis:?}, tap {tap}");
                        }
                    }
                }
            }
        }
    }
}
