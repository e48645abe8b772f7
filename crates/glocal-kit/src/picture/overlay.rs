//! A heatmap over the sample it belongs to.

use image::{Rgb, RgbImage};

use super::error::{PictureError, PictureErrorKind};
use super::frame::is_photograph;
use super::heatmap::NOT_A_NUMBER;
use super::mask::fraction;
use super::{Color, ColorMap, Heatmap};

/// Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601), as Pillow's and most gray conversions have.
const BRIGHTNESS: [f32; 3] = [0.299, 0.587, 0.114];

/// Where the colors of weak relevance start, as a share of the way from the middle of the map to its end: paler ones would
/// only whiten the sample.
const FIRST_COLOR: f32 = 0.5;

/// How a heatmap is laid over a sample.
#[derive(Debug, Clone)]
pub struct OverlayStyle {
    /// Colors of the relevance. Default: `bwr`.
    pub color_map: ColorMap,
    /// What remains of the sample's colors, `0..=1`; 0 is gray. Default: 0.
    pub saturation: f32,
    /// How opaque the largest absolute relevance is, `0..=1`. Default: 0.9.
    pub strength: f32,
    /// Exponent of the way from `|R| / max |R|` to opacity: below 1 shows weak relevance too. Default: 0.5.
    pub exponent: f32,
    /// The size of relevance that is drawn in full, so that several overlays can share one scale; larger sizes look the same.
    /// Default: `None`, the largest of the heatmap.
    pub largest: Option<f32>,
}

/// How weak relevance fades out over samples that are no photographs: relevance is coarser there, and the default would
/// show it as haze.
const COARSE_EXPONENT: f32 = 0.8;

impl Default for OverlayStyle {
    fn default() -> Self {
        Self { color_map: ColorMap::default(), saturation: 0.0, strength: 0.9, exponent: 0.5, largest: None }
    }
}

impl OverlayStyle {
    /// The default for a sample of this size: weak relevance fades out faster over small ones.
    pub fn over(sample: &RgbImage) -> Self {
        let exponent = if is_photograph(sample) { Self::default().exponent } else { COARSE_EXPONENT };
        Self { exponent, ..Self::default() }
    }
}

/// Lays a heatmap over its sample: the more relevant a pixel, the more of the heatmap's color it has; where relevance is
/// zero, the grayed sample is left as it is. Colors are symmetric around zero; NaN is drawn
/// in middle gray, infinities as the largest relevance of their sign.
///
/// # Errors
/// [`PictureErrorKind::SizesDiffer`], [`PictureErrorKind::Fraction`].
pub fn overlay(sample: &RgbImage, heatmap: &Heatmap<'_>, style: &OverlayStyle) -> Result<RgbImage, PictureError> {
    fraction("the saturation of an overlay", style.saturation)?;
    fraction("the strength of an overlay", style.strength)?;
    let second = (heatmap.width(), heatmap.height());
    if sample.dimensions() != second {
        return Err(PictureErrorKind::SizesDiffer { first: sample.dimensions(), second }.into());
    }
    let palette = style.color_map.palette(1.0);
    let largest = style.largest.unwrap_or_else(|| heatmap.max_abs());
    let mut image = sample.clone();
    for (pixel, &relevance) in image.pixels_mut().zip(heatmap.values()) {
        let share = match relevance.abs() {
            size if !size.is_finite() => 1.0,
            size if largest > 0.0 => (size / largest).min(1.0),
            _ => 0.0,
        };
        let shown = share.powf(style.exponent);
        let offset = (FIRST_COLOR + (1.0 - FIRST_COLOR) * shown) * 127.5;
        let color = match relevance {
            relevance if relevance.is_nan() => NOT_A_NUMBER,
            relevance if relevance < 0.0 => palette[usize::from((127.5 - offset) as u8)],
            _ => palette[usize::from((127.5 + offset) as u8)],
        };
        let gray = pixel.0.iter().zip(BRIGHTNESS).map(|(&component, weight)| f32::from(component) * weight).sum();
        let below = blend([gray; 3], pixel.0.map(f32::from), style.saturation);
        *pixel = Rgb(rounded(blend(below, color.map(f32::from), style.strength * shown)));
    }
    Ok(image)
}

fn blend(below: [f32; 3], above: [f32; 3], opacity: f32) -> [f32; 3] {
    std::array::from_fn(|channel| below[channel] + (above[channel] - below[channel]) * opacity)
}

fn rounded(color: [f32; 3]) -> Color {
    color.map(|component| component.round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relevance_colors_the_gray_sample() {
        let sample = RgbImage::from_pixel(3, 1, Rgb([100, 100, 100]));
        let heatmap = Heatmap::new(&[-1.0, 0.0, 1.0], 3, 1).unwrap();
        let style = OverlayStyle { strength: 1.0, ..OverlayStyle::default() };
        let colors: Vec<Color> = overlay(&sample, &heatmap, &style).unwrap().pixels().map(|pixel| pixel.0).collect();
        assert_eq!(colors, [[0, 0, 255], [100; 3], [255, 0, 0]]);
    }

    #[test]
    fn without_relevance_the_sample_is_only_grayed() {
        let sample = RgbImage::from_pixel(1, 1, Rgb([255, 0, 0]));
        let heatmap = Heatmap::new(&[0.0], 1, 1).unwrap();
        let gray = overlay(&sample, &heatmap, &OverlayStyle::default()).unwrap();
        assert_eq!(gray.get_pixel(0, 0).0, [76; 3]);
        let full = OverlayStyle { saturation: 1.0, ..OverlayStyle::default() };
        assert_eq!(overlay(&sample, &heatmap, &full).unwrap(), sample);
    }

    #[test]
    fn overlays_can_share_a_scale() {
        let sample = RgbImage::from_pixel(2, 1, Rgb([100; 3]));
        let draw = |values: &[f32], largest| {
            let style = OverlayStyle { largest, ..OverlayStyle::default() };
            let drawn = overlay(&sample, &Heatmap::new(values, 2, 1).unwrap(), &style).unwrap();
            drawn.pixels().map(|pixel| pixel.0).collect::<Vec<Color>>()
        };
        let both = draw(&[1.0, 4.0], None);
        assert_eq!(draw(&[1.0, 0.0], Some(4.0))[0], both[0]);
        assert_eq!(draw(&[9.0, f32::INFINITY], Some(4.0)), [both[1]; 2]);
        assert_eq!(draw(&[1.0, -1.0], Some(0.0)), [[100; 3]; 2]);
    }

    #[test]
    fn sizes_have_to_agree() {
        let heatmap = Heatmap::new(&[0.0; 2], 2, 1).unwrap();
        let error = overlay(&RgbImage::new(1, 2), &heatmap, &OverlayStyle::default()).unwrap_err();
        assert_eq!(*error.kind(), PictureErrorKind::SizesDiffer { first: (1, 2), second: (2, 1) });
    }
}
