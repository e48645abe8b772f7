//! A condition whose text cannot be read.

use std::error::Error;
use std::fmt;

use glocal::error::{LayerError, RequestError};

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
    /// There is no such position, or rectangle of positions.
    Position {
        /// The layer.
        layer: String,
        /// The text of the position, with its channel where there is one.
        given: String,
        /// The layer's shape for one sample.
        shape: Vec<usize>,
        /// Which of its axes holds the channels.
        axis: usize,
    },
    /// The text of heads has no number of heads, or zero.
    Heads {
        /// The layer.
        layer: String,
        /// The text.
        given: String,
    },
    /// The channels of a layer cannot be cut into heads.
    UnfitHeads {
        /// The layer.
        layer: String,
        /// What stands against it.
        reason: String,
    },
    /// There is no such head.
    NoHead {
        /// Its number.
        id: usize,
        /// The number of heads.
        heads: usize,
    },
    /// The text of directions does not say which of the file.
    NoDirections {
        /// The text.
        given: String,
    },
    /// A file of directions cannot be read.
    DirectionFile {
        /// What went wrong, with the file.
        message: String,
    },
    /// The vectors of a file are no directions.
    Vectors {
        /// The file.
        path: String,
        /// Why not.
        cause: Box<RequestError>,
    },
    /// The directions of a file are not of the space of a layer's channels.
    DirectionLength {
        /// The file.
        path: String,
        /// The length of its vectors.
        length: usize,
        /// The layer.
        layer: String,
        /// The number of its channels.
        channels: usize,
    },
    /// A file does not have so many directions.
    NoDirection {
        /// The file.
        path: String,
        /// How many it has.
        count: usize,
        /// The number given.
        id: usize,
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
            ConditionErrorKind::Position { layer, given, shape, axis } => {
                write!(f, "{layer} has shape {shape:?} with channels along axis {axis}, in which there is no {given}")
            }
            ConditionErrorKind::Heads { layer, given } => {
                write!(f, "{layer}=head:{given} does not say how many heads there are; expected head:NUMBERS/HEADS")
            }
            ConditionErrorKind::UnfitHeads { layer, reason } => write!(f, "layer {layer}: {reason}"),
            ConditionErrorKind::NoHead { id, heads } => {
                write!(f, "{heads} heads are numbered 0 to {}; {id} was given", heads.saturating_sub(1))
            }
            ConditionErrorKind::NoDirections { given } => {
                write!(f, "direction:{given} does not say which rows of the file; expected direction:FILE#NUMBERS")
            }
            ConditionErrorKind::DirectionFile { message } => f.write_str(message),
            ConditionErrorKind::Vectors { path, cause } => write!(f, "{path}: {cause}"),
            ConditionErrorKind::DirectionLength { path, length, layer, channels } => {
                write!(f, "{path} holds directions of length {length}, but layer {layer} has {channels} channels")
            }
            ConditionErrorKind::NoDirection { path, count, id } => {
                write!(f, "{path} has {count} directions, 0 to {}; {id} was given", count.saturating_sub(1))
            }
            ConditionErrorKind::Layer(cause) => cause.fmt(f),
        }
    }
}

impl Error for ConditionError {}
