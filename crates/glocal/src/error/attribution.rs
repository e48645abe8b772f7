//! A request or composite that makes no sense for the model.

use std::borrow::Cow;
use std::fmt;

use crate::error::{DirectionErrorKind, LayerError, RunError};

/// An attribution was asked for in a way that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    kind: RequestErrorKind,
}

/// The ways in which a request makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// A name is no layer of the model.
    Layer(LayerError),
    /// A node has neither a rule in the composite nor a default one.
    NoRule {
        /// The layer or node.
        node: String,
        /// Its kind.
        kind: &'static str,
    },
    /// The composite gives a node a rule that cannot be applied to it.
    WrongRule {
        /// The layer or node.
        node: String,
        /// The rule.
        rule: String,
        /// What the rule needs.
        needs: Cow<'static, str>,
    },
    /// A concept or target does not exist.
    Concept {
        /// The layer, or "the output".
        layer: String,
        /// The number that was given.
        id: usize,
        /// How many there are.
        count: usize,
        /// What is counted: channels, neurons.
        unit: &'static str,
    },
    /// A layer cannot be cut into concepts of a kind.
    UnfitConcept {
        /// The layer, or "the output".
        layer: String,
        /// What the concepts are called: heads, directions.
        unit: &'static str,
        /// What stands against it.
        reason: String,
    },
    /// Vectors cannot be directions.
    Directions(DirectionErrorKind),
    /// Concepts that depend on the activation were to be scored without it.
    NoActivation {
        /// What the concepts are called: directions.
        unit: &'static str,
    },
    /// A condition names a layer twice.
    RepeatedLayer {
        /// The layer.
        layer: String,
    },
    /// Under isolated scope, two layers of a condition do not lie on one path.
    NotOnOnePath {
        /// The upper layer.
        upper: String,
        /// The lower layer.
        lower: String,
    },
    /// Zipped samples and conditions differ in number.
    Unpaired {
        /// The number of samples.
        samples: usize,
        /// The number of conditions.
        conditions: usize,
    },
    /// The samples or targets of a batch are not as many as its inputs.
    Batch {
        /// What is counted: samples, lists of targets.
        what: &'static str,
        /// The number of inputs.
        inputs: usize,
        /// The number that was given.
        given: usize,
    },
    /// A region of interest does not have one weight for each position of the layer.
    Region {
        /// The number of positions.
        positions: usize,
        /// The number of weights.
        given: usize,
    },
    /// A layer lies above the one where relevance starts, or beside its way down.
    NotExplained {
        /// The layer.
        layer: String,
        /// Where relevance starts.
        start: String,
    },
    /// The predicted class was asked for, but relevance starts at another layer than the output.
    StartWithoutTarget {
        /// Where relevance starts.
        start: String,
    },
    /// The predicted class was asked for of an output that is no row of classes.
    NoPrediction {
        /// The shape of the output of one sample.
        shape: Vec<usize>,
    },
    /// The initial relevance does not have the shape of the layer where relevance starts.
    InitialShape {
        /// The shape of that layer for the batch.
        expected: Vec<usize>,
        /// The shape that was given.
        given: Vec<usize>,
    },
    /// The noise or the baseline of a method does not have the shape that it needs.
    PerturbationShape {
        /// Which of them.
        what: &'static str,
        /// The shape that it needs.
        expected: Vec<usize>,
        /// The shape that was given.
        given: Vec<usize>,
    },
    /// Occlusion was asked for something that only methods that send relevance down can give.
    NoRelevance {
        /// What was asked for.
        what: &'static str,
    },
    /// A conservation report was asked for of a method that is more than one way down.
    NotOneWayDown {
        /// The method.
        method: &'static str,
    },
    /// The windows of an occlusion cannot be laid over the samples.
    Window {
        /// What is needed.
        what: &'static str,
        /// The shape of a sample.
        shape: Vec<usize>,
    },
    /// A preset, rule, method or parameter name is not known.
    UnknownName {
        /// What the name stands for: composite, method, parameter.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The names that come nearest to it.
        nearest: Vec<String>,
    },
    /// A number is out of a parameter's domain.
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// A value in the text of a composite is none that its key can have.
    Entry {
        /// The key.
        name: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// The text of a composite is no TOML, or not of its form.
    Text {
        /// What the parser says, with the line.
        message: String,
    },
    /// Running failed.
    Run(RunError),
}

impl RequestError {
    /// What went wrong.
    pub fn kind(&self) -> &RequestErrorKind {
        &self.kind
    }
}

impl From<RequestErrorKind> for RequestError {
    fn from(kind: RequestErrorKind) -> Self {
        Self { kind }
    }
}

impl From<LayerError> for RequestError {
    fn from(cause: LayerError) -> Self {
        Self { kind: RequestErrorKind::Layer(cause) }
    }
}

impl From<RunError> for RequestError {
    fn from(cause: RunError) -> Self {
        Self { kind: RequestErrorKind::Run(cause) }
    }
}

impl From<glocal_compute::ComputeError> for RequestError {
    fn from(cause: glocal_compute::ComputeError) -> Self {
        RunError::from(cause).into()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RequestErrorKind::Layer(cause) => cause.fmt(f),
            RequestErrorKind::NoRule { node, kind } => {
                write!(f, "layer {node} ({kind}) has no rule in the composite and no default; name one for it")
            }
            RequestErrorKind::WrongRule { node, rule, needs } => {
                write!(f, "rule {rule} cannot be applied to layer {node}: it needs {needs}")
            }
            RequestErrorKind::Concept { layer, id, count, unit } => {
                write!(f, "{layer} has {count} {unit}, 0 to {}; {id} was given", count.saturating_sub(1))
            }
            RequestErrorKind::UnfitConcept { layer, unit, reason } => write!(f, "{layer} has no such {unit}: {reason}"),
            RequestErrorKind::Directions(cause) => {
                write!(f, "directions are finite vectors, not zero, as rows [K, C]: {cause}")
            }
            RequestErrorKind::NoActivation { unit } => {
                write!(f, "the relevance of {unit} depends on the layer's activation; give a site that has it")
            }
            RequestErrorKind::RepeatedLayer { layer } => write!(f, "a condition names layer {layer} twice"),
            RequestErrorKind::NotOnOnePath { upper, lower } => write!(
                f,
                "layers {upper} and {lower} do not lie on one path, so no relevance flows through both; \
                 use scope `whole` to mask parallel branches"
            ),
            RequestErrorKind::Unpaired { samples, conditions } => {
                write!(f, "{samples} samples and {conditions} conditions cannot be paired one to one")
            }
            RequestErrorKind::Batch { what, inputs, given } => {
                write!(f, "a batch of {inputs} inputs needs {inputs} {what}, {given} were given")
            }
            RequestErrorKind::Region { positions, given } => {
                write!(f, "a region needs one weight for each of the layer's {positions} positions, {given} were given")
            }
            RequestErrorKind::NotExplained { layer, start } => {
                write!(f, "no relevance reaches layer {layer}: it is not below {start}, where relevance starts")
            }
            RequestErrorKind::StartWithoutTarget { start } => {
                write!(f, "the predicted class is no target of layer {start}, where relevance starts; give a target")
            }
            RequestErrorKind::NoPrediction { shape } => {
                write!(f, "the output of a sample has shape {shape:?}, which names no predicted class; give a target")
            }
            RequestErrorKind::InitialShape { expected, given } => {
                write!(f, "the initial relevance must have shape {expected:?}, it has {given:?}")
            }
            RequestErrorKind::PerturbationShape { what, expected, given } => {
                write!(f, "the {what} must have shape {expected:?}, it has {given:?}")
            }
            RequestErrorKind::NoRelevance { what } => {
                write!(
                    f,
                    "occlusion scores the target by forward passes and sends no relevance down: it takes no {what}"
                )
            }
            RequestErrorKind::NotOneWayDown { method } => {
                write!(
                    f,
                    "a conservation report accounts for relevance on one way down, and {method} is more than that"
                )
            }
            RequestErrorKind::Window { what, shape } => write!(f, "samples of shape {shape:?} need {what}"),
            RequestErrorKind::UnknownName { what, name, nearest } => {
                write!(f, "no {what} is called {name:?}")?;
                if nearest.is_empty() { Ok(()) } else { write!(f, "; the nearest are {}", nearest.join(", ")) }
            }
            RequestErrorKind::Parameter { name, expected } | RequestErrorKind::Entry { name, expected } => {
                write!(f, "{name} must be {expected}")
            }
            RequestErrorKind::Text { message } => write!(f, "the composite's TOML cannot be read: {message}"),
            RequestErrorKind::Run(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RequestErrorKind::Run(cause) => std::error::Error::source(cause),
            _ => None,
        }
    }
}
