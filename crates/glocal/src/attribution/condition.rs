//! What one attribution is restricted to.

use crate::concept::Selection;

/// A target and, for each of some layers, the concepts that relevance may pass through.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Where relevance starts. Default: [`Target::Everything`].
    pub target: Target,
    /// Layers (by any of their names) and the concepts that relevance may pass through there. Default: none. Concepts of the
    /// layer where relevance starts that have nothing in common with the target let nothing through: all is zero then.
    pub layers: Vec<(String, Selection)>,
}

/// The part of the output (or of the start layer) that relevance starts from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// All of it.
    Everything,
    /// The class with the largest output, of each sample its own (the first on ties).
    Predicted,
    /// Some of it: classes are the output's channels.
    Some(Selection),
}

impl Condition {
    /// Relevance from the whole output, through everything.
    pub fn everything() -> Self {
        Self { target: Target::Everything, layers: Vec::new() }
    }

    /// Relevance from the predicted class.
    pub fn predicted() -> Self {
        Self { target: Target::Predicted, layers: Vec::new() }
    }

    /// Relevance from one class.
    pub fn class(class: usize) -> Self {
        Self { target: Target::Some(Selection::channels([class])), layers: Vec::new() }
    }

    /// The same, restricted to `selection` at `layer`.
    #[must_use]
    pub fn through(mut self, layer: impl Into<String>, selection: Selection) -> Self {
        self.layers.push((layer.into(), selection));
        self
    }
}
