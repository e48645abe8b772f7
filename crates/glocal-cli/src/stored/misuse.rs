//! Calls around stores that no library can see are wrong.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::hint;

/// A call that is wrong.
#[derive(Debug)]
pub enum StoreMisuse {
    /// Images were given, and nothing says how they become inputs.
    NoPreprocess {
        /// The shape of one sample that the model takes.
        expected: Vec<usize>,
    },
    /// A class is neither a number nor a known name.
    UnknownClass {
        /// What was given.
        given: String,
    },
    /// The model or data set of a store is no longer where it was.
    Moved {
        /// Where it was.
        path: PathBuf,
        /// The option that says where it is.
        flag: &'static str,
    },
    /// The store has no sample of a class that was asked for.
    NoSamplesOfClass {
        /// The class.
        class: u32,
    },
    /// There are no reference samples to draw.
    NothingToDraw,
    /// Images need no computation.
    NothingToCompute,
    /// There is no cache to fill.
    NoCache,
    /// Reference samples are drawn as PNG, and the file's name says otherwise.
    NotPng {
        /// The file.
        path: PathBuf,
    },
    /// A file holds several samples, and one is explained.
    SeveralSamples {
        /// The file.
        path: PathBuf,
        /// How many it holds.
        count: usize,
    },
    /// A file has no row of that number.
    NoRow {
        /// The file.
        path: PathBuf,
        /// How many samples it holds.
        count: usize,
        /// The row that was given.
        given: usize,
    },
}

impl fmt::Display for StoreMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPreprocess { expected } => write!(
                f,
                "the data set holds images, and nothing says how they become the model's inputs of shape {expected:?}"
            ),
            Self::UnknownClass { given } => write!(f, "there is no class {given:?}"),
            Self::Moved { path, .. } => {
                write!(f, "{}: the store was made with this file or folder, and it is no longer there", path.display())
            }
            Self::NoSamplesOfClass { class } => {
                write!(f, "the store has no sample that was explained for class {class}")
            }
            Self::NothingToDraw => write!(f, "there are no reference samples of these ranks"),
            Self::NothingToCompute => write!(f, "samples as they are need no computation"),
            Self::NoCache => write!(f, "there is no cache to fill"),
            Self::NotPng { path } => write!(f, "{}: pictures are written as PNG", path.display()),
            Self::SeveralSamples { path, count } => {
                write!(f, "{}: holds {count} samples, and one is explained", path.display())
            }
            Self::NoRow { path, count, given } => {
                write!(
                    f,
                    "{}: holds {count} samples, 0 to {}; {given} was given",
                    path.display(),
                    count.saturating_sub(1)
                )
            }
        }
    }
}

impl Error for StoreMisuse {}

impl From<StoreMisuse> for Failure {
    fn from(misuse: StoreMisuse) -> Self {
        let hint = match &misuse {
            StoreMisuse::NoPreprocess { expected } => Some(format!(
                "write a file preprocess.toml and pass `--preprocess preprocess.toml`:\n{}",
                hint::preprocess_example(expected)
            )),
            StoreMisuse::UnknownClass { .. } => Some("give its index in the model's output, from 0".to_owned()),
            StoreMisuse::Moved { flag, .. } => Some(format!("`{flag}` says where it is now")),
            StoreMisuse::NoSamplesOfClass { .. } => {
                Some("without `--class`, all classes that have samples are taken".to_owned())
            }
            StoreMisuse::NothingToDraw => {
                Some("ranks count from 0; the store keeps the best `--top-k` of its analysis".to_owned())
            }
            StoreMisuse::NothingToCompute => Some("choose `--view heatmap`, `peak`, or both".to_owned()),
            StoreMisuse::NoCache => Some("`--cache DIR` names its folder".to_owned()),
            StoreMisuse::NotPng { .. } => Some("name the file FILE.png".to_owned()),
            StoreMisuse::SeveralSamples { .. } => Some("choose one with `--row N`, from 0".to_owned()),
            StoreMisuse::NoRow { .. } => Some("rows are numbered from 0".to_owned()),
        };
        Self::call(misuse).hinted(hint)
    }
}
