//! Arrays that are pictures themselves: preprocessed samples without the file they came from.

use image::{Rgb, RgbImage};

use super::error::{PictureError, PictureErrorKind};
use super::heatmap::{NOT_A_NUMBER, Scale, ValueRange, checked_shape};

/// Draws an array `[channels, height, width]` with 1 (gray) or 3 channels (red, green, blue) as a picture: `range` says
/// which values are dark and which are full, over all channels together. Pixels with a NaN are middle gray.
///
/// # Errors
/// [`PictureErrorKind::Channels`], [`PictureErrorKind::Shape`], [`PictureErrorKind::TooLarge`].
pub fn draw_channels(
    values: &[f32],
    channels: usize,
    width: usize,
    height: usize,
    range: ValueRange,
) -> Result<RgbImage, PictureError> {
    if !matches!(channels, 1 | 3) {
        return Err(PictureErrorKind::Channels { given: channels }.into());
    }
    let (columns, rows) = checked_shape(values.len(), channels, width, height)?;
    let scale = Scale::over(values, range);
    let plane = width * height;
    let component = |channel: usize, index: usize| scale.byte(values[channel.min(channels - 1) * plane + index]);
    let mut image = RgbImage::new(columns, rows);
    for (index, pixel) in image.pixels_mut().enumerate() {
        let color = [component(0, index), component(1, index), component(2, index)];
        *pixel = Rgb(match color {
            [Some(red), Some(green), Some(blue)] => [red, green, blue],
            _ => NOT_A_NUMBER,
        });
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_is_gray_and_three_are_colors() {
        let gray = draw_channels(&[0.0, 2.0], 1, 2, 1, ValueRange::Extremes).unwrap();
        assert_eq!((gray.get_pixel(0, 0).0, gray.get_pixel(1, 0).0), ([0; 3], [255; 3]));
        let color = draw_channels(&[0.0, 1.0, f32::NAN, 0.0, 2.0, 0.0], 3, 2, 1, ValueRange::Extremes).unwrap();
        assert_eq!((color.get_pixel(0, 0).0, color.get_pixel(1, 0).0), (NOT_A_NUMBER, [127, 0, 0]));
    }

    #[test]
    fn other_channel_counts_are_errors() {
        for channels in [0, 2, 4] {
            let error = draw_channels(&[0.0; 4], channels, 1, 1, ValueRange::Extremes).unwrap_err();
            assert_eq!(*error.kind(), PictureErrorKind::Channels { given: channels });
        }
    }
}
