//! A graph of concepts as a picture: layers as columns, concepts as cards, what flows between them as bands.
//!
//! [`FlowPicture::to_svg`] makes one self-contained SVG file: no scripts, nothing loaded from elsewhere. The same picture
//! always gives the same text.

mod layout;
mod write;

use image::RgbImage;

use super::PictureError;

/// What is drawn. Texts are plain; they are escaped and shortened to the room there is.
#[derive(Debug, Clone, Default)]
pub struct FlowPicture {
    /// The headline.
    pub title: String,
    /// Lines below it: what was explained, and by what.
    pub facts: Vec<String>,
    /// What was explained, drawn beside the headline.
    pub sample: Option<RgbImage>,
    /// The columns, from the left: layers from the output's side to the input's.
    pub columns: Vec<FlowColumn>,
    /// The concepts.
    pub cards: Vec<FlowCard>,
    /// What flows between them.
    pub bands: Vec<FlowBand>,
    /// Lines at the bottom: what the numbers are.
    pub notes: Vec<String>,
}

/// A layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowColumn {
    /// Its name.
    pub title: String,
    /// A second line.
    pub subtitle: String,
}

/// A concept.
#[derive(Debug, Clone, Default)]
pub struct FlowCard {
    /// Its column.
    pub column: usize,
    /// Its name.
    pub title: String,
    /// Its share of its layer, signed, −1 to 1. Its bar is drawn relative to the longest of the column.
    pub share: f64,
    /// Its reference samples; the first [`FlowPicture::PICTURES`] are drawn.
    pub pictures: Vec<RgbImage>,
}

/// Relevance that flows from a card to one of a later column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlowBand {
    /// The card that it comes from.
    pub from: usize,
    /// The card that it goes to.
    pub to: usize,
    /// Its share, signed, −1 to 1. Its width is drawn relative to the widest of the picture.
    pub share: f64,
}

impl FlowPicture {
    /// The most pictures that a card shows.
    pub const PICTURES: usize = 4;

    /// The picture as the text of an SVG file. Cards of no column, and bands between cards that there are not or that go to
    /// no later column, are left out.
    ///
    /// # Errors
    /// When a picture cannot be encoded (one without pixels).
    pub fn to_svg(&self) -> Result<String, PictureError> {
        write::svg(self)
    }
}
