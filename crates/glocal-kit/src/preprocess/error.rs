//! What can go wrong in a preprocessing description or with an image.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// A preprocessing description could not be used, or an image could not be preprocessed.
#[derive(Debug)]
pub struct PreprocessError {
    path: Option<PathBuf>,
    kind: PreprocessErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The ways in which preprocessing fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreprocessErrorKind {
    /// The file cannot be read, or is larger than such a file can be; the source says why.
    Read,
    /// The text is no TOML of the expected keys; the source names the line and the key.
    Toml,
    /// The text is no JSON object; the source says why.
    Json,
    /// A field is out of range.
    Field {
        /// The field of [`Preprocess`](super::Preprocess).
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A key of a `preprocessor_config.json` asks for a step that is not known here.
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A key of a `preprocessor_config.json` has a value that is not understood.
    Value {
        /// The key.
        key: &'static str,
        /// Its value, as JSON; `None` when it is absent.
        given: Option<String>,
        /// What was expected.
        expected: &'static str,
    },
    /// The image is so large or elongated that resizing it would take too much memory.
    TooLarge {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// The inputs have another shape than the model takes.
    Shape {
        /// Their shape `[C, height, width]`, as far as it does not depend on the image.
        given: [Option<usize>; 3],
        /// The shape that the model takes, without the batch axis.
        expected: Vec<usize>,
    },
    /// A step failed that cannot fail; the source says how.
    Internal,
}

impl PreprocessError {
    pub(super) fn new(kind: PreprocessErrorKind) -> Self {
        Self { path: None, kind, source: None }
    }

    pub(super) fn caused(kind: PreprocessErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path: None, kind, source: Some(source.into()) }
    }

    pub(super) fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(PreprocessErrorKind::Internal, source)
    }

    pub(super) fn at(mut self, path: &Path) -> Self {
        self.path = Some(path.to_path_buf());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &PreprocessErrorKind {
        &self.kind
    }

    /// The file that describes the preprocessing, when it came from one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for PreprocessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match &self.kind {
            PreprocessErrorKind::Read => write!(f, "cannot be read as a preprocessing description"),
            PreprocessErrorKind::Toml => write!(f, "is no preprocessing description in TOML"),
            PreprocessErrorKind::Json => write!(f, "is no preprocessor_config.json"),
            PreprocessErrorKind::Field { name, expected } => write!(f, "`{name}` is out of range; expected {expected}"),
            PreprocessErrorKind::UnknownKey { key } => write!(
                f,
                "`{key}` may change the pixels and is not known here; describe the preprocessing in TOML instead"
            ),
            PreprocessErrorKind::Value { key, given: Some(given), expected } => {
                write!(f, "`{key}` is {given}; expected {expected}")
            }
            PreprocessErrorKind::Value { key, given: None, expected } => {
                write!(f, "`{key}` is missing; expected {expected}")
            }
            PreprocessErrorKind::TooLarge { width, height } => write!(
                f,
                "an image of {width}×{height} pixels cannot be resized as described: it would have more than 2²⁶ pixels or a side of more than 2¹⁶ on the way"
            ),
            PreprocessErrorKind::Shape { given, expected } => {
                let given = given.map(|axis| axis.map_or_else(|| "?".to_owned(), |axis| axis.to_string()));
                write!(f, "gives inputs of shape [{}], the model takes {expected:?}; ", given.join(", "))?;
                write!(f, "set `color`, and `resize` or `crop`, so that they agree")
            }
            PreprocessErrorKind::Internal => write!(f, "a preprocessing step failed"),
        }
    }
}

impl Error for PreprocessError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
