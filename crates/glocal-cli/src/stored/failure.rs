//! Exit codes and hints for what goes wrong with stores, scans and explanations.

use std::error::Error;

use glocal::error::RequestError;
use glocal_kit::convert::{ConvertError, ConvertErrorKind};
use glocal_kit::explain::{ExplainError, ExplainErrorKind};
use glocal_kit::prototypes::{PrototypesError, PrototypesErrorKind};
use glocal_kit::scan::{ScanError, ScanErrorKind};
use glocal_kit::store::{StoreError, StoreErrorKind};

use crate::failure::Failure;
use crate::hint;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = store_hint(&error);
        match error.kind() {
            StoreErrorKind::Write => Self::work(error),
            _ => Self::call(error).hinted(hint),
        }
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    let hint = match error.kind() {
        StoreErrorKind::Read | StoreErrorKind::NoStore => {
            "STORE is the folder that `glocal analyze MODEL DATA -o STORE` writes"
        }
        StoreErrorKind::Mismatch { .. } => {
            "use the store with the model, data and options that it was made with, or `glocal analyze` into a new folder"
        }
        StoreErrorKind::Occupied => "choose another folder with `-o`",
        StoreErrorKind::Incomplete { .. } => "start `glocal analyze` again in the same way; it goes on where it was",
        StoreErrorKind::NothingToMerge => "name the stores to merge, as in `glocal merge FIRST SECOND -o STORE`",
        StoreErrorKind::MergedIntoItself => "choose another folder with `-o`",
        StoreErrorKind::Overlap { .. } => "give each shard once; `glocal merge` takes stores of different samples",
        StoreErrorKind::Layer { .. } => "manifest.json in the store lists its layers with their numbers of concepts",
        StoreErrorKind::Concept { .. } => "concepts are the layer's channels, numbered from 0",
        StoreErrorKind::Size { .. }
        | StoreErrorKind::Content
        | StoreErrorKind::Malformed { .. }
        | StoreErrorKind::Column { .. } => "`glocal analyze` into a new folder makes the store anew",
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        let hint = match error.kind() {
            ScanErrorKind::Cancelled { done: 0, .. } => return Self::interrupted(),
            ScanErrorKind::Cancelled { done, total } => {
                let hint = format!("{done} of {total} samples are done and saved; the same command goes on from there");
                return Self::interrupted().hinted(Some(hint));
            }
            ScanErrorKind::Run => match error.source().and_then(|cause| cause.downcast_ref::<RequestError>()) {
                Some(cause) => return cause.clone().into(),
                None => return Self::work(error),
            },
            ScanErrorKind::Store => {
                let cause = error.source().and_then(|cause| cause.downcast_ref::<StoreError>());
                if cause.is_some_and(|cause| matches!(cause.kind(), StoreErrorKind::Write)) {
                    return Self::work(error);
                }
                cause.and_then(store_hint)
            }
            ScanErrorKind::Threads => return Self::work(error),
            ScanErrorKind::NoLabels => Some("`--targets predicted` needs no labels".to_owned()),
            ScanErrorKind::FolderClasses { .. } => Some(
                "`--classes FILE` names all outputs of the model in their order, and the folders are found among them; `--targets \
                 predicted` explains what the model predicts, whatever the folders are called"
                    .to_owned(),
            ),
            ScanErrorKind::LabelCount { .. } => {
                Some("`--targets all-labels` takes any number of labels, `--targets predicted` needs none".to_owned())
            }
            ScanErrorKind::HalfPrecision => Some("`--vectors f32`, or `--norm share`".to_owned()),
            ScanErrorKind::Class { .. } => Some("`glocal inspect MODEL` shows the shape of the output".to_owned()),
            ScanErrorKind::Sample { .. } => Some(hint::UNUSABLE.to_owned()),
            ScanErrorKind::Label { .. } => {
                Some("`--targets predicted` explains what the model predicts, whatever the labels".to_owned())
            }
            ScanErrorKind::Shape { expected, .. } => {
                Some(format!("a preprocessing file that fits this model:\n{}", hint::preprocess_example(expected)))
            }
            _ => None,
        };
        Self::call(error).hinted(hint)
    }
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        let hint = match error.kind() {
            ConvertErrorKind::Write(_) => return Self::work(error),
            ConvertErrorKind::Store(cause) if matches!(cause.kind(), StoreErrorKind::Write) => {
                return Self::work(error);
            }
            ConvertErrorKind::Store(cause) => store_hint(cause),
            ConvertErrorKind::Occupied => Some("choose another folder".to_owned()),
            ConvertErrorKind::LayerName { .. } => {
                Some("`glocal analyze --layers` takes layers by any of their names".to_owned())
            }
            ConvertErrorKind::Data(_) | ConvertErrorKind::Shape { .. } | ConvertErrorKind::Number { .. } => {
                Some("model and data must be those of the search, and its files in full".to_owned())
            }
            _ => Some("DIR is the path that was given to zennit-crp's FeatureVisualization".to_owned()),
        };
        Self::call(error).hinted(hint)
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error.into_kind() {
            ExplainErrorKind::Request(cause) => cause.into(),
            ExplainErrorKind::Store(cause) => cause.into(),
            ExplainErrorKind::Data(cause) => cause.into(),
            ExplainErrorKind::Preprocess(cause) => cause.into(),
            ExplainErrorKind::Picture(cause) => cause.into(),
            kind => {
                let hint = "`glocal inspect MODEL` shows the shapes of input and output".to_owned();
                Self::call(ExplainError::from(kind)).hinted(Some(hint))
            }
        }
    }
}

impl From<PrototypesError> for Failure {
    fn from(error: PrototypesError) -> Self {
        let hint = match error.kind() {
            PrototypesErrorKind::NoVectors { .. } => {
                Some("`glocal analyze ... --vectors f32` into a new folder keeps them; f16 takes half the room")
            }
            PrototypesErrorKind::Memory { .. } => Some("take fewer classes at a time, as in `--class 0,1`"),
            _ => None,
        };
        match error.into_kind() {
            PrototypesErrorKind::Store(cause) => cause.into(),
            PrototypesErrorKind::Request(cause) => cause.into(),
            kind => Self::call(PrototypesError::from(kind)).hinted(hint.map(str::to_owned)),
        }
    }
}
