//! Time series as line plots, a panel for each channel.
//!
//! Relevance colors the ground behind the line, not the line: the middle of most color maps is the ground's own color, and a
//! line without relevance would vanish.

use std::ops::Range;

use image::{Rgb, RgbImage, imageops};

use super::error::{PictureError, PictureErrorKind};
use super::frame::checked_size;
use super::heatmap::{Scale, ValueRange};
use super::{Color, ColorMap};

/// The width of a plot in pixels.
const WIDTH: u32 = 320;

/// The height that all panels have together, if none gets lower or higher than the bounds.
const HEIGHT: u32 = 240;

/// The least and the greatest height of a panel in pixels.
const PANEL: (u32, u32) = (18, 96);

/// Plots are drawn this many times as large and then reduced, which makes lines smooth.
const FINER: u32 = 2;

/// The width of lines, in finer pixels.
const LINE: i64 = 3;

/// What stays free above and below a line, in finer pixels.
const MARGIN: i64 = 6;

const GROUND: Color = [255; 3];
const INK: Color = [24, 28, 34];
const BORDER: Color = [208, 213, 219];

/// A time series with several channels, to be drawn. Each channel has a scale of its own, from its smallest to its largest
/// value, since they may measure different things.
#[derive(Debug, Clone)]
pub struct SeriesPicture<'values> {
    values: &'values [f32],
    length: usize,
    relevance: Option<(&'values [f32], ColorMap)>,
    /// For each time, whether it is drawn in full, and how much of the ink the others have.
    shown: Option<(Vec<bool>, f32)>,
    time: Range<usize>,
}

impl<'values> SeriesPicture<'values> {
    /// The channels one after the other, each of `length` values.
    ///
    /// # Errors
    /// [`PictureErrorKind::Shape`] if there is none, or one of another length.
    pub fn new(values: &'values [f32], length: usize) -> Result<Self, PictureError> {
        if length == 0 || values.is_empty() || !values.len().is_multiple_of(length) {
            let kind = PictureErrorKind::Shape { values: values.len(), channels: 1, width: length, height: 1 };
            return Err(kind.into());
        }
        Ok(Self { values, length, relevance: None, shown: None, time: 0..length })
    }

    /// With the relevance of each value behind it; the scale is symmetric, and the same for all channels.
    #[must_use]
    pub fn colored(self, relevance: &'values [f32], color_map: &ColorMap) -> Self {
        Self { relevance: Some((relevance, color_map.clone())), ..self }
    }

    /// With a line of only `alpha` of its ink (`0..=1`) at times that are not `shown`.
    #[must_use]
    pub fn faint(self, shown: Vec<bool>, alpha: f32) -> Self {
        Self { shown: Some((shown, alpha)), ..self }
    }

    /// Only that time, which is cut to what there is.
    #[must_use]
    pub fn cut(self, time: Range<usize>) -> Self {
        let end = time.end.min(self.length);
        Self { time: time.start.min(end.saturating_sub(1))..end, ..self }
    }

    /// Draws the plot.
    ///
    /// # Errors
    /// [`PictureErrorKind::TooLarge`], [`PictureErrorKind::Shape`] without any time or if there is not a relevance for each
    /// value.
    pub fn draw(&self) -> Result<RgbImage, PictureError> {
        let channels = self.values.len() / self.length;
        if let Some((relevance, _)) = &self.relevance
            && relevance.len() != self.values.len()
        {
            let (width, values) = (self.length, relevance.len());
            return Err(PictureErrorKind::Shape { values, channels, width, height: 1 }.into());
        }
        if self.time.is_empty() {
            return Err(PictureErrorKind::Empty.into());
        }
        let panel = (HEIGHT / channels.min(HEIGHT as usize) as u32).clamp(PANEL.0, PANEL.1);
        let (width, height) = checked_size(u64::from(WIDTH * FINER), channels as u64 * u64::from(panel * FINER))?;
        let mut image = RgbImage::from_pixel(width, height, Rgb(GROUND));
        for (channel, values) in self.values.chunks(self.length).enumerate() {
            let top = channel as u32 * panel * FINER;
            self.ground(&mut image, channel, top, panel * FINER);
            self.line(&mut image, values, top, panel * FINER);
            if channel > 0 {
                for (column, row) in (0..width).flat_map(|column| (0..FINER).map(move |row| (column, top + row))) {
                    image.put_pixel(column, row, Rgb(BORDER));
                }
            }
        }
        Ok(imageops::resize(&image, width / FINER, height / FINER, imageops::FilterType::Triangle))
    }

    /// The times whose values lie in a column of pixels: the nearest one, or all where there are several.
    fn times(&self, column: u32, width: u32) -> Range<usize> {
        let length = self.time.len() as u64;
        let at = |column: u32| (u64::from(column) * length / u64::from(width)) as usize;
        let first = at(column);
        self.time.start + first..self.time.start + at(column + 1).max(first + 1)
    }

    /// Colors a panel by relevance: each column by the largest in size of its times.
    fn ground(&self, image: &mut RgbImage, channel: usize, top: u32, height: u32) {
        let Some((relevance, color_map)) = &self.relevance else { return };
        let scale = Scale::over(relevance, ValueRange::Symmetric);
        let palette = color_map.palette(1.0);
        let width = image.width();
        for column in 0..width {
            let times = self.times(column, width).map(|time| relevance[channel * self.length + time]);
            let largest = times.fold(0.0_f32, |best, value| if value.abs() > best.abs() { value } else { best });
            let Some(index) = scale.byte(largest) else { continue };
            for row in top..top + height {
                image.put_pixel(column, row, Rgb(palette[usize::from(index)]));
            }
        }
    }

    /// Draws the line of a channel: in each column of pixels from its lowest to its highest value there.
    fn line(&self, image: &mut RgbImage, values: &[f32], top: u32, height: u32) {
        let scale = Scale::over(values, ValueRange::Extremes);
        let room = i64::from(height) - 2 * MARGIN;
        let row = |value: f32| {
            let byte = scale.fraction(value)?;
            Some(i64::from(top) + MARGIN + ((1.0 - byte) * room as f64).round() as i64)
        };
        let width = image.width();
        let mut before = None;
        // How much of each pixel of the panel is covered: ink on ink is no darker.
        let mut inks = vec![0.0_f32; (width * height) as usize];
        for column in 0..width {
            let times = self.times(column, width);
            // Between two times the line is straight; of several times in one column all are met.
            let heights = match self.time.len() <= width as usize {
                true => vec![self.between(values, column, width)],
                false => values[times.clone()].to_vec(),
            };
            let rows: Vec<i64> = heights.into_iter().filter_map(row).collect();
            let (Some(first), Some(last)) = (rows.iter().min().copied(), rows.iter().max().copied()) else {
                before = None;
                continue;
            };
            // The line goes on from where it was.
            let (low, high) = match before {
                Some((low, high)) => (first.min(high), last.max(low)),
                None => (first, last),
            };
            before = Some((first, last));
            let ink = match &self.shown {
                Some((shown, alpha)) if !times.clone().any(|time| shown.get(time) == Some(&true)) => *alpha,
                _ => 1.0,
            };
            let within = |length: u32, place: i64| u32::try_from(place).ok().filter(|place| *place < length);
            for place in low - LINE / 2..=high + LINE / 2 {
                let Some(row) = within(height, place - i64::from(top)) else { continue };
                // Steep lines are as wide as flat ones.
                for column in i64::from(column) - LINE / 2..=i64::from(column) + LINE / 2 {
                    if let Some(column) = within(width, column) {
                        let drawn = &mut inks[(row * width + column) as usize];
                        *drawn = drawn.max(ink);
                    }
                }
            }
        }
        for (index, ink) in (0..).zip(inks).filter(|(_, ink)| *ink > 0.0) {
            let pixel = image.get_pixel_mut(index % width, top + index / width);
            *pixel = Rgb(std::array::from_fn(|channel| {
                let below = f32::from(pixel.0[channel]);
                (below + (f32::from(INK[channel]) - below) * ink).round() as u8
            }));
        }
    }

    /// The value of the line in the middle of a column of pixels, which lies between two times.
    fn between(&self, values: &[f32], column: u32, width: u32) -> f32 {
        let last = (self.time.len() - 1) as f64;
        let place = ((f64::from(column) + 0.5) / f64::from(width) * self.time.len() as f64 - 0.5).clamp(0.0, last);
        let [low, high] = [place.floor(), place.ceil()].map(|index| values[self.time.start + index as usize]);
        low + (high - low) * (place - place.floor()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rise and a constant.
    fn series() -> [f32; 10] {
        [0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 7.0, 7.0, 7.0, 7.0]
    }

    /// The height of the darkest pixel of a column within a panel.
    fn line_at(image: &RgbImage, column: u32, rows: Range<u32>) -> u32 {
        rows.min_by_key(|row| image.get_pixel(column, *row).0.map(u32::from).iter().sum::<u32>()).unwrap()
    }

    #[test]
    fn each_channel_has_a_line_on_a_scale_of_its_own() {
        let values = series();
        let image = SeriesPicture::new(&values, 5).unwrap().draw().unwrap();
        assert_eq!(image.dimensions(), (WIDTH, 2 * PANEL.1));
        let rise: Vec<u32> = [10, 160, 310].map(|column| line_at(&image, column, 0..PANEL.1)).into();
        assert!(rise[0] > rise[1] + 30 && rise[1] > rise[2] + 30, "{rise:?}");
        let middle = PANEL.1 + PANEL.1 / 2;
        let flat = [10, 160, 310].map(|column| line_at(&image, column, PANEL.1 + 4..2 * PANEL.1));
        assert!(flat.iter().all(|row| row.abs_diff(middle) <= 2), "{flat:?}");
    }

    #[test]
    fn relevance_colors_the_ground_and_cuts_leave_the_rest_out() {
        let (values, mut relevance) = (series(), [0.0; 10]);
        (relevance[2], relevance[9]) = (1.0, -1.0);
        let plot = SeriesPicture::new(&values, 5).unwrap().colored(&relevance, &ColorMap::default());
        let image = plot.draw().unwrap();
        // In the corners of panels there is no line.
        let ground = |image: &RgbImage, column: u32, row: u32| image.get_pixel(column, row).0;
        let white = ColorMap::default().palette(1.0)[127];
        assert_eq!([20, 160].map(|column| ground(&image, column, 1)), [white, [255, 0, 0]]);
        assert_eq!([20, 310].map(|column| ground(&image, column, PANEL.1 + 4)), [white, [0, 0, 255]]);
        let cut = plot.cut(2..3).draw().unwrap();
        assert!([5, 160, 315].iter().all(|column| ground(&cut, *column, 1) == [255, 0, 0]));
    }

    #[test]
    fn what_is_not_shown_is_faint() {
        let values = series();
        let plot = SeriesPicture::new(&values, 5).unwrap();
        let image = plot.faint(vec![true, true, false, false, false], 0.2).draw().unwrap();
        let darkest = |column| (PANEL.1 + 4..2 * PANEL.1).map(|row| image.get_pixel(column, row).0[0]).min().unwrap();
        assert!(darkest(10) < 80 && darkest(300) > 180, "{} {}", darkest(10), darkest(300));
    }

    #[test]
    fn long_series_and_odd_values_are_drawn() {
        let mut values: Vec<f32> = (0..50_000).map(|time| (time as f32 / 900.0).sin()).collect();
        (values[7], values[40_000]) = (f32::NAN, f32::INFINITY);
        assert!(SeriesPicture::new(&values, 50_000).unwrap().draw().is_ok());
        assert!(SeriesPicture::new(&[f32::NAN; 3], 3).unwrap().draw().is_ok());
        assert!(SeriesPicture::new(&[1.0], 1).unwrap().cut(5..9).draw().is_ok());
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        for (count, length) in [(0, 1), (5, 2), (5, 0)] {
            assert!(SeriesPicture::new(&vec![0.0; count], length).is_err(), "{count} {length}");
        }
        let plot = SeriesPicture::new(&[1.0, 2.0], 2).unwrap().colored(&[1.0], &ColorMap::default());
        assert!(matches!(plot.draw().unwrap_err().kind(), PictureErrorKind::Shape { .. }));
        let (tall, most) = (vec![0.0; 2_000], super::super::LONGEST_SIDE / PANEL.0);
        assert!(most < 2_000 && SeriesPicture::new(&tall, 1).unwrap().draw().is_err());
    }
}
