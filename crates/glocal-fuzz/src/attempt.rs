//! One file from its bytes to an explanation, as far as it gets.

mod explain;

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use glocal::{ImportOptions, Model};
use glocal_compute::CpuBackend;

use crate::memory;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An error of `glocal_onnx`, with its causes.
    Unreadable(String),
    /// An error of the import, with its causes.
    NotImported(String),
    /// A model, too large to run here or refused by a composite or a request.
    Imported,
    /// A model that ran and was explained.
    Explained,
    /// A failure: a panic, where and with what words; or an error without words.
    Failed(String),
}

/// What became of a file, and what it took.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How far it got.
    pub outcome: Outcome,
    /// The most memory that reading and importing took at once, the caller's copy of the bytes left out.
    pub peak: usize,
    /// The time of reading and importing.
    pub import: Duration,
    /// The time of canonizing, running and explaining.
    pub explanation: Duration,
}

/// Where a file is read from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// A path, with external data beside it.
    File(&'a Path),
}

/// Takes a file as far as it goes; `choice` says which composite, input and condition.
#[must_use]
pub fn attempt(source: Source<'_>, choice: u64) -> Attempt {
    let start = Instant::now();
    let (imported, peak) = memory::peak_of(|| guarded(|| import(source)));
    let import = start.elapsed();
    let start = Instant::now();
    let outcome = match imported {
        Ok(Ok(model)) => match guarded(|| explain::explain(&model, choice)) {
            Ok(Ok(true)) => Outcome::Explained,
            Ok(Ok(false)) => Outcome::Imported,
            Ok(Err(fault)) | Err(fault) => Outcome::Failed(fault),
        },
        Ok(Err(refused)) => refused,
        Err(fault) => Outcome::Failed(fault),
    };
    Attempt { outcome, peak, import, explanation: start.elapsed() }
}

fn import(source: Source<'_>) -> Result<Model, Outcome> {
    let onnx = match source {
        Source::Bytes(bytes) => glocal_onnx::Model::from_bytes(bytes),
        Source::File(path) => glocal_onnx::Model::read(path),
    };
    let onnx = onnx.map_err(|error| said(&error).map_or_else(Outcome::Failed, Outcome::Unreadable))?;
    Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))
        .map_err(|error| said(&error).map_or_else(Outcome::Failed, Outcome::NotImported))
}

/// An error's words, with those of its causes; a fault if it has none.
fn said(error: &dyn Error) -> Result<String, String> {
    let mut text = error.to_string();
    if text.is_empty() {
        return Err(format!("an error without words: {error:?}"));
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    Ok(text)
}

/// Where the last panic was.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Takes note of where panics are, in place of printing them.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
}

/// The work's result, or where and with what words it panicked.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).clone();
        format!("panic at {place}: {}", words(payload.as_ref()))
    })
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
