//! Which nodes an entry of a composite is for.

use std::fmt;

use crate::model::{Graph, LayerName, Node};
use crate::op::{OpClass, OpKind};

/// A condition on nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// Every node.
    Any,
    /// Nodes of a kind.
    Kind(OpKind),
    /// Nodes of a class of kinds.
    Class(OpClass),
    /// Nodes that have a layer (or node) name of the pattern.
    Layer(NamePattern),
    /// The first node, in topological order, of those that the inner selector matches.
    First(Box<Selector>),
    /// Nodes that all of the inner selectors match.
    All(Vec<Selector>),
}

/// A layer name in which `*` stands for any characters, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern `pattern`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether `name` is of the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let Some((prefix, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut name) = name.strip_prefix(prefix) else { return false };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let suffix = pieces.pop().unwrap_or_default();
        for piece in pieces {
            match name.split_once(piece) {
                Some((_, after)) => name = after,
                None => return false,
            }
        }
        name.ends_with(suffix)
    }
}

impl Selector {
    /// The nodes of a layer name, in which `*` stands for any characters.
    pub fn layer(pattern: impl Into<String>) -> Self {
        Self::Layer(NamePattern::new(pattern))
    }

    /// For each node of the graph, whether it matches.
    pub fn select(&self, graph: &Graph) -> Vec<bool> {
        match self {
            Self::First(inner) => {
                let first = inner.select(graph).iter().position(|&matched| matched);
                (0..graph.len()).map(|index| Some(index) == first).collect()
            }
            Self::All(inner) => {
                let selections: Vec<Vec<bool>> = inner.iter().map(|selector| selector.select(graph)).collect();
                (0..graph.len()).map(|index| selections.iter().all(|selection| selection[index])).collect()
            }
            _ => graph.nodes().map(|(_, node)| self.matches(node)).collect(),
        }
    }

    /// Whether one node matches, for the selectors that look at one node alone.
    fn matches(&self, node: &Node) -> bool {
        match self {
            Self::Any => true,
            Self::Kind(kind) => node.op.kind() == *kind,
            Self::Class(class) => node.op.kind().is(*class),
            Self::Layer(pattern) => {
                node.layers.iter().map(LayerName::as_str).chain([node.name.as_str()]).any(|name| pattern.matches(name))
            }
            Self::First(_) | Self::All(_) => false,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Kind(kind) => write!(f, "kind {kind}"),
            Self::Class(class) => write!(f, "class {}", class.name()),
            Self::Layer(NamePattern(pattern)) => write!(f, "layer {pattern}"),
            Self::First(inner) => write!(f, "first ({inner})"),
            Self::All(inner) => {
                let inner: Vec<String> = inner.iter().map(|selector| format!("({selector})")).collect();
                f.write_str(&inner.join(" and "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let cases = [
            ("features.0", "features.0", true),
            ("features.0", "features.01", false),
            ("features.*", "features.40", true),
            ("features.*", "feature.40", false),
            ("*.conv1", "layer1.0.conv1", true),
            ("*.conv1", "layer1.0.conv12", false),
            ("layer*.conv*", "layer1.0.conv2", true),
            ("a*a", "a", false),
            ("*", "", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(NamePattern::new(pattern).matches(name), expected, "{pattern} on {name}");
        }
    }
}
