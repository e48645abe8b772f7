//! Curves with shaded intervals as a picture: panels side by side over the same axes.
//!
//! [`LineChart::to_svg`] makes one self-contained SVG file, [`LineChart::draw`] the same as pixels. The same chart always gives
//! the same bytes. Lines differ in color and dashes, so that they are told apart with any color vision, and in print.

mod axis;
mod layout;
mod raster;
mod scene;
mod svg;

use image::RgbImage;

use super::text::Lettering;
use super::{Color, PictureError};

/// What is drawn. Texts are plain; they are escaped and shortened to the room there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineChart {
    /// The headline.
    pub title: String,
    /// Lines below it.
    pub facts: Vec<String>,
    /// What is up, of all panels, with its unit.
    pub up: String,
    /// The panels, from the left.
    pub panels: Vec<ChartPanel>,
    /// Lines at the bottom: what the numbers are.
    pub notes: Vec<String>,
}

/// Some lines over the same axes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartPanel {
    /// Its headline.
    pub title: String,
    /// A second line.
    pub subtitle: String,
    /// What is across: a quantity that goes from 0 to 1 and is shown in percent.
    pub across: String,
    /// The lines; later ones lie in front.
    pub lines: Vec<ChartLine>,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartLine {
    /// Its name in the legend.
    pub name: String,
    /// What the legend says of it.
    pub note: String,
    /// How it looks.
    pub style: LineStyle,
    /// Its points, from the left. Those that are not finite are left out.
    pub points: Vec<ChartPoint>,
}

/// A point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChartPoint {
    /// Where it is across, 0 to 1.
    pub at: f64,
    /// How far up.
    pub value: f64,
    /// The interval that is shaded, low and high.
    pub interval: Option<(f64, f64)>,
}

/// How a line looks: colors of Okabe and Ito's palette, each with dashes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineStyle {
    /// Vermilion, whole.
    Vermilion,
    /// Blue, long dashes.
    Blue,
    /// Bluish green, dashes and dots.
    Green,
    /// Reddish purple, short dashes.
    Purple,
    /// Grey, dots.
    Grey,
}

impl LineStyle {
    fn color(self) -> Color {
        match self {
            Self::Vermilion => [0xd5, 0x5e, 0x00],
            Self::Blue => [0x00, 0x72, 0xb2],
            Self::Green => [0x00, 0x8f, 0x68],
            Self::Purple => [0xb8, 0x5c, 0x93],
            Self::Grey => [0x5c, 0x65, 0x70],
        }
    }

    /// The lengths of strokes and gaps in turn, ends rounded; none for whole lines.
    fn dashes(self) -> &'static [f64] {
        match self {
            Self::Vermilion => &[],
            Self::Blue => &[10.0, 6.0],
            Self::Green => &[9.0, 5.0, 0.1, 5.0],
            Self::Purple => &[4.0, 5.0],
            Self::Grey => &[0.1, 5.0],
        }
    }
}

impl LineChart {
    /// How many pixels of [`draw`](Self::draw) a unit of [`to_svg`](Self::to_svg) has along each side.
    pub const PIXELS: u32 = 2;

    /// The chart as the text of an SVG file.
    ///
    /// # Errors
    /// When the font cannot be read.
    pub fn to_svg(&self) -> Result<String, PictureError> {
        Ok(svg::text(&layout::scene(self, &Lettering::new()?)))
    }

    /// The chart as pixels.
    ///
    /// # Errors
    /// When the font cannot be read, or there are so many panels that the picture would be too large.
    pub fn draw(&self) -> Result<RgbImage, PictureError> {
        let letters = Lettering::new()?;
        raster::picture(&layout::scene(self, &letters), &letters)
    }
}
