//! A condition whose text cannot be read.

use std::error::Error;
use std::fmt;

use glocal::error::LayerError;

/// The text of a condition could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError {
    text: String,
    kind: ConditionErrorKind,
}

/// The ways in which the text of a condition is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionErrorKind {
    /// There is no part at all.
    Empty,
    /// A part has no `=`.
    Part {
        /// The part.
        part: String,
    },
    /// What should be a number is none.
    Number {
        /// What it is.
        text: String,
    },
    /// The target is named twice.
    SeveralTargets,
    /// Channels and neurons of one layer are mixed.
    Mixed {
        /// The layer.
        layer: String,
    },
    /// There is no such neuron.
    Neuron {
        /// The layer.
        layer: String,
        /// The channel and the position.
        given: Vec<usize>,
        /// The layer's shape for one sample.
        shape: Vec<usize>,
    },
    /// A name is no layer of the model.
    Layer(LayerError),
}

impl ConditionError {
    pub(super) fn new(text: &str, kind: ConditionErrorKind) -> Self {
        Self { text: text.to_owned(), kind }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ConditionErrorKind {
        &self.kind
    }

    /// The condition's text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "condition {:?}: ", self.text)?;
        match &self.kind {
            ConditionErrorKind::Empty => write!(f, "names neither a target nor a layer"),
            ConditionErrorKind::Part { part } => write!(f, "{part:?} is no NAME=NUMBERS"),
            ConditionErrorKind::Number { text } => write!(f, "{text:?} is no number from 0 on"),
            ConditionErrorKind::SeveralTargets => write!(f, "names the target twice; give several as target=3,7"),
            ConditionErrorKind::Mixed { layer } => {
                write!(f, "mixes channels and neurons of layer {layer}; use one or the other")
            }
            ConditionErrorKind::Neuron { layer, given, shape } => {
                write!(f, "{layer} has shape {shape:?}, in which there is no neuron {given:?}")
            }
            ConditionErrorKind::Layer(cause) => cause.fmt(f),
        }
    }
}

impl Error for ConditionError {}
