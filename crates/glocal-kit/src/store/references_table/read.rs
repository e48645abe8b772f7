//! Reads `references.parquet`, a row group at a time, and believes nothing that is not in order.

use std::borrow::Cow;
use std::result::Result;

use glocal::search::{Entry, Measure, SampleId, TopK};
use parquet::data_type::ByteArray;

use super::{Key, Ranked};
use crate::store::columns::{Column, TableReader, Values};
use crate::store::{LayerManifest, StoreError};

const LAYER: usize = 0;
const CONCEPT: usize = 1;

/// Reads the rankings of a table, in their order, a row group at a time.
pub(in crate::store) struct Rankings<'a> {
    table: &'a TableReader,
    layers: &'a [LayerManifest],
    top_k: usize,
    /// The only layer and concept that are wanted; else all are.
    only: Option<(usize, Option<usize>)>,
    /// The next row group.
    group: usize,
    rows: Option<Rows>,
    row: usize,
    /// The ranking that is being read.
    current: Option<(Key, TopK)>,
}

impl<'a> Rankings<'a> {
    /// All rankings of a table of these layers.
    pub(in crate::store) fn new(table: &'a TableReader, layers: &'a [LayerManifest], top_k: usize) -> Self {
        Self { table, layers, top_k, only: None, group: 0, rows: None, row: 0, current: None }
    }

    /// Only those of a layer, or of one of its concepts.
    pub(in crate::store) fn only(self, layer: usize, concept: Option<usize>) -> Self {
        Self { only: Some((layer, concept)), ..self }
    }

    fn malformed(&self, expected: &'static str) -> StoreError {
        StoreError::malformed(self.table.path(), expected)
    }

    /// Whether a row group may hold what is wanted; in doubt, yes.
    fn wants(&self, group: usize) -> bool {
        self.only.is_none_or(|(layer, concept)| {
            self.layers.get(layer).is_some_and(|layer| self.table.may_hold_text(group, LAYER, &layer.name))
                && concept.is_none_or(|id| self.table.may_hold(group, CONCEPT, id as u32 as i32))
        })
    }

    /// Reads the next row group that is wanted; `None` at the end.
    fn next_group(&mut self) -> Result<Option<Rows>, StoreError> {
        while self.group < self.table.groups() {
            let group = self.group;
            self.group += 1;
            if self.wants(group) {
                let (rows, columns) = self.table.group(group)?;
                let rows = Rows::new(rows, columns);
                return rows.map(Some).ok_or_else(|| self.malformed("the columns of a table of references"));
            }
        }
        Ok(None)
    }

    /// The index of the layer of that name, which is `near` or comes after it.
    fn layer(&self, name: &[u8], near: usize) -> Option<usize> {
        let later = self.layers.iter().enumerate().skip(near);
        later.into_iter().find(|(_, layer)| layer.name.as_bytes() == name).map(|(index, _)| index)
    }

    fn advance(&mut self) -> Result<Option<(Key, TopK)>, StoreError> {
        loop {
            if self.rows.as_ref().is_none_or(|rows| self.row >= rows.len) {
                self.row = 0;
                self.rows = self.next_group()?;
            }
            let Some(rows) = &self.rows else { return Ok(self.current.take()) };
            let row = rows.get(self.row).ok_or_else(|| self.malformed("rows of references"))?;
            self.row += 1;
            let near = self.current.as_ref().map_or(0, |((layer, ..), _)| *layer);
            let layer = self.layer(row.layer, near).ok_or_else(|| self.malformed("rows in their order"))?;
            let (key, rank, entry) = ((layer, row.concept, row.measure, row.class), row.rank, row.entry);
            let wanted =
                |(layer, concept): (usize, Option<usize>)| layer == key.0 && concept.is_none_or(|id| id == key.1);
            if !self.only.is_none_or(wanted) {
                continue;
            }
            if row.concept >= self.layers[layer].concepts {
                return Err(self.malformed("no more concepts than the layer has"));
            }
            let mut ended = None;
            if self.current.as_ref().is_none_or(|(current, _)| *current != key) {
                if self.current.as_ref().is_some_and(|(current, _)| *current > key) {
                    return Err(self.malformed("rows in their order"));
                }
                ended = self.current.replace((key, TopK::new(self.top_k)));
            }
            let top_k = self.top_k;
            let taken = self.current.as_mut().is_some_and(|(_, ranking)| {
                let follows = ranking.entries().last().is_none_or(|before| before.order(&entry).is_lt());
                rank == ranking.entries().len() && rank < top_k && follows && ranking.insert(entry)
            });
            if !taken {
                return Err(self.malformed("rankings in their order"));
            }
            if ended.is_some() {
                return Ok(ended);
            }
        }
    }
}

impl<'a> Iterator for Rankings<'a> {
    type Item = Result<Ranked<'a>, StoreError>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(ranked) => ranked.map(|(key, ranking)| Ok(Ranked { key, ranking: Cow::Owned(ranking) })),
            Err(error) => {
                (self.group, self.rows, self.current) = (usize::MAX, None, None);
                Some(Err(error))
            }
        }
    }
}

/// A row of the table.
struct Row<'a> {
    layer: &'a [u8],
    concept: usize,
    measure: Measure,
    class: Option<u32>,
    rank: usize,
    entry: Entry,
}

/// The columns of a row group by name.
struct Rows {
    len: usize,
    layer: Vec<ByteArray>,
    concept: Vec<i32>,
    measure: Vec<ByteArray>,
    class: Vec<Option<u32>>,
    rank: Vec<i32>,
    sample: Vec<i64>,
    target: Vec<i32>,
    score: Vec<f32>,
    other: Vec<f32>,
    peak: Vec<i32>,
}

impl Rows {
    fn new(len: usize, columns: Vec<Column>) -> Option<Self> {
        let [layer, concept, measure, class, rank, sample, target, score, other, peak]: [Column; 10] =
            columns.try_into().ok()?;
        let (Values::Text(layer), Values::Int32(concept), Values::Text(measure), Values::Int32(classes)) =
            (layer.values, concept.values, measure.values, class.values)
        else {
            return None;
        };
        let (Values::Int32(rank), Values::Int64(sample), Values::Int32(target)) =
            (rank.values, sample.values, target.values)
        else {
            return None;
        };
        let (Values::Float(score), Values::Float(other), Values::Int32(peak)) =
            (score.values, other.values, peak.values)
        else {
            return None;
        };
        let mut classes = classes.into_iter();
        let present = class.present?;
        let class = present.iter().map(|present| match present {
            0 => Some(None),
            _ => classes.next().map(|class| Some(class as u32)),
        });
        let class = class.collect::<Option<_>>()?;
        Some(Self { len, layer, concept, measure, class, rank, sample, target, score, other, peak })
    }

    fn get(&self, row: usize) -> Option<Row<'_>> {
        let measure = match self.measure.get(row)?.data() {
            b"relevance" => Measure::Relevance,
            b"activation" => Measure::Activation,
            _ => return None,
        };
        let entry = Entry {
            sample: SampleId(u64::try_from(*self.sample.get(row)?).ok()?),
            target: *self.target.get(row)? as u32,
            score: *self.score.get(row)?,
            other: *self.other.get(row)?,
            peak: *self.peak.get(row)? as u32,
        };
        Some(Row {
            layer: self.layer.get(row)?.data(),
            concept: *self.concept.get(row)? as u32 as usize,
            measure,
            class: *self.class.get(row)?,
            rank: *self.rank.get(row)? as u32 as usize,
            entry,
        })
    }
}
