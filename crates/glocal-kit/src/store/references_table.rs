//! `references.parquet`: the entries of all rankings.
//!
//! A row is an entry. Rows are ordered by layer (as in the manifest), concept, measure (relevance before activation),
//! class (none first, then ascending) and rank, and a row group never spans two layers.

use glocal::search::{Entry, LayerReferences, Measure, SampleId, TopK};
use parquet::data_type::ByteArray;
use parquet::errors::Result;

use super::StoreError;
use super::columns::{Column, Format, GROUP_ROWS, TableReader, TableWriter, Values};
use super::file::Output;

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
    plain: &["score", "other"],
};

const LAYER: usize = 0;
const CONCEPT: usize = 1;

/// What an entry is ranked under: concept, measure and class.
type Key = (usize, Measure, Option<u32>);

/// Rows that are not written yet.
#[derive(Default)]
struct Group {
    concept: Vec<i32>,
    measure: Vec<ByteArray>,
    class: Vec<i32>,
    has_class: Vec<i16>,
    rank: Vec<i32>,
    sample: Vec<i64>,
    target: Vec<i32>,
    score: Vec<f32>,
    other: Vec<f32>,
    peak: Vec<i32>,
}

/// Writes the table of `layers`; returns the number of rows.
pub(super) fn write(layers: &[LayerReferences], output: &mut Output) -> Result<u64> {
    let mut writer = TableWriter::new(output, &FORMAT)?;
    for layer in layers {
        let name = ByteArray::from(layer.layer.as_str());
        let mut group = Group::default();
        for (id, concept) in layer.concepts.iter().enumerate() {
            for (measure, all, by_class) in [
                (Measure::Relevance, &concept.relevance, &concept.relevance_by_class),
                (Measure::Activation, &concept.activation, &concept.activation_by_class),
            ] {
                let measure = ByteArray::from(measure_name(measure));
                let classes = by_class.iter().map(|(class, ranking)| (Some(*class), ranking));
                for (class, ranking) in std::iter::once((None, all)).chain(classes) {
                    for (rank, entry) in ranking.entries().iter().enumerate() {
                        group.push(id, &measure, class, rank, entry);
                        if group.concept.len() == GROUP_ROWS {
                            std::mem::take(&mut group).write(&name, &mut writer)?;
                        }
                    }
                }
            }
        }
        group.write(&name, &mut writer)?;
    }
    writer.finish()
}

impl Group {
    /// Unsigned numbers are stored by their bits, which is how Parquet keeps them.
    fn push(&mut self, concept: usize, measure: &ByteArray, class: Option<u32>, rank: usize, entry: &Entry) {
        self.concept.push(concept as u32 as i32);
        self.measure.push(measure.clone());
        self.class.extend(class.map(|class| class as i32));
        self.has_class.push(class.is_some().into());
        self.rank.push(rank as u32 as i32);
        self.sample.push(entry.sample.0 as i64);
        self.target.push(entry.target as i32);
        self.score.push(entry.score);
        self.other.push(entry.other);
        self.peak.push(entry.peak as i32);
    }

    fn write(self, layer: &ByteArray, writer: &mut TableWriter<&mut Output>) -> Result<()> {
        let rows = self.concept.len();
        let class = Column { values: Values::Int32(self.class), present: Some(self.has_class), repeated: None };
        let columns = [
            Values::Text(vec![layer.clone(); rows]).into(),
            Values::Int32(self.concept).into(),
            Values::Text(self.measure).into(),
            class,
            Values::Int32(self.rank).into(),
            Values::Int64(self.sample).into(),
            Values::Int32(self.target).into(),
            Values::Float(self.score).into(),
            Values::Float(self.other).into(),
            Values::Int32(self.peak).into(),
        ];
        writer.group(rows, &columns)
    }
}

fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Relevance => "relevance",
        Measure::Activation => "activation",
    }
}

/// Reads the rankings of all concepts of a layer, or of one; `visit` gets the concept of each.
pub(super) fn read(
    table: &TableReader,
    layer: &str,
    only: Option<usize>,
    top_k: usize,
    mut visit: impl FnMut(usize, Measure, Option<u32>, TopK) -> std::result::Result<(), StoreError>,
) -> std::result::Result<(), StoreError> {
    let malformed = |expected| StoreError::malformed(table.path(), expected);
    let mut last: Option<Key> = None;
    let mut ranking = TopK::new(top_k);
    for group in 0..table.groups() {
        let concept = only.map(|id| id as u32 as i32);
        if !table.may_hold_text(group, LAYER, layer) || concept.is_some_and(|id| !table.may_hold(group, CONCEPT, id)) {
            continue;
        }
        let (rows, columns) = table.group(group)?;
        let rows = Rows::new(rows, columns).ok_or_else(|| malformed("the columns of a table of references"))?;
        for row in 0..rows.len {
            let (name, key, rank, entry) = rows.get(row).ok_or_else(|| malformed("rows of references"))?;
            if name != layer.as_bytes() || only.is_some_and(|id| id != key.0) {
                continue;
            }
            if last != Some(key) {
                if last.is_some_and(|last| last > key) {
                    return Err(malformed("rows in their order"));
                }
                if let Some((id, measure, class)) = last.replace(key) {
                    visit(id, measure, class, std::mem::replace(&mut ranking, TopK::new(top_k)))?;
                }
            }
            let follows = ranking.entries().last().is_none_or(|before| before.order(&entry).is_lt());
            if rank != ranking.entries().len() || rank >= top_k || !follows || !ranking.insert(entry) {
                return Err(malformed("rankings in their order"));
            }
        }
    }
    match last {
        Some((id, measure, class)) => visit(id, measure, class, ranking),
        None => Ok(()),
    }
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

    /// The layer, what the entry is ranked under, its rank, and the entry of a row.
    fn get(&self, row: usize) -> Option<(&[u8], Key, usize, Entry)> {
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
        let key = (*self.concept.get(row)? as u32 as usize, measure, *self.class.get(row)?);
        Some((self.layer.get(row)?.data(), key, *self.rank.get(row)? as u32 as usize, entry))
    }
}
