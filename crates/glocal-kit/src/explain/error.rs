//! What can go wrong while a sample is explained.

use std::error::Error;
use std::fmt;

use glocal::error::{RequestError, RunError};
use glocal_compute::ComputeError;

use crate::data::DataError;
use crate::picture::PictureError;
use crate::preprocess::PreprocessError;
use crate::store::StoreError;

/// A sample could not be explained.
#[derive(Debug)]
pub struct ExplainError {
    kind: ExplainErrorKind,
}

/// The ways in which explaining fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExplainErrorKind {
    /// The target is no class.
    Target {
        /// The class that was given.
        given: usize,
        /// The number of classes.
        classes: usize,
    },
    /// The model's output is no row of classes.
    Output {
        /// The shape of the output of one sample.
        shape: Vec<usize>,
    },
    /// An array has no form that could be drawn.
    NoPicture {
        /// Its shape, without the batch axis.
        shape: Vec<usize>,
    },
    /// A volume is no picture that a page could show.
    NoPage {
        /// Its shape, without the batch axis.
        shape: Vec<usize>,
    },
    /// The request does not fit the model, or was cancelled.
    Request(RequestError),
    /// The store lacks a layer or concept, or cannot be read.
    Store(StoreError),
    /// A sample cannot be read.
    Data(DataError),
    /// An image cannot be preprocessed.
    Preprocess(PreprocessError),
    /// A picture cannot be drawn.
    Picture(PictureError),
}

impl ExplainError {
    /// What went wrong.
    pub fn kind(&self) -> &ExplainErrorKind {
        &self.kind
    }

    /// What went wrong, to keep.
    pub fn into_kind(self) -> ExplainErrorKind {
        self.kind
    }
}

impl From<ExplainErrorKind> for ExplainError {
    fn from(kind: ExplainErrorKind) -> Self {
        Self { kind }
    }
}

impl From<RequestError> for ExplainError {
    fn from(error: RequestError) -> Self {
        ExplainErrorKind::Request(error).into()
    }
}

impl From<RunError> for ExplainError {
    fn from(error: RunError) -> Self {
        RequestError::from(error).into()
    }
}

impl From<ComputeError> for ExplainError {
    fn from(error: ComputeError) -> Self {
        RequestError::from(error).into()
    }
}

impl From<StoreError> for ExplainError {
    fn from(error: StoreError) -> Self {
        ExplainErrorKind::Store(error).into()
    }
}

impl From<DataError> for ExplainError {
    fn from(error: DataError) -> Self {
        ExplainErrorKind::Data(error).into()
    }
}

impl From<PreprocessError> for ExplainError {
    fn from(error: PreprocessError) -> Self {
        ExplainErrorKind::Preprocess(error).into()
    }
}

impl From<PictureError> for ExplainError {
    fn from(error: PictureError) -> Self {
        ExplainErrorKind::Picture(error).into()
    }
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExplainErrorKind::Target { given, classes } => {
                write!(f, "the model has {classes} classes, 0 to {}; {given} was given", classes.saturating_sub(1))
            }
            ExplainErrorKind::Output { shape } => {
                write!(f, "the output of a sample has shape {shape:?}; only a row of classes, [K], can be reported on")
            }
            ExplainErrorKind::NoPicture { shape } => {
                write!(
                    f,
                    "a sample of shape {shape:?} cannot be drawn; [C, depth, height, width], [C, height, width], \
                     [C, length] and [C] can"
                )
            }
            ExplainErrorKind::NoPage { shape } => {
                write!(
                    f,
                    "a sample of shape {shape:?} is a volume; reports show images and series, references slices of volumes"
                )
            }
            ExplainErrorKind::Request(error) => error.fmt(f),
            ExplainErrorKind::Store(error) => error.fmt(f),
            ExplainErrorKind::Data(error) => error.fmt(f),
            ExplainErrorKind::Preprocess(error) => error.fmt(f),
            ExplainErrorKind::Picture(error) => error.fmt(f),
        }
    }
}

impl Error for ExplainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ExplainErrorKind::Request(error) => error.source(),
            ExplainErrorKind::Store(error) => error.source(),
            ExplainErrorKind::Data(error) => error.source(),
            ExplainErrorKind::Preprocess(error) => error.source(),
            ExplainErrorKind::Picture(error) => error.source(),
            _ => None,
        }
    }
}
