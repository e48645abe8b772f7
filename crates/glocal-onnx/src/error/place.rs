//! Where in a model an error is, in the words that a viewer of the model shows.

use std::fmt;

/// Which node: its position in the graph, its name (may be empty) and its operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// Position in the graph's list of nodes, from 0.
    pub index: usize,
    /// Name of the node; exporters may leave it empty.
    pub name: String,
    /// Its operator.
    pub op_type: String,
}

impl fmt::Display for NodePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "node {}", self.index)?;
        if !self.name.is_empty() {
            write!(formatter, " `{}`", self.name)?;
        }
        if !self.op_type.is_empty() {
            write!(formatter, " ({})", self.op_type)?;
        }
        Ok(())
    }
}

/// Which constant tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorPlace {
    /// An initializer of the graph.
    Initializer {
        /// Position in the graph's list of initializers, from 0.
        index: usize,
        /// Its name.
        name: String,
    },
    /// A tensor in a node's attribute.
    Attribute {
        /// The node.
        node: NodePlace,
        /// Name of the attribute.
        attribute: String,
    },
}

impl fmt::Display for TensorPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initializer { index, name } if name.is_empty() => write!(formatter, "initializer {index}"),
            Self::Initializer { name, .. } => write!(formatter, "initializer `{name}`"),
            Self::Attribute { node, attribute } => write!(formatter, "tensor attribute `{attribute}` of {node}"),
        }
    }
}
