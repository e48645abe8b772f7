//! Local analysis: which concepts live in which part of a picture, as one contact sheet.
//!
//! Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, "local analysis".

use image::RgbImage;

use super::error::PictureError;
use super::frame::fit;
use super::heatmap::prominent;
use super::outline::Outline;
use super::overlay::{OverlayStyle, overlay};
use super::sheet::{Block, Cell, ContactSheet, Row, SheetStyle};
use super::{ColorMap, Heatmap};
use crate::region::Region;

/// The longer side of a square sample's cells; cells of other forms have the same area, within bounds.
const CELL: f64 = 224.0;

/// The longest that a side of a cell gets.
const LONGEST: f64 = 448.0;

/// The width that rows of cells are filled to.
const WIDTH: u32 = 1200;

/// A third of the room that titles may take.
const TITLE: u32 = 380;

/// Room for the label of a cell.
const LABEL: u32 = 150;

/// The sample with its regions, the heatmap of the target, and for each region the conditional heatmaps of concepts.
#[derive(Debug, Clone)]
pub struct LocalPicture<'a> {
    /// Title above everything.
    pub title: String,
    /// What the model sees.
    pub sample: &'a RgbImage,
    /// Text below it; empty for none.
    pub sample_label: String,
    /// The relevance of each of its pixels.
    pub heatmap: &'a [f32],
    /// Text below the heatmap; empty for none.
    pub heatmap_label: String,
    /// The rows, one for each region; or one for the whole picture.
    pub rows: Vec<LocalRow<'a>>,
    /// Paragraphs at the bottom.
    pub notes: Vec<String>,
    /// Colors of the heatmaps.
    pub color_map: ColorMap,
}

/// A region and its concepts.
#[derive(Debug, Clone)]
pub struct LocalRow<'a> {
    /// Title above the row.
    pub title: String,
    /// The region with its label in the sample; `None` for the whole picture.
    pub region: Option<(&'a Region, String)>,
    /// The concepts, the most relevant first. Without any the row is left out; its region is drawn all the same.
    pub concepts: Vec<LocalConcept<'a>>,
}

/// A concept in a region.
#[derive(Debug, Clone)]
pub struct LocalConcept<'a> {
    /// Text below its heatmap.
    pub label: String,
    /// The relevance of each pixel that flows through the concept alone.
    pub heatmap: &'a [f32],
}

impl LocalRow<'_> {
    /// The scale of a row's colors, so that its concepts compare inside of the region: what is prominent there
    /// in the strongest of its heatmaps; but a quarter of what is in all of the picture at least, so that a region with next to nothing
    /// does not make everything else glare.
    fn scale(&self) -> f32 {
        let largest = |pixels: Option<&[bool]>| {
            let inside = |place: usize| pixels.is_none_or(|pixels| pixels.get(place) == Some(&true));
            let of = |concept: &LocalConcept<'_>| {
                let values = concept.heatmap.iter().enumerate().filter(|(place, _)| inside(*place));
                prominent(values.map(|(_, value)| *value))
            };
            self.concepts.iter().map(of).fold(0.0, f32::max)
        };
        match &self.region {
            Some((region, _)) => largest(Some(&region.pixels())).max(largest(None) / 4.0),
            None => largest(None),
        }
    }
}

impl LocalPicture<'_> {
    /// Draws the sheet. All overlays of a row share one scale, the target's heatmap has its own; beyond it colors are full.
    ///
    /// # Errors
    /// When a heatmap does not have a value for each pixel of the sample, or the sheet would be too large.
    pub fn draw(&self) -> Result<RgbImage, PictureError> {
        let (width, height) = self.sample.dimensions();
        let side =
            (CELL * (f64::from(width.max(height)) / f64::from(width.min(height).max(1))).sqrt()).min(LONGEST) as u32;
        let plain = fit(self.sample, side)?;
        let outlines: Vec<Option<Outline>> = (self.rows.iter().enumerate())
            .map(|(index, row)| row.region.as_ref().map(|(region, _)| Outline::new(region, plain.dimensions(), index)))
            .collect();

        let mut sample = plain.clone();
        let mut heatmap = self.overlaid(self.heatmap, None, side)?;
        for outline in outlines.iter().flatten() {
            outline.draw(&mut sample);
            outline.draw(&mut heatmap);
        }
        for (row, outline) in self.rows.iter().zip(&outlines) {
            if let (Some((_, label)), Some(outline)) = (&row.region, outline) {
                outline.label(&mut sample, label)?;
            }
        }
        let first = [(sample, &self.sample_label), (heatmap, &self.heatmap_label)];
        let first = first.map(|(image, label)| Cell::new(image, label.as_str()));
        let mut blocks = vec![Block { rows: vec![Row { cells: first.into(), ..Row::default() }], ..Block::default() }];

        let columns = (WIDTH / (plain.width().max(LABEL) + SheetStyle::default().gap)).max(1) as usize;
        for (index, (row, outline)) in self.rows.iter().zip(&outlines).enumerate() {
            if row.concepts.is_empty() {
                continue;
            }
            let largest = row.scale();
            let mut cells = Vec::with_capacity(row.concepts.len());
            for concept in &row.concepts {
                let mut image = self.overlaid(concept.heatmap, Some(largest), side)?;
                if let Some(outline) = outline {
                    outline.draw(&mut image);
                }
                cells.push(Cell::new(image, concept.label.as_str()));
            }
            // Lines of the same length, as far as they go.
            let columns = cells.len().div_ceil(cells.len().div_ceil(columns));
            let mark = outline.as_ref().map(|_| Outline::color(index));
            blocks.push(Block { mark, ..Block::wrapped(row.title.as_str(), cells, columns) });
        }
        let style = SheetStyle { cell: side, label_room: LABEL, title_room: TITLE, ..SheetStyle::default() };
        ContactSheet {
            title: self.title.clone(),
            blocks,
            notes: self.notes.clone(),
            legend: Some(self.color_map.clone()),
            style,
            ..ContactSheet::default()
        }
        .draw()
    }

    /// A heatmap over the sample, at the size of cells; without a scale on its own.
    fn overlaid(&self, heatmap: &[f32], largest: Option<f32>, side: u32) -> Result<RgbImage, PictureError> {
        let (width, height) = self.sample.dimensions();
        let heatmap = Heatmap::new(heatmap, width as usize, height as usize)?;
        let largest = Some(largest.unwrap_or_else(|| heatmap.prominent()));
        let style = OverlayStyle { color_map: self.color_map.clone(), largest, ..OverlayStyle::over(self.sample) };
        fit(&overlay(self.sample, &heatmap, &style)?, side)
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn row<'a>(region: Option<&'a Region>, heatmaps: &[&'a [f32]]) -> LocalRow<'a> {
        let concept = |heatmap: &&'a [f32]| LocalConcept { label: "channel 1000  +12.3 %".into(), heatmap };
        LocalRow {
            title: "I1".into(),
            region: region.map(|region| (region, "I1".into())),
            concepts: heatmaps.iter().map(concept).collect(),
        }
    }

    #[test]
    fn a_rows_scale_is_that_of_its_region() {
        let region = Region::rectangle((0, 0, 1, 1), 2, 1).unwrap();
        assert_eq!(row(Some(&region), &[&[-3.0, 9.0], &[1.0, 0.0]]).scale(), 3.0);
        assert_eq!(row(None, &[&[-2.0, 9.0], &[1.0, 0.0]]).scale(), 9.0);
        assert_eq!(row(Some(&region), &[&[0.0, 9.0]]).scale(), 2.25);
        assert_eq!(row(Some(&region), &[&[f32::NAN, f32::INFINITY]]).scale(), 0.0);
        assert_eq!(row(Some(&region), &[]).scale(), 0.0);
    }

    #[test]
    fn samples_of_any_form_give_sheets_of_like_size() {
        for (width, height) in [(28, 28), (1, 1), (224, 224), (640, 40), (30, 500), (1, 300)] {
            let sample = RgbImage::from_pixel(width, height, Rgb([90; 3]));
            let heatmap = vec![0.5; (width * height) as usize];
            let region = Region::rectangle((0, 0, width as usize, 1), width as usize, height as usize).unwrap();
            let picture = LocalPicture {
                title: "Concepts of features.40".into(),
                sample: &sample,
                sample_label: "cat".into(),
                heatmap: &heatmap,
                heatmap_label: "heatmap".into(),
                rows: vec![
                    row(Some(&region), &[heatmap.as_slice(); 6]),
                    row(None, &[heatmap.as_slice()]),
                    row(Some(&region), &[]),
                ],
                notes: vec!["a note that is long enough to be wrapped ".repeat(8)],
                color_map: ColorMap::default(),
            };
            let drawn = picture.draw().unwrap();
            assert!((330..=1250).contains(&drawn.width()), "{width}×{height}: {:?}", drawn.dimensions());
            assert!((300..=1900).contains(&drawn.height()), "{width}×{height}: {:?}", drawn.dimensions());
            assert!(LocalPicture { heatmap: &heatmap[1..], ..picture }.draw().is_err());
        }
    }
}
