//! The border of a region, drawn over a picture of it at any size.

use image::{Rgb, RgbImage};

use super::Color;
use super::error::PictureError;
use super::text::{Lettering, Place};
use crate::region::Region;

/// Colors that tell regions apart, for any color vision and beside the blue and red of relevance, after Okabe and Ito.
const COLORS: [Color; 6] =
    [[0, 158, 115], [230, 159, 0], [150, 85, 205], [240, 228, 66], [86, 180, 233], [204, 121, 167]];

/// The width of the line, in pixels of the picture that is drawn on.
const LINE: u32 = 2;

/// Around the line, so that it is seen over every color.
const HALO: Color = [255; 3];

/// Size of labels.
const TEXT: u32 = 14;

/// Between a label's letters and its edge.
const PAD: u32 = 4;

/// The border of a region over pictures of one size: a line just inside of it, with a hairline on both of its sides.
#[derive(Debug, Clone)]
pub struct Outline {
    line: Vec<(u32, u32)>,
    halo: Vec<(u32, u32)>,
    color: Color,
}

impl Outline {
    /// Around `region` in pictures of `width` × `height` that show all of what the region was made for, whatever its size.
    /// The color is that of the `index`-th region.
    pub fn new(region: &Region, (width, height): (u32, u32), index: usize) -> Self {
        let (columns, rows) = region.size();
        let pixels = region.pixels();
        let scaled = |place: u32, count: usize, side: u32| (u64::from(place) * count as u64 / u64::from(side)) as usize;
        let across: Vec<usize> = (0..width).map(|x| scaled(x, columns, width)).collect();
        let inside: Vec<bool> = (0..height)
            .flat_map(|y| {
                let row = scaled(y, rows, height) * columns;
                across.iter().map(move |column| row + column)
            })
            .map(|place| pixels[place])
            .collect();
        // What is beyond the picture's edge is outside: the line goes on along the edge.
        let kept = |area: &[bool], steps: u32| eroded(area, width, steps);
        let (line, inner) = (kept(&inside, LINE), kept(&inside, LINE + 1));
        let outside: Vec<bool> = inside.iter().map(|inside| !inside).collect();
        let far = grown_out(&outside, width);
        let mut outline = Self { line: Vec::new(), halo: Vec::new(), color: Self::color(index) };
        for (index, place) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).enumerate() {
            if inside[index] && !line[index] {
                outline.line.push(place);
            } else if (inside[index] && !inner[index]) || (outside[index] && !far[index]) {
                outline.halo.push(place);
            }
        }
        outline
    }

    /// The color of the `index`-th region; colors repeat.
    pub fn color(index: usize) -> Color {
        COLORS[index % COLORS.len()]
    }

    /// Draws the line. Pixels beyond a smaller picture are left out.
    pub fn draw(&self, image: &mut RgbImage) {
        for (places, color) in [(&self.halo, HALO), (&self.line, self.color)] {
            for &(x, y) in places {
                if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
                    *pixel = Rgb(color);
                }
            }
        }
    }

    /// Writes `label` above the region's upper left corner, or into it where there is no room above.
    ///
    /// # Errors
    /// Never: the font comes with the program.
    pub fn label(&self, image: &mut RgbImage, label: &str) -> Result<(), PictureError> {
        let lettering = Lettering::new()?;
        let Some(&(first, top)) = self.line.first() else { return Ok(()) };
        let (width, height) = (lettering.width(label, TEXT) + 2 * PAD, Lettering::line(TEXT));
        let left = first.min(image.width().saturating_sub(width));
        let top = top.checked_sub(height).unwrap_or(top);
        for y in top..(top + height).min(image.height()) {
            for x in left..(left + width).min(image.width()) {
                image.put_pixel(x, y, Rgb(self.color));
            }
        }
        let place = Place { left: left + PAD, top, room: image.width().saturating_sub(left + PAD) };
        lettering.draw(image, label, place, TEXT, ink_on(self.color));
        Ok(())
    }
}

/// Black or white, whichever is easier to read on a color.
fn ink_on([red, green, blue]: Color) -> Color {
    let brightness = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    if brightness > 128_000 { [0; 3] } else { [255; 3] }
}

/// What of an area is left when `steps` pixels are taken from all its sides; those of the picture are sides too.
fn eroded(area: &[bool], width: u32, steps: u32) -> Vec<bool> {
    let mut left = area.to_vec();
    for _ in 0..steps {
        left = shrunk(&left, width as usize, false);
    }
    left
}

/// What of an area does not touch the rest of the picture; the picture's edge does not count.
fn grown_out(area: &[bool], width: u32) -> Vec<bool> {
    shrunk(area, width as usize, true)
}

/// One pixel less on all sides, corners included; `beyond` says whether what lies beyond the picture belongs to the area.
fn shrunk(area: &[bool], width: usize, beyond: bool) -> Vec<bool> {
    let height = area.len().checked_div(width).unwrap_or(0);
    let at = |x: Option<usize>, y: Option<usize>| match (x, y) {
        (Some(x), Some(y)) if x < width && y < height => area[y * width + x],
        _ => beyond,
    };
    let around = |place: usize| [place.checked_sub(1), Some(place), place.checked_add(1)];
    let kept = |place: usize| {
        let (x, y) = (place % width, place / width);
        around(y).into_iter().all(|row| around(x).into_iter().all(|column| at(column, row)))
    };
    (0..area.len()).map(|place| area[place] && kept(place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK: Color = [10; 3];

    fn drawn(region: &Region, width: u32, height: u32) -> RgbImage {
        let mut image = RgbImage::from_pixel(width, height, Rgb(BACK));
        Outline::new(region, (width, height), 0).draw(&mut image);
        image
    }

    #[test]
    fn the_line_runs_just_inside_of_the_region() {
        let region = Region::rectangle((1, 1, 2, 2), 4, 4).unwrap();
        // Each pixel of the region is 10 wide here: the region is 10..30.
        let image = drawn(&region, 40, 40);
        let row: Vec<Color> = (0..40).map(|x| image.get_pixel(x, 20).0).collect();
        let line = Outline::color(0);
        let mut expected = vec![BACK; 40];
        expected[9..13].copy_from_slice(&[HALO, line, line, HALO]);
        expected[27..31].copy_from_slice(&[HALO, line, line, HALO]);
        assert_eq!(row, expected);
        let column: Vec<Color> = (0..40).map(|y| image.get_pixel(20, y).0).collect();
        assert_eq!(column, expected);
    }

    #[test]
    fn at_the_edge_of_the_picture_the_line_goes_on() {
        let image = drawn(&Region::rectangle((0, 0, 4, 4), 4, 4).unwrap(), 12, 12);
        let row: Vec<Color> = (0..12).map(|x| image.get_pixel(x, 6).0).collect();
        let line = Outline::color(0);
        assert_eq!(row[..4], [line, line, HALO, BACK]);
        assert_eq!(row[8..], [BACK, HALO, line, line]);
    }

    #[test]
    fn regions_of_any_form_have_all_their_borders() {
        // A ring of 3 × 3 with a hole, 8 pixels for each.
        let weights = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let image = drawn(&Region::mask(weights.to_vec(), 3, 3).unwrap(), 24, 24);
        let line = Outline::color(0);
        assert_eq!([image.get_pixel(7, 12).0, image.get_pixel(8, 12).0], [line, HALO]);
        assert_eq!([image.get_pixel(0, 12).0, image.get_pixel(12, 12).0], [line, BACK]);
    }

    #[test]
    fn thin_regions_are_all_line_and_labels_stay_in_the_picture() {
        let region = Region::rectangle((3, 0, 1, 1), 4, 1).unwrap();
        let outline = Outline::new(&region, (4, 1), 1);
        let mut image = RgbImage::from_pixel(4, 1, Rgb(BACK));
        outline.draw(&mut image);
        assert_eq!(image.get_pixel(3, 0).0, Outline::color(1));
        for (width, height) in [(1, 1), (30, 4), (200, 100)] {
            let mut image = RgbImage::new(width, height);
            outline.label(&mut image, "I1").unwrap();
            Outline::new(&region, (width, height), 7)
                .label(&mut image, "a label that is longer than the picture")
                .unwrap();
        }
    }
}
