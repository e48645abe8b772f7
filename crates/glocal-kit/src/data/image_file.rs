//! Image files of any kind, decoded to 8-bit grey or RGB.

use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage};

use super::error::{DataError, DataErrorKind};
use super::regular::open_file;

/// The extensions by which image files are recognised in a folder, in lower case.
pub const IMAGE_EXTENSIONS: &[&str] =
    &["bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"];

/// The greatest number of bytes of an image file and of a decoded image: 18,900 × 18,900 RGB pixels.
pub(super) const LIMIT: u64 = 1 << 30;

/// How many bytes an image may have for each byte of its file, beside [`SMALL`]: a plain image with a palette of two colors,
/// deflated, becomes up to 33,000 bytes of each.
const EXPANSION: u64 = 1 << 16;

/// The size of an image that any file may hold.
const SMALL: u64 = 16 << 20;

/// The marker that a JPEG file starts with, and the one that it ends with.
const START_OF_JPEG: u8 = 0xd8;
const END_OF_JPEG: u8 = 0xd9;

/// Whether the extension of `path` is that of an image file, in any case.
pub(super) fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| IMAGE_EXTENSIONS.contains(&extension.as_str()))
}

/// Reads a PNG, JPEG, WebP, BMP, GIF, TIFF or PNM file, recognised by its content.
///
/// The result is 8-bit grey or 8-bit RGB, upright: an EXIF orientation is applied; 16-bit values are rounded to 8 bits;
/// palettes and CMYK become RGB; of an animation the first frame is taken; transparent pixels are laid over white.
/// Color profiles are ignored.
///
/// # Errors
/// When the file cannot be read, is no such image or a damaged one, is larger than 1 GiB, encoded or decoded, or claims to be
/// far larger than its bytes could make it.
pub fn load_image(path: &Path) -> Result<DynamicImage, DataError> {
    let mut file = open_file(path).map_err(|error| DataError::read(path, error))?;
    let metadata = file.metadata().map_err(|error| DataError::read(path, error))?;
    if metadata.len() > LIMIT {
        return Err(DataError::new(path, DataErrorKind::FileTooLarge { size: metadata.len(), limit: LIMIT }));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| DataError::read(path, error))?;
    decode_image(bytes, path)
}

/// Decodes an image as [`load_image`] does, from the bytes of the file, or of a part of one, that errors call `path`.
pub(super) fn decode_image(bytes: Vec<u8>, path: &Path) -> Result<DynamicImage, DataError> {
    let cut_off = match bytes.as_slice() {
        [0xff, START_OF_JPEG, ..] => !is_complete_jpeg(&bytes),
        [b'R', b'I', b'F', b'F', ..] => !is_complete_webp(&bytes),
        _ => false,
    };
    if cut_off {
        return Err(DataError::new(path, DataErrorKind::ImageCutOff));
    }
    let size = bytes.len() as u64;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| DataError::read(path, error))?;
    // A header alone cannot claim memory.
    let room = size.saturating_mul(EXPANSION).saturating_add(SMALL);
    let mut limits = Limits::no_limits();
    // What the decoder needs beside the image itself, whose size is checked here, where it is known for the error.
    limits.max_alloc = Some(room.min(LIMIT));
    reader.limits(limits.clone());
    let undecodable = |error: ImageError| DataError::caused(path, DataErrorKind::Image, error);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > LIMIT {
        return Err(DataError::new(path, DataErrorKind::ImageTooLarge { width, height, limit: LIMIT }));
    }
    if decoder.total_bytes() > room {
        return Err(DataError::new(path, DataErrorKind::ImageClaim { width, height, size }));
    }
    decoder.set_limits(limits).map_err(undecodable)?;
    let orientation = decoder.orientation().map_err(undecodable)?;
    let mut image = flatten(DynamicImage::from_decoder(decoder).map_err(undecodable)?);
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG file goes on to its end marker. The decoder does not ask for it, and fills what is missing with grey.
fn is_complete_jpeg(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(marker) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[marker + 1..];
        match *rest {
            [END_OF_JPEG, ..] => return true,
            // Fill bytes, and what stands in the pixel data: stuffed bytes and restart markers.
            [0xff, ..] => {}
            [0x00 | 0x01 | 0xd0..=START_OF_JPEG, ..] => rest = &rest[1..],
            // A segment of this many bytes, in which an end marker may be that of a thumbnail.
            [_, high, low, ..] => match rest.get(1 + usize::from(u16::from_be_bytes([high, low]))..) {
                Some(after) => rest = after,
                None => return false,
            },
            _ => return false,
        }
    }
    false
}

/// Whether every part of a WebP file lies within it. The decoder takes the memory that a part claims before it reads it, and
/// knows no limit.
fn is_complete_webp(bytes: &[u8]) -> bool {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let end = number(4).map_or(bytes.len(), |size| bytes.len().min((size as usize).saturating_add(8)));
    let mut at = 12;
    while at + 8 <= end {
        let Some(size) = number(at + 4) else { return false };
        let after = (at + 8).saturating_add(size as usize);
        if after > bytes.len() {
            return false;
        }
        // Parts begin at even positions.
        at = after + after % 2;
    }
    true
}

/// `image` as 8-bit grey or RGB, transparent pixels laid over white.
pub(crate) fn flatten(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => image,
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(image.into_luma8()),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => {
            let source = image.into_luma_alpha8();
            let (width, height) = source.dimensions();
            let over_white = |x, y| {
                let [grey, alpha] = source.get_pixel(x, y).0;
                image::Luma([over_white(grey, alpha)])
            };
            DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, over_white))
        }
        image if image.color().has_alpha() => {
            let source = image.into_rgba8();
            let (width, height) = source.dimensions();
            let over_white = |x, y| {
                let [red, green, blue, alpha] = source.get_pixel(x, y).0;
                image::Rgb([red, green, blue].map(|value| over_white(value, alpha)))
            };
            DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, over_white))
        }
        image => DynamicImage::ImageRgb8(image.into_rgb8()),
    }
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    // At most 255: a weighted mean of two bytes, rounded.
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
