//! The bytes of an image between the steps.

use std::borrow::Cow;

use image::{DynamicImage, GrayImage, RgbImage};

use super::Color;
use super::error::{PreprocessError, PreprocessErrorKind};
use crate::data::flatten;

/// A grey or RGB image of bytes, row-major, channels last.
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    /// 1 or 3.
    pub(super) channels: usize,
    pub(super) data: Vec<u8>,
}

impl Pixels {
    /// The pixels of `image` with what `color` needs: one channel for a grey input, and also for a grey image, which
    /// resizes to the same whether it is repeated before or after.
    pub(super) fn new(image: &DynamicImage, color: Color) -> Self {
        let image = match image {
            DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => Cow::Borrowed(image),
            other => Cow::Owned(flatten(other.clone())),
        };
        let (width, height) = (image.width(), image.height());
        match image.as_ref() {
            DynamicImage::ImageLuma8(grey) => Self { width, height, channels: 1, data: grey.as_raw().clone() },
            other => {
                let rgb = other.as_rgb8().map_or_else(|| Cow::Owned(other.to_rgb8()), Cow::Borrowed);
                match color {
                    Color::Grey => {
                        let (pixels, _) = rgb.as_raw().as_chunks();
                        Self { width, height, channels: 1, data: pixels.iter().map(|&pixel| luma(pixel)).collect() }
                    }
                    Color::Rgb | Color::Bgr => Self { width, height, channels: 3, data: rgb.as_raw().clone() },
                }
            }
        }
    }

    /// The number of pixels.
    pub(super) fn len(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The bytes of one channel; of the only one, when there is only one.
    pub(super) fn channel(&self, channel: usize) -> impl Iterator<Item = u8> {
        self.data.iter().skip(channel.min(self.channels - 1)).step_by(self.channels).copied()
    }

    /// The picture of these pixels.
    pub(super) fn to_view(&self) -> Result<RgbImage, PreprocessError> {
        let data = self.data.clone();
        let view = if self.channels == 3 {
            RgbImage::from_raw(self.width, self.height, data)
        } else {
            GrayImage::from_raw(self.width, self.height, data).map(|grey| DynamicImage::ImageLuma8(grey).into_rgb8())
        };
        view.ok_or_else(|| {
            PreprocessError::new(PreprocessErrorKind::TooLarge { width: self.width, height: self.height })
        })
    }
}

/// The luma of ITU-R 601 in the fixed-point arithmetic of Pillow.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    // The weights add up to 2¹⁶, so the result fits a byte.
    ((u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000) >> 16) as u8
}
