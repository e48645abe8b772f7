//! What can go wrong while a model, class names or inputs are read.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use glocal::error::ModelError;
use glocal_onnx::OnnxError;

use crate::data::DataError;
use crate::preprocess::PreprocessError;

/// A file could not be loaded.
#[derive(Debug)]
pub struct LoadError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    kind: LoadErrorKind,
}

/// The ways in which loading fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// The file cannot be read.
    Read(io::Error),
    /// The file is no ONNX model, or a damaged one.
    Onnx(OnnxError),
    /// The model uses what is not supported.
    Model(ModelError),
    /// An image or array file cannot be used.
    Data(DataError),
    /// An image cannot be preprocessed.
    Preprocess(PreprocessError),
    /// The input is an image, and nothing says how images become inputs of the model.
    NoPreprocess {
        /// The shape of one sample that the model takes.
        expected: Vec<usize>,
    },
    /// The samples have another shape than the model takes.
    Shape {
        /// The shape of one sample.
        given: Vec<usize>,
        /// The shape that the model takes.
        expected: Vec<usize>,
    },
    /// A sample holds a number that is not finite.
    NotFinite {
        /// The sample.
        sample: String,
        /// The position of the number in it.
        position: usize,
        /// The number.
        value: f32,
    },
    /// The file starts as a JSON list and is none of names.
    Json(serde_json::Error),
    /// There are more or fewer class names than classes.
    ClassCount {
        /// The number of names.
        names: usize,
        /// The number of classes.
        classes: usize,
    },
}

impl LoadError {
    pub(crate) fn new(path: impl Into<PathBuf>, kind: LoadErrorKind) -> Self {
        Self(Box::new(Inner { path: path.into(), kind }))
    }

    /// What went wrong.
    pub fn kind(&self) -> &LoadErrorKind {
        &self.0.kind
    }

    /// The file that the error is about.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.path.display();
        match &self.0.kind {
            // These name the file themselves.
            LoadErrorKind::Onnx(cause) => cause.fmt(f),
            LoadErrorKind::Data(cause) => cause.fmt(f),
            LoadErrorKind::Model(cause) => write!(f, "{path}: {cause}"),
            LoadErrorKind::Preprocess(cause) => write!(f, "{path}: {cause}"),
            LoadErrorKind::Read(_) => write!(f, "{path}: cannot be read"),
            LoadErrorKind::NoPreprocess { expected } => write!(
                f,
                "{path}: this is an image, and nothing says how images become the model's inputs of shape {expected:?}"
            ),
            LoadErrorKind::Shape { given, expected } => {
                write!(f, "{path}: holds samples of shape {given:?}, the model takes {expected:?}")
            }
            LoadErrorKind::Json(_) => write!(f, "{path}: is no JSON list of names"),
            LoadErrorKind::NotFinite { sample, position, value } => {
                write!(f, "sample {sample} holds {value} at position {position}; a model needs finite numbers")
            }
            LoadErrorKind::ClassCount { names, classes } => {
                write!(f, "{path}: holds {names} class names, the model has {classes} classes")
            }
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.kind {
            LoadErrorKind::Read(cause) => Some(cause),
            LoadErrorKind::Json(cause) => Some(cause),
            LoadErrorKind::Onnx(cause) => cause.source(),
            LoadErrorKind::Data(cause) => cause.source(),
            LoadErrorKind::Model(cause) => cause.source(),
            LoadErrorKind::Preprocess(cause) => cause.source(),
            _ => None,
        }
    }
}
