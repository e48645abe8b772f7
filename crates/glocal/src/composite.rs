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
//!     layer = "features.*"          # of layer, kind and class, all that are given must match; each one name or a list
//!     kind = "convolution"
//!     first = true                  # only the first node that matches; or last = true, or nth = 2, from 0
//!     rule = "z-box"                # epsilon, z-plus, alpha-beta, gamma, z-box, w-square, flat, norm, halves, pass,
//!     low = -3                      # signal-takes-all, gradient, guided-backprop, deconvnet, beta-smooth; each with its
//!     high = [2.5, 2.5, 3.0]        # parameters
//!
//!     [[rules]]
//!     class = "linear"
//!     except = { layer = ["classifier.*", "fc"] }  # not those; first, last and nth count what is left
//!     rule = "gamma"
//! "#)?;
//! # Ok::<(), glocal::error::RequestError>(())
//! ```
//!
//! `extends` names a preset, as `"epsilon-gamma-box:low=-3,high=3"` or as a table
//! `{ preset = "epsilon-gamma-box", low = -3, high = 3 }`, or is another composite: its text, or a table with its keys.

mod default;
mod gates;
mod preset;
mod selector;
mod text;

use std::fmt;
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
    entries: Vec<Entry>,
}

/// One line of a composite.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The nodes that it is for.
    pub selector: Selector,
    /// What they get.
    pub rule: Arc<dyn Rule>,
    /// Whether it stems from a [`Preset`]: those have entries for ops that many models do not have.
    pub of_preset: bool,
}

impl fmt::Display for Entry {
    /// `selector -> rule`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.selector, self.rule.describe())
    }
}

impl Composite {
    /// A composite without entries: every node takes its default, and nodes with weights have none.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), entries: Vec::new() }
    }

    /// Adds an entry behind all others.
    #[must_use]
    pub fn with(self, selector: Selector, rule: impl Rule + 'static) -> Self {
        self.with_shared(selector, Arc::new(rule))
    }

    /// Adds an entry behind all others, whose rule other composites may share.
    #[must_use]
    pub fn with_shared(mut self, selector: Selector, rule: Arc<dyn Rule>) -> Self {
        self.entries.push(Entry { selector, rule, of_preset: false });
        self
    }

    /// The entries of this one, then those of `other`: a preset extended in front is `entries.followed_by(preset)`.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self
    }

    /// Its entries, the one that is asked first at the front.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole table as text, an entry a line: two composites with the same text give the same relevances.
    pub fn describe(&self) -> String {
        self.entries.iter().map(Entry::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The rule of every node of `model` that its explained output depends on.
    ///
    /// # Errors
    /// When a node has no rule, or one that cannot be applied to it.
    pub fn resolve(&self, model: &Model) -> Result<Resolved, RequestError> {
        let graph = model.graph();
        let gates = gates::Gates::of(graph);
        let reached = graph.ancestors(model.explained());
        let matches: Vec<Vec<bool>> = self.entries.iter().map(|entry| entry.selector.select(model)).collect();
        let mut assignments = vec![None; graph.len()];
        let mut used = vec![false; self.entries.len()];
        for (id, node) in graph.nodes().filter(|(id, node)| reached[id.0] && node.op.kind() != OpKind::Input) {
            let entry = matches.iter().position(|matched| matched[id.0]);
            let (rule, origin) = match entry {
                Some(index) => {
                    used[index] = true;
                    (Arc::clone(&self.entries[index].rule), Origin::Entry(index))
                }
                None => (default::default_rule(graph, &gates, node)?, Origin::Default),
            };
            let inputs: Vec<&[usize]> = node.inputs.iter().map(|&input| graph.node(input).shape.as_slice()).collect();
            rule.accepts(node.op.as_ref(), &inputs, &node.shape).map_err(|needs| RequestErrorKind::WrongRule {
                node: node.display_name().to_owned(),
                rule: rule.describe(),
                needs,
            })?;
            assignments[id.0] = Some(Assignment { rule, origin });
        }
        let unused = (0..used.len()).filter(|&entry| !used[entry]);
        let unused = unused.map(|entry| Unused { entry, matches_nothing: !matches[entry].contains(&true) }).collect();
        Ok(Resolved { assignments, unused })
    }
}

/// The rule of every node of one model.
#[derive(Debug, Clone)]
pub struct Resolved {
    assignments: Vec<Option<Assignment>>,
    unused: Vec<Unused>,
}

/// An entry of a composite that gives no node of the model its rule: often a misspelt layer name, unless the entry is
/// one of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unused {
    /// The index of the entry.
    pub entry: usize,
    /// Whether its selector matches no node; else entries before it match all that it does.
    pub matches_nothing: bool,
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

    /// The entries that give no node its rule, in their order.
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }
}
