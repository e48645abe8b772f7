//! A sample as the model takes it and as people see it.

use glocal_compute::Tensor;
use image::{DynamicImage, RgbImage};

use super::{ExplainError, ExplainErrorKind};
use crate::data::{Content, DataSet};
use crate::picture::{ValueRange, draw_channels};
use crate::preprocess::{Prepared, Preprocess};

/// A sample as the model takes it and as people see it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// The model's input, without the batch axis.
    pub input: Tensor,
    /// What the model sees: one pixel for each position of the input.
    pub picture: RgbImage,
}

impl Sample {
    /// Sample `index` of a data set.
    ///
    /// # Errors
    /// When it cannot be read, preprocessed or drawn.
    pub fn load(data: &dyn DataSet, index: usize, preprocess: &Preprocess) -> Result<Self, ExplainError> {
        let name = data.key(index);
        match data.load(index)? {
            Content::Image(image) => Self::from_image(name, &image, preprocess),
            Content::Array(input) => Self::from_array(name, input),
        }
    }

    /// An image.
    ///
    /// # Errors
    /// When it cannot be preprocessed.
    pub fn from_image(
        name: impl Into<String>,
        image: &DynamicImage,
        preprocess: &Preprocess,
    ) -> Result<Self, ExplainError> {
        let Prepared { input, view } = preprocess.apply(image)?;
        Ok(Self { name: name.into(), input, picture: view })
    }

    /// An array that is already preprocessed: `[C, height, width]`, drawn in gray or, with three channels, in color;
    /// `[C, length]` or `[C]`, drawn as a line. Its smallest value is black, its largest white.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn from_array(name: impl Into<String>, input: Tensor) -> Result<Self, ExplainError> {
        let (channels, width, height) = match *input.shape() {
            [channels, height, width] => (channels, width, height),
            [channels, length] => (channels, length, 1),
            [features] => (1, features, 1),
            _ => return Err(ExplainErrorKind::NoPicture { shape: input.shape().to_vec() }.into()),
        };
        let picture = if matches!(channels, 1 | 3) {
            draw_channels(input.data(), channels, width, height, ValueRange::Extremes)?
        } else {
            let mut sums = vec![0.0; width * height];
            for channel in input.data().chunks(sums.len().max(1)) {
                sums.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
            }
            draw_channels(&sums, 1, width, height, ValueRange::Extremes)?
        };
        Ok(Self { name: name.into(), input, picture })
    }
}
