//! What stands below the blocks of a sheet: the meaning of colors, and notes.

use image::{Rgb, RgbImage};

use super::{ContactSheet, Lettering, Pen};
use crate::picture::Color;

/// The width of the legend's bar.
const BAR: u64 = 200;

/// Its words.
const ENDS: [&str; 2] = ["against", "for"];

/// The lines of the foot, wrapped, and their size.
pub(super) struct Foot {
    pub(super) height: u64,
    colors: Option<Vec<Color>>,
    notes: Vec<Vec<String>>,
    width: u64,
}

impl Pen {
    /// The foot of a sheet whose blocks are `width` wide.
    pub(super) fn foot(&self, sheet: &ContactSheet, width: u64) -> Foot {
        let room = u32::try_from(width).unwrap_or(u32::MAX);
        let wrapped = |note: &String| self.lettering.wrapped(note, self.style.text, room);
        let notes: Vec<Vec<String>> = sheet.notes.iter().map(wrapped).collect();
        let colors = sheet.legend.as_ref().map(|map| map.palette(1.0).to_vec());
        let legend = if colors.is_some() { self.line() + self.gap() } else { 0 };
        let lines = notes.iter().map(Vec::len).sum::<usize>() as u64;
        let between = self.paragraph() * (notes.len() as u64).saturating_sub(1);
        let height = match legend + lines * self.line() {
            0 => 0,
            height => height + between + 3 * self.gap(),
        };
        Foot { height, colors, notes, width }
    }

    pub(super) fn draw_foot(&self, image: &mut RgbImage, foot: &Foot, (left, top): (u64, u64)) {
        let mut top = top + 3 * self.gap();
        if let Some(colors) = &foot.colors {
            self.legend(image, colors, (left, top), foot.width);
            top += self.line() + self.gap();
        }
        for note in &foot.notes {
            for line in note {
                self.text(image, line, self.style.text, self.style.faint, (left, top), foot.width);
                top += self.line();
            }
            top += self.paragraph();
        }
    }

    /// The bar of colors between the words for its ends, no wider than `room`.
    fn legend(&self, image: &mut RgbImage, colors: &[Color], (left, top): (u64, u64), room: u64) {
        let [against, supporting] =
            ENDS.map(|word| u64::from(self.lettering.width(word, self.style.text)) + self.gap());
        let bar = BAR.min(room.saturating_sub(against + supporting)).max(1);
        let (height, start) = (u64::from(self.style.text), left + against);
        let inset = self.line().saturating_sub(height) / 2;
        for x in 0..bar {
            let color = colors[(x * (colors.len() as u64 - 1) / bar.saturating_sub(1).max(1)) as usize];
            for y in 0..height {
                if let Some(pixel) = image.get_pixel_mut_checked((start + x) as u32, (top + inset + y) as u32) {
                    *pixel = Rgb(color);
                }
            }
        }
        for (word, left) in ENDS.into_iter().zip([left, start + bar + self.gap()]) {
            self.text(image, word, self.style.text, self.style.faint, (left, top), room);
        }
    }

    fn line(&self) -> u64 {
        u64::from(Lettering::line(self.style.text))
    }

    /// Between two notes.
    fn paragraph(&self) -> u64 {
        self.gap() / 2
    }
}
