//! What pictures of reference samples show, as it is chosen on the command line.

use std::path::Path;

use clap::{Args, ValueEnum};
use glocal::attribution::Cancel;
use glocal::search::{Entry, Measure, SampleId};
use glocal_kit::explain::{ConceptView, MaskStyle, Origin, View, ViewStyle, Wanted, caption_number};
use glocal_kit::picture::{Cell, ContactSheet, Row, SheetStyle};

use crate::failure::Failure;
use crate::output::{OutputFile, has_extension};
use crate::stored::{StoreMisuse, Stored, class_name};

/// The longest side, in pixels, of a sample in the picture: there is room for the name of a class below it.
const CELL: u32 = 128;

/// The same of a volume's slice, whose label also says which one it is.
const SLICE: u32 = 168;

/// The same of plots.
const PLOT: u32 = 320;

/// What a picture shows of each sample.
#[derive(Debug, Args)]
pub struct ViewArguments {
    /// What the picture shows of each sample; several, as in image,heatmap, come below each other
    #[arg(long, value_enum, value_name = "VIEW", value_delimiter = ',', default_value = "image", requires = "picture")]
    view: Vec<ViewArgument>,
    /// Where the relevance of heatmaps, masks and cuts comes from
    #[arg(long, value_enum, value_name = "ORIGIN", default_value_t = OriginArgument::Ranking, requires = "picture")]
    from: OriginArgument,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr", requires = "picture")]
    colormap: String,
    /// The side in pixels of the Gaussian blur that heatmaps get before samples are masked, odd [default: 19 for samples of 224
    /// pixels, in proportion for others]
    #[arg(long, value_name = "PIXELS", value_parser = parse_odd, requires = "picture")]
    blur: Option<usize>,
    /// The share of the blurred heatmap's maximum above which a masked sample is shown
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = parse_share, requires = "picture")]
    threshold: f32,
    /// What remains of the brightness of a masked sample elsewhere
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = parse_share, requires = "picture")]
    alpha: f32,
}

/// What is shown of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ViewArgument {
    /// The sample
    Image,
    /// The relevance of each pixel that flows through the concept
    Heatmap,
    /// That over the sample
    Overlay,
    /// The sample, darkened where the concept is not
    Masked,
    /// The sample, cut to what the concept's strongest neuron sees
    Crop,
    /// The heatmap of the concept's strongest neuron, cut to what it sees
    Peak,
}

impl ViewArgument {
    /// The view.
    pub fn view(self) -> View {
        match self {
            Self::Image => View::Image,
            Self::Heatmap => View::Heatmap,
            Self::Overlay => View::Overlay,
            Self::Masked => View::Masked,
            Self::Crop => View::Crop,
            Self::Peak => View::Peak,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Heatmap => "heatmap",
            Self::Overlay => "overlay",
            Self::Masked => "masked",
            Self::Crop => "crop",
            Self::Peak => "peak",
        }
    }

    fn is_colored(self) -> bool {
        matches!(self, Self::Heatmap | Self::Overlay | Self::Peak)
    }
}

/// Where relevance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OriginArgument {
    /// As the ranking suggests: of samples by relevance from their class, of samples by activation from the concept
    Ranking,
    /// From the concept's own activation: what makes it active
    Concept,
    /// From the class that the sample stands under, through the concept: what it is useful for
    Class,
}

impl OriginArgument {
    /// What is wanted of a reference sample: of the concept, or of the neuron where it peaks.
    pub fn wanted(self, shown: &Shown<'_>, layer: &str, of_peak: bool) -> Wanted {
        let wanted = match of_peak {
            true => Wanted::peak(shown.entry, shown.measure, layer),
            false => Wanted::channel(shown.entry, shown.measure, layer, shown.concept),
        };
        match self {
            Self::Ranking => wanted,
            Self::Concept => Wanted { origin: Origin::Activation, ..wanted },
            Self::Class => Wanted { origin: Origin::Class(shown.entry.target), ..wanted },
        }
    }
}

fn parse_odd(text: &str) -> Result<usize, &'static str> {
    let expected = "expected an odd number of pixels, as 1 or 19";
    text.parse().ok().filter(|side: &usize| side % 2 == 1).ok_or(expected)
}

fn parse_share(text: &str) -> Result<f32, &'static str> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or("expected a number from 0 to 1")
}

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
