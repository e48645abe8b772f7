//! Resize and crop: the sizes and offsets, rounded as torchvision rounds them.

use super::color::Pixels;
use super::error::{PreprocessError, PreprocessErrorKind};
use super::resample::resample;
use super::{Crop, PIXEL_LIMIT, Resize, SIDE_LIMIT};

/// `pixels` resized; unchanged when they have the size already.
pub(super) fn resize(pixels: Pixels, resize: Resize) -> Result<Pixels, PreprocessError> {
    let (width, height, filter) = match resize {
        Resize::Exact { width, height, filter } => (width.into(), height.into(), filter),
        Resize::Shortest { size, filter } => {
            let (width, height) = shortest(pixels.width, pixels.height, size);
            (width, height, filter)
        }
    };
    // Between its two passes a resampled image has the new width and the old height.
    let (old_width, old_height) = (u64::from(pixels.width), u64::from(pixels.height));
    let longest = width.max(height).max(old_width).max(old_height);
    if longest > SIDE_LIMIT || width.saturating_mul(height.max(old_height)) > PIXEL_LIMIT {
        let (width, height) = (pixels.width, pixels.height);
        return Err(PreprocessError::new(PreprocessErrorKind::TooLarge { width, height }));
    }
    let (width, height) = (width as u32, height as u32);
    if (width, height) == (pixels.width, pixels.height) {
        return Ok(pixels);
    }
    Ok(resample(&pixels, width, height, filter))
}

/// The width and height for a shorter side of `size`: the longer one is rounded down.
fn shortest(width: u32, height: u32, size: u32) -> (u64, u64) {
    let size = u64::from(size);
    let longer = |shorter: u32, longer: u32| size * u64::from(longer) / u64::from(shorter).max(1);
    if width <= height { (size, longer(width, height)) } else { (longer(height, width), size) }
}

/// The centre of `pixels`, padded with black where they are smaller than the crop.
pub(super) fn crop(pixels: Pixels, crop: Crop) -> Pixels {
    let left = offset(pixels.width, crop.width);
    let top = offset(pixels.height, crop.height);
    let channels = pixels.channels;
    let source_row = pixels.width as usize * channels;
    let row = crop.width as usize * channels;
    let mut data = vec![0; row * crop.height as usize];
    for (y, target) in (0i64..).zip(data.chunks_exact_mut(row)) {
        let Ok(source_y) = usize::try_from(top + y) else { continue };
        let Some(source) = pixels.data.chunks_exact(source_row).nth(source_y) else { continue };
        // What lies outside of the image on the left is skipped in the target, on the right left as it is.
        let (skip, from) = if left < 0 { (left.unsigned_abs() as usize, 0) } else { (0, left as usize) };
        let source = &source[from * channels..];
        let target = &mut target[skip * channels..];
        let len = source.len().min(target.len());
        target[..len].copy_from_slice(&source[..len]);
    }
    Pixels { width: crop.width, height: crop.height, channels, data }
}

/// Where a centre crop of `crop` starts in a side of `size`; negative where that many pixels are padded before it.
fn offset(size: u32, crop: u32) -> i64 {
    let difference = i64::from(size) - i64::from(crop);
    if difference < 0 {
        // The padding before is rounded down, the one after gets the rest.
        return -(-difference / 2);
    }
    // Half of it, ties to even, as Python's `round`.
    let half = difference / 2;
    if difference % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_torchvision() {
        // From int(round((size - crop) / 2.0)) and (crop - size) // 2 in Python.
        for (size, crop, expected) in [
            (256, 224, 16),
            (225, 224, 0),
            (227, 224, 2),
            (229, 224, 2),
            (231, 224, 4),
            (5, 5, 0),
            (3, 8, -2),
            (4, 8, -2),
        ] {
            assert_eq!(offset(size, crop), expected, "{size} {crop}");
        }
    }

    #[test]
    fn the_longer_side_is_rounded_down() {
        assert_eq!(shortest(500, 375, 256), (341, 256));
        assert_eq!(shortest(375, 500, 256), (256, 341));
        assert_eq!(shortest(1, 1, 256), (256, 256));
        assert_eq!(shortest(1, u32::MAX, 256), (256, 256 * u64::from(u32::MAX)));
    }

    #[test]
    fn crops_cut_and_pad() {
        let pixels = || Pixels { width: 3, height: 2, channels: 1, data: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(crop(pixels(), Crop { width: 1, height: 1 }).data, [2]);
        assert_eq!(crop(pixels(), Crop { width: 3, height: 4 }).data, [0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0]);
        assert_eq!(crop(pixels(), Crop { width: 6, height: 1 }).data, [0, 1, 2, 3, 0, 0]);
        assert_eq!(crop(pixels(), Crop { width: 1, height: 3 }).data, [2, 5, 0]);
    }
}
