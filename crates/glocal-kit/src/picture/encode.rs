//! PNG files, in the smallest of three forms that keeps every pixel: gray, a palette, or full color.

use std::collections::HashMap;

use image::RgbImage;
use png::{BitDepth, ColorType, Encoder, EncodingError, Filter};

use super::Color;
use super::error::{PictureError, PictureErrorKind};

/// Colors that a palette can hold.
const PALETTE: usize = 256;

/// Below this number of pixels the palette itself (up to 768 bytes) outweighs what it saves.
const PALETTE_PAYS: usize = 4096;

/// Encodes a picture as the bytes of a PNG file. The same picture always gives the same bytes.
///
/// # Errors
/// [`PictureErrorKind::Encode`], for a picture without pixels.
pub fn encode_png(image: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let written = if image.pixels().all(|pixel| pixel.0 == [pixel.0[0]; 3]) {
        let gray: Vec<u8> = image.pixels().map(|pixel| pixel.0[0]).collect();
        write(image, ColorType::Grayscale, None, &gray)
    } else if let Some((palette, positions)) = indexed(image) {
        write(image, ColorType::Indexed, Some(palette), &positions)
    } else {
        write(image, ColorType::Rgb, None, image)
    };
    written.map_err(|cause| PictureError::caused(PictureErrorKind::Encode, cause))
}

fn write(image: &RgbImage, color: ColorType, palette: Option<Vec<u8>>, data: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
        // Positions in a palette are names: differences between neighbours mean little to the compressor.
        encoder.set_filter(Filter::NoFilter);
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(data)?;
    writer.finish()?;
    Ok(bytes)
}

/// The palette, in the order of its colors, and each pixel's position in it; `None` for more colors than fit, or where
/// a palette does not pay.
fn indexed(image: &RgbImage) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut positions: HashMap<Color, u8> = HashMap::new();
    // Neighbours often are of one color.
    let mut last = None;
    for pixel in image.pixels().filter(|pixel| last.replace(pixel.0) != Some(pixel.0)) {
        positions.insert(pixel.0, 0);
        if positions.len() > PALETTE {
            return None;
        }
    }
    if image.len() / 3 < PALETTE_PAYS {
        return None;
    }
    let mut colors: Vec<Color> = positions.keys().copied().collect();
    colors.sort_unstable();
    for (position, color) in (0..=u8::MAX).zip(&colors) {
        positions.insert(*color, position);
    }
    let data = image.pixels().filter_map(|pixel| positions.get(&pixel.0).copied()).collect();
    Some((colors.concat(), data))
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn every_form_keeps_every_pixel() {
        let gray = RgbImage::from_fn(30, 20, |x, y| Rgb([(x * y) as u8; 3]));
        let few = RgbImage::from_fn(100, 90, |x, y| Rgb([x as u8, 0, if y > 50 { 9 } else { 200 }]));
        let all_positions = RgbImage::from_fn(256, 20, |x, _| Rgb([x as u8, 255 - x as u8, 7]));
        let many = RgbImage::from_fn(100, 90, |x, y| Rgb([x as u8, y as u8, 0]));
        let small = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 0]));
        let cases = [
            (gray, ColorType::Grayscale),
            (few, ColorType::Indexed),
            (all_positions, ColorType::Indexed),
            (many, ColorType::Rgb),
            (small, ColorType::Rgb),
        ];
        for (image, form) in cases {
            let bytes = encode_png(&image).unwrap();
            let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
            assert_eq!(reader.info().color_type, form);
            assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8(), image, "{form:?}");
        }
    }

    #[test]
    fn a_picture_without_pixels_is_an_error() {
        assert_eq!(*encode_png(&RgbImage::new(0, 3)).unwrap_err().kind(), PictureErrorKind::Encode);
    }
}
