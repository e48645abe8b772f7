//! How a concept in a sample is drawn, whatever the sample is: an image, a time series, a slice of a volume.

use std::sync::Arc;

use glocal_compute::Tensor;
use image::RgbImage;

use super::sample::slice;
use super::{ExplainError, Sample};
use crate::picture::{
    ColorMap, Heatmap, HeatmapStyle, OpaqueMask, OverlayStyle, PictureError, PixelBox, SeriesPicture, crop,
    is_photograph, overlay,
};

/// The least side of the blur of masks: a narrower one breaks the regions of small samples into single pixels.
const SMALLEST_KERNEL: usize = 5;

/// A concept in a sample, seen.
#[derive(Debug, Clone)]
pub struct ConceptView {
    /// The sample; of a volume the slice with the most relevance.
    pub picture: Arc<RgbImage>,
    /// The relevance of each pixel, in rows from the top.
    pub heatmap: Vec<f32>,
    /// What was measured at each time and its relevance, of a time series.
    pub series: Option<Series>,
    /// Which slice of a volume is seen.
    pub slice: Option<usize>,
}

/// A time series and its relevance.
#[derive(Debug, Clone)]
pub struct Series {
    /// The values `[C, length]`.
    pub values: Arc<Tensor>,
    /// The relevance of each of them.
    pub relevance: Tensor,
}

/// How a concept in a sample is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The sample.
    Image,
    /// The conditional heatmap.
    Heatmap,
    /// The conditional heatmap over the sample.
    Overlay,
    /// The sample, darkened where the concept is not.
    Masked,
    /// The smallest box of the sample that all relevance lies in: for a neuron, what it sees.
    Crop,
    /// The heatmap in that box, over the sample if it is a photograph: without it, nobody would know the place.
    Peak,
}

impl View {
    /// Whether it shows the neuron where the concept peaks, and not the whole concept.
    pub fn is_of_peak(self) -> bool {
        matches!(self, Self::Crop | Self::Peak)
    }
}

/// Colors and masks of views.
#[derive(Debug, Clone, Default)]
pub struct ViewStyle {
    /// The colors of relevance. Default: `bwr`.
    pub color_map: ColorMap,
    /// What is dark in [`View::Masked`].
    pub mask: MaskStyle,
}

/// An [`OpaqueMask`] for samples of any size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskStyle {
    /// Side of the blur kernel in pixels, odd. Default: `None`, 19 for samples of 224 pixels and in proportion, at least 5.
    pub kernel_size: Option<usize>,
    /// Share of the blurred maximum, `0..=1`, above which a pixel is shown. Default: 0.2.
    pub threshold: f32,
    /// What remains of the brightness elsewhere, `0..=1`. Default: 0.3.
    pub alpha: f32,
}

impl Default for MaskStyle {
    fn default() -> Self {
        let OpaqueMask { threshold, alpha, .. } = OpaqueMask::default();
        Self { kernel_size: None, threshold, alpha }
    }
}

impl MaskStyle {
    /// The mask for a sample whose longer side has `side` pixels.
    fn for_side(self, side: u32) -> OpaqueMask {
        let proportional = || OpaqueMask::for_side(side).kernel_size.max(SMALLEST_KERNEL);
        let kernel_size = self.kernel_size.unwrap_or_else(proportional);
        OpaqueMask { kernel_size, threshold: self.threshold, alpha: self.alpha }
    }
}

impl ConceptView {
    /// What is seen of `sample` with that relevance, of the shape of which it is shown.
    pub(super) fn new(sample: &Sample, relevance: Tensor) -> Result<Self, ExplainError> {
        let picture = || Arc::new(sample.picture.clone());
        let plain = |heatmap| Self { picture: picture(), heatmap, series: None, slice: None };
        match *relevance.shape() {
            [channels, length] if sample.input.shape() == [channels, length] => {
                let mut sums = vec![0.0; length];
                for channel in relevance.data().chunks(length.max(1)) {
                    sums.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
                }
                let series = Series { values: Arc::new(sample.input.clone()), relevance };
                Ok(Self { series: Some(series), ..plain(sums) })
            }
            [depth, height, width] => {
                let slices = || relevance.data().chunks((height * width).max(1));
                let sizes = slices().map(|slice| slice.iter().map(|value| f64::from(value.abs())).sum::<f64>());
                // The first of the largest; the middle one where there is no relevance.
                let strongest = |best: (usize, f64), slice: (usize, f64)| if slice.1 > best.1 { slice } else { best };
                let (index, _) = sizes.enumerate().fold((depth / 2, 0.0), strongest);
                let heatmap = slices().nth(index).map(<[f32]>::to_vec).unwrap_or_default();
                let picture = Arc::new(slice(&sample.input, index)?);
                Ok(Self { picture, heatmap, series: None, slice: Some(index) })
            }
            _ => Ok(plain(relevance.into_data())),
        }
    }

    /// Draws the view. A crop without relevance is the whole sample.
    ///
    /// # Errors
    /// When the heatmap does not have a value for each pixel, or the style is none: see [`OpaqueMask`].
    pub fn draw(&self, view: View, style: &ViewStyle) -> Result<RgbImage, PictureError> {
        if let Some(series) = &self.series {
            return self.draw_series(series, view, style);
        }
        let color_map = style.color_map.clone();
        let heatmap = self.relevance()?;
        let colored = || heatmap.draw(&HeatmapStyle { color_map: color_map.clone(), ..HeatmapStyle::default() });
        let cut = |image: &RgbImage| self.support().map_or_else(|| Ok(image.clone()), |area| crop(image, area));
        let over = |picture: &RgbImage, heatmap: &Heatmap<'_>| {
            let style = OverlayStyle { color_map: color_map.clone(), ..OverlayStyle::over(&self.picture) };
            // Single pixels stand out of photographs; where there are no others, they are all there is.
            let prominent = is_photograph(&self.picture).then(|| heatmap.prominent());
            overlay(picture, heatmap, &OverlayStyle { largest: prominent.filter(|size| *size > 0.0), ..style })
        };
        match view {
            View::Image => Ok(self.picture.as_ref().clone()),
            View::Heatmap => Ok(colored()),
            View::Overlay => over(&self.picture, &heatmap),
            View::Masked => self.mask(style).apply(&self.picture, &heatmap),
            View::Crop => cut(&self.picture),
            View::Peak if is_photograph(&self.picture) => {
                let picture = cut(&self.picture)?;
                let values = self.support().map_or_else(|| self.heatmap.clone(), |area| self.inside(area));
                over(&picture, &Heatmap::new(&values, picture.width() as usize, picture.height() as usize)?)
            }
            View::Peak => cut(&colored()),
        }
    }

    fn relevance(&self) -> Result<Heatmap<'_>, PictureError> {
        let (width, height) = self.picture.dimensions();
        Heatmap::new(&self.heatmap, width as usize, height as usize)
    }

    fn mask(&self, style: &ViewStyle) -> OpaqueMask {
        let (width, height) = self.picture.dimensions();
        style.mask.for_side(width.max(height))
    }

    fn draw_series(&self, series: &Series, view: View, style: &ViewStyle) -> Result<RgbImage, PictureError> {
        let [values, relevance] = [&series.values, &series.relevance].map(|tensor| tensor.data());
        let length = self.heatmap.len();
        let whole = SeriesPicture::new(values, length)?;
        // The time from the first to the last relevance.
        let time = || match self.support() {
            Some(area) => area.left as usize..(area.left + area.width) as usize,
            None => 0..length,
        };
        let color_map = &style.color_map;
        match view {
            View::Image => whole.draw(),
            View::Heatmap | View::Overlay => whole.colored(relevance, color_map).draw(),
            View::Masked => {
                let shown = self.mask(style).shown(&self.relevance()?)?;
                whole.faint(shown, style.mask.alpha).draw()
            }
            View::Crop => whole.cut(time()).draw(),
            View::Peak => whole.colored(relevance, color_map).cut(time()).draw(),
        }
    }

    /// The relevance inside a box.
    fn inside(&self, area: PixelBox) -> Vec<f32> {
        let rows = self.heatmap.chunks(self.picture.width().max(1) as usize);
        let rows = rows.skip(area.top as usize).take(area.height as usize);
        rows.flat_map(|row| row.iter().skip(area.left as usize).take(area.width as usize)).copied().collect()
    }

    /// The smallest box around all pixels with relevance.
    fn support(&self) -> Option<PixelBox> {
        let width = self.picture.width().max(1);
        let places = || (0..).zip(&self.heatmap).filter(|(_, relevance)| **relevance != 0.0).map(|(place, _)| place);
        let columns = || places().map(|place: u32| place % width);
        let rows = || places().map(|place| place / width);
        let (left, right) = (columns().min()?, columns().max()?);
        let (top, bottom) = (rows().min()?, rows().max()?);
        Some(PixelBox { left, top, width: right - left + 1, height: bottom - top + 1 })
    }
}
