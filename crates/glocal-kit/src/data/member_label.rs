//! The label of a sample in an archive: a `.cls` file, or a field of a `.json` file.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use serde_json::Value;

use super::error::DataErrorKind;
use super::fault::ArchiveFault;

/// The greatest size of a file with a label.
const LIMIT: u64 = 1 << 20;

/// The fields of a `.json` file that may hold the label, in the order of preference.
const FIELDS: &[&str] = &["label", "labels", "cls", "class"];

type Failure = (DataErrorKind, Option<Box<dyn Error + Send + Sync>>);

/// The labels that the entry `name` holds, as texts; `None` where it is JSON without such a field.
pub(super) fn read_label(file: &mut File, name: &str, start: u64, size: u64) -> Result<Option<Vec<String>>, Failure> {
    let fault = |expected| DataErrorKind::Archive(ArchiveFault::Label { entry: name.to_owned(), expected });
    if size > LIMIT {
        return Err((fault("at most 1 MiB"), None));
    }
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(size).read_to_end(&mut bytes));
    read.map_err(|error| (DataErrorKind::Read, Some(error.into())))?;
    if !name.to_ascii_lowercase().ends_with(".json") {
        let text = std::str::from_utf8(&bytes).map_err(|error| (fault("text in UTF-8"), Some(error.into())))?.trim();
        return Ok(Some(if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }));
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| (fault("JSON"), Some(error.into())))?;
    let Some(label) = FIELDS.iter().find_map(|field| value.get(field)) else { return Ok(None) };
    let text = |label: &Value| match label {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    };
    let labels = match label {
        Value::Null => Some(Vec::new()),
        Value::Array(labels) => labels.iter().map(text).collect(),
        label => text(label).map(|label| vec![label]),
    };
    labels.map(Some).ok_or_else(|| (fault("a class index, a name, or a list of either, in the field label"), None))
}
