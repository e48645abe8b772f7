//! An ONNX graph that cannot be explained as it stands.

use std::fmt;

use glocal_compute::ComputeError;

/// A model could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    node: Option<NodeContext>,
    kind: ModelErrorKind,
    cause: Option<ComputeError>,
}

/// Where in the ONNX graph.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NodeContext {
    name: String,
    op_type: String,
}

/// The ways in which a model cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The graph has no output, or not the one that was asked for.
    NoOutput,
    /// The graph does not have exactly one input that is no initializer.
    Inputs {
        /// The inputs it has.
        names: Vec<String>,
    },
    /// The graph has several outputs and none was chosen, or one that it does not have.
    Outputs {
        /// The outputs it has.
        names: Vec<String>,
    },
    /// The input does not hold floating-point numbers.
    InputType {
        /// The input's name.
        name: String,
    },
    /// The input has no fixed shape beside the batch, and none was given.
    InputShape {
        /// The input's name.
        name: String,
        /// Its shape in the file, axes that are not fixed as `?`.
        shape: String,
    },
    /// The opset is one that is not read.
    Opset {
        /// The version in the file.
        version: i64,
    },
    /// The op is not known.
    UnsupportedOp {
        /// The op's domain, empty for ONNX's own.
        domain: String,
    },
    /// The op is known, but not used like this.
    UnsupportedUse {
        /// What is not supported, as in "a reshape that mixes samples".
        what: String,
    },
    /// The op has attributes that its reader does not know: they could change the result.
    UnreadAttributes {
        /// Their names.
        names: Vec<String>,
    },
    /// An attribute or constant operand is missing or has the wrong type or value.
    Attribute {
        /// Its name.
        name: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// An operand is not computed by anything before the node.
    MissingOperand {
        /// Its name.
        name: String,
    },
    /// The shapes do not fit.
    Shape,
}

impl ModelError {
    /// The same error, found at an ONNX node.
    pub(crate) fn at(mut self, name: &str, op_type: &str) -> Self {
        self.0.node.get_or_insert_with(|| NodeContext { name: name.to_owned(), op_type: op_type.to_owned() });
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &ModelErrorKind {
        &self.0.kind
    }

    /// The name of the ONNX node, where it was one.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_ref().map(|node| node.name.as_str())
    }
}

impl From<ModelErrorKind> for ModelError {
    fn from(kind: ModelErrorKind) -> Self {
        Self(Box::new(Details { node: None, kind, cause: None }))
    }
}

impl From<ComputeError> for ModelError {
    fn from(cause: ComputeError) -> Self {
        Self(Box::new(Details { node: None, kind: ModelErrorKind::Shape, cause: Some(cause) }))
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(NodeContext { name, op_type }) = &self.0.node {
            write!(f, "node {name:?} ({op_type}): ")?;
        }
        match &self.0.kind {
            ModelErrorKind::NoOutput => write!(f, "the model has no such output"),
            ModelErrorKind::Inputs { names } => {
                write!(
                    f,
                    "models with exactly one input are supported, this one has {}: {}",
                    names.len(),
                    names.join(", ")
                )
            }
            ModelErrorKind::Outputs { names } => write!(f, "choose one of the model's outputs: {}", names.join(", ")),
            ModelErrorKind::InputType { name } => write!(f, "input {name:?} does not hold floating-point numbers"),
            ModelErrorKind::InputShape { name, shape } => {
                write!(f, "input {name:?} has shape {shape}: give the shape of one sample, such as 3,224,224")
            }
            ModelErrorKind::Opset { version } => write!(f, "opset {version} is not supported; 9 and newer are"),
            ModelErrorKind::UnsupportedOp { domain } if domain.is_empty() => write!(f, "the op is not supported"),
            ModelErrorKind::UnsupportedOp { domain } => write!(f, "ops of the domain {domain:?} are not supported"),
            ModelErrorKind::UnsupportedUse { what } => write!(f, "{what} is not supported"),
            ModelErrorKind::UnreadAttributes { names } => {
                write!(f, "attributes that are not supported for this op: {}", names.join(", "))
            }
            ModelErrorKind::Attribute { name, expected } => write!(f, "{name} must be {expected}"),
            ModelErrorKind::MissingOperand { name } => {
                write!(f, "operand {name:?} is neither an input, an initializer nor the output of an earlier node")
            }
            ModelErrorKind::Shape => write!(f, "the shapes do not fit"),
        }
    }
}

impl std::error::Error for ModelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}
