//! `glocal classes`: the classes that a concept matters most for.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glocal::search::{Entry, Measure};
use glocal_kit::explain::caption_number;
use glocal_kit::picture::{Block, ContactSheet, encode_png};
use glocal_kit::store::{ClassScore, Store};
use serde_json::json;

use crate::caching::CacheArguments;
use crate::commands::references::{measure_name, parse_range, short};
use crate::failure::Failure;
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored, StoredClasses, StoredSources, class_name};
use crate::table::{Align, table};
use crate::viewing::{Shown, ViewArguments, Viewing, prepare, rows};

/// List the classes for which a concept is most relevant or most active
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal classes store --layer features.40 --concept 17
  glocal classes store --layer features.40 --concept 17 --view image,masked -o channel-17-classes.png

Classes are ordered by the mean score of their best samples. With -o, those samples are drawn, a row for each class.")]
pub struct Classes {
    /// The store, as `glocal analyze` wrote it
    store: PathBuf,
    /// The layer, by the name that it was analyzed under
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// The concept: the channel's index, from 0
    #[arg(long, value_name = "ID")]
    concept: usize,
    /// What ranks the classes
    #[arg(long, value_enum, default_value_t = ByOne::Relevance)]
    by: ByOne,
    /// How many classes are listed
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN.saturating_add(4))]
    top: NonZeroUsize,
    /// How many samples of each class, the best, are averaged
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN.saturating_add(9))]
    mean: NonZeroUsize,
    /// Write a picture of the best samples of each class
    #[arg(short = 'o', long = "out", value_name = "FILE.png")]
    picture: Option<PathBuf>,
    /// The ranks of the samples that are drawn of each class, from 0, the last one excluded
    #[arg(long, value_name = "FROM..TO", default_value = "0..8", value_parser = parse_range, requires = "picture")]
    ranks: Range<usize>,
    #[command(flatten)]
    view: ViewArguments,
    #[command(flatten)]
    classes: StoredClasses,
    #[command(flatten)]
    sources: StoredSources,
    #[command(flatten)]
    cache: CacheArguments,
}

/// What ranks classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ByOne {
    /// Relevance
    Relevance,
    /// Activation
    Activation,
}

impl From<ByOne> for Measure {
    fn from(by: ByOne) -> Self {
        match by {
            ByOne::Relevance => Self::Relevance,
            ByOne::Activation => Self::Activation,
        }
    }
}

impl Classes {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let viewing = Viewing::new(&self.view)?;
        let store = Store::open(&self.store)?;
        let names = self.classes.read(&store)?;
        let names = names.as_deref();
        let measure = Measure::from(self.by);
        let scores = store.classes(&self.layer, self.concept, measure, self.top.get(), self.mean.get())?;
        if let Some(path) = &self.picture {
            let output = prepare(path)?;
            let sheet = self.sheet(&viewing, store, &scores, names, session)?;
            output.write(&encode_png(&sheet.draw()?)?)?;
        }
        let text = || {
            let row = |score: &ClassScore| {
                let class = class_name(names, score.class as usize);
                [score.class.to_string(), class, short(score.mean as f32), score.entries.to_string()]
            };
            let rows: Vec<[String; 4]> = scores.iter().map(row).collect();
            let header =
                [("class", Align::Right), ("name", Align::Left), ("mean", Align::Right), ("samples", Align::Right)];
            let title = format!("{}, channel {}, by {}\n", self.layer, self.concept, measure_name(measure));
            let picture = self.picture.as_ref().map(|path| format!("\npicture: {}", path.display()));
            title + &table(header, &rows) + &picture.unwrap_or_default()
        };
        let document = || {
            let scores = scores.iter().map(|score| {
                json!({
                    "class": score.class,
                    "name": names.and_then(|names| names.get(score.class as usize)),
                    "mean": score.mean,
                    "samples": score.entries,
                })
            });
            let mut document = json!({
                "layer": self.layer,
                "concept": self.concept,
                "by": measure_name(measure),
                "classes": scores.collect::<Vec<_>>(),
            });
            if let Some(path) = &self.picture {
                document["picture"] = json!(path.to_string_lossy());
            }
            document
        };
        session.print(text, document)
    }

    /// The best samples of each class.
    fn sheet(
        &self,
        viewing: &Viewing,
        store: Store,
        scores: &[ClassScore],
        names: Option<&[String]>,
        session: &Session,
    ) -> Result<ContactSheet, Failure> {
        let measure = Measure::from(self.by);
        let of_class = |score: &ClassScore| {
            store.references(&self.layer, self.concept, measure, Some(score.class), self.ranks.clone())
        };
        let entries = scores.iter().map(of_class).collect::<Result<Vec<Vec<Entry>>, _>>()?;
        if entries.iter().all(Vec::is_empty) {
            return Err(StoreMisuse::NothingToDraw.into());
        }
        let stored: Stored = self.sources.open(store, self.cache.open()?)?;
        let shown = entries.iter().flatten().map(|entry| Shown { entry, measure, concept: self.concept });
        let shown: Vec<Shown<'_>> = shown.collect();
        let mut cells = viewing.cells(&stored, &self.layer, &shown, names, &session.cancel)?.into_iter();
        let columns = viewing.columns(&stored, false);
        let mut blocks = Vec::with_capacity(scores.len());
        for (score, entries) in scores.iter().zip(&entries) {
            let name = class_name(names, score.class as usize);
            let counted =
                if score.entries == 1 { "its only sample".to_owned() } else { format!("its best {}", score.entries) };
            let title = format!(
                "{name}: {} {} on average over {counted}",
                measure_name(measure),
                caption_number(score.mean as f32)
            );
            let rows = rows("", cells.by_ref().take(entries.len()).collect(), columns, &viewing.titles());
            blocks.push(Block { title, rows, ..Block::default() });
        }
        let title = format!("{}, channel {}: classes by {}", self.layer, self.concept, measure_name(measure));
        self.cache.warn(&stored);
        Ok(viewing.finish(ContactSheet { title, blocks, ..ContactSheet::default() }, &stored, &[measure]))
    }
}
