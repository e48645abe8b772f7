//! Titles in pictures: one line of text in the bundled font, shortened to the room there is.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

use super::Color;
use super::error::{PictureError, PictureErrorKind};

/// Inter Medium (SIL Open Font License 1.1), cut down to Latin, Greek and Cyrillic.
const FONT: &[u8] = include_bytes!("../../assets/fonts/Inter-Medium-subset.otf");

/// What stands for the rest of a line that has no room.
const ELLIPSIS: char = '…';

/// Longest line that is looked at; what lies beyond could not be seen anyway.
const LONGEST_LINE: usize = 4096;

/// The bundled font. Letters that it lacks are drawn as empty boxes.
pub(super) struct Lettering {
    font: FontRef<'static>,
}

impl Lettering {
    pub(super) fn new() -> Result<Self, PictureError> {
        FontRef::try_from_slice(FONT)
            .map(|font| Self { font })
            .map_err(|cause| PictureError::caused(PictureErrorKind::Font, cause))
    }

    /// Width in pixels of one line at `size` pixels.
    pub(super) fn width(&self, text: &str, size: u32) -> u32 {
        letters(text).map(|letter| self.advance(letter, size)).sum::<f32>().ceil() as u32
    }

    /// Height in pixels of a line at `size` pixels, descenders and leading included.
    pub(super) fn line(size: u32) -> u32 {
        size.saturating_mul(7) / 5
    }

    /// Draws one line whose box starts at `left`, `top`; what does not fit into `room` pixels is cut with an ellipsis.
    pub(super) fn draw(&self, image: &mut RgbImage, text: &str, place: Place, size: u32, color: Color) {
        let scaled = self.font.as_scaled(scale(size));
        let slack = (Self::line(size) as f32 - (scaled.ascent() - scaled.descent())) / 2.0;
        let baseline = place.top as f32 + slack + scaled.ascent();
        let mut pen = place.left as f32;
        for letter in self.shortened(text, size, place.room) {
            let glyph = self.font.glyph_id(letter).with_scale_and_position(scale(size), point(pen, baseline));
            pen += self.advance(letter, size);
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            outline.draw(|x, y, coverage| {
                let (column, row) = (bounds.min.x as i64 + i64::from(x), bounds.min.y as i64 + i64::from(y));
                let pixel = u32::try_from(column).ok().zip(u32::try_from(row).ok());
                if let Some(pixel) = pixel.and_then(|(column, row)| image.get_pixel_mut_checked(column, row)) {
                    *pixel = Rgb(std::array::from_fn(|channel| {
                        let (below, above) = (f32::from(pixel.0[channel]), f32::from(color[channel]));
                        (below + (above - below) * coverage.clamp(0.0, 1.0)).round() as u8
                    }));
                }
            });
        }
    }

    /// What of a line fits into `room` pixels at `size`; what does not is cut with an ellipsis.
    pub(super) fn shortened(&self, text: &str, size: u32, room: u32) -> Vec<char> {
        if self.width(text, size) <= room {
            return letters(text).collect();
        }
        let mut left = room as f32 - self.advance(ELLIPSIS, size);
        let mut kept: Vec<char> = letters(text)
            .take_while(|&letter| {
                left -= self.advance(letter, size);
                left >= 0.0
            })
            .collect();
        while kept.last().is_some_and(|letter| letter.is_whitespace()) {
            kept.pop();
        }
        kept.push(ELLIPSIS);
        kept
    }

    /// The lines that a text takes in `room` pixels at `size`, broken between words.
    pub(super) fn wrapped(&self, text: &str, size: u32, room: u32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let longer = lines.last().map(|line| format!("{line} {word}"));
            match longer.filter(|longer| self.width(longer, size) <= room) {
                Some(longer) => {
                    lines.pop();
                    lines.push(longer);
                }
                None => lines.push(word.to_owned()),
            }
        }
        lines
    }

    fn advance(&self, letter: char, size: u32) -> f32 {
        self.font.as_scaled(scale(size)).h_advance(self.font.glyph_id(letter))
    }
}

/// Where a line goes: the upper left corner of its box and its largest width, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) room: u32,
}

/// `size` is the height of the letter body (the em), as in CSS; the font's own unit is ascent to descent.
fn scale(size: u32) -> PxScale {
    /// Ascent to descent of the bundled font in ems.
    const BODY: f32 = 1.21;
    PxScale::from(size as f32 * BODY)
}

fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().take(LONGEST_LINE).map(|letter| if letter.is_control() { ' ' } else { letter })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 14;

    fn ink(text: &str, room: u32) -> Vec<(u32, u32)> {
        let mut image = RgbImage::new(200, 30);
        Lettering::new().unwrap().draw(&mut image, text, Place { left: 2, top: 2, room }, SIZE, [255; 3]);
        let inked = image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 0);
        inked.map(|(column, row, _)| (column, row)).collect()
    }

    #[test]
    fn letters_stay_in_the_room_and_the_line() {
        let inked = ink("Ängstlich gjpq, Кошка, ΑΩ and a lot more that has no room", 120);
        assert!(inked.len() > 200, "{}", inked.len());
        let line = 2 + Lettering::line(SIZE);
        assert!(inked.iter().all(|&(column, row)| (1..=122).contains(&column) && (2..line).contains(&row)));
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        let lettering = Lettering::new().unwrap();
        let shortened: String = lettering.shortened("ankle boot", SIZE, 40).into_iter().collect();
        assert!(
            shortened.ends_with(ELLIPSIS) && "ankle boot".starts_with(shortened.trim_end_matches(ELLIPSIS)),
            "{shortened}"
        );
        assert!(lettering.width(&shortened, SIZE) <= 40);
        assert_eq!(lettering.shortened("boot", SIZE, 200).len(), 4);
    }

    #[test]
    fn texts_are_broken_between_words() {
        let lettering = Lettering::new().unwrap();
        let text = "a text of several words, and averyveryverylongwordthatfitsnowhere";
        let lines = lettering.wrapped(text, SIZE, 120);
        assert_eq!(lines.join(" "), text);
        assert!(
            lines.len() > 2 && lines.iter().all(|line| line.starts_with("avery") || lettering.width(line, SIZE) <= 120)
        );
        assert_eq!(lettering.wrapped(" \n ", SIZE, 120), [""; 0]);
    }

    #[test]
    fn texts_without_letters_or_outside_the_picture_draw_nothing() {
        assert!(ink("", 100).is_empty());
        assert!(ink("\n\t\u{7f}", 100).is_empty());
        let mut image = RgbImage::new(4, 4);
        let place = Place { left: 100, top: 100, room: 50 };
        Lettering::new().unwrap().draw(&mut image, "boot", place, SIZE, [255; 3]);
        assert_eq!(image, RgbImage::new(4, 4));
    }
}
