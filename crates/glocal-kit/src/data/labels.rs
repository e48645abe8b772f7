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
    /// Each text once, with the number of others that came before it: samples are many, and texts may be long.
    known: BTreeMap<String, usize>,
    /// The texts of all samples, by these numbers.
    texts: Vec<usize>,
    /// Where the texts of each sample end.
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
        for label in labels {
            let next = self.known.len();
            self.texts.push(*self.known.entry(label).or_insert(next));
        }
        self.ends.push(self.texts.len());
    }

    /// All labels as class indices. Where all texts are numbers, they are the indices; where none is one, they are names
    /// of classes, which are numbered in their order.
    ///
    /// # Errors
    /// When some are numbers and others not, as nobody can say then what the numbers mean.
    pub(super) fn resolve(self) -> Result<Labels, Mixed> {
        let Self { known, texts, ends } = self;
        // In the order in which they came.
        let mut distinct: Vec<(&str, usize)> = known.iter().map(|(text, number)| (text.as_str(), *number)).collect();
        distinct.sort_by_key(|(_, number)| *number);
        let numbers: Vec<Option<u32>> = distinct.iter().map(|(text, _)| text.parse().ok()).collect();
        let first = |wanted: usize| {
            let label = texts.iter().position(|text| *text == wanted).unwrap_or_default();
            (distinct[wanted].0.to_owned(), ends.partition_point(|end| *end <= label))
        };
        let Some(name) = numbers.iter().position(Option::is_none) else {
            let indices = texts.iter().filter_map(|text| numbers[*text]).collect();
            return Ok(Labels { indices, ends, names: None });
        };
        if let Some(index) = numbers.iter().position(Option::is_some) {
            let ((index, index_sample), (name, name_sample)) = (first(index), first(name));
            return Err(Mixed { index, index_sample, name, name_sample });
        }
        let mut classes = vec![0; distinct.len()];
        known.values().zip(0..).for_each(|(number, class)| classes[*number] = class);
        let indices = texts.iter().map(|text| classes[*text]).collect();
        Ok(Labels { indices, ends, names: Some(known.into_keys().collect()) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once() {
        let mut texts = LabelTexts::default();
        (0..1000).for_each(|sample| texts.push_cell(["dog; cat", "cat"][sample % 2]));
        assert_eq!(texts.known.len(), 2);
        let labels = texts.resolve().unwrap();
        assert_eq!([labels.of(0), labels.of(999)], [&[1, 0][..], &[0]]);
        assert_eq!(labels.names().unwrap(), ["cat", "dog"]);
    }

    #[test]
    fn the_first_of_either_kind_is_named() {
        let mut texts = LabelTexts::default();
        ["7;7", "9", "b;a", "a"].into_iter().for_each(|cell| texts.push_cell(cell));
        let Mixed { index, index_sample, name, name_sample } = texts.resolve().unwrap_err();
        assert_eq!((index.as_str(), index_sample, name.as_str(), name_sample), ("7", 0, "b", 2));
    }
}
