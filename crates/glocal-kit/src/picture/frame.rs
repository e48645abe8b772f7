//! Whole pictures: their size, cutting, enlarging, putting side by side.

use image::{Rgb, RgbImage, imageops};

use super::error::{PictureError, PictureErrorKind};
use super::{Color, LARGEST_AREA, LONGEST_SIDE};

/// A rectangle of whole pixels; `left` and `top` are its first column and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelBox {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

/// Pictures whose shorter side is at least this long are taken for photographs.
const PHOTOGRAPH_SIDE: u32 = 128;

/// Whether a picture is large enough for a photograph: small ones are drawn pixel for pixel.
pub fn is_photograph(image: &RgbImage) -> bool {
    image.width().min(image.height()) >= PHOTOGRAPH_SIDE
}

/// Cuts a box out of a picture.
///
/// # Errors
/// [`PictureErrorKind::Crop`] if the box is empty or reaches out of the picture.
pub fn crop(image: &RgbImage, area: PixelBox) -> Result<RgbImage, PictureError> {
    let PixelBox { left, top, width, height } = area;
    let inside =
        |start: u32, length: u32, side: u32| length > 0 && start.checked_add(length).is_some_and(|end| end <= side);
    if !inside(left, width, image.width()) || !inside(top, height, image.height()) {
        return Err(PictureErrorKind::Crop { given: (left, top, width, height), size: image.dimensions() }.into());
    }
    Ok(imageops::crop_imm(image, left, top, width, height).to_image())
}

/// Draws each pixel as a square of `factor` x `factor` pixels (a factor of 0 counts as 1).
///
/// # Errors
/// [`PictureErrorKind::TooLarge`].
pub fn enlarge(image: &RgbImage, factor: u32) -> Result<RgbImage, PictureError> {
    let factor = factor.max(1);
    let grown = |side: u32| u64::from(side) * u64::from(factor);
    let (width, height) = checked_size(grown(image.width()), grown(image.height()))?;
    Ok(imageops::resize(image, width, height, imageops::FilterType::Nearest))
}

/// Enlarges a small picture by the smallest whole factor that makes its longer side at least `side` pixels, so that a
/// 28 x 28 heatmap can be seen; larger pictures stay as they are.
///
/// # Errors
/// [`PictureErrorKind::TooLarge`].
pub fn enlarge_to(image: &RgbImage, side: u32) -> Result<RgbImage, PictureError> {
    let longest = image.width().max(image.height()).max(1);
    enlarge(image, side.div_ceil(longest))
}

/// Brings a picture to a box of `side` x `side` pixels: small ones by a whole factor with visible pixels, larger ones by
/// smooth reduction. The aspect ratio stays.
pub(super) fn fit(image: &RgbImage, side: u32) -> Result<RgbImage, PictureError> {
    let (width, height) = fitted_size(image.dimensions(), side);
    checked_size(u64::from(width), u64::from(height))?;
    let filter = match width < image.width() || height < image.height() {
        true => imageops::FilterType::CatmullRom,
        false => imageops::FilterType::Nearest,
    };
    Ok(imageops::resize(image, width, height, filter))
}

/// The size that [`fit`] brings a picture to; no side is zero.
pub(super) fn fitted_size((width, height): (u32, u32), side: u32) -> (u32, u32) {
    let longest = width.max(height).max(1);
    if longest <= side {
        let factor = side / longest;
        return ((width * factor).max(1), (height * factor).max(1));
    }
    let shrunk = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
    (shrunk(width), shrunk(height))
}

/// Puts pictures of one size edge to edge, row by row, without gaps or titles; cells left over get the color `fill`.
///
/// # Errors
/// [`PictureErrorKind::Empty`] without pictures or columns, [`PictureErrorKind::SizesDiffer`],
/// [`PictureErrorKind::TooLarge`].
pub fn tile(images: &[RgbImage], columns: usize, fill: Color) -> Result<RgbImage, PictureError> {
    let (Some(first), true) = (images.first(), columns > 0) else {
        return Err(PictureErrorKind::Empty.into());
    };
    let rows = images.len().div_ceil(columns);
    let (cell_width, cell_height) = first.dimensions();
    let side = |cells: usize, length: u32| (cells as u64).saturating_mul(u64::from(length));
    let (width, height) = checked_size(side(columns, cell_width), side(rows, cell_height))?;
    let mut sheet = RgbImage::from_pixel(width, height, Rgb(fill));
    for (index, image) in images.iter().enumerate() {
        if image.dimensions() != first.dimensions() {
            return Err(PictureErrorKind::SizesDiffer { first: first.dimensions(), second: image.dimensions() }.into());
        }
        let (row, column) = (index / columns, index % columns);
        imageops::replace(&mut sheet, image, side(column, cell_width) as i64, side(row, cell_height) as i64);
    }
    Ok(sheet)
}

/// The size as pixel counts, if a picture may have it.
pub(super) fn checked_size(width: u64, height: u64) -> Result<(u32, u32), PictureError> {
    let longest = u64::from(LONGEST_SIDE);
    if width > longest || height > longest || width * height > LARGEST_AREA {
        return Err(PictureErrorKind::TooLarge { width, height }.into());
    }
    Ok((width as u32, height as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 0]))
    }

    #[test]
    fn crop_keeps_the_last_row_and_column_of_the_box() {
        let cut = crop(&numbered(5, 4), PixelBox { left: 2, top: 1, width: 3, height: 3 }).unwrap();
        assert_eq!(cut.dimensions(), (3, 3));
        assert_eq!((cut.get_pixel(0, 0).0, cut.get_pixel(2, 2).0), ([2, 1, 0], [4, 3, 0]));
    }

    #[test]
    fn boxes_that_are_empty_or_outside_are_errors() {
        let image = numbered(5, 4);
        for (left, top, width, height) in [(0, 0, 0, 1), (0, 0, 1, 0), (3, 0, 3, 1), (0, 4, 1, 1), (u32::MAX, 0, 2, 1)]
        {
            let error = crop(&image, PixelBox { left, top, width, height }).unwrap_err();
            assert_eq!(*error.kind(), PictureErrorKind::Crop { given: (left, top, width, height), size: (5, 4) });
        }
    }

    #[test]
    fn enlarging_repeats_pixels_up_to_the_side_asked_for() {
        let large = enlarge_to(&numbered(28, 14), 100).unwrap();
        assert_eq!(large.dimensions(), (112, 56));
        assert_eq!((large.get_pixel(111, 55).0, large.get_pixel(4, 3).0), ([27, 13, 0], [1, 0, 0]));
        assert_eq!(enlarge_to(&numbered(28, 14), 20).unwrap(), numbered(28, 14));
    }

    #[test]
    fn sizes_beyond_the_limit_are_refused() {
        let error = enlarge(&numbered(2, 1), u32::MAX).unwrap_err();
        assert!(matches!(error.kind(), PictureErrorKind::TooLarge { .. }), "{error}");
        assert!(checked_size(32_768, 32_768).is_err());
    }

    #[test]
    fn tiling_needs_equal_sizes_and_something_to_tile() {
        let error = tile(&[numbered(2, 2), numbered(3, 2)], 1, [0; 3]).unwrap_err();
        assert_eq!(*error.kind(), PictureErrorKind::SizesDiffer { first: (2, 2), second: (3, 2) });
        for (images, columns) in [(vec![], 1), (vec![numbered(1, 1)], 0)] {
            assert_eq!(*tile(&images, columns, [0; 3]).unwrap_err().kind(), PictureErrorKind::Empty);
        }
    }
}
