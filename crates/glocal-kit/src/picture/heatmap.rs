//! Heatmaps: from the relevance of each pixel to colors.

use image::{Rgb, RgbImage};

use super::error::{PictureError, PictureErrorKind};
use super::{Color, ColorMap, LONGEST_SIDE};

/// What is added before a scaled value is cut to an integer, so that rounding does not lose a step.
const CUT_SLACK: f64 = 1e-9;

/// The position that zero takes in a symmetric range, and every value where all are equal.
const MIDDLE: u8 = 127;

/// One value per pixel, in rows from the top; any unit. Values that are not finite are allowed: infinities get the
/// colors of the ends, NaN the color that [`HeatmapStyle::not_a_number`] names, and none of them moves the range.
#[derive(Debug, Clone, Copy)]
pub struct Heatmap<'values> {
    values: &'values [f32],
    width: u32,
    height: u32,
}

/// How a heatmap is colored.
#[derive(Debug, Clone)]
pub struct HeatmapStyle {
    /// Colors from the lowest to the highest value. Default: `bwr`.
    pub color_map: ColorMap,
    /// Which values get the first and the last color. Default: [`ValueRange::Symmetric`].
    pub range: ValueRange,
    /// Contrast, see [`ColorMap::palette`]. Default: 1.
    pub level: f32,
    /// Color of values that are NaN. Default: middle gray (128, 128, 128).
    pub not_a_number: Color,
}

/// Which values get the first and the last color of a map. Values beyond them get the color of that end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ValueRange {
    /// From minus to plus the largest absolute value: zero gets the middle color. An all-zero map is blank: all of it
    /// gets the middle color.
    #[default]
    Symmetric,
    /// From the lowest to the highest value.
    Extremes,
    /// As given, so that several pictures can share one scale.
    Given(Limits),
}

/// The two ends of a value range: finite, the lower one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    low: f32,
    high: f32,
}

impl Limits {
    /// # Errors
    /// [`PictureErrorKind::Limits`] unless both are finite and `low < high`.
    pub fn new(low: f32, high: f32) -> Result<Self, PictureError> {
        if low.is_finite() && high.is_finite() && low < high {
            Ok(Self { low, high })
        } else {
            Err(PictureErrorKind::Limits { low, high }.into())
        }
    }
}

impl Default for HeatmapStyle {
    fn default() -> Self {
        Self { color_map: ColorMap::default(), range: ValueRange::default(), level: 1.0, not_a_number: NOT_A_NUMBER }
    }
}

/// The default color of NaN.
pub(super) const NOT_A_NUMBER: Color = [128; 3];

impl<'values> Heatmap<'values> {
    /// Reads `values` as `height` rows of `width` pixels.
    ///
    /// # Errors
    /// [`PictureErrorKind::Shape`] if their number is not `width * height` or a side is zero,
    /// [`PictureErrorKind::TooLarge`].
    pub fn new(values: &'values [f32], width: usize, height: usize) -> Result<Self, PictureError> {
        let (width, height) = checked_shape(values.len(), 1, width, height)?;
        Ok(Self { values, width, height })
    }

    /// The values, in rows from the top.
    pub fn values(&self) -> &'values [f32] {
        self.values
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The largest finite absolute value, 0 if there is none.
    pub fn max_abs(&self) -> f32 {
        max_abs(self.values)
    }

    /// The size that no more than a hundredth of the values exceed, 0 if there is none. Single pixels often stand out of the
    /// heatmaps of photographs, and as the largest ones would leave everything else pale.
    pub fn prominent(&self) -> f32 {
        prominent(self.values.iter().copied())
    }

    /// Draws one pixel for each value.
    pub fn draw(&self, style: &HeatmapStyle) -> RgbImage {
        let scale = Scale::over(self.values, style.range);
        let palette = style.color_map.palette(style.level);
        let mut image = RgbImage::new(self.width, self.height);
        for (pixel, &value) in image.pixels_mut().zip(self.values) {
            *pixel = Rgb(scale.byte(value).map_or(style.not_a_number, |index| palette[usize::from(index)]));
        }
        image
    }
}

/// The way from a value to `0..=255`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    pub(super) fn over(values: &[f32], range: ValueRange) -> Self {
        let (low, high) = match range {
            ValueRange::Given(Limits { low, high }) => (low, high),
            ValueRange::Symmetric => {
                let end = max_abs(values);
                (-end, end)
            }
            ValueRange::Extremes => values
                .iter()
                .filter(|value| value.is_finite())
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value))),
        };
        Self { low: f64::from(low), high: f64::from(high) }
    }

    /// How far a value is on the way from low to high, `0..=1`; the middle where all are equal, `None` for NaN and infinities.
    pub(super) fn fraction(&self, value: f32) -> Option<f64> {
        match self.low < self.high {
            _ if !value.is_finite() => None,
            true => Some(((f64::from(value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)),
            false => Some(0.5),
        }
    }

    /// `None` for NaN.
    pub(super) fn byte(&self, value: f32) -> Option<u8> {
        if value.is_nan() {
            return None;
        }
        if value.is_infinite() {
            return Some(if value > 0.0 { u8::MAX } else { 0 });
        }
        if self.low >= self.high {
            return Some(MIDDLE);
        }
        Some(((f64::from(value) - self.low) / (self.high - self.low) * 255.0 + CUT_SLACK) as u8)
    }
}

pub(super) fn max_abs(values: &[f32]) -> f32 {
    values.iter().filter(|value| value.is_finite()).fold(0.0, |largest, value| value.abs().max(largest))
}

/// The size that no more than a hundredth of the finite values exceed.
pub(super) fn prominent(values: impl Iterator<Item = f32>) -> f32 {
    let mut sizes: Vec<f32> = values.map(f32::abs).filter(|size| size.is_finite()).collect();
    sizes.sort_unstable_by(f32::total_cmp);
    let exceeding = sizes.len() / 100;
    sizes.iter().rev().nth(exceeding).copied().unwrap_or(0.0)
}

/// Width and height, if `values` fill them exactly.
pub(super) fn checked_shape(
    values: usize,
    channels: usize,
    width: usize,
    height: usize,
) -> Result<(u32, u32), PictureError> {
    let product = channels.checked_mul(width).and_then(|product| product.checked_mul(height));
    if product != Some(values) || values == 0 {
        return Err(PictureErrorKind::Shape { values, channels, width, height }.into());
    }
    if width.max(height) > LONGEST_SIDE as usize {
        return Err(PictureErrorKind::TooLarge { width: width as u64, height: height as u64 }.into());
    }
    Ok((width as u32, height as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(values: &[f32], range: ValueRange) -> Vec<Color> {
        let style = HeatmapStyle { range, ..HeatmapStyle::default() };
        Heatmap::new(values, values.len(), 1).unwrap().draw(&style).pixels().map(|pixel| pixel.0).collect()
    }

    #[test]
    fn signs_get_their_own_color_and_zero_the_middle() {
        let white = ColorMap::default().palette(1.0)[127];
        assert_eq!(draw(&[-2.0, 0.0, 2.0], ValueRange::Symmetric), [[0, 0, 255], white, [255, 0, 0]]);
    }

    #[test]
    fn maps_without_any_difference_are_blank() {
        let middle = ColorMap::default().palette(1.0)[127];
        for values in [[0.0; 4], [-0.0; 4], [f32::MIN_POSITIVE * 0.0; 4]] {
            assert_eq!(draw(&values, ValueRange::Symmetric), [middle; 4]);
        }
        assert_eq!(draw(&[7.0; 4], ValueRange::Extremes), [middle; 4]);
    }

    #[test]
    fn values_that_are_not_finite_leave_the_others_alone() {
        let odd = [1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0];
        let expected = [[255, 0, 0], NOT_A_NUMBER, [255, 0, 0], [0, 0, 255], [0, 0, 255]];
        for range in [ValueRange::Symmetric, ValueRange::Extremes] {
            assert_eq!(draw(&odd, range), expected);
        }
        assert_eq!(draw(&[f32::NAN], ValueRange::Extremes), [NOT_A_NUMBER]);
        assert_eq!(draw(&[f32::INFINITY], ValueRange::Extremes), [[255, 0, 0]]);
    }

    #[test]
    fn very_large_and_very_small_values_use_the_whole_map() {
        for size in [f32::MAX, f32::MIN_POSITIVE / 4.0] {
            assert_eq!(draw(&[-size, size], ValueRange::Symmetric), [[0, 0, 255], [255, 0, 0]]);
        }
    }

    #[test]
    fn a_hundredth_of_the_values_may_exceed_what_is_prominent() {
        let values: Vec<f32> = (0..200).map(|value| -(value as f32)).collect();
        assert_eq!(Heatmap::new(&values, 20, 10).unwrap().prominent(), 197.0);
        assert_eq!(prominent(values[..99].iter().copied()), 98.0);
        assert_eq!(prominent([f32::NAN, f32::INFINITY].into_iter()), 0.0);
    }

    #[test]
    fn shapes_that_do_not_fit_and_limits_out_of_order_are_errors() {
        for (width, height) in [(2, 2), (0, 0), (3, 0), (usize::MAX, 3)] {
            let error = Heatmap::new(&[0.0; 3], width, height).unwrap_err();
            assert_eq!(*error.kind(), PictureErrorKind::Shape { values: 3, channels: 1, width, height });
        }
        for (low, high) in [(1.0, 1.0), (1.0, -1.0), (f32::NAN, 1.0), (0.0, f32::INFINITY)] {
            assert!(matches!(Limits::new(low, high).unwrap_err().kind(), PictureErrorKind::Limits { .. }));
        }
    }
}
