//! Reads tensor data that lies in files beside the model, and only there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::budget::Budget;
use crate::error::{ExternalProblem, OnnxError, OnnxErrorKind, TensorPlace};
use crate::proto::StringStringEntryProto;

/// Where a model's external data may lie.
pub(crate) struct ExternalData {
    /// `None` if the model was given as bytes.
    folder: Option<PathBuf>,
    /// Files whose size counts in the budget already.
    granted: BTreeSet<PathBuf>,
    /// The model's own file, with all links followed.
    model: Option<PathBuf>,
}

/// What a tensor says about its external data.
struct Reference<'a> {
    location: &'a str,
    offset: Option<&'a str>,
    length: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn new(entries: &'a [StringStringEntryProto]) -> Self {
        let find = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        Self { location: find("location").unwrap_or_default(), offset: find("offset"), length: find("length") }
    }
}

/// Why data cannot be had, with the operating system's reason if it has one.
struct Failure(ExternalProblem, Option<io::Error>);

impl From<ExternalProblem> for Failure {
    fn from(problem: ExternalProblem) -> Self {
        Self(problem, None)
    }
}

impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Self {
        Self(ExternalProblem::Unreadable, Some(cause))
    }
}

impl ExternalData {
    /// Data in the folder of a model file.
    pub(crate) fn beside(model: &Path) -> Self {
        let folder = match model.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // The model's own size counts already, should it name itself.
        let model = fs::canonicalize(model).ok();
        Self { folder: Some(folder.to_owned()), granted: model.iter().cloned().collect(), model }
    }

    /// No folder: a model given as bytes.
    pub(crate) fn nowhere() -> Self {
        Self { folder: None, granted: BTreeSet::new(), model: None }
    }

    /// The files beside the model that data was read from, with all links followed, in the order of their paths.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.granted.iter().filter(|path| Some(*path) != self.model.as_ref()).cloned().collect()
    }

    /// Finds the bytes of a tensor whose shape needs `expected` of them.
    pub(crate) fn find(
        &mut self,
        tensor: &dyn Fn() -> TensorPlace,
        entries: &[StringStringEntryProto],
        expected: u64,
        budget: &mut Budget,
    ) -> Result<ExternalBytes, OnnxError> {
        let reference = Reference::new(entries);
        let fail = |failure| failed(tensor, &reference, failure);
        let path = self.resolve(reference.location).map_err(fail)?;
        let offset = number("offset", reference.offset).map_err(fail)?.unwrap_or(0);
        let length = number("length", reference.length).map_err(fail)?.unwrap_or(expected);
        if length != expected {
            return Ok(ExternalBytes::OtherLength(length));
        }
        let (file, file_length) = open(&path, offset, length).map_err(fail)?;
        if self.granted.insert(path) {
            budget.grant(file_length);
        }
        Ok(ExternalBytes::Found(file))
    }

    /// The path of an external file, with all links followed.
    fn resolve(&self, location: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.as_ref().ok_or(ExternalProblem::NoFolder)?;
        if location.is_empty() {
            return Err(ExternalProblem::NoLocation.into());
        }
        let inside =
            Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || location.contains('\\') {
            return Err(ExternalProblem::UnsafePath.into());
        }
        let folder = fs::canonicalize(folder)?;
        let path = fs::canonicalize(folder.join(location))?;
        if !path.starts_with(&folder) {
            return Err(ExternalProblem::OutsideFolder.into());
        }
        Ok(path)
    }
}

/// The outcome of looking for a tensor's bytes.
pub(crate) enum ExternalBytes {
    /// As many as were expected come next in this file.
    Found(File),
    /// The model itself gives another length than expected.
    OtherLength(u64),
}

/// The error of bytes that were found and cannot be read.
pub(crate) fn unreadable(
    tensor: &dyn Fn() -> TensorPlace,
    entries: &[StringStringEntryProto],
    cause: io::Error,
) -> OnnxError {
    failed(tensor, &Reference::new(entries), cause.into())
}

fn failed(tensor: &dyn Fn() -> TensorPlace, reference: &Reference<'_>, Failure(problem, cause): Failure) -> OnnxError {
    let location = reference.location.to_owned();
    let kind = OnnxErrorKind::ExternalData { tensor: tensor(), location, problem };
    match cause {
        Some(cause) => OnnxError::caused(kind, cause),
        None => kind.into(),
    }
}

fn number(key: &'static str, value: Option<&str>) -> Result<Option<u64>, Failure> {
    let bad = |value: &str| ExternalProblem::BadNumber { key, value: value.to_owned() }.into();
    value.map(|value| value.parse().map_err(|_| bad(value))).transpose()
}

/// Opens a file at `offset`, and checks that it has the bytes asked for; returns its length as well.
fn open(path: &Path, offset: u64, length: u64) -> Result<(File, u64), Failure> {
    // Before opening, which blocks on a pipe.
    if !fs::metadata(path)?.is_file() {
        return Err(ExternalProblem::NotAFile.into());
    }
    let mut file = File::open(path)?;
    let file_length = file.metadata()?.len();
    if offset.checked_add(length).is_none_or(|end| end > file_length) {
        return Err(ExternalProblem::OutOfBounds { offset, length, file_length }.into());
    }
    file.seek(SeekFrom::Start(offset))?;
    Ok((file, file_length))
}
