//! Composites: the ordered, first-match table that gives every node its rule.
//!
//! A composite is built in code ([`Composite::with`]), read by the name of a [`Preset`], or read from its text form
//! ([`Composite::from_toml`]):
//!
//! ```
//! let composite = glocal::Composite::from_toml(r#"
//!     name = "box-below"
//!     extends = "epsilon-plus"      # a preset, whose entries come behind these
//!
//!     [[rules]]
//!     layer = "features.*"          # of layer, kind and class, all that are given must match
//!     kind = "convolution"
//!     first = true                  # only the first node that matches
//!     rule = "z-box"                # epsilon, z-plus, alpha-beta, gamma, z-box, w-square, flat, norm, pass, gradient,
//!     low = -3                      # guided-backprop, deconvnet, beta-smooth; each with its parameters
//!     high = [2.5, 2.5, 3.0]
//! "#)?;
//! # Ok::<(), glocal::error::RequestError>(())
//! ```

mod default;
mod preset;
mod selector;
mod text;

use std::sync::Arc;

pub use preset::{Preset, PresetParameters};
pub use selector::{NamePattern, Selector};

use crate::error::{RequestError, RequestErrorKind};
use crate::model::{Model, NodeId};
use crate::op::OpKind;
use crate::rule::Rule;

/// An ordered list of selectors and rules; the first selector that matches a node gives it its rule.
#[derive(Debug, Clone)]
pub struct Composite {
    name: String,
    entries: Vec<(Selector, Arc<dyn Rule>)>,
}

impl Composite {
    /// A composite without entries: every node takes its default, and nodes with weights have none.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), entries: Vec::new() }
    }

    /// Adds an entry behind all others.
    #[must_use]
    pub fn with(mut self, selector: Selector, rule: impl Rule + 'static) -> Self {
        self.entries.push((selector, Arc::new(rule)));
        self
    }

    /// The entries of this one, then those of `other`: a preset extended in front is `entries.followed_by(preset)`.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole table as text, an entry a line: two composites with the same text give the same relevances.
    pub fn describe(&self) -> String {
        let line = |(selector, rule): &(Selector, Arc<dyn Rule>)| format!("{selector} -> {}", rule.describe());
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The rule of every node of `model` that its explained output depends on.
    ///
    /// # Errors
    /// When a node has no rule, or one that cannot be applied to it.
    pub fn resolve(&self, model: &Model) -> Result<Resolved, RequestError> {
        let graph = model.graph();
        let reached = graph.ancestors(model.explained());
        let matches: Vec<Vec<bool>> = self.entries.iter().map(|(selector, _)| selector.select(graph)).collect();
        let mut assignments = vec![None; graph.len()];
        for (id, node) in graph.nodes().filter(|(id, node)| reached[id.0] && node.op.kind() != OpKind::Input) {
            let entry = matches.iter().position(|matched| matched[id.0]);
            let (rule, origin) = match entry {
                Some(index) => (Arc::clone(&self.entries[index].1), Origin::Entry(index)),
                None => (default::default_rule(graph, node)?, Origin::Default),
            };
            rule.accepts(node.op.as_ref()).map_err(|needs| RequestErrorKind::WrongRule {
                node: node.display_name().to_owned(),
                rule: rule.describe(),
                needs,
            })?;
            assignments[id.0] = Some(Assignment { rule, origin });
        }
        Ok(Resolved { assignments })
    }
}

/// The rule of every node of one model.
#[derive(Debug, Clone)]
pub struct Resolved {
    assignments: Vec<Option<Assignment>>,
}

/// A node's rule and where it comes from.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The rule.
    pub rule: Arc<dyn Rule>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a node's rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The composite's entry of that index.
    Entry(usize),
    /// The op's default.
    Default,
}

impl Resolved {
    /// The rule of a node; `None` for the input and for nodes that the explained output does not depend on.
    pub fn get(&self, id: NodeId) -> Option<&Assignment> {
        self.assignments.get(id.0).and_then(Option::as_ref)
    }
}
