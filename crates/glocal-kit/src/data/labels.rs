//! The labels of samples as tables and archives spell them: class indices, or names of classes.

use std::collections::BTreeMap;

use super::fingerprint::Hasher;

/// What separates several labels of one sample.
const SEPARATOR: char = ';';

/// Any number of labels for each sample.
#[derive(Debug, Default)]
pub(super) struct Labels {
    indices: Vec<u32>,
    /// Where the labels of each sample end.
    ends: Vec<usize>,
    /// The names of the classes, where labels are names or the data set lists them.
    names: Option<Vec<String>>,
}

/// Labels as they are read, before it is known whether they are indices or names.
#[derive(Debug, Default)]
pub(super) struct LabelTexts {
    texts: Vec<String>,
    ends: Vec<usize>,
}

/// Some labels are indices, others names. Samples are counted from 0.
#[derive(Debug)]
pub(super) struct Mixed {
    pub(super) index: String,
    pub(super) index_sample: usize,
    pub(super) name: String,
    pub(super) name_sample: usize,
}

/// The labels in a cell, separated by `;`; none where it is empty.
pub(super) fn in_cell(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(SEPARATOR).map(str::trim).filter(|label| !label.is_empty())
}

impl LabelTexts {
    /// The labels of the next sample, as [`in_cell`] finds them.
    pub(super) fn push_cell(&mut self, cell: &str) {
        self.push_cells([cell]);
    }

    /// The same of several cells.
    pub(super) fn push_cells<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.push(cells.into_iter().flat_map(in_cell).map(str::to_owned));
    }

    /// The labels of the next sample.
    pub(super) fn push(&mut self, labels: impl IntoIterator<Item = String>) {
        self.texts.extend(labels);
        self.ends.push(self.texts.len());
    }

    /// All labels as class indices. Where all texts are numbers, they are the indices; where none is one, they are names
    /// of classes, which are numbered in their order.
    ///
    /// # Errors
    /// When some are numbers and others not, as nobody can say then what the numbers mean.
    pub(super) fn resolve(self) -> Result<Labels, Mixed> {
        let Self { texts, ends } = self;
        let numbers: Vec<Option<u32>> = texts.iter().map(|text| text.parse().ok()).collect();
        let sample = |label: usize| ends.partition_point(|end| *end <= label);
        let Some(name) = numbers.iter().position(Option::is_none) else {
            return Ok(Labels { indices: numbers.into_iter().flatten().collect(), ends, names: None });
        };
        if let Some(index) = numbers.iter().position(Option::is_some) {
            let (index_sample, name_sample) = (sample(index), sample(name));
            return Err(Mixed { index: texts[index].clone(), index_sample, name: texts[name].clone(), name_sample });
        }
        let mut classes: BTreeMap<&str, u32> = texts.iter().map(|text| (text.as_str(), 0)).collect();
        classes.values_mut().zip(0..).for_each(|(class, index)| *class = index);
        let indices = texts.iter().filter_map(|text| classes.get(text.as_str()).copied()).collect();
        let names = classes.keys().map(|name| (*name).to_owned()).collect();
        Ok(Labels { indices, ends, names: Some(names) })
    }
}

impl Labels {
    /// At most one label a sample, as class indices, with the names of the classes where the data set lists them.
    pub(super) fn of_indices(labels: impl IntoIterator<Item = Option<u32>>, names: Option<Vec<String>>) -> Self {
        Self { names, ..Self::of_several(labels) }
    }

    /// The labels of each sample, as indices.
    pub(super) fn of_several(labels: impl IntoIterator<Item = impl IntoIterator<Item = u32>>) -> Self {
        let mut all = Self::default();
        labels.into_iter().for_each(|labels| all.push(labels));
        all
    }

    /// The labels of the next sample.
    pub(super) fn push(&mut self, labels: impl IntoIterator<Item = u32>) {
        self.indices.extend(labels);
        self.ends.push(self.indices.len());
    }

    /// The labels of one sample.
    pub(super) fn of(&self, sample: usize) -> &[u32] {
        let end = self.ends.get(sample).copied().unwrap_or_default();
        let start = sample.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.indices.get(start..end).unwrap_or_default()
    }

    /// The names of the classes.
    pub(super) fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// In words, to follow what the samples are.
    pub(super) fn describe(&self) -> String {
        match &self.names {
            _ if self.indices.is_empty() => " without labels".to_owned(),
            None => " with labels".to_owned(),
            Some(names) if names.len() == 1 => " in 1 class".to_owned(),
            Some(names) => format!(" in {} classes", names.len()),
        }
    }

    /// Adds the names and all labels to `hasher`.
    pub(super) fn hash(&self, hasher: &mut Hasher) {
        let names = self.names.as_deref().unwrap_or_default();
        hasher.number(names.len() as u64);
        names.iter().for_each(|name| hasher.text(name));
        hasher.number(self.ends.len() as u64);
        for sample in 0..self.ends.len() {
            let labels = self.of(sample);
            hasher.number(labels.len() as u64);
            labels.iter().for_each(|label| hasher.number((*label).into()));
        }
    }
}
