//! From an image to the array that a model takes: color, resize, crop, scale, normalise.
//!
//! The steps and their rounding are those of Pillow and torchvision, in which most models were trained.

mod color;
mod error;
mod geometry;
mod hugging_face;
mod resample;
mod text;

use std::path::Path;

use glocal_compute::Tensor;
use image::{DynamicImage, RgbImage};
use serde::{Deserialize, Serialize};

pub use error::{PreprocessError, PreprocessErrorKind};

use color::Pixels;

/// The greatest number of pixels of a resized or cropped image: 8,192 × 8,192.
const PIXEL_LIMIT: u64 = 1 << 26;

/// The greatest width and height of an image that is resized, and of the result.
const SIDE_LIMIT: u64 = 1 << 16;

/// How an image becomes the input of a model. The steps are done in the order of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "text::PreprocessText", into = "text::PreprocessText")]
pub struct Preprocess {
    /// The channels that the model takes. Default: [`Color::Rgb`].
    pub color: Color,
    /// How the image is resized. Default: not at all.
    pub resize: Option<Resize>,
    /// The centre that is cut out; where the image is smaller, it is padded with black as torchvision does. Default:
    /// all of it.
    pub crop: Option<Crop>,
    /// What the pixel values, 0 to 255, are multiplied by; finite and not 0. Default: 1/255.
    pub scale: f64,
    /// What is subtracted from each channel after scaling: one finite number for all channels, or one each, in the
    /// order of the channels. Default: `[0.0]`.
    pub mean: Vec<f64>,
    /// What each channel is divided by at last: one finite number other than 0 for all channels, or one each. Default:
    /// `[1.0]`.
    pub std: Vec<f64>,
}

/// The channels of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Color {
    /// Red, green, blue; a grey image is repeated.
    Rgb,
    /// Blue, green, red; a grey image is repeated.
    Bgr,
    /// One channel: the luma of ITU-R 601, `0.299 R + 0.587 G + 0.114 B`, as Pillow's mode `L`.
    Grey,
}

/// How an image is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resize {
    /// To this size, whatever the shape of the image.
    Exact {
        /// The width in pixels, at least 1.
        width: u32,
        /// The height in pixels, at least 1.
        height: u32,
        /// The resampling filter.
        filter: Filter,
    },
    /// So that the shorter side has this length and the longer one keeps its proportion, rounded down.
    Shortest {
        /// The length of the shorter side in pixels, at least 1.
        size: u32,
        /// The resampling filter.
        filter: Filter,
    },
}

/// A resampling filter, as Pillow defines it: the support grows with the factor when an image is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels under each new pixel.
    Box,
    /// A triangle of support 1.
    Bilinear,
    /// A Hamming window of support 1.
    Hamming,
    /// The cubic convolution with a = −0.5, support 2.
    Bicubic,
    /// A windowed sinc of support 3.
    Lanczos,
}

/// The size of a centre crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The width in pixels, at least 1.
    pub width: u32,
    /// The height in pixels, at least 1.
    pub height: u32,
}

/// A preprocessed image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The model's input without the batch axis, `[C, height, width]`.
    pub input: Tensor,
    /// What the model sees, as a picture of the same width and height: resized and cropped, neither scaled nor
    /// normalised; a grey input as grey.
    pub view: RgbImage,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self { color: Color::Rgb, resize: None, crop: None, scale: 1.0 / 255.0, mean: vec![0.0], std: vec![1.0] }
    }
}

impl Color {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

impl Preprocess {
    /// Reads a TOML file, or a Hugging Face `preprocessor_config.json` (recognised by the extension `.json`).
    ///
    /// The TOML file has the fields of this struct, all optional:
    /// ```toml
    /// color = "rgb"             # "rgb", "bgr" or "grey"
    /// resize = { shortest = 256, filter = "bicubic" }   # or { width = 28, height = 28, filter = "bilinear" }
    /// crop = { width = 224, height = 224 }
    /// scale = 0.00392156862745098
    /// mean = [0.485, 0.456, 0.406]
    /// std = [0.229, 0.224, 0.225]
    /// ```
    /// The filters are `nearest`, `box`, `bilinear` (the default), `hamming`, `bicubic` and `lanczos`.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown key or a value out of range, or asks for a step that is not known
    /// here. No key that changes pixels is ever ignored.
    pub fn read(path: &Path) -> Result<Self, PreprocessError> {
        let text = text::read_limited(path)?;
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let parsed = if is_json { Self::from_hugging_face(&text) } else { Self::from_toml(&text) };
        parsed.map_err(|error| error.at(path))
    }

    /// Parses the text of a TOML file, see [`read`](Self::read).
    ///
    /// # Errors
    /// When it has an unknown key or a value out of range.
    pub fn from_toml(text: &str) -> Result<Self, PreprocessError> {
        text::parse_toml(text)
    }

    /// Parses the text of a Hugging Face `preprocessor_config.json`.
    ///
    /// Understood are resizing (`do_resize`, `size`, `resample`, `crop_pct` of ConvNeXt and ResNet), the centre crop
    /// (`do_center_crop`, `crop_size`), rescaling (`do_rescale`, `rescale_factor`), normalisation (`do_normalize`, `image_mean`,
    /// `image_std`) and `do_flip_channel_order`.
    ///
    /// # Errors
    /// When it asks for another step, or leaves out what the steps need.
    pub fn from_hugging_face(text: &str) -> Result<Self, PreprocessError> {
        hugging_face::parse(text)
    }

    /// Preprocesses an image of any color type; transparent pixels are laid over white first.
    ///
    /// # Errors
    /// When a field is out of range, or the image is so elongated or large that resizing it would take more than 2²⁶ pixels
    /// or a side of more than 2¹⁶.
    pub fn apply(&self, image: &DynamicImage) -> Result<Prepared, PreprocessError> {
        self.validate()?;
        let mut pixels = Pixels::new(image, self.color);
        if let Some(resize) = self.resize {
            pixels = geometry::resize(pixels, resize)?;
        }
        if let Some(crop) = self.crop {
            pixels = geometry::crop(pixels, crop);
        }
        let view = pixels.to_view()?;
        Ok(Prepared { input: self.normalise(&pixels)?, view })
    }

    /// The shape of every input, `[C, height, width]`, as far as it does not depend on the image.
    pub fn output_shape(&self) -> [Option<usize>; 3] {
        let size = match (self.crop, self.resize) {
            (Some(Crop { width, height }), _) | (None, Some(Resize::Exact { width, height, .. })) => {
                Some((width, height))
            }
            _ => None,
        };
        let (width, height) = size.map(|(width, height)| (width as usize, height as usize)).unzip();
        [Some(self.color.channels()), height, width]
    }

    /// Checks that the inputs can have the shape `expected` that a model takes, without the batch axis.
    ///
    /// # Errors
    /// When a field is out of range, or the inputs always have another shape.
    pub fn check(&self, expected: &[usize]) -> Result<(), PreprocessError> {
        self.validate()?;
        let given = self.output_shape();
        let fits = |(given, expected): (&Option<usize>, &usize)| given.is_none_or(|given| given == *expected);
        if expected.len() == given.len() && given.iter().zip(expected).all(fits) {
            return Ok(());
        }
        Err(PreprocessError::new(PreprocessErrorKind::Shape { given, expected: expected.to_vec() }))
    }

    /// Checks the range of all fields.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let field = |name, expected| Err(PreprocessError::new(PreprocessErrorKind::Field { name, expected }));
        let fits = |width: u32, height: u32| {
            let (width, height) = (u64::from(width), u64::from(height));
            let side = 1..=SIDE_LIMIT;
            side.contains(&width) && side.contains(&height) && width * height <= PIXEL_LIMIT
        };
        match self.resize {
            Some(Resize::Exact { width, height, .. }) if !fits(width, height) => {
                return field("resize", "a width and height from 1 to 65536, and at most 2²⁶ pixels in all");
            }
            Some(Resize::Shortest { size, .. }) if !fits(size, size) => {
                return field("resize", "a shortest side from 1 to 8192");
            }
            _ => {}
        }
        if self.crop.is_some_and(|crop| !fits(crop.width, crop.height)) {
            return field("crop", "a width and height from 1 to 65536, and at most 2²⁶ pixels in all");
        }
        if !self.scale.is_finite() || self.scale == 0.0 {
            return field("scale", "a finite number other than 0");
        }
        let counts = |values: &[f64]| [1, self.color.channels()].contains(&values.len());
        if !counts(&self.mean) || self.mean.iter().any(|mean| !mean.is_finite()) {
            return field("mean", "one finite number, or one for each channel of `color`");
        }
        if !counts(&self.std) || self.std.iter().any(|std| !std.is_finite() || *std == 0.0) {
            return field("std", "one finite number other than 0, or one for each channel of `color`");
        }
        Ok(())
    }

    /// `(pixel · scale − mean) / std` of every channel, in the order of `color`.
    fn normalise(&self, pixels: &Pixels) -> Result<Tensor, PreprocessError> {
        let channels = self.color.channels();
        let mut data = Vec::with_capacity(channels * pixels.len());
        for channel in 0..channels {
            let (mean, std) = (per_channel(&self.mean, channel), per_channel(&self.std, channel));
            // There are only 256 values, so each is computed once and in f64.
            let table: Vec<f32> =
                (0..=255u8).map(|value| ((f64::from(value) * self.scale - mean) / std) as f32).collect();
            let source = if self.color == Color::Bgr { 2 - channel } else { channel };
            data.extend(pixels.channel(source).map(|value| table[usize::from(value)]));
        }
        let shape = [channels, pixels.height as usize, pixels.width as usize];
        Tensor::new(shape, data).map_err(PreprocessError::internal)
    }
}

/// The number for `channel`, where one number stands for all.
fn per_channel(values: &[f64], channel: usize) -> f64 {
    values.get(channel).or(values.first()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
