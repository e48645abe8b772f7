//! Which nodes an entry of a composite is for.

use std::fmt;

use crate::model::{Graph, LayerName, Model, Node};
use crate::op::{OpClass, OpKind};

/// A condition on the nodes of a model that its explained output depends on; the input is no such node.
///
/// ```
/// use glocal::composite::Selector;
/// use glocal::op::OpKind;
///
/// // The second convolution of those that are not in a shortcut.
/// let selector = Selector::Kind(OpKind::Convolution).except(Selector::layer("*.downsample.*")).nth(1);
/// assert_eq!(selector.to_string(), "number 1 of ((kind convolution) and (not (layer *.downsample.*)))");
/// ```
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
    /// The last of them.
    Last(Box<Selector>),
    /// The one of them with this number, from 0: none when there are fewer.
    Nth(usize, Box<Selector>),
    /// Nodes that all of the inner selectors match.
    All(Vec<Selector>),
    /// Nodes that one or more of the inner selectors match.
    AnyOf(Vec<Selector>),
    /// Nodes that the inner selector does not match.
    Not(Box<Selector>),
}

/// A layer name in which `*` stands for any characters, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// The pattern `pattern`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
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

    /// The first node, in topological order, that this selector matches.
    #[must_use]
    pub fn first(self) -> Self {
        Self::First(Box::new(self))
    }

    /// The last node, in topological order, that this selector matches.
    #[must_use]
    pub fn last(self) -> Self {
        Self::Last(Box::new(self))
    }

    /// The node of that number, from 0 in topological order, of those that this selector matches.
    #[must_use]
    pub fn nth(self, number: usize) -> Self {
        Self::Nth(number, Box::new(self))
    }

    /// The nodes that this selector matches and `other` too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::All(vec![self, other])
    }

    /// The nodes that this selector or `other` matches.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::AnyOf(vec![self, other])
    }

    /// The nodes that this selector matches and `other` does not.
    #[must_use]
    pub fn except(self, other: Self) -> Self {
        self.and(Self::Not(Box::new(other)))
    }

    /// For each node of the model, whether it matches.
    pub fn select(&self, model: &Model) -> Vec<bool> {
        let mut among = model.graph().ancestors(model.explained());
        among[model.graph().input().index()] = false;
        self.select_among(model.graph(), &among)
    }

    /// For each node, whether it matches and is one of those that are chosen among.
    fn select_among(&self, graph: &Graph, among: &[bool]) -> Vec<bool> {
        let matched = |inner: &Self| inner.select_among(graph, among);
        let only = |position: Option<usize>| (0..among.len()).map(|index| Some(index) == position).collect();
        match self {
            Self::First(inner) => only(matched(inner).iter().position(|&matched| matched)),
            Self::Last(inner) => only(matched(inner).iter().rposition(|&matched| matched)),
            Self::Nth(number, inner) => {
                let matched = matched(inner);
                let mut positions = matched.iter().enumerate().filter(|(_, matched)| **matched);
                only(positions.nth(*number).map(|(index, _)| index))
            }
            Self::All(inner) => inner.iter().fold(among.to_vec(), |all, selector| {
                all.iter().zip(matched(selector)).map(|(all, one)| *all && one).collect()
            }),
            Self::AnyOf(inner) => inner.iter().fold(vec![false; among.len()], |any, selector| {
                any.iter().zip(matched(selector)).map(|(any, one)| *any || one).collect()
            }),
            Self::Not(inner) => among.iter().zip(matched(inner)).map(|(among, inner)| *among && !inner).collect(),
            _ => graph.nodes().zip(among).map(|((_, node), among)| *among && self.matches(node)).collect(),
        }
    }

    /// Whether one node matches, for the selectors that look at one node alone.
    fn matches(&self, node: &Node) -> bool {
        match self {
            Self::Kind(kind) => node.op.kind() == *kind,
            Self::Class(class) => node.op.kind().is(*class),
            Self::Layer(pattern) => {
                node.layers.iter().map(LayerName::as_str).chain([node.name.as_str()]).any(|name| pattern.matches(name))
            }
            Self::Any => true,
            _ => false,
        }
    }

    /// The patterns of layer names in it, those that must not match included.
    pub fn patterns(&self) -> Vec<&NamePattern> {
        match self {
            Self::Any | Self::Kind(_) | Self::Class(_) => Vec::new(),
            Self::Layer(pattern) => vec![pattern],
            Self::First(inner) | Self::Last(inner) | Self::Nth(_, inner) | Self::Not(inner) => inner.patterns(),
            Self::All(inner) | Self::AnyOf(inner) => inner.iter().flat_map(Self::patterns).collect(),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name with line breaks must not look like several entries.
        self.0
            .chars()
            .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |inner: &[Self], word: &str| {
            inner.iter().map(|selector| format!("({selector})")).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::Any => f.write_str("any"),
            Self::Kind(kind) => write!(f, "kind {kind}"),
            Self::Class(class) => write!(f, "class {}", class.name()),
            Self::Layer(pattern) => write!(f, "layer {pattern}"),
            Self::First(inner) => write!(f, "first ({inner})"),
            Self::Last(inner) => write!(f, "last ({inner})"),
            Self::Nth(number, inner) => write!(f, "number {number} of ({inner})"),
            Self::All(inner) if inner.is_empty() => f.write_str("any"),
            Self::AnyOf(inner) if inner.is_empty() => f.write_str("none"),
            Self::All(inner) => f.write_str(&joined(inner, " and ")),
            Self::AnyOf(inner) => f.write_str(&joined(inner, " or ")),
            Self::Not(inner) => write!(f, "not ({inner})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use glocal_compute::CpuBackend;

    use super::*;
    use crate::op::activation::Activation;
    use crate::op::softmax::Softmax;

    /// `relu.1`, `tanh.2`, `relu.3`, `softmax.4`: the last is not explained.
    fn model() -> Model {
        let mut graph = Graph::new("input", vec![2]);
        let mut top = graph.input();
        let mut push = |op: Arc<dyn crate::op::Op>| {
            let name = format!("{}.{}", op.kind(), graph.len());
            let layers = vec![LayerName::new(name.as_str())];
            let node = Node {
                op,
                inputs: vec![top],
                name,
                is_step: false,
                merged_names: Vec::new(),
                op_type: String::new(),
                values: Vec::new(),
                layers,
                shape: Vec::new(),
            };
            top = graph.push(node).unwrap();
        };
        push(Arc::new(Activation::Relu));
        push(Arc::new(Activation::Tanh));
        push(Arc::new(Activation::Relu));
        push(Arc::new(Softmax { axis: 1, log: false }));
        Model::new(graph, top, Arc::new(CpuBackend::new())).unwrap()
    }

    #[test]
    fn selectors_match_what_they_say() {
        let relu = || Selector::Kind(OpKind::Relu);
        let tanh = || Selector::layer("tanh.*");
        let cases = [
            (Selector::Any, vec![1, 2, 3], "any"),
            (relu(), vec![1, 3], "kind relu"),
            (relu().first(), vec![1], "first (kind relu)"),
            (relu().last(), vec![3], "last (kind relu)"),
            (relu().nth(0), vec![1], "number 0 of (kind relu)"),
            (relu().nth(1), vec![3], "number 1 of (kind relu)"),
            (relu().nth(2), vec![], "number 2 of (kind relu)"),
            (Selector::Any.last(), vec![3], "last (any)"),
            (Selector::Any.first(), vec![1], "first (any)"),
            (relu().or(tanh()), vec![1, 2, 3], "(kind relu) or (layer tanh.*)"),
            (relu().and(tanh()), vec![], "(kind relu) and (layer tanh.*)"),
            (Selector::Any.except(tanh()), vec![1, 3], "(any) and (not (layer tanh.*))"),
            (Selector::Any.except(relu().first()), vec![2, 3], "(any) and (not (first (kind relu)))"),
            (Selector::Any.except(relu().first()).nth(1), vec![3], "number 1 of ((any) and (not (first (kind relu))))"),
            (Selector::Kind(OpKind::Softmax), vec![], "kind softmax"),
            (Selector::All(Vec::new()), vec![1, 2, 3], "any"),
            (Selector::AnyOf(Vec::new()), vec![], "none"),
            (Selector::layer("a\nb"), vec![], "layer a\\nb"),
        ];
        for (selector, expected, text) in cases {
            let matched = selector.select(&model());
            let matched: Vec<usize> = (0..matched.len()).filter(|&index| matched[index]).collect();
            assert_eq!(matched, expected, "{selector}");
            assert_eq!(selector.to_string(), text);
        }
    }

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
