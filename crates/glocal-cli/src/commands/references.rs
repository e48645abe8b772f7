//! `glocal references`: the samples that stand for concepts, as a list or as a picture.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glocal::search::{Entry, Measure};
use glocal_kit::picture::{Arrangement, Block, ContactSheet, encode_png};
use glocal_kit::store::{Store, StoredSample};
use serde_json::{Value, json};

use crate::caching::CacheArguments;
use crate::failure::Failure;
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored, StoredClasses, StoredSources, class_name, parse_class};
use crate::table::{Align, table};
use crate::viewing::{Shown, ViewArguments, Viewing, prepare, rows};

/// Show the reference samples of concepts: those that they are most relevant for or most active in
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal references store --layer features.40 --concept 17 --by both -o channel-17.png
  glocal references store --layer features.40 --concept 3,17,20 --view overlay,peak -o channels.png

Without -o, the samples are listed with their scores. With it, they are drawn as --view says: images as they are, time
series [C, length] as a plot for each channel, volumes [C, depth, height, width] as the slice with the most relevance.

The views of a concept's peak (crop, peak) follow the relevance of the concept's strongest neuron alone, and are cut to the
part of the sample that has any: the neuron's receptive field. Where that is the whole sample there is nothing to cut.

What was computed once is kept in a cache and found again: see --cache.")]
pub struct References {
    /// The store, as `glocal analyze` wrote it
    store: PathBuf,
    /// The layer, by the name that it was analyzed under
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// The concepts: the channels' indices, from 0; several as in 3,17,20
    #[arg(long, value_name = "ID", required = true, value_delimiter = ',')]
    concept: Vec<usize>,
    /// What ranks the samples
    #[arg(long, value_enum, default_value_t = By::Both)]
    by: By,
    /// Only samples of this class: its index or its name [default: all samples]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The ranks, from 0, the last one excluded
    #[arg(long, value_name = "FROM..TO", default_value = "0..8", value_parser = parse_range)]
    ranks: Range<usize>,
    /// Write a picture of the samples
    #[arg(short = 'o', long = "out", value_name = "FILE.png")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    view: ViewArguments,
    #[command(flatten)]
    classes: StoredClasses,
    #[command(flatten)]
    sources: StoredSources,
    #[command(flatten)]
    cache: CacheArguments,
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

/// The name of a ranking.
pub fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Relevance => "relevance",
        Measure::Activation => "activation",
    }
}

/// Reads a range, as of ranks: `0..8`.
pub fn parse_range(text: &str) -> Result<Range<usize>, &'static str> {
    let expected = "expected FROM..TO with FROM less than TO, as in 0..8";
    let (from, to) = text.split_once("..").ok_or(expected)?;
    let (from, to) = (from.trim().parse().map_err(|_| expected)?, to.trim().parse().map_err(|_| expected)?);
    if from < to { Ok(from..to) } else { Err(expected) }
}

/// The rankings of a concept that are shown.
struct Concept {
    id: usize,
    rankings: Vec<Ranking>,
}

/// A ranking that is shown.
struct Ranking {
    measure: Measure,
    entries: Vec<Entry>,
}

impl References {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let viewing = Viewing::new(&self.view)?;
        let store = Store::open(&self.store)?;
        let names = self.classes.read(&store)?;
        let names = names.as_deref();
        let class = self.class.as_deref().map(|text| parse_class(text, names)).transpose()?;
        let mut concepts = Vec::with_capacity(self.concept.len());
        for &id in &self.concept {
            let ranking = |&measure: &Measure| {
                let entries = store.references(&self.layer, id, measure, class, self.ranks.clone())?;
                Ok(Ranking { measure, entries })
            };
            let rankings = self.by.measures().iter().map(ranking).collect::<Result<Vec<_>, Failure>>()?;
            concepts.push(Concept { id, rankings });
        }
        let samples = store.samples()?;
        if let Some(path) = &self.picture {
            let output = prepare(path)?;
            if concepts.iter().flat_map(|concept| &concept.rankings).all(|ranking| ranking.entries.is_empty()) {
                return Err(StoreMisuse::NothingToDraw.into());
            }
            let stored = self.sources.open(store, self.cache.open()?)?;
            let sheet = self.sheet(&viewing, &stored, &concepts, names, session)?;
            output.write(&encode_png(&sheet.draw()?)?)?;
            self.cache.warn(&stored);
        }
        session.print(|| self.text(&concepts, &samples, names), || self.document(&concepts, &samples, names))
    }

    fn sheet(
        &self,
        viewing: &Viewing,
        stored: &Stored,
        concepts: &[Concept],
        names: Option<&[String]>,
        session: &Session,
    ) -> Result<ContactSheet, Failure> {
        let mut shown = Vec::new();
        for concept in concepts {
            for Ranking { measure, entries } in &concept.rankings {
                shown.extend(entries.iter().map(|entry| Shown { entry, measure: *measure, concept: concept.id }));
            }
        }
        let mut cells = viewing.cells(stored, &self.layer, &shown, names, &session.cancel)?.into_iter();
        let alone = concepts.len() == 1;
        let columns = viewing.columns(stored, alone && self.by == By::Both);
        let mut blocks = Vec::new();
        for concept in concepts {
            let title = format!("channel {}", concept.id);
            if !alone {
                blocks.push(Block { title: title.clone(), ..Block::default() });
            }
            for Ranking { measure, entries } in &concept.rankings {
                let found = cells.by_ref().take(entries.len()).collect();
                if alone {
                    let title = match (self.by, measure) {
                        (By::Both, Measure::Relevance) => "Most useful for the prediction (RelMax)".to_owned(),
                        (By::Both, Measure::Activation) => "Strongest activation (ActMax)".to_owned(),
                        (_, measure) => format!("by {}", measure_name(*measure)),
                    };
                    blocks.push(Block { title, rows: rows("", found, columns, &viewing.titles()), ..Block::default() });
                } else if let Some(block) = blocks.last_mut() {
                    let name = match measure {
                        Measure::Relevance => "RelMax",
                        Measure::Activation => "ActMax",
                    };
                    block.rows.extend(rows(name, found, columns, &viewing.titles()));
                }
            }
        }
        let title = match concepts {
            [concept] => format!("{}, channel {}", self.layer, concept.id),
            _ => self.layer.clone(),
        };
        let beside = alone && self.by == By::Both;
        let arrangement = if beside { Arrangement::Beside } else { Arrangement::Below };
        let sheet = ContactSheet { title, blocks, arrangement, ..ContactSheet::default() };
        Ok(viewing.finish(sheet, stored, self.by.measures()))
    }

    fn text(&self, concepts: &[Concept], samples: &[StoredSample], names: Option<&[String]>) -> String {
        let mut text = String::new();
        for (id, Ranking { measure, entries }) in
            concepts.iter().flat_map(|concept| concept.rankings.iter().map(|ranking| (concept.id, ranking)))
        {
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
            text += &format!("{}, channel {id}, by {}\n", self.layer, measure_name(*measure));
            text += &if rows.is_empty() { "no samples\n".to_owned() } else { table(header, &rows) };
            // Such samples come by their numbers alone.
            if !rows.is_empty() && entries.iter().all(|entry| entry.score <= 0.0) {
                text += "none of these scores is positive: the samples do not stand for the concept\n";
            }
            text.push('\n');
        }
        if let Some(path) = &self.picture {
            text += &format!("picture: {}\n", path.display());
        }
        text.trim_end().to_owned()
    }

    /// One concept's document is its rankings; of several, `concepts` is a list of those.
    fn document(&self, concepts: &[Concept], samples: &[StoredSample], names: Option<&[String]>) -> Value {
        let of_concept = |concept: &Concept| {
            let mut document = json!({ "layer": self.layer, "concept": concept.id });
            for Ranking { measure, entries } in &concept.rankings {
                let entries = (self.ranks.start..).zip(entries);
                let entries = entries.map(|(rank, entry)| entry_document(rank, entry, *measure, samples, names));
                document[measure_name(*measure)] = entries.collect();
            }
            document
        };
        let mut document = match concepts {
            [concept] => of_concept(concept),
            _ => json!({ "layer": self.layer, "concepts": concepts.iter().map(of_concept).collect::<Vec<_>>() }),
        };
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
