//! A sample as the model takes it and as people see it.

use glocal_compute::Tensor;
use image::{DynamicImage, RgbImage};

use super::{ExplainError, ExplainErrorKind};
use crate::data::{Content, DataSet};
use crate::picture::{Limits, ValueRange, draw_channels};
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
    /// `[C, length]` or `[C]`, drawn as a line; `[C, depth, height, width]`, of which the slice in the middle is drawn. Its
    /// smallest value is black, its largest white.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn from_array(name: impl Into<String>, input: Tensor) -> Result<Self, ExplainError> {
        let picture = match *input.shape() {
            [channels, height, width] => draw(input.data(), channels, width, height, ValueRange::Extremes)?,
            [channels, length] => draw(input.data(), channels, length, 1, ValueRange::Extremes)?,
            [features] => draw(input.data(), 1, features, 1, ValueRange::Extremes)?,
            [_, depth, _, _] => slice(&input, depth / 2)?,
            _ => return Err(ExplainErrorKind::NoPicture { shape: input.shape().to_vec() }.into()),
        };
        Ok(Self { name: name.into(), input, picture })
    }
}

/// Slice `index` of a volume `[C, depth, height, width]`, in the brightness that it has among the others.
pub(super) fn slice(volume: &Tensor, index: usize) -> Result<RgbImage, ExplainError> {
    let &[channels, depth, height, width] = volume.shape() else {
        return Err(ExplainErrorKind::NoPicture { shape: volume.shape().to_vec() }.into());
    };
    let plane = height * width;
    let of_channel = |channel: usize| volume.data().iter().skip((channel * depth + index) * plane).take(plane).copied();
    let values: Vec<f32> = (0..channels).flat_map(of_channel).collect();
    let ends = |ends: (f32, f32), value: &f32| (ends.0.min(*value), ends.1.max(*value));
    let finite = volume.data().iter().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), ends);
    // The channels are drawn one by one only where they are colors.
    let range = match Limits::new(low, high) {
        Ok(limits) if matches!(channels, 1 | 3) => ValueRange::Given(limits),
        _ => ValueRange::Extremes,
    };
    draw(&values, channels, width, height, range)
}

/// Gray for one channel, colors for three, and gray for the sum of any other number.
fn draw(
    values: &[f32],
    channels: usize,
    width: usize,
    height: usize,
    range: ValueRange,
) -> Result<RgbImage, ExplainError> {
    if matches!(channels, 1 | 3) {
        return Ok(draw_channels(values, channels, width, height, range)?);
    }
    let mut sums = vec![0.0; width * height];
    for channel in values.chunks(sums.len().max(1)) {
        sums.iter_mut().zip(channel).for_each(|(sum, value)| *sum += value);
    }
    Ok(draw_channels(&sums, 1, width, height, range)?)
}
