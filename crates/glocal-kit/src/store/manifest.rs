//! The manifest: how a store was made, so that it is never continued, merged or read as something else.

use std::collections::BTreeMap;
use std::fmt;

use glocal::concept::{Normalization, Score, Scoring, Site};
use glocal::search::ScanOptions;
use serde::{Deserialize, Serialize};

use super::{Table, VectorFormat};

/// The version of the store's format that is written and read.
pub const FORMAT_VERSION: u64 = 2;

/// How a store was made. Equal scans write equal bytes: no dates, no paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format: [`FORMAT_VERSION`].
    pub format: u64,
    /// The version of Glocal.
    pub glocal: String,
    /// Whether the scan has ended.
    pub complete: bool,
    /// What has found the rankings.
    pub origin: Origin,
    /// The model.
    pub model: ModelManifest,
    /// The rules.
    pub composite: CompositeManifest,
    /// How images become inputs, as TOML.
    pub preprocess: String,
    /// The data set.
    pub data: DataManifest,
    /// What was scored and kept.
    pub options: OptionsManifest,
    /// The layers, in the order of the tables.
    pub layers: Vec<LayerManifest>,
    /// The samples that the store covers: ranges, each from the first to before the last, in order, that do not touch. The whole
    /// data set, or what some of its shards have of it.
    pub covered: Vec<[u64; 2]>,
    /// The number of samples that had a target; 0 until the scan has ended.
    pub scored: u64,
    /// The tables, by file name; none until the scan has ended.
    pub tables: BTreeMap<String, Table>,
}

/// What has found the rankings of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// A [scan](crate::scan).
    #[default]
    Scan,
    /// zennit-crp; the BLAKE3 hash of its files, in hexadecimal. There are no statistics, and rankings are all that is known.
    ZennitCrp(String),
}

/// The model that a store was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// The BLAKE3 hash of the ONNX file, in hexadecimal.
    pub blake3: String,
    /// Whether it was canonized.
    pub canonized: bool,
    /// The shape of one input sample.
    pub input_shape: Vec<usize>,
    /// The name of the node that is explained.
    pub explained: String,
}

/// The composite that a store was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompositeManifest {
    /// Its name.
    pub name: String,
    /// Its table, in full.
    pub rules: Vec<String>,
}

/// The data set that a store was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataManifest {
    /// Its fingerprint.
    pub fingerprint: String,
    /// What identifies the labels, where they are from a table of their own, or found by the names of outputs.
    pub labels: Option<String>,
    /// A line for people.
    pub description: String,
    /// The number of samples.
    pub samples: u64,
    /// The names of the classes, if they have any.
    pub classes: Option<Vec<String>>,
}

/// What was scored and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionsManifest {
    /// How many entries each ranking keeps.
    pub top_k: usize,
    /// How relevance was scored.
    pub relevance: ScoringManifest,
    /// How activation was scored.
    pub activation: ScoringManifest,
    /// The targets that were explained.
    pub targets: Targets,
    /// The format in which the relevance of all concepts is kept for every sample; `null`: it is not.
    pub vectors: Option<VectorFormat>,
}

/// How concepts were scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoringManifest {
    /// How the values of a concept became one number.
    pub score: ScoreName,
    /// What it was divided by.
    pub normalization: NormalizationName,
}

/// The name of a [`Score`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScoreName {
    /// [`Score::Sum`]
    Sum,
    /// [`Score::PositiveSum`]
    PositiveSum,
    /// [`Score::Max`]
    Max,
}

/// The name of a [`Normalization`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormalizationName {
    /// [`Normalization::Raw`]
    Raw,
    /// [`Normalization::Share`]
    Share,
}

/// The output index that is explained for each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Targets {
    /// The label of the sample, of which there must be exactly one.
    #[default]
    Label,
    /// The class that the model predicts.
    Predicted,
    /// Each label of the sample; a sample without labels is passed over.
    AllLabels,
    /// This class, for all samples.
    Class(u32),
}

/// A layer of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerManifest {
    /// Its name.
    pub name: String,
    /// The number of its concepts.
    pub concepts: usize,
    /// The shape of its output for one sample, in which peaks are elements in row-major order.
    pub shape: Vec<usize>,
    /// The axis of its channels.
    pub channel_axis: usize,
}

impl LayerManifest {
    /// The layer, without an activation.
    pub fn site(&self) -> Site<'_> {
        Site::new(&self.shape).with_channel_axis(self.channel_axis)
    }
}

/// Where the model and the data were found when the store was written last.
///
/// They may have moved since; [`Manifest`] has what identifies them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// The absolute path of the ONNX file.
    pub model: String,
    /// The absolute path of the data set.
    pub data: String,
    /// The composite as the user wrote it.
    pub composite: String,
}

/// Something in which a store differs from what it was expected to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub field: &'static str,
    /// What the store was made with.
    pub stored: String,
    /// What was given now.
    pub given: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: made with {}, now given {}", self.field, self.stored, self.given)
    }
}

impl Manifest {
    /// Whether the store covers all samples of the data set.
    pub fn covers_all(&self) -> bool {
        self.covered_samples() == self.data.samples
    }

    /// The number of samples that the store covers.
    pub fn covered_samples(&self) -> u64 {
        let sizes = self.covered.iter().map(|[first, end]| end.saturating_sub(*first));
        sizes.fold(0, u64::saturating_add)
    }

    /// Whether the ranges are of samples of the data set, in order, and do not touch.
    pub(super) fn has_ranges(&self) -> bool {
        let within = |[first, end]: &[u64; 2]| first < end && *end <= self.data.samples;
        self.covered.iter().all(within) && self.covered.windows(2).all(|pair| pair[0][1] < pair[1][0])
    }

    /// In what a store made as `given` says would differ from this one; descriptions for people do not count, nor does it
    /// which samples are covered.
    pub fn differences(&self, given: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut compare = |field, stored: String, given: String| {
            if stored != given {
                differences.push(Difference { field, stored, given });
            }
        };
        compare("origin", self.origin.to_string(), given.origin.to_string());
        let yes = |flag| if flag { "yes" } else { "no" }.to_owned();
        compare("version of Glocal", self.glocal.clone(), given.glocal.clone());
        compare("model (BLAKE3)", self.model.blake3.clone(), given.model.blake3.clone());
        compare("canonized", yes(self.model.canonized), yes(given.model.canonized));
        compare("input shape", format!("{:?}", self.model.input_shape), format!("{:?}", given.model.input_shape));
        compare("explained output", self.model.explained.clone(), given.model.explained.clone());
        compare("composite", self.composite.to_string(), given.composite.to_string());
        compare("preprocessing", one_line(&self.preprocess), one_line(&given.preprocess));
        compare("data set (fingerprint)", self.data.fingerprint.clone(), given.data.fingerprint.clone());
        compare("labels", labels(&self.data), labels(&given.data));
        compare("samples", self.data.samples.to_string(), given.data.samples.to_string());
        compare("top k", self.options.top_k.to_string(), given.options.top_k.to_string());
        compare("relevance score", self.options.relevance.to_string(), given.options.relevance.to_string());
        compare("activation score", self.options.activation.to_string(), given.options.activation.to_string());
        compare("targets", self.options.targets.to_string(), given.options.targets.to_string());
        compare("concept vectors", vectors(self.options.vectors), vectors(given.options.vectors));
        compare("layers", layers(&self.layers), layers(&given.layers));
        differences
    }
}

/// In what the class names of two stores differ. They are for people, and a store keeps those that it was first made with; stores that
/// become one must agree.
pub(super) fn class_names(stored: &Manifest, given: &Manifest) -> Option<Difference> {
    let differ = stored.data.classes != given.data.classes;
    let (stored, given) = (classes(&stored.data), classes(&given.data));
    differ.then_some(Difference { field: "class names", stored, given })
}

fn one_line(text: &str) -> String {
    text.trim().replace('\n', "; ")
}

/// All names, in few words.
fn classes(data: &DataManifest) -> String {
    match &data.classes {
        Some(names) if names.len() > 4 => {
            let hash = blake3::hash(names.join("\n").as_bytes()).to_hex();
            format!("{}, {}, ... ({} names, BLAKE3 {})", names[0], names[1], names.len(), &hash[..12])
        }
        Some(names) => names.join(", "),
        None => "none".to_owned(),
    }
}

fn labels(data: &DataManifest) -> String {
    data.labels.clone().unwrap_or_else(|| "none".to_owned())
}

fn vectors(format: Option<VectorFormat>) -> String {
    match format {
        None => "none",
        Some(VectorFormat::F16) => "f16",
        Some(VectorFormat::F32) => "f32",
    }
    .to_owned()
}

/// Ranges of samples as people read them, the last ones included: "0 to 9, 20 to 29".
pub(super) fn ranges(covered: &[[u64; 2]]) -> String {
    let ranges = covered.iter().map(|[first, end]| format!("{first} to {}", end.saturating_sub(1)));
    let text = ranges.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

fn layers(layers: &[LayerManifest]) -> String {
    let layers = layers.iter().map(|layer| format!("{} {:?} ({} concepts)", layer.name, layer.shape, layer.concepts));
    layers.collect::<Vec<_>>().join(", ")
}

impl OptionsManifest {
    pub(crate) fn new(options: &ScanOptions, targets: Targets, vectors: Option<VectorFormat>) -> Self {
        let &ScanOptions { top_k, relevance, activation } = options;
        Self { top_k, relevance: relevance.into(), activation: activation.into(), targets, vectors }
    }
}

impl From<Scoring> for ScoringManifest {
    fn from(scoring: Scoring) -> Self {
        let score = match scoring.score {
            Score::Sum => ScoreName::Sum,
            Score::PositiveSum => ScoreName::PositiveSum,
            Score::Max => ScoreName::Max,
        };
        let normalization = match scoring.normalization {
            Normalization::Raw => NormalizationName::Raw,
            Normalization::Share => NormalizationName::Share,
        };
        Self { score, normalization }
    }
}

impl From<ScoringManifest> for Scoring {
    fn from(manifest: ScoringManifest) -> Self {
        let score = match manifest.score {
            ScoreName::Sum => Score::Sum,
            ScoreName::PositiveSum => Score::PositiveSum,
            ScoreName::Max => Score::Max,
        };
        let normalization = match manifest.normalization {
            NormalizationName::Raw => Normalization::Raw,
            NormalizationName::Share => Normalization::Share,
        };
        Self { score, normalization }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scan => f.write_str("a scan"),
            Self::ZennitCrp(hash) => write!(f, "zennit-crp (BLAKE3 {hash})"),
        }
    }
}

impl fmt::Display for CompositeManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.name, self.rules.join("; "))
    }
}

impl fmt::Display for ScoringManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.score {
            ScoreName::Sum => "sum",
            ScoreName::PositiveSum => "positive sum",
            ScoreName::Max => "maximum",
        })?;
        f.write_str(match self.normalization {
            NormalizationName::Raw => ", raw",
            NormalizationName::Share => ", as a share",
        })
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label => f.write_str("label"),
            Self::Predicted => f.write_str("predicted"),
            Self::AllLabels => f.write_str("all-labels"),
            Self::Class(class) => class.fmt(f),
        }
    }
}
