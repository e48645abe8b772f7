//! The opaque mask: a sample with everything outside a concept's region darkened.

use image::{Rgb, RgbImage};

use super::error::{PictureError, PictureErrorKind};
use super::frame::PixelBox;
use super::{Heatmap, gaussian_blur};

/// Shows where in a sample a concept is: the conditional heatmap is blurred and divided by its maximum; where that exceeds
/// the threshold the sample is shown as it is, elsewhere it is darkened. A heatmap without any positive value darkens all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpaqueMask {
    /// Side of the Gaussian blur kernel in pixels, odd. Default: 19 (suits samples of 224 pixels).
    pub kernel_size: usize,
    /// Share of the blurred maximum, `0..=1`, above which a pixel is shown. Default: 0.2.
    pub threshold: f32,
    /// What remains of the brightness elsewhere, `0..=1`. Default: 0.3.
    pub alpha: f32,
}

impl Default for OpaqueMask {
    fn default() -> Self {
        Self { kernel_size: 19, threshold: 0.2, alpha: 0.3 }
    }
}

impl OpaqueMask {
    /// The default mask with a kernel that keeps its proportion to the sample (19 pixels in 224), at least 3 pixels, for a
    /// sample whose longer side has `side` pixels.
    pub fn for_side(side: u32) -> Self {
        let proportional = u64::from(side) * 19 / 224;
        let odd = (proportional as usize | 1).clamp(3, super::LONGEST_SIDE as usize - 1);
        Self { kernel_size: odd, ..Self::default() }
    }

    /// The sample with all that does not belong to the heatmap's region darkened.
    ///
    /// # Errors
    /// [`PictureErrorKind::SizesDiffer`], [`PictureErrorKind::KernelSize`], [`PictureErrorKind::Fraction`].
    pub fn apply(&self, sample: &RgbImage, heatmap: &Heatmap<'_>) -> Result<RgbImage, PictureError> {
        fraction("the alpha of an opaque mask", self.alpha)?;
        let second = (heatmap.width(), heatmap.height());
        if sample.dimensions() != second {
            return Err(PictureErrorKind::SizesDiffer { first: sample.dimensions(), second }.into());
        }
        let shown = self.shown(heatmap)?;
        let mut masked = sample.clone();
        for (pixel, shown) in masked.pixels_mut().zip(shown) {
            if !shown {
                *pixel = Rgb(pixel.0.map(|component| (f32::from(component) * self.alpha).round() as u8));
            }
        }
        Ok(masked)
    }

    /// For each pixel, in rows from the top, whether it lies in the region.
    ///
    /// # Errors
    /// [`PictureErrorKind::KernelSize`], [`PictureErrorKind::Fraction`].
    pub fn shown(&self, heatmap: &Heatmap<'_>) -> Result<Vec<bool>, PictureError> {
        fraction("the threshold of an opaque mask", self.threshold)?;
        Ok(self.filtered(heatmap)?.into_iter().map(|value| value > self.threshold).collect())
    }

    /// The smallest box around all pixels whose blurred share of the maximum exceeds `threshold`, for
    /// [`crop`](super::crop); `None` if there is no such pixel.
    ///
    /// # Errors
    /// [`PictureErrorKind::KernelSize`], [`PictureErrorKind::Fraction`].
    pub fn region(&self, heatmap: &Heatmap<'_>, threshold: f32) -> Result<Option<PixelBox>, PictureError> {
        let shown = Self { threshold, ..*self }.shown(heatmap)?;
        let width = heatmap.width() as usize;
        let places = || shown.iter().enumerate().filter(|(_, shown)| **shown).map(|(index, _)| index);
        let columns = || places().map(|index| index % width);
        let rows = || places().map(|index| index / width);
        let (Some(left), Some(right)) = (columns().min(), columns().max()) else { return Ok(None) };
        let (Some(top), Some(bottom)) = (rows().min(), rows().max()) else { return Ok(None) };
        let [left, top, width, height] = [left, top, right - left + 1, bottom - top + 1].map(|length| length as u32);
        Ok(Some(PixelBox { left, top, width, height }))
    }

    /// The heatmap blurred and divided by its maximum; all zeros if that is not positive.
    fn filtered(&self, heatmap: &Heatmap<'_>) -> Result<Vec<f32>, PictureError> {
        let finite: Vec<f32> =
            heatmap.values().iter().map(|&value| if value.is_finite() { value } else { 0.0 }).collect();
        let mut values = gaussian_blur(&finite, heatmap.width() as usize, heatmap.height() as usize, self.kernel_size)?;
        let largest = values.iter().fold(0.0_f32, |largest, &value| largest.max(value));
        for value in &mut values {
            *value = if largest > 0.0 { *value / largest } else { 0.0 };
        }
        Ok(values)
    }
}

pub(super) fn fraction(name: &'static str, given: f32) -> Result<(), PictureError> {
    if (0.0..=1.0).contains(&given) { Ok(()) } else { Err(PictureErrorKind::Fraction { name, given }.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One high value at column 2, row 1 of 5 x 4, the rest zero.
    fn spot() -> [f32; 20] {
        let mut values = [0.0; 20];
        values[7] = 4.0;
        values
    }

    #[test]
    fn only_the_region_keeps_its_brightness() {
        let values = spot();
        let heatmap = Heatmap::new(&values, 5, 4).unwrap();
        let mask = OpaqueMask { kernel_size: 1, ..OpaqueMask::default() };
        let masked = mask.apply(&RgbImage::from_pixel(5, 4, Rgb([200, 100, 10])), &heatmap).unwrap();
        for (column, row, pixel) in masked.enumerate_pixels() {
            let expected = if (column, row) == (2, 1) { [200, 100, 10] } else { [60, 30, 3] };
            assert_eq!(pixel.0, expected, "column {column}, row {row}");
        }
        let area = mask.region(&heatmap, 0.5).unwrap().unwrap();
        assert_eq!(area, PixelBox { left: 2, top: 1, width: 1, height: 1 });
    }

    #[test]
    fn heatmaps_without_positive_relevance_have_no_region() {
        for value in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
            let values = [value; 20];
            let heatmap = Heatmap::new(&values, 5, 4).unwrap();
            assert_eq!(OpaqueMask::default().region(&heatmap, 0.0).unwrap(), None, "{value}");
        }
    }

    #[test]
    fn sizes_and_fractions_are_checked() {
        let values = spot();
        let heatmap = Heatmap::new(&values, 5, 4).unwrap();
        let error = OpaqueMask::default().apply(&RgbImage::new(4, 5), &heatmap).unwrap_err();
        assert_eq!(*error.kind(), PictureErrorKind::SizesDiffer { first: (4, 5), second: (5, 4) });
        for alpha in [-0.1, 1.1, f32::NAN] {
            let error =
                OpaqueMask { alpha, ..OpaqueMask::default() }.apply(&RgbImage::new(5, 4), &heatmap).unwrap_err();
            assert!(matches!(error.kind(), PictureErrorKind::Fraction { .. }), "{error}");
        }
    }

    #[test]
    fn kernels_follow_the_size_of_the_sample() {
        assert_eq!(
            [0, 28, 224, 448, u32::MAX].map(|side| OpaqueMask::for_side(side).kernel_size),
            [3, 3, 19, 39, 32_767]
        );
    }
}
