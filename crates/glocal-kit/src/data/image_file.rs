//! Image files of any kind, decoded to 8-bit grey or RGB.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage};

use super::error::{DataError, DataErrorKind};

/// The extensions by which image files are recognised in a folder, in lower case.
pub const IMAGE_EXTENSIONS: &[&str] =
    &["bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"];

/// The greatest number of bytes of an image file and of a decoded image: 18,900 × 18,900 RGB pixels.
pub(super) const LIMIT: u64 = 1 << 30;

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
/// When the file cannot be read, is no such image or a damaged one, or is larger than 1 GiB, encoded or decoded.
pub fn load_image(path: &Path) -> Result<DynamicImage, DataError> {
    let mut file = File::open(path).map_err(|error| DataError::read(path, error))?;
    let metadata = file.metadata().map_err(|error| DataError::read(path, error))?;
    if !metadata.is_file() {
        return Err(DataError::new(path, DataErrorKind::Image));
    }
    if metadata.len() > LIMIT {
        return Err(DataError::new(path, DataErrorKind::FileTooLarge { size: metadata.len(), limit: LIMIT }));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| DataError::read(path, error))?;
    decode_image(bytes, path)
}

/// Decodes an image as [`load_image`] does, from the bytes of the file, or of a part of one, that errors call `path`.
pub(super) fn decode_image(bytes: Vec<u8>, path: &Path) -> Result<DynamicImage, DataError> {
    if bytes.starts_with(&[0xff, START_OF_JPEG]) && !is_complete_jpeg(&bytes) {
        return Err(DataError::new(path, DataErrorKind::ImageCutOff));
    }
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| DataError::read(path, error))?;
    // The size is checked here instead, where it is known for the error.
    reader.no_limits();
    let undecodable = |error: ImageError| DataError::caused(path, DataErrorKind::Image, error);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > LIMIT {
        return Err(DataError::new(path, DataErrorKind::ImageTooLarge { width, height, limit: LIMIT }));
    }
    let mut limits = Limits::default();
    // What the decoder needs beside the image itself.
    limits.max_alloc = Some(LIMIT);
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
