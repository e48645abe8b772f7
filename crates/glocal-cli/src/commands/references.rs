//! `glocal references`: the samples that stand for a concept, as a list or as a picture.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glocal::search::{Entry, Measure};
use glocal_kit::explain::{View, Wanted, caption_number};
use glocal_kit::picture::{Block, Cell, ColorMap, ContactSheet, SheetStyle, encode_png, reference_sheet};
use glocal_kit::store::{Store, StoredSample};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{OutputFile, has_extension};
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored, StoredClasses, class_name, parse_class};
use crate::table::{Align, table};

/// How many cells a row of the picture has, of one ranking and of each of two.
const COLUMNS: (usize, usize) = (8, 4);

/// The longest side, in pixels, of a sample in the picture: there is room for the name of a class below it.
const CELL: u32 = 128;

/// Show the reference samples of a concept: those that it is most relevant for or most active in
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glocal references store --layer features.40 --concept 17 --by both -o channel-17.png

Without -o, the samples are listed with their scores.")]
pub struct References {
    /// The store, as `glocal analyze` wrote it
    store: PathBuf,
    /// The layer, by the name that it was analyzed under
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// The concept: the channel's index, from 0
    #[arg(long, value_name = "ID")]
    concept: usize,
    /// What ranks the samples
    #[arg(long, value_enum, default_value_t = By::Both)]
    by: By,
    /// Only samples of this class: its index or its name [default: all samples]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The ranks, from 0, the last one excluded
    #[arg(long, value_name = "FROM..TO", default_value = "0..8", value_parser = parse_ranks)]
    ranks: Range<usize>,
    /// Write a picture of the samples
    #[arg(short = 'o', long = "out", value_name = "FILE.png")]
    picture: Option<PathBuf>,
    /// What the picture shows of each sample
    #[arg(long, value_enum, default_value_t = ViewArgument::Image, requires = "picture")]
    view: ViewArgument,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr", requires = "picture")]
    colormap: String,
    #[command(flatten)]
    classes: StoredClasses,
    /// The model, where it is no longer in its place
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The model's output that was analyzed, where it has several
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// The data set, where it is no longer in its place
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

/// What ranks samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Relevance (RelMax): what the concept was most useful for
    Relevance,
    /// Activation (ActMax): what the concept reacts to most strongly
    Activation,
    /// One beside the other
    Both,
}

impl By {
    /// The rankings, in the order in which they are shown.
    pub fn measures(self) -> &'static [Measure] {
        match self {
            Self::Relevance => &[Measure::Relevance],
            Self::Activation => &[Measure::Activation],
            Self::Both => &[Measure::Relevance, Measure::Activation],
        }
    }
}

/// What is shown of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ViewArgument {
    /// The sample
    Image,
    /// The relevance of each pixel that flows through the concept
    Heatmap,
    /// The sample, darkened where the concept is not
    Masked,
    /// The sample, cut to what the concept's strongest neuron sees
    Crop,
}

impl From<ViewArgument> for View {
    fn from(view: ViewArgument) -> Self {
        match view {
            ViewArgument::Image => Self::Image,
            ViewArgument::Heatmap => Self::Heatmap,
            ViewArgument::Masked => Self::Masked,
            ViewArgument::Crop => Self::Crop,
        }
    }
}

/// The name of a ranking.
pub fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Relevance => "relevance",
        Measure::Activation => "activation",
    }
}

fn parse_ranks(text: &str) -> Result<Range<usize>, &'static str> {
    let expected = "expected FROM..TO with FROM less than TO, as in 0..8";
    let (from, to) = text.split_once("..").ok_or(expected)?;
    let (from, to) = (from.trim().parse().map_err(|_| expected)?, to.trim().parse().map_err(|_| expected)?);
    if from < to { Ok(from..to) } else { Err(expected) }
}

/// A ranking that is shown.
struct Ranking {
    measure: Measure,
    entries: Vec<Entry>,
}

impl References {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let color_map: ColorMap = self.colormap.parse()?;
        let store = Store::open(&self.store)?;
        let names = self.classes.read(&store)?;
        let names = names.as_deref();
        let class = self.class.as_deref().map(|text| parse_class(text, names)).transpose()?;
        let ranking = |&measure: &Measure| {
            let entries = store.references(&self.layer, self.concept, measure, class, self.ranks.clone())?;
            Ok(Ranking { measure, entries })
        };
        let rankings = self.by.measures().iter().map(ranking).collect::<Result<Vec<_>, Failure>>()?;
        let samples = store.samples()?;
        if let Some(path) = &self.picture {
            if !has_extension(path, &["png"]) {
                return Err(StoreMisuse::NotPng { path: path.clone() }.into());
            }
            if rankings.iter().all(|ranking| ranking.entries.is_empty()) {
                return Err(StoreMisuse::NothingToDraw.into());
            }
            let output = OutputFile::prepare(path)?;
            let stored = Stored::open(store, self.model.as_deref(), self.data.as_deref(), self.output.clone())?;
            let sheet = self.sheet(&stored, &rankings, names, &color_map, session)?;
            output.write(&encode_png(&sheet.draw()?)?)?;
        }
        session.print(|| self.text(&rankings, &samples, names), || self.document(&rankings, &samples, names))
    }

    fn sheet(
        &self,
        stored: &Stored,
        rankings: &[Ranking],
        names: Option<&[String]>,
        color_map: &ColorMap,
        session: &Session,
    ) -> Result<ContactSheet, Failure> {
        let wanted: Vec<Wanted> = rankings
            .iter()
            .flat_map(|Ranking { measure, entries }| {
                entries.iter().map(|entry| match self.view {
                    ViewArgument::Crop => Wanted::peak(entry, *measure, &self.layer),
                    _ => Wanted::channel(entry, *measure, &self.layer, self.concept),
                })
            })
            .collect();
        let mut views = stored.explainer(&session.cancel).views(&wanted)?.into_iter();
        let mut cells = Vec::with_capacity(rankings.len());
        for ranking in rankings {
            let mut row = Vec::with_capacity(ranking.entries.len());
            for (entry, view) in ranking.entries.iter().zip(views.by_ref()) {
                let label = format!("{} {}", class_name(names, entry.target as usize), caption_number(entry.score));
                row.push(Cell::new(view.draw(self.view.into(), color_map)?, label));
            }
            cells.push(row);
        }
        let title = format!("{}, channel {}", self.layer, self.concept);
        let second = cells.pop().unwrap_or_default();
        let sheet = match (cells.pop(), rankings.last()) {
            (Some(first), _) => reference_sheet(title, first, second, COLUMNS.1),
            (None, ranking) => {
                let what = ranking.map_or("", |ranking| measure_name(ranking.measure));
                let block = Block::wrapped(format!("by {what}"), second, COLUMNS.0);
                ContactSheet { title, blocks: vec![block], ..ContactSheet::default() }
            }
        };
        Ok(ContactSheet { style: SheetStyle { cell: CELL, ..SheetStyle::default() }, ..sheet })
    }

    fn text(&self, rankings: &[Ranking], samples: &[StoredSample], names: Option<&[String]>) -> String {
        let mut text = String::new();
        for Ranking { measure, entries } in rankings {
            let other = match measure {
                Measure::Relevance => "activation",
                Measure::Activation => "relevance",
            };
            let header = [
                ("rank", Align::Right),
                ("sample", Align::Right),
                ("name", Align::Left),
                ("class", Align::Left),
                (measure_name(*measure), Align::Right),
                (other, Align::Right),
            ];
            let rows: Vec<[String; 6]> = (self.ranks.start..)
                .zip(entries)
                .map(|(rank, entry)| {
                    [
                        rank.to_string(),
                        entry.sample.0.to_string(),
                        key(samples, entry).to_owned(),
                        class_name(names, entry.target as usize),
                        short(entry.score),
                        short(entry.other),
                    ]
                })
                .collect();
            text += &format!("{}, channel {}, by {}\n", self.layer, self.concept, measure_name(*measure));
            text += &if rows.is_empty() { "no samples\n".to_owned() } else { table(header, &rows) };
            text.push('\n');
        }
        if let Some(path) = &self.picture {
            text += &format!("picture: {}\n", path.display());
        }
        text.trim_end().to_owned()
    }

    fn document(&self, rankings: &[Ranking], samples: &[StoredSample], names: Option<&[String]>) -> Value {
        let mut document = json!({ "layer": self.layer, "concept": self.concept });
        for Ranking { measure, entries } in rankings {
            let entries = (self.ranks.start..).zip(entries);
            let entries = entries.map(|(rank, entry)| entry_document(rank, entry, *measure, samples, names));
            document[measure_name(*measure)] = entries.collect();
        }
        if let Some(path) = &self.picture {
            document["picture"] = json!(path.to_string_lossy());
        }
        document
    }
}

/// An entry for machines.
fn entry_document(
    rank: usize,
    entry: &Entry,
    measure: Measure,
    samples: &[StoredSample],
    names: Option<&[String]>,
) -> Value {
    let (relevance, activation) = match measure {
        Measure::Relevance => (entry.score, entry.other),
        Measure::Activation => (entry.other, entry.score),
    };
    json!({
        "rank": rank,
        "sample": entry.sample.0,
        "key": key(samples, entry),
        "target": entry.target,
        "class": names.and_then(|names| names.get(entry.target as usize)),
        "relevance": relevance,
        "activation": activation,
        "peak": entry.peak,
    })
}

fn key<'a>(samples: &'a [StoredSample], entry: &Entry) -> &'a str {
    samples.get(entry.sample.0 as usize).map_or("", |sample| &sample.key)
}

/// A number with four significant digits.
pub fn short(value: f32) -> String {
    let magnitude = if value == 0.0 || !value.is_finite() { 0 } else { value.abs().log10().floor() as i32 };
    let digits = (3 - magnitude).clamp(0, 8) as usize;
    format!("{value:.digits$}")
}
