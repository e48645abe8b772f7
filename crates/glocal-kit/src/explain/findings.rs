//! What was found about a sample: numbers only.

use glocal::conservation::Balance;
use glocal::search::Entry;

use super::{ConceptView, Sample};

/// Why a model predicts what it predicts for one sample.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The sample.
    pub sample: Sample,
    /// The score (logit) of each class.
    pub scores: Vec<f32>,
    /// The class with the largest score.
    pub predicted: usize,
    /// The class that is explained.
    pub target: usize,
    /// The relevance of each position of the sample, in rows from the top.
    pub heatmap: Vec<f32>,
    /// The layers, in the order that was asked for.
    pub layers: Vec<LayerFindings>,
    /// Where the target's relevance went.
    pub balance: Balance,
}

/// The most relevant concepts of a layer.
#[derive(Debug, Clone)]
pub struct LayerFindings {
    /// The layer.
    pub layer: String,
    /// The number of all its concepts.
    pub count: usize,
    /// The most relevant ones, the first the most.
    pub concepts: Vec<ConceptFindings>,
    /// All others together; `None` where there are none.
    pub rest: Option<RestFindings>,
}

/// The concepts of a layer beside the most relevant ones. With theirs, the sizes of its shares add up to 1, unless all
/// relevance in the layer is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct RestFindings {
    /// How many there are.
    pub count: usize,
    /// The sum of their positive shares.
    pub supporting: f64,
    /// The sum of their negative shares.
    pub opposing: f64,
    /// The relevance of each position of the sample that flows through them together.
    pub heatmap: Vec<f32>,
}

/// A concept, and what it stands for.
#[derive(Debug, Clone)]
pub struct ConceptFindings {
    /// Its channel.
    pub id: usize,
    /// Its relevance, signed, as a share of the sum of absolute relevances in the layer.
    pub share: f64,
    /// The relevance of each position of the sample that flows through this concept alone.
    pub heatmap: Vec<f32>,
    /// Where that relevance went on its way from the target.
    pub balance: Balance,
    /// The samples that it was most useful for.
    pub by_relevance: Vec<ReferenceFindings>,
    /// The samples that it is most active in.
    pub by_activation: Vec<ReferenceFindings>,
}

/// A reference sample.
#[derive(Debug, Clone)]
pub struct ReferenceFindings {
    /// The sample and its scores.
    pub entry: Entry,
    /// Where the concept is in it.
    pub view: ConceptView,
}
