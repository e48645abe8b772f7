//! What can be wrong with the numbers, names and sizes given for a picture.

use std::error::Error;
use std::fmt;

use super::{LARGEST_AREA, LONGEST_SIDE};

/// Why a picture could not be made; [`kind`](Self::kind) says what was given and what was expected.
#[derive(Debug)]
pub struct PictureError {
    kind: PictureErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The reasons of a [`PictureError`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PictureErrorKind {
    /// No color map has this name, and it is no color-map text either.
    UnknownColorMap {
        /// The name that was asked for.
        given: String,
        /// Known names, the nearest first.
        nearest: Vec<&'static str>,
    },
    /// A color-map text has a node that cannot be read.
    ColorMapNode {
        /// The whole text.
        text: String,
        /// The node that is wrong.
        node: String,
    },
    /// A color-map text has fewer than two nodes.
    ColorMapTooShort {
        /// The whole text.
        text: String,
    },
    /// The positions in a color-map text do not increase, or leave no room for the nodes between them.
    ColorMapOrder {
        /// The whole text.
        text: String,
        /// The node (counted from 0) whose position is not above the one before it.
        node: usize,
    },
    /// The number of values is not what the stated shape needs, or a side is zero.
    Shape {
        /// Number of values that were given.
        values: usize,
        /// Number of channels that was stated.
        channels: usize,
        /// Width in pixels that was stated.
        width: usize,
        /// Height in pixels that was stated.
        height: usize,
    },
    /// Only one channel (gray) or three (red, green, blue) can be drawn as colors.
    Channels {
        /// Number of channels that was given.
        given: usize,
    },
    /// Two pictures that belong together differ in size.
    SizesDiffer {
        /// Width and height of the first (the sample).
        first: (u32, u32),
        /// Width and height of the second.
        second: (u32, u32),
    },
    /// A value range whose ends are not finite or not in order.
    Limits {
        /// The lower end that was given.
        low: f32,
        /// The upper end that was given.
        high: f32,
    },
    /// A blur kernel needs an odd number of pixels, at least one and at most [`LONGEST_SIDE`].
    KernelSize {
        /// The size that was given.
        given: usize,
    },
    /// A fraction that has to be within `0..=1`.
    Fraction {
        /// What it is for.
        name: &'static str,
        /// The value that was given.
        given: f32,
    },
    /// A box that is empty or reaches out of the picture.
    Crop {
        /// The box: left, top, width, height.
        given: (u32, u32, u32, u32),
        /// Width and height of the picture.
        size: (u32, u32),
    },
    /// The picture would be longer than [`LONGEST_SIDE`] on a side, or have more than [`LARGEST_AREA`] pixels.
    TooLarge {
        /// Width it would have.
        width: u64,
        /// Height it would have.
        height: u64,
    },
    /// There is nothing to draw: no cell, no picture, or zero columns.
    Empty,
    /// The bundled font could not be read.
    Font,
    /// The encoder failed; the cause is in [`Error::source`].
    Encode,
}

impl PictureError {
    pub(crate) fn new(kind: PictureErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn caused(kind: PictureErrorKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, source: Some(Box::new(source)) }
    }

    /// What was wrong.
    pub fn kind(&self) -> &PictureErrorKind {
        &self.kind
    }
}

impl From<PictureErrorKind> for PictureError {
    fn from(kind: PictureErrorKind) -> Self {
        Self::new(kind)
    }
}

impl Error for PictureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl fmt::Display for PictureError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PictureErrorKind::UnknownColorMap { given, nearest } => {
                write!(out, "no color map is called '{given}'; the nearest names are {}", nearest.join(", "))
            }
            PictureErrorKind::ColorMapNode { text, node } => write!(
                out,
                "'{node}' in the color map '{text}' is no node: expected a color (f80 or ff8000), or a position and a \
                 color (40:f80), all hexadecimal"
            ),
            PictureErrorKind::ColorMapTooShort { text } => {
                write!(out, "the color map '{text}' needs at least two colors, separated by commas")
            }
            PictureErrorKind::ColorMapOrder { text, node } => write!(
                out,
                "the positions of the color map '{text}' do not increase at node {node}: each has to lie above the one before"
            ),
            PictureErrorKind::Shape { values, channels, width, height } => write!(
                out,
                "{values} values were given for {channels} channel(s) of {width} x {height} pixels: expected their \
                 product, and no side of zero"
            ),
            PictureErrorKind::Channels { given } => {
                write!(out, "{given} channels cannot be drawn as colors: expected 1 (gray) or 3 (red, green, blue)")
            }
            PictureErrorKind::SizesDiffer { first, second } => write!(
                out,
                "the picture has {} x {} pixels, but {} x {} belong to it: both need the same size",
                first.0, first.1, second.0, second.1
            ),
            PictureErrorKind::Limits { low, high } => {
                write!(out, "{low} to {high} is no value range: expected two finite numbers, the lower one first")
            }
            PictureErrorKind::KernelSize { given } => {
                write!(out, "a blur kernel of {given} pixels: expected an odd number from 1 to {LONGEST_SIDE}")
            }
            PictureErrorKind::Fraction { name, given } => {
                write!(out, "{name} is {given}: expected a number from 0 to 1")
            }
            PictureErrorKind::Crop { given: (left, top, width, height), size } => write!(
                out,
                "the box of {width} x {height} pixels at column {left}, row {top} is empty or not inside the picture of {} x {} pixels",
                size.0, size.1
            ),
            PictureErrorKind::TooLarge { width, height } => write!(
                out,
                "a picture of {width} x {height} pixels is too large: at most {LONGEST_SIDE} on a side and {LARGEST_AREA} in all"
            ),
            PictureErrorKind::Empty => {
                write!(out, "there is no picture to draw: expected at least one cell and one column")
            }
            PictureErrorKind::Font => write!(out, "the font bundled for titles cannot be read"),
            PictureErrorKind::Encode => write!(out, "the picture cannot be encoded"),
        }
    }
}
