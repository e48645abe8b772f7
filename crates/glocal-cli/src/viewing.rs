//! What pictures of reference samples show, as it is chosen on the command line.

mod choice;

use std::path::Path;

use glocal::attribution::Cancel;
use glocal::search::{Entry, Measure, SampleId};
use glocal_kit::explain::{ConceptView, MaskStyle, ViewStyle, Wanted, caption_number};
use glocal_kit::picture::{Cell, ContactSheet, Row, SheetStyle};

pub use choice::{OriginArgument, ViewArgument, ViewArguments};

use crate::failure::Failure;
use crate::output::{OutputFile, has_extension};
use crate::stored::{StoreMisuse, Stored, class_name};

/// The longest side, in pixels, of a sample in the picture: there is room for the name of a class below it.
const CELL: u32 = 128;

/// The same of a volume's slice, whose label also says which one it is.
const SLICE: u32 = 168;

/// The same of plots.
const PLOT: u32 = 320;

/// A reference sample of a concept.
pub struct Shown<'a> {
    /// The sample.
    pub entry: &'a Entry,
    /// What ranks it.
    pub measure: Measure,
    /// The concept.
    pub concept: usize,
}

/// A choice of views.
pub struct Viewing {
    views: Vec<ViewArgument>,
    from: OriginArgument,
    style: ViewStyle,
}

impl Viewing {
    /// Reads the arguments.
    pub fn new(arguments: &ViewArguments) -> Result<Self, Failure> {
        let ViewArguments { view, from, colormap, blur, threshold, alpha } = arguments;
        let mask = MaskStyle { kernel_size: *blur, threshold: *threshold, alpha: *alpha };
        let mut views: Vec<ViewArgument> = Vec::with_capacity(view.len());
        // Seeing the same twice would help nobody.
        view.iter().for_each(|view| {
            if !views.contains(view) {
                views.push(*view)
            }
        });
        Ok(Self { views, from: *from, style: ViewStyle { color_map: colormap.parse()?, mask } })
    }

    /// What the rows of views are called; nothing where there is only one.
    pub fn titles(&self) -> Vec<&'static str> {
        if self.views.len() == 1 { vec![""] } else { self.views.iter().map(|view| view.name()).collect() }
    }

    /// The views of each sample, in the order of the choice, the last one with a label.
    pub fn cells(
        &self,
        stored: &Stored,
        layer: &str,
        shown: &[Shown<'_>],
        names: Option<&[String]>,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Cell>>, Failure> {
        let explainer = stored.explainer(cancel);
        let any = |of_peak: bool| {
            let kind = move |view: &ViewArgument| *view != ViewArgument::Image && view.view().is_of_peak() == of_peak;
            self.views.iter().any(kind)
        };
        // The concept's and the peak's.
        let mut found: [Vec<ConceptView>; 2] = [Vec::new(), Vec::new()];
        for (views, of_peak) in found.iter_mut().zip([false, true]) {
            if any(of_peak) {
                let wanted: Vec<Wanted> = shown.iter().map(|shown| self.from.wanted(shown, layer, of_peak)).collect();
                *views = explainer.views(&wanted)?;
            }
        }
        if found.iter().all(Vec::is_empty) {
            let samples: Vec<SampleId> = shown.iter().map(|shown| shown.entry.sample).collect();
            found[0] = explainer.samples(&samples)?;
        }
        let [of_concept, of_peak] = &found;
        let mut cells = Vec::with_capacity(shown.len());
        for (index, Shown { entry, .. }) in shown.iter().enumerate() {
            let mut views: Vec<Cell> = Vec::with_capacity(self.views.len());
            let mut seen = None;
            for choice in &self.views {
                let (first, second) =
                    if choice.view().is_of_peak() { (of_peak, of_concept) } else { (of_concept, of_peak) };
                let Some(view) = first.get(index).or_else(|| second.get(index)) else { continue };
                let mut cell = Cell::new(view.draw(choice.view(), &self.style)?, "");
                // Of the views of a volume, those that show another slice than the one above say so.
                if let Some(slice) = view.slice.filter(|_| view.slice != seen) {
                    cell.label = format!("slice {slice}");
                }
                seen = view.slice;
                views.push(cell);
            }
            if let Some(last) = views.last_mut() {
                let label = format!("{} {}", class_name(names, entry.target as usize), caption_number(entry.score));
                last.label = if last.label.is_empty() { label } else { format!("{label}, {}", last.label) };
            }
            cells.push(views);
        }
        Ok(cells)
    }

    /// How many samples stand beside each other, where there are two such blocks or one.
    pub fn columns(&self, stored: &Stored, two: bool) -> usize {
        let (alone, each) = Form::of(stored).columns();
        if two { each } else { alone }
    }

    /// The sheet with its sizes, and with words about what its views are.
    pub fn finish(&self, sheet: ContactSheet, stored: &Stored, measures: &[Measure]) -> ContactSheet {
        let cell = Form::of(stored).cell();
        let legend = self.views.iter().any(|view| view.is_colored()).then(|| self.style.color_map.clone());
        let mut notes = Vec::new();
        if self.views.iter().any(|view| *view != ViewArgument::Image) {
            const OF_CLASS: &str = "what the concept contributes to the class below the sample";
            const OF_CONCEPT: &str = "what makes the concept active";
            notes.push(match (self.from, measures) {
                (OriginArgument::Class, _) | (OriginArgument::Ranking, [Measure::Relevance]) => {
                    format!("Relevance is {OF_CLASS}.")
                }
                (OriginArgument::Concept, _) | (OriginArgument::Ranking, [Measure::Activation]) => {
                    format!("Relevance is {OF_CONCEPT}.")
                }
                (OriginArgument::Ranking, _) => {
                    format!("Relevance is, with RelMax, {OF_CLASS}; with ActMax, {OF_CONCEPT}.")
                }
            });
        }
        if self.views.iter().any(|view| view.view().is_of_peak()) {
            notes.push("Cuts show what the concept's strongest neuron sees.".to_owned());
        }
        ContactSheet { legend, notes, style: SheetStyle { cell, ..SheetStyle::default() }, ..sheet }
    }
}

/// What samples are drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Image,
    Plot,
    Slice,
}

impl Form {
    fn of(stored: &Stored) -> Self {
        match stored.store.manifest().model.input_shape.len() {
            2 => Self::Plot,
            4 => Self::Slice,
            _ => Self::Image,
        }
    }

    /// The longest side of a sample.
    fn cell(self) -> u32 {
        match self {
            Self::Image => CELL,
            Self::Plot => PLOT,
            Self::Slice => SLICE,
        }
    }

    /// How many samples a row has, and each of two rows beside each other.
    fn columns(self) -> (usize, usize) {
        match self {
            Self::Image => (8, 4),
            Self::Plot => (4, 2),
            Self::Slice => (6, 3),
        }
    }
}

/// Rows of `columns` samples under each other, each with a row for every view; `name` and the views' `titles` stand before
/// them.
pub fn rows(name: &str, samples: Vec<Vec<Cell>>, columns: usize, titles: &[&str]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, views) in samples.into_iter().enumerate() {
        if index % columns.max(1) == 0 {
            let title = |title: &&str| match (name, *title) {
                ("", title) => title.to_owned(),
                (name, "") => name.to_owned(),
                (name, title) => format!("{name}, {title}"),
            };
            let parted = |view: usize| index > 0 && view == 0 && titles.len() > 1;
            rows.extend(titles.iter().enumerate().map(|(view, text)| Row {
                title: title(text),
                parted: parted(view),
                ..Row::default()
            }));
        }
        let first = rows.len().saturating_sub(titles.len());
        for (row, cell) in rows.iter_mut().skip(first).zip(views) {
            row.cells.push(cell);
        }
    }
    rows
}

/// The file of a picture, which can be written.
pub fn prepare(path: &Path) -> Result<OutputFile, Failure> {
    if !has_extension(path, &["png"]) {
        return Err(StoreMisuse::NotPng { path: path.to_owned() }.into());
    }
    Ok(OutputFile::prepare(path)?)
}
