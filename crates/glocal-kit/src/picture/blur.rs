//! Gaussian blur as torchvision computes it, for the opaque mask.

use super::LONGEST_SIDE;
use super::error::{PictureError, PictureErrorKind};
use super::heatmap::checked_shape;

/// Blurs `height` rows of `width` values with a Gaussian kernel of `kernel_size` x `kernel_size` pixels.
///
/// The standard deviation is `0.3 * ((kernel_size - 1) / 2 - 1) + 0.8` pixels; borders are mirrored (the edge pixel is
/// not repeated), as often as needed when the kernel is larger than the picture. Sums are in f64.
///
/// # Errors
/// [`PictureErrorKind::KernelSize`] for an even or zero size, [`PictureErrorKind::Shape`], [`PictureErrorKind::TooLarge`].
pub fn gaussian_blur(
    values: &[f32],
    width: usize,
    height: usize,
    kernel_size: usize,
) -> Result<Vec<f32>, PictureError> {
    checked_shape(values.len(), 1, width, height)?;
    let kernel = kernel(kernel_size)?;
    let exact: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
    let rows = blur_rows(&exact, width, &kernel);
    let columns = blur_rows(&transpose(&rows, width), height, &kernel);
    Ok(transpose(&columns, height).into_iter().map(|value| value as f32).collect())
}

fn kernel(size: usize) -> Result<Vec<f64>, PictureError> {
    if size.is_multiple_of(2) || size > LONGEST_SIDE as usize {
        return Err(PictureErrorKind::KernelSize { given: size }.into());
    }
    let radius = (size - 1) as f64 / 2.0;
    let deviation = 0.3 * (radius - 1.0) + 0.8;
    let weights: Vec<f64> =
        (0..size).map(|index| (-0.5 * ((index as f64 - radius) / deviation).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    Ok(weights.into_iter().map(|weight| weight / sum).collect())
}

fn blur_rows(values: &[f64], width: usize, kernel: &[f64]) -> Vec<f64> {
    let radius = kernel.len() / 2;
    let mut blurred = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        let padded: Vec<f64> =
            (0..width + 2 * radius).map(|index| row[mirrored(index as i64 - radius as i64, width)]).collect();
        let sums = padded
            .windows(kernel.len())
            .map(|window| window.iter().zip(kernel).map(|(value, weight)| value * weight).sum::<f64>());
        blurred.extend(sums);
    }
    blurred
}

/// The index inside `0..length` that an index outside mirrors to.
fn mirrored(index: i64, length: usize) -> usize {
    let last = length as i64 - 1;
    if last == 0 {
        return 0;
    }
    let folded = index.rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}

fn transpose(values: &[f64], width: usize) -> Vec<f64> {
    let height = values.len() / width;
    (0..width).flat_map(|column| (0..height).map(move |row| values[row * width + column])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_mirrored_as_often_as_needed() {
        let indices: Vec<usize> = (-5..8).map(|index| mirrored(index, 3)).collect();
        assert_eq!(indices, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(mirrored(-7, 1), 0);
    }

    #[test]
    fn a_constant_stays_and_a_kernel_of_one_changes_nothing() {
        let blurred = gaussian_blur(&[3.0; 6], 3, 2, 19).unwrap();
        assert!(blurred.iter().all(|value| (value - 3.0).abs() <= 3.0 * f32::EPSILON), "{blurred:?}");
        let values = [1.0, -2.0, 5.0, 0.5];
        assert_eq!(gaussian_blur(&values, 2, 2, 1).unwrap(), values);
    }

    #[test]
    fn even_and_zero_kernels_are_errors() {
        for size in [0, 2, 18, usize::MAX] {
            let error = gaussian_blur(&[0.0], 1, 1, size).unwrap_err();
            assert_eq!(*error.kind(), PictureErrorKind::KernelSize { given: size });
        }
    }
}
