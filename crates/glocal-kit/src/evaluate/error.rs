//! What can go wrong in an evaluation.

use std::error::Error;
use std::fmt;

use glocal::error::{RequestError, RunError, RunErrorKind};

use crate::scan::{ScanError, ScanErrorKind};
use crate::store::SkippedSample;

/// An evaluation did not come to its end.
#[derive(Debug)]
pub struct EvaluateError(Box<EvaluateErrorKind>);

/// The ways in which an evaluation fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum EvaluateErrorKind {
    /// The evaluation was cancelled.
    Cancelled {
        /// The number of samples done.
        done: usize,
        /// The number of samples.
        total: usize,
    },
    /// A list of what is to be evaluated is empty.
    NothingAsked {
        /// What it would hold.
        what: &'static str,
    },
    /// The confidence of intervals does not lie between 0 and 1.
    Confidence {
        /// What was given.
        given: f64,
    },
    /// The data set, its labels or a sample cannot be used.
    Data(ScanError),
    /// A sample has not exactly one label, and that is the target.
    LabelCount {
        /// The sample.
        sample: usize,
        /// Its name.
        key: String,
        /// The number of its labels.
        labels: usize,
    },
    /// The model lacks a layer, or failed.
    Request(RequestError),
    /// No relevance arrives at a layer or the input, so that there is no order.
    Unreached {
        /// What it is.
        subject: String,
    },
    /// An output of a sample is infinite or not a number.
    NotFinite {
        /// The sample.
        sample: usize,
        /// Its name.
        key: String,
        /// Of what the parts were replaced; `None` for the output of the unmodified model.
        subject: Option<String>,
    },
    /// Samples that cannot be used were passed over, and no other was left.
    NothingUsable {
        /// The number of samples passed over.
        skipped: usize,
    },
}

impl EvaluateError {
    /// What went wrong.
    pub fn kind(&self) -> &EvaluateErrorKind {
        &self.0
    }

    /// What went wrong, to keep.
    pub fn into_kind(self) -> EvaluateErrorKind {
        *self.0
    }

    /// The sample at fault, where others may well be usable.
    pub(super) fn skippable(&self) -> Option<SkippedSample> {
        match self.kind() {
            EvaluateErrorKind::Data(cause) => cause.skippable(),
            EvaluateErrorKind::NotFinite { sample, key, subject } => {
                let reason = match subject {
                    None => "the output is infinite or not a number".to_owned(),
                    Some(subject) => {
                        format!("the output becomes infinite or not a number as parts of {subject} are replaced")
                    }
                };
                Some(SkippedSample { sample: *sample as u64, key: key.clone(), reason })
            }
            _ => None,
        }
    }

    /// The same, where it was cancelled with how far the work was.
    pub(super) fn after(self, done: usize, total: usize) -> Self {
        match self.kind() {
            EvaluateErrorKind::Request(cause) if was_cancelled(cause) => {
                EvaluateErrorKind::Cancelled { done, total }.into()
            }
            _ => self,
        }
    }
}

fn was_cancelled(error: &RequestError) -> bool {
    matches!(error.kind(), glocal::error::RequestErrorKind::Run(cause) if *cause.kind() == RunErrorKind::Cancelled)
}

impl From<EvaluateErrorKind> for EvaluateError {
    fn from(kind: EvaluateErrorKind) -> Self {
        Self(Box::new(kind))
    }
}

impl From<ScanError> for EvaluateError {
    fn from(cause: ScanError) -> Self {
        match cause.kind() {
            ScanErrorKind::LabelCount { sample, key, labels } => {
                EvaluateErrorKind::LabelCount { sample: *sample, key: key.clone(), labels: *labels }.into()
            }
            _ => EvaluateErrorKind::Data(cause).into(),
        }
    }
}

impl From<RequestError> for EvaluateError {
    fn from(cause: RequestError) -> Self {
        EvaluateErrorKind::Request(cause).into()
    }
}

impl From<RunError> for EvaluateError {
    fn from(cause: RunError) -> Self {
        RequestError::from(cause).into()
    }
}

impl fmt::Display for EvaluateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            EvaluateErrorKind::Cancelled { done, total } => {
                write!(f, "cancelled with {done} of {total} samples done")
            }
            EvaluateErrorKind::NothingAsked { what } => write!(f, "no {what} are given, at least one is needed"),
            EvaluateErrorKind::Confidence { given } => {
                write!(
                    f,
                    "intervals cannot hold the part {given} of the resamples; expected more than 0 and less than 1"
                )
            }
            EvaluateErrorKind::Data(cause) => cause.fmt(f),
            EvaluateErrorKind::LabelCount { sample, key, labels } => write!(
                f,
                "sample {sample} ({key}) has {labels} labels, expected one; explain the predicted class or one class of all samples"
            ),
            EvaluateErrorKind::Request(cause) => cause.fmt(f),
            EvaluateErrorKind::Unreached { subject } => {
                write!(f, "no relevance arrives at {subject}, so its parts have no order")
            }
            EvaluateErrorKind::NotFinite { sample, key, subject: None } => {
                write!(f, "sample {sample} ({key}) has an output that is infinite or not a number")
            }
            EvaluateErrorKind::NotFinite { sample, key, subject: Some(subject) } => write!(
                f,
                "the output of sample {sample} ({key}) becomes infinite or not a number as parts of {subject} are replaced"
            ),
            EvaluateErrorKind::NothingUsable { skipped } => write!(
                f,
                "all samples were passed over: none of {skipped} can be used; without skipping, the first says why"
            ),
        }
    }
}

impl Error for EvaluateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.kind() {
            EvaluateErrorKind::Data(cause) => cause.source(),
            EvaluateErrorKind::Request(cause) => cause.source(),
            _ => None,
        }
    }
}
