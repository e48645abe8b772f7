//! What can go wrong in a scan.

use std::error::Error;
use std::fmt;

use glocal::error::RequestError;

use crate::data::DataError;
use crate::store::{SkippedSample, StoreError};

/// A scan did not come to its end.
#[derive(Debug)]
pub struct ScanError {
    kind: ScanErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The ways in which a scan fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanErrorKind {
    /// The scan was cancelled; what was found is saved.
    Cancelled {
        /// The number of samples done.
        done: u64,
        /// The number of samples.
        total: u64,
    },
    /// The store cannot be read or written; the source says why.
    Store,
    /// The data set has no samples.
    NoSamples,
    /// The data set has no labels, and labels are the targets.
    NoLabels,
    /// The labels are class folders or names of classes, numbered in order, and there are more or fewer of them than the
    /// model has outputs; [`with_outputs`](crate::data::with_outputs) finds classes by the names of outputs.
    FolderClasses {
        /// The number of class folders or names.
        folders: usize,
        /// The number of the model's outputs.
        classes: usize,
    },
    /// A sample has not exactly one label, and its label is the target.
    LabelCount {
        /// The sample.
        sample: usize,
        /// Its name.
        key: String,
        /// The number of its labels.
        labels: usize,
    },
    /// A label is no output of the model.
    Label {
        /// The sample.
        sample: usize,
        /// Its name.
        key: String,
        /// The label.
        label: u32,
        /// The number of the model's outputs.
        classes: usize,
    },
    /// The class that is to be explained is no output of the model.
    Class {
        /// The class.
        class: u32,
        /// The number of the model's outputs.
        classes: usize,
    },
    /// The model's output is no row of classes.
    Output {
        /// The shape of the output of one sample.
        shape: Vec<usize>,
    },
    /// A sample cannot be read or preprocessed; the source says why.
    Sample {
        /// The sample.
        sample: usize,
        /// Its name.
        key: String,
    },
    /// A sample does not have the model's input shape.
    Shape {
        /// The sample.
        sample: usize,
        /// Its name.
        key: String,
        /// The shape that it has.
        given: Vec<usize>,
        /// The shape that the model takes.
        expected: Vec<usize>,
    },
    /// Samples that cannot be used were passed over, and no other was left.
    NothingUsable {
        /// The number of samples passed over.
        skipped: u64,
    },
    /// Vectors are to be kept as 16-bit floats, and are of raw relevance, whose size those may not hold.
    HalfPrecision,
    /// The preprocessing is out of range; the source says how.
    Preprocess,
    /// The model failed; the source says how.
    Run,
    /// The threads cannot be started; the source says why.
    Threads,
}

impl ScanError {
    pub(super) fn caused(kind: ScanErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// What went wrong.
    pub fn kind(&self) -> &ScanErrorKind {
        &self.kind
    }

    /// The sample at fault, where others may well be usable. The reason names no path: equal scans write equal bytes.
    pub(crate) fn skippable(&self) -> Option<SkippedSample> {
        let (sample, key, reason) = match &self.kind {
            ScanErrorKind::Sample { sample, key } => {
                let cause = self.source();
                let reason = match cause.and_then(|cause| cause.downcast_ref::<DataError>()) {
                    Some(data) => data.reason(),
                    None => cause.map(ToString::to_string).unwrap_or_default(),
                };
                (*sample, key, reason)
            }
            ScanErrorKind::Shape { sample, key, given, expected } => {
                (*sample, key, format!("has shape {given:?}, the model takes {expected:?}"))
            }
            _ => return None,
        };
        Some(SkippedSample { sample: sample as u64, key: key.clone(), reason })
    }
}

impl From<ScanErrorKind> for ScanError {
    fn from(kind: ScanErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<StoreError> for ScanError {
    fn from(cause: StoreError) -> Self {
        Self::caused(ScanErrorKind::Store, cause)
    }
}

impl From<RequestError> for ScanError {
    fn from(cause: RequestError) -> Self {
        Self::caused(ScanErrorKind::Run, cause)
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ScanErrorKind::Cancelled { done, total } => write!(
                f,
                "cancelled with {done} of {total} samples done; they are saved, run the same analysis again to go on"
            ),
            ScanErrorKind::Store => write!(f, "the store failed"),
            ScanErrorKind::NoSamples => write!(f, "the data set has no samples"),
            ScanErrorKind::NoLabels => {
                write!(f, "the data set has no labels; explain the predicted classes instead (targets `predicted`)")
            }
            ScanErrorKind::FolderClasses { folders, classes } => write!(
                f,
                "the data set has {folders} class folders or names of classes, the model has {classes} outputs: the order of names does not \
                 say which output each one is; give the names of all outputs in their order, among which the classes are found, or explain the \
                 predicted classes (targets `predicted`)"
            ),
            ScanErrorKind::LabelCount { sample, key, labels } => write!(
                f,
                "sample {sample} ({key}) has {labels} labels, expected one; explain all its labels or the predicted class instead \
                 (targets `all-labels` or `predicted`)"
            ),
            ScanErrorKind::Label { sample, key, label, classes } => write!(
                f,
                "sample {sample} ({key}) has the label {label}, the model has {classes} outputs, 0 to {}; give data with the labels \
                 of the model, or explain the predicted classes (targets `predicted`)",
                classes.saturating_sub(1)
            ),
            ScanErrorKind::Class { class, classes } => {
                write!(
                    f,
                    "class {class} is no output of the model; it has {classes}, 0 to {}",
                    classes.saturating_sub(1)
                )
            }
            ScanErrorKind::Output { shape } => {
                write!(f, "the model's output of a sample has shape {shape:?}; expected a row of classes")
            }
            ScanErrorKind::Sample { sample, key } => write!(f, "sample {sample} ({key}) cannot be used"),
            ScanErrorKind::Shape { sample, key, given, expected } => write!(
                f,
                "sample {sample} ({key}) has shape {given:?}, the model takes {expected:?}; for images, set the preprocessing so that \
                 they agree"
            ),
            ScanErrorKind::NothingUsable { skipped } => {
                write!(
                    f,
                    "all samples were passed over: none of {skipped} can be used; without skipping, the first says why"
                )
            }
            ScanErrorKind::HalfPrecision => {
                write!(f, "16-bit floats end at 65,504, and raw relevance may be larger; keep shares, or 32-bit floats")
            }
            ScanErrorKind::Preprocess => write!(f, "the preprocessing cannot be used"),
            ScanErrorKind::Run => write!(f, "the model failed"),
            ScanErrorKind::Threads => write!(f, "the threads cannot be started"),
        }
    }
}

impl Error for ScanError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
