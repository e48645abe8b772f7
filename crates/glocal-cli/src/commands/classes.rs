//! `glocal classes`: the classes that a concept matters most for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glocal::search::Measure;
use glocal_kit::store::{ClassScore, Store};
use serde_json::json;

use crate::commands::references::{measure_name, short};
use crate::failure::Failure;
use crate::session::Session;
use crate::stored::{StoredClasses, class_name};
use crate::table::{Align, table};

/// List the classes for which a concept is most relevant or most active
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glocal classes store --layer features.40 --concept 17

Classes are ordered by the mean score of their best samples.")]
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
    #[command(flatten)]
    classes: StoredClasses,
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
        let store = Store::open(&self.store)?;
        let names = self.classes.read(&store)?;
        let names = names.as_deref();
        let measure = Measure::from(self.by);
        let scores = store.classes(&self.layer, self.concept, measure, self.top.get(), self.mean.get())?;
        let text = || {
            let row = |score: &ClassScore| {
                let class = class_name(names, score.class as usize);
                [score.class.to_string(), class, short(score.mean as f32), score.entries.to_string()]
            };
            let rows: Vec<[String; 4]> = scores.iter().map(row).collect();
            let header =
                [("class", Align::Right), ("name", Align::Left), ("mean", Align::Right), ("samples", Align::Right)];
            let title = format!("{}, channel {}, by {}\n", self.layer, self.concept, measure_name(measure));
            title + &table(header, &rows)
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
            json!({
                "layer": self.layer,
                "concept": self.concept,
                "by": measure_name(measure),
                "classes": scores.collect::<Vec<_>>(),
            })
        };
        session.print(text, document)
    }
}
