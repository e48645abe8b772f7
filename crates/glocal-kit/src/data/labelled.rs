//! A data set with labels from a table beside it: other labels than its own, or where it has none.

use std::collections::HashMap;
use std::path::Path;

use super::error::{DataError, DataErrorKind};
use super::fault::TableFault;
use super::fingerprint::{Fingerprint, Hasher};
use super::labels::{LabelTexts, Labels, in_cell};
use super::rows::{Row, read};
use super::{Content, DataSet, Numbering};

/// The samples of a data set, with the labels of a table.
struct Labelled {
    data: Box<dyn DataSet>,
    labels: Labels,
    fingerprint: Fingerprint,
}

/// `data` with the labels that the CSV file at `table` has for its samples, in place of its own.
///
/// A row names a sample by its [key](DataSet::key) and a label of it; a sample may be in several rows, or have several labels in
/// one (`a;b`), and has no label where it is in none. Labels are names of classes, which are numbered in their order, or indices of
/// the model's outputs; then the data set keeps its own names of classes.
///
/// # Errors
/// When the table cannot be read, is no such table, or names a sample that the data set does not have.
pub fn with_labels(data: Box<dyn DataSet>, table: &Path) -> Result<Box<dyn DataSet>, DataError> {
    let fault = |fault| DataError::new(table, DataErrorKind::Table(fault));
    let numbers: HashMap<String, usize> = (0..data.len()).map(|sample| (data.key(sample), sample)).collect();
    let mut rows: Vec<Vec<Row>> = Vec::new();
    rows.resize_with(data.len(), Vec::new);
    for row in read(table)? {
        match numbers.get(&row.file) {
            Some(sample) => rows[*sample].push(row),
            None => {
                let (line, sample, example) = (row.line, row.file, data.key(0));
                return Err(fault(TableFault::UnknownSample { line, sample, example }));
            }
        }
    }
    let mut texts = LabelTexts::default();
    for rows in &rows {
        texts.push_cells(rows.iter().map(|row| row.label.as_str()));
    }
    let labels = texts.resolve().map_err(|mixed| {
        let line = |sample: usize, label: &str| {
            let row = rows[sample].iter().find(|row| in_cell(&row.label).any(|one| one == label));
            row.map_or(0, |row| row.line)
        };
        let (index_line, name_line) = (line(mixed.index_sample, &mixed.index), line(mixed.name_sample, &mixed.name));
        fault(TableFault::MixedLabels { index: mixed.index, index_line, name: mixed.name, name_line })
    })?;
    let mut hasher = Hasher::new("glocal labels 1");
    labels.hash(&mut hasher);
    Ok(Box::new(Labelled { data, labels, fingerprint: hasher.finish() }))
}

impl DataSet for Labelled {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn key(&self, index: usize) -> String {
        self.data.key(index)
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.labels.of(index)
    }

    fn class_names(&self) -> Option<&[String]> {
        self.labels.names().or_else(|| self.data.class_names())
    }

    fn numbering(&self) -> Numbering {
        if self.labels.names().is_some() { Numbering::Classes } else { Numbering::Outputs }
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        self.data.load(index)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.data.fingerprint()
    }

    fn labels_fingerprint(&self) -> Option<Fingerprint> {
        Some(self.fingerprint)
    }

    fn describe(&self) -> String {
        let labelled = (0..self.len()).filter(|sample| !self.labels(*sample).is_empty()).count();
        format!("{}; {labelled} of them labelled by a table", self.data.describe())
    }
}
