//! A layer name that the model does not have.

use std::fmt;

/// A name that is no layer, node or value of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerError {
    name: String,
    nearest: Vec<String>,
}

impl LayerError {
    pub(crate) fn new<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Self {
        Self { name: name.to_owned(), nearest: super::nearest(name, names, 3) }
    }

    /// The name that was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names that come nearest to it, nearest first.
    pub fn nearest(&self) -> &[String] {
        &self.nearest
    }
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the model has no layer {:?}", self.name)?;
        if !self.nearest.is_empty() {
            write!(f, "; the nearest are {}", self.nearest.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for LayerError {}
