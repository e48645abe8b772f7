//! What ends a run: the cause in one line, a hint, and the exit code.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use glocal::error::{LayerError, ModelError, RequestError, RequestErrorKind, RunError, RunErrorKind};
use glocal_kit::condition::ConditionError;
use glocal_kit::data::DataError;
use glocal_kit::loading::LoadError;
use glocal_kit::picture::{PictureError, PictureErrorKind};
use glocal_kit::preprocess::{PreprocessError, PreprocessErrorKind};

use crate::hint;
use crate::output::OutputError;
use crate::table::printable;

/// Why a run ended early.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
}

/// The exit codes other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// The work failed.
    Work = 1,
    /// The call was wrong.
    Call = 2,
    /// Ctrl-C, as shells report it.
    Interrupted = 130,
}

impl Failure {
    /// The work failed.
    pub fn work(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { exit: Exit::Work, cause: Some(Box::new(cause)), hint: None }
    }

    /// The call was wrong.
    pub fn call(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { exit: Exit::Call, ..Self::work(cause) }
    }

    /// Ctrl-C was pressed.
    pub fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, cause: None, hint: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hinted(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Tells people on stderr, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let mut text = match &self.cause {
            Some(cause) => format!("error: {}\n", chain(cause.as_ref())),
            None => "interrupted\n".to_owned(),
        };
        if let Some(hint) = &self.hint {
            text += &format!("hint: {hint}\n");
        }
        // There is nobody left to tell when stderr is closed; the exit code still does.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(self.exit as u8)
    }
}

/// An error and its causes, in one line but for lists.
fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if texts.last().is_none_or(|last| !last.ends_with(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    // Lists, and the lines of a file that an error shows, stay lines; what might steer a terminal does not.
    let words = texts.join(": ");
    let lines = words.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| printable(line.trim_end())).collect::<Vec<_>>().join("\n")
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let hint = hint::load(&error);
        Self::call(error).hinted(hint)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let hint = hint::model(&error);
        Self::call(error).hinted(hint)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let hint = hint::data(&error);
        Self::call(error).hinted(hint)
    }
}

impl From<PreprocessError> for Failure {
    fn from(error: PreprocessError) -> Self {
        let hint = hint::preprocess(&error);
        match error.kind() {
            PreprocessErrorKind::Internal => Self::work(error),
            _ => Self::call(error).hinted(hint),
        }
    }
}

impl From<ConditionError> for Failure {
    fn from(error: ConditionError) -> Self {
        let hint = hint::condition(&error);
        Self::call(error).hinted(hint)
    }
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        RequestError::from(error).into()
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        if let RequestErrorKind::Run(cause) = error.kind() {
            return cause.clone().into();
        }
        let hint = hint::request(&error);
        Self::call(error).hinted(hint)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error.kind() {
            RunErrorKind::Cancelled => Self::interrupted(),
            RunErrorKind::InputShape { .. } => {
                let hint = "`glocal inspect MODEL` shows the shape of the input".to_owned();
                Self::call(error).hinted(Some(hint))
            }
            RunErrorKind::Clusters { .. } => Self::call(error),
            _ => Self::work(error),
        }
    }
}

impl From<PictureError> for Failure {
    fn from(error: PictureError) -> Self {
        let hint = hint::picture(&error);
        match error.kind() {
            PictureErrorKind::UnknownColorMap { .. }
            | PictureErrorKind::ColorMapNode { .. }
            | PictureErrorKind::ColorMapTooShort { .. }
            | PictureErrorKind::ColorMapOrder { .. } => Self::call(error).hinted(hint),
            _ => Self::work(error),
        }
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        let hint = "choose a file or folder that you may write to, with `-o`".to_owned();
        if error.found_early() { Self::call(error).hinted(Some(hint)) } else { Self::work(error) }
    }
}
