//! The keys of one TOML table: each is taken by its reader, and a key that none asked for is an error.

use std::cell::RefCell;

use crate::error::{RequestError, RequestErrorKind, nearest};
use crate::rule::{Bound, Stabilizer};

/// The keys of a table that no reader has taken yet.
#[derive(Debug)]
pub(super) struct Fields {
    table: RefCell<toml::Table>,
    /// The keys that were asked for: those that could have been meant.
    asked: RefCell<Vec<&'static str>>,
}

impl Fields {
    pub(super) fn new(table: toml::Table) -> Self {
        Self { table: RefCell::new(table), asked: RefCell::new(Vec::new()) }
    }

    /// Takes the value of a key.
    pub(super) fn take(&self, name: &'static str) -> Option<toml::Value> {
        self.asked.borrow_mut().push(name);
        self.table.borrow_mut().remove(name)
    }

    /// Whether no key is left.
    pub(super) fn is_empty(&self) -> bool {
        self.table.borrow().is_empty()
    }

    /// Refuses a key that is left; `what` it is no key of.
    pub(super) fn finish(self, what: &'static str) -> Result<(), RequestError> {
        match self.table.into_inner().keys().next() {
            None => Ok(()),
            Some(name) => Err(unknown(what, name, self.asked.into_inner().into_iter())),
        }
    }

    pub(super) fn string(&self, name: &'static str) -> Result<Option<String>, RequestError> {
        self.take(name).map(|value| text(value).ok_or_else(|| expected(name, "a text in quotes"))).transpose()
    }

    /// One text or a list of them; none when the key is not there.
    pub(super) fn strings(&self, name: &'static str) -> Result<Option<Vec<String>>, RequestError> {
        let texts = |value| match value {
            toml::Value::Array(values) if !values.is_empty() => values.into_iter().map(text).collect(),
            value => text(value).map(|text| vec![text]),
        };
        self.take(name)
            .map(|value| texts(value).ok_or_else(|| expected(name, "a text in quotes, or a list of them")))
            .transpose()
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, RequestError> {
        match self.take(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| expected(name, "true or false")),
        }
    }

    /// A whole number from 0.
    pub(super) fn count(&self, name: &'static str) -> Result<Option<usize>, RequestError> {
        let count = |value: toml::Value| value.as_integer().and_then(|count| usize::try_from(count).ok());
        let wrong = || expected(name, "a whole number, 0 for the first");
        self.take(name).map(|value| count(value).ok_or_else(wrong)).transpose()
    }

    pub(super) fn number(&self, name: &'static str, default: f32) -> Result<f32, RequestError> {
        match self.take(name) {
            None => Ok(default),
            Some(value) => number(&value).ok_or_else(|| expected(name, "a number")),
        }
    }

    pub(super) fn positive(&self, name: &'static str, default: f32) -> Result<f32, RequestError> {
        let value = self.number(name, default)?;
        if value > 0.0 { Ok(value) } else { Err(expected(name, "a positive number")) }
    }

    pub(super) fn stabilizer(&self) -> Result<Stabilizer, RequestError> {
        let epsilon = self.positive("epsilon", Stabilizer::default().epsilon)?;
        Ok(Stabilizer { epsilon, clip: self.flag("clip")?, norm_scale: self.flag("norm_scale")? })
    }

    /// A bound of the input: one number, or one for each channel.
    pub(super) fn bound(&self, name: &'static str) -> Result<Bound, RequestError> {
        let wrong = || expected(name, "a number, or a list of one for each channel");
        match self.take(name).ok_or_else(wrong)? {
            toml::Value::Array(values) => {
                let values: Option<Vec<f32>> = values.iter().map(number).collect();
                values.map(Bound::Channels).ok_or_else(wrong)
            }
            value => number(&value).map(Bound::All).ok_or_else(wrong),
        }
    }
}

fn text(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        _ => None,
    }
}

/// A finite number, written with or without a point.
fn number(value: &toml::Value) -> Option<f32> {
    let number = value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64))? as f32;
    number.is_finite().then_some(number)
}

pub(super) fn expected(name: &'static str, expected: &'static str) -> RequestError {
    RequestErrorKind::Entry { name, expected }.into()
}

/// The error of a name that is none of `names`.
pub(super) fn unknown(what: &'static str, name: &str, names: impl Iterator<Item = &'static str>) -> RequestError {
    RequestErrorKind::UnknownName { what, name: name.to_owned(), nearest: nearest(name, names, 3) }.into()
}
