//! What a chart consists of, before it is known what it becomes.

use crate::picture::Color;

/// A place, in units from the upper left corner.
pub(super) type Point = (f64, f64);

/// A picture's elements, the hindmost first.
pub(super) struct Scene {
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) elements: Vec<Element>,
}

pub(super) enum Element {
    /// A line through some points.
    Line { points: Vec<Point>, width: f64, color: Color, dashes: &'static [f64] },
    /// The area between two lines, whose points have the same places across.
    Band { across: Vec<f64>, top: Vec<f64>, bottom: Vec<f64>, color: Color },
    /// A line of text, already shortened.
    Text { text: String, left: f64, top: f64, size: u32, color: Color, strong: bool },
}

/// How much of what lies behind is hidden by a band.
pub(super) const BAND_OPACITY: f64 = 0.18;

/// How far below the top of a line of text its letters stand, in sizes.
pub(super) const BASELINE: f64 = 1.06;
