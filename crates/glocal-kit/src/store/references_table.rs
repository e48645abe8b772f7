//! `references.parquet`: the entries of all rankings.
//!
//! A row is an entry. Rows are ordered by layer (as in the manifest), concept, measure (relevance before activation),
//! class (none first, then ascending) and rank, and a row group never spans two layers.

mod read;

use std::borrow::Cow;
use std::error::Error;
use std::iter::repeat_n;

use glocal::search::{Entry, LayerReferences, Measure, TopK};
use parquet::data_type::ByteArray;
use parquet::errors::Result;

pub(super) use read::Rankings;

use super::columns::{Column, Format, GROUP_ROWS, Packing, TableWriter, Values, cause};
use super::file::Output;
use super::{LayerManifest, StoreError};

/// The table's name and columns. `class` is null in the rankings over all targets.
pub(super) const FORMAT: Format = Format {
    file: "references.parquet",
    schema: "message references {
        required binary layer (STRING);
        required int32 concept (INTEGER(32, false));
        required binary measure (STRING);
        optional int32 class (INTEGER(32, false));
        required int32 rank (INTEGER(32, false));
        required int64 sample;
        required int32 target (INTEGER(32, false));
        required float score;
        required float other;
        required int32 peak (INTEGER(32, false));
    }",
    packing: &[
        ("concept", Packing::Delta),
        ("class", Packing::Delta),
        ("rank", Packing::Delta),
        ("sample", Packing::Delta),
        ("target", Packing::Delta),
        ("peak", Packing::Delta),
        ("score", Packing::Split),
        ("other", Packing::Split),
    ],
};

/// What a ranking is of: layer (as an index), concept, measure and class. Rankings are ordered by it.
pub(super) type Key = (usize, usize, Measure, Option<u32>);

/// A ranking, and what it is of.
pub(super) struct Ranked<'a> {
    pub(super) key: Key,
    pub(super) ranking: Cow<'a, TopK>,
}

/// Rows that are not written yet.
#[derive(Default)]
struct Group {
    concept: Vec<i32>,
    measure: Vec<(ByteArray, usize)>,
    class: Vec<i32>,
    has_class: Vec<i16>,
    rank: Vec<i32>,
    sample: Vec<i64>,
    target: Vec<i32>,
    score: Vec<f32>,
    other: Vec<f32>,
    peak: Vec<i32>,
}

/// All rankings of `layers` that have entries, in their order.
pub(super) fn rankings(layers: &[LayerReferences]) -> impl Iterator<Item = Ranked<'_>> {
    let concepts = layers
        .iter()
        .enumerate()
        .flat_map(|(index, layer)| layer.concepts.iter().enumerate().map(move |(id, concept)| (index, id, concept)));
    let rankings = concepts.flat_map(|(layer, id, concept)| {
        let measures = [
            (Measure::Relevance, &concept.relevance, &concept.relevance_by_class),
            (Measure::Activation, &concept.activation, &concept.activation_by_class),
        ];
        measures.into_iter().flat_map(move |(measure, all, by_class)| {
            let classes = by_class.iter().map(|(class, ranking)| (Some(class), ranking));
            let rankings = std::iter::once((None, all)).chain(classes);
            rankings.map(move |(class, ranking)| ((layer, id, measure, class), ranking))
        })
    });
    let ranked = rankings.map(|(key, ranking)| Ranked { key, ranking: Cow::Borrowed(ranking) });
    ranked.filter(|ranked| !ranked.ranking.entries().is_empty())
}

/// Writes the table of `rankings`, which come in their order; returns the number of rows.
pub(super) fn write<'a>(
    layers: &[LayerManifest],
    rankings: impl Iterator<Item = std::result::Result<Ranked<'a>, StoreError>>,
    output: &mut Output,
) -> std::result::Result<u64, Box<dyn Error + Send + Sync>> {
    let mut writer = TableWriter::new(output, &FORMAT).map_err(cause)?;
    let names: Vec<ByteArray> = layers.iter().map(|layer| ByteArray::from(layer.name.as_str())).collect();
    let measures = [Measure::Relevance, Measure::Activation].map(|measure| ByteArray::from(measure_name(measure)));
    let (mut group, mut of) = (Group::default(), 0);
    for ranked in rankings {
        let Ranked { key: (layer, concept, measure, class), ranking } = ranked?;
        if layer != of {
            std::mem::take(&mut group).write(&names[of], &mut writer).map_err(cause)?;
            of = layer;
        }
        let measure = &measures[usize::from(measure == Measure::Activation)];
        let mut first = 0;
        while let Some(left) = ranking.entries().get(first..).filter(|left| !left.is_empty()) {
            let fitting = left.len().min(GROUP_ROWS - group.rank.len());
            group.extend(concept, measure, class, first, &left[..fitting]);
            first += fitting;
            if group.rank.len() == GROUP_ROWS {
                std::mem::take(&mut group).write(&names[of], &mut writer).map_err(cause)?;
            }
        }
    }
    if let Some(name) = names.get(of) {
        group.write(name, &mut writer).map_err(cause)?;
    }
    writer.finish().map_err(cause)
}

impl Group {
    /// Takes entries of a ranking from rank `first` on. Unsigned numbers are stored by their bits, which is how Parquet keeps them.
    fn extend(&mut self, concept: usize, measure: &ByteArray, class: Option<u32>, first: usize, entries: &[Entry]) {
        let rows = entries.len();
        self.concept.extend(repeat_n(concept as u32 as i32, rows));
        match self.measure.last_mut() {
            Some((last, run)) if last == measure => *run += rows,
            _ => self.measure.push((measure.clone(), rows)),
        }
        self.class.extend(class.into_iter().flat_map(|class| repeat_n(class as i32, rows)));
        self.has_class.extend(repeat_n(i16::from(class.is_some()), rows));
        self.rank.extend((first..first + rows).map(|rank| rank as u32 as i32));
        self.sample.extend(entries.iter().map(|entry| entry.sample.0 as i64));
        self.target.extend(entries.iter().map(|entry| entry.target as i32));
        self.score.extend(entries.iter().map(|entry| entry.score));
        self.other.extend(entries.iter().map(|entry| entry.other));
        self.peak.extend(entries.iter().map(|entry| entry.peak as i32));
    }

    fn write(self, layer: &ByteArray, writer: &mut TableWriter<&mut Output>) -> Result<()> {
        let rows = self.rank.len();
        let class = Column { values: Values::Int32(self.class), present: Some(self.has_class), repeated: None };
        let columns = [
            Values::Runs(vec![(layer.clone(), rows)]).into(),
            Values::Int32(self.concept).into(),
            Values::Runs(self.measure).into(),
            class,
            Values::Int32(self.rank).into(),
            Values::Int64(self.sample).into(),
            Values::Int32(self.target).into(),
            Values::Float(self.score).into(),
            Values::Float(self.other).into(),
            Values::Int32(self.peak).into(),
        ];
        writer.group(rows, columns)
    }
}

fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Relevance => "relevance",
        Measure::Activation => "activation",
    }
}
