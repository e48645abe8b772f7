//! A chart as pixels.

use image::{Rgb, RgbImage};

use super::LineChart;
use super::scene::{BAND_OPACITY, Element, Point, Scene};
use crate::picture::error::{PictureError, PictureErrorKind};
use crate::picture::text::{Lettering, Place};
use crate::picture::{Color, LARGEST_AREA, LONGEST_SIDE};

/// Pixels of a unit.
const SCALE: f64 = LineChart::PIXELS as f64;

pub(super) fn picture(scene: &Scene, letters: &Lettering) -> Result<RgbImage, PictureError> {
    let [width, height] = [scene.width, scene.height].map(|side| (side * SCALE).ceil() as u64);
    if width.max(height) > u64::from(LONGEST_SIDE) || width * height > LARGEST_AREA {
        return Err(PictureErrorKind::TooLarge { width, height }.into());
    }
    let mut image = RgbImage::from_pixel(width as u32, height as u32, Rgb([255; 3]));
    for element in &scene.elements {
        match element {
            Element::Line { points, width, color, dashes } => {
                let points: Vec<Point> = points.iter().map(|(x, y)| (x * SCALE, y * SCALE)).collect();
                let dashes: Vec<f64> = dashes.iter().map(|length| length * SCALE).collect();
                stroke(&mut image, &dashed(&points, &dashes), width * SCALE, *color);
            }
            Element::Band { across, top, bottom, color } => band(&mut image, (across, top, bottom), *color),
            Element::Text { text, left, top, size, color, .. } => {
                let [left, top] = [*left, *top].map(|side| (side * SCALE).round().max(0.0) as u32);
                letters.draw(&mut image, text, Place { left, top, room: u32::MAX }, size * LineChart::PIXELS, *color);
            }
        }
    }
    Ok(image)
}

/// Lays `color` over a pixel, hiding the part `opacity` of it.
fn blend(image: &mut RgbImage, x: u32, y: u32, color: Color, opacity: f64) {
    if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
        *pixel = Rgb(std::array::from_fn(|channel| {
            let (below, above) = (f64::from(pixel.0[channel]), f64::from(color[channel]));
            (below + (above - below) * opacity.clamp(0.0, 1.0)).round() as u8
        }));
    }
}

/// The straight pieces of a line that are drawn.
fn dashed(points: &[Point], dashes: &[f64]) -> Vec<[Point; 2]> {
    let pieces = points.windows(2).map(|pair| [pair[0], pair[1]]);
    if dashes.iter().sum::<f64>() <= 0.0 {
        return pieces.collect();
    }
    let mut drawn = Vec::new();
    let (mut dash, mut left) = (0, dashes[0]);
    for [(x, y), (to_x, to_y)] in pieces {
        let length = (to_x - x).hypot(to_y - y);
        let along = |at: f64| {
            let part = if length > 0.0 { at / length } else { 0.0 };
            (x + (to_x - x) * part, y + (to_y - y) * part)
        };
        let mut at = 0.0;
        while at < length {
            let end = (at + left).min(length);
            if dash % 2 == 0 {
                drawn.push([along(at), along(end)]);
            }
            left -= end - at;
            at = end;
            // What rounding leaves of a dash would never be used up.
            if left <= 1e-9 {
                dash = (dash + 1) % dashes.len();
                left = dashes[dash];
            }
        }
    }
    drawn
}

/// Draws pieces of a line with round ends; where they meet, no darker.
fn stroke(image: &mut RgbImage, pieces: &[[Point; 2]], width: f64, color: Color) {
    let reach = width / 2.0 + 1.0;
    let ends = || pieces.iter().flatten();
    let low = |of: fn(&Point) -> f64| (ends().map(of).fold(f64::INFINITY, f64::min) - reach).floor().max(0.0);
    let high =
        |of: fn(&Point) -> f64, side: u32| (ends().map(of).fold(0.0, f64::max) + reach).ceil().min(f64::from(side));
    let (left, top) = (low(|point| point.0), low(|point| point.1));
    let (right, bottom) = (high(|point| point.0, image.width()), high(|point| point.1, image.height()));
    if !(left < right && top < bottom) {
        return;
    }
    let columns = (right - left) as usize;
    let mut covered = vec![0.0_f64; columns * (bottom - top) as usize];
    for [from, to] in pieces {
        let span = |a: f64, b: f64, low: f64, high: f64| {
            let first = (a.min(b) - reach).floor().clamp(low, high);
            (first as usize, (a.max(b) + reach).ceil().clamp(low, high) as usize)
        };
        let ((x0, x1), (y0, y1)) = (span(from.0, to.0, left, right), span(from.1, to.1, top, bottom));
        for y in y0..y1 {
            for x in x0..x1 {
                let away = distance((x as f64 + 0.5, y as f64 + 0.5), *from, *to);
                let cover = &mut covered[(y - top as usize) * columns + x - left as usize];
                *cover = cover.max((width / 2.0 + 0.5 - away).clamp(0.0, 1.0));
            }
        }
    }
    for (index, cover) in covered.into_iter().enumerate().filter(|(_, cover)| *cover > 0.0) {
        let (x, y) = (index % columns + left as usize, index / columns + top as usize);
        blend(image, x as u32, y as u32, color, cover);
    }
}

/// How far a point is from a straight piece.
fn distance((x, y): Point, from: Point, to: Point) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let square = dx * dx + dy * dy;
    let part = if square > 0.0 { (((x - from.0) * dx + (y - from.1) * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
    (x - from.0 - part * dx).hypot(y - from.1 - part * dy)
}

/// Shades between two lines, column by column.
fn band(image: &mut RgbImage, (across, top, bottom): (&[f64], &[f64], &[f64]), color: Color) {
    for index in 1..across.len() {
        let (x0, x1) = (across[index - 1] * SCALE, across[index] * SCALE);
        // Columns whose middle lies in the piece, so that no column is shaded twice.
        for x in (x0 - 0.5).ceil().max(0.0) as u32..(x1 - 0.5).ceil().max(0.0) as u32 {
            let part = (f64::from(x) + 0.5 - x0) / (x1 - x0);
            let between = |of: &[f64]| (of[index - 1] + (of[index] - of[index - 1]) * part) * SCALE;
            let (high, low) = (between(top), between(bottom));
            for y in high.floor().max(0.0) as u32..low.ceil().max(0.0) as u32 {
                let covered = low.min(f64::from(y) + 1.0) - high.max(f64::from(y));
                blend(image, x, y, color, BAND_OPACITY * covered.clamp(0.0, 1.0));
            }
        }
    }
}
