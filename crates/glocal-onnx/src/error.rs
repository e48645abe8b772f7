//! Why a model could not be read: one opaque error with the kind and the place inside.

mod place;
mod problem;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

pub use place::{NodePlace, TensorPlace};
pub use problem::{AttributeProblem, ExternalProblem, TensorProblem};

use crate::foreign::ForeignFormat;

/// Why a model could not be read.
pub struct OnnxError(Box<Inner>);

struct Inner {
    kind: OnnxErrorKind,
    file: Option<PathBuf>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong, with the place in the model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxErrorKind {
    /// The operating system could not read the file, or it became shorter while it was read; the cause says why.
    #[error("the file cannot be read")]
    Unreadable,
    /// The path is a folder, a pipe or a device.
    #[error("this is not a regular file; expected an ONNX file")]
    NotAFile,
    /// The file is larger than any ONNX file can be.
    #[error("the file has {bytes} bytes and an ONNX file at most {limit}: larger weights have to be external data")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// The largest size of a protobuf message.
        limit: u64,
    },
    /// The file has no bytes.
    #[error("the file is empty; expected an ONNX model")]
    Empty,
    /// The bytes are not those of an ONNX model.
    #[error("this is not an ONNX model{}", described(.looks_like))]
    NotOnnx {
        /// What it is instead, if its first bytes tell.
        looks_like: Option<ForeignFormat>,
    },
    /// The file ends too early.
    #[error("the file is cut off: it has {actual} bytes and needs {at_least} or more; download or export it again")]
    Truncated {
        /// The least number of bytes that the whole file has.
        at_least: u64,
        /// The number of bytes that are there.
        actual: u64,
    },
    /// The file starts as an ONNX model and is damaged inside; the cause says where.
    #[error("the file is a damaged ONNX model; download or export it again")]
    Malformed,
    /// The model has no graph.
    #[error("the model has no graph: the file is cut off, or it is no model")]
    MissingGraph,
    /// The model does not say which operator set it uses.
    #[error("the model imports no operator set: the file is cut off, or its exporter left out `opset_import`")]
    MissingOpset,
    /// The model imports two versions of one operator set.
    #[error("the model imports operator set `{domain}` in two versions, {first} and {second}; expected one")]
    ConflictingOpsets {
        /// Domain of the operator set; empty for ONNX's own.
        domain: String,
        /// The version that comes first in the file.
        first: i64,
        /// The other version.
        second: i64,
    },
    /// Decoding would take far more memory than the files' sizes justify.
    #[error("the model needs {needed} bytes of memory or more, and its files' sizes justify at most {limit}")]
    MemoryLimit {
        /// Bytes needed up to where reading stopped.
        needed: u64,
        /// Bytes granted.
        limit: u64,
    },
    /// A node calls a function that the model defines itself.
    #[error(
        "{node} calls the model's own function `{domain}::{}`, which is not supported; export the model with its functions \
         inlined (`onnx.inliner.inline_local_functions`)", .node.op_type
    )]
    FunctionCall {
        /// The calling node.
        node: NodePlace,
        /// Domain of the function.
        domain: String,
    },
    /// The model has a sparse initializer.
    #[error("initializer `{name}` is sparse, which is not supported; export it as a dense tensor")]
    SparseInitializer {
        /// Name of its values tensor.
        name: String,
    },
    /// Two initializers have one name.
    #[error("initializer `{name}` occurs twice; names have to be unique")]
    DuplicateInitializer {
        /// The name.
        name: String,
    },
    /// An input or output of the graph is no tensor.
    #[error("the graph's value `{name}` is no tensor but a sequence, map, optional, sparse or opaque value")]
    NotATensor {
        /// Name of the value.
        name: String,
    },
    /// A node has no operator.
    #[error("{node} has no operator type")]
    MissingOperator {
        /// The node.
        node: NodePlace,
    },
    /// A node's attribute cannot be understood.
    #[error("attribute `{attribute}` of {node} {problem}")]
    Attribute {
        /// The node.
        node: NodePlace,
        /// Name of the attribute.
        attribute: String,
        /// What is wrong with it.
        problem: AttributeProblem,
    },
    /// A constant tensor cannot be decoded.
    #[error("{tensor} {problem}")]
    Tensor {
        /// Which tensor.
        tensor: TensorPlace,
        /// What is wrong with it.
        problem: TensorProblem,
    },
    /// A tensor's external data cannot be had.
    #[error("the external data of {tensor}, in `{location}`, {problem}")]
    ExternalData {
        /// Which tensor.
        tensor: TensorPlace,
        /// The path as the model gives it.
        location: String,
        /// What is wrong.
        problem: ExternalProblem,
    },
}

fn described(looks_like: &Option<ForeignFormat>) -> String {
    looks_like.map(|format| format!(", it looks like {format}")).unwrap_or_default()
}

impl OnnxError {
    pub(crate) fn caused(kind: OnnxErrorKind, cause: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(Inner { kind, file: None, cause: Some(Box::new(cause)) }))
    }

    /// Names the file that was read.
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.0.file = Some(file.to_owned());
        self
    }

    /// A wrong format is told by what it looks like, if that is known; errors of other kinds stay.
    pub(crate) fn or_foreign(mut self, bytes: &[u8]) -> Self {
        use OnnxErrorKind::{Malformed, MissingGraph, NotOnnx, Truncated};
        if matches!(self.0.kind, Malformed | MissingGraph | NotOnnx { .. } | Truncated { .. })
            && let Some(format) = ForeignFormat::recognize(bytes)
        {
            self.0.kind = NotOnnx { looks_like: Some(format) };
        }
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &OnnxErrorKind {
        &self.0.kind
    }

    /// The model file, if the model was read from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }
}

impl From<OnnxErrorKind> for OnnxError {
    fn from(kind: OnnxErrorKind) -> Self {
        Self(Box::new(Inner { kind, file: None, cause: None }))
    }
}

impl fmt::Display for OnnxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.0.file {
            write!(formatter, "{}: ", file.display())?;
        }
        self.0.kind.fmt(formatter)
    }
}

impl fmt::Debug for OnnxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OnnxError")
            .field("kind", &self.0.kind)
            .field("file", &self.0.file)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl Error for OnnxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
