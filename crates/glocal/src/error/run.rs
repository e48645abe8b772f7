//! A failure while a model runs.

use std::fmt;

use glocal_compute::{ComputeError, Tensor};

use crate::model::Node;

/// A model could not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    kind: RunErrorKind,
    cause: Option<ComputeError>,
}

/// The ways in which a run fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// The inputs do not have the model's shape.
    InputShape {
        /// The shape of one sample.
        expected: Vec<usize>,
        /// The shape of the batch that was given.
        given: Vec<usize>,
    },
    /// Changed values of a layer do not have its shape, or are not one for each row.
    LayerShape {
        /// The layer.
        layer: String,
        /// The shape of the rows.
        expected: Box<[usize]>,
        /// The shape that was given.
        given: Box<[usize]>,
    },
    /// A node failed.
    Node {
        /// The layer or node.
        node: String,
        /// Its ONNX op.
        op_type: String,
    },
    /// A rule does not hand down one share to each input of its node, with a row for each row of relevance.
    Shares {
        /// The layer or node.
        node: Box<str>,
        /// The shapes of the shares.
        expected: Box<[Vec<usize>]>,
        /// Those of what the rule handed down.
        given: Box<[Vec<usize>]>,
    },
    /// More clusters were asked for of so many vectors than memory is given to.
    Clusters {
        /// The number of clusters.
        clusters: usize,
        /// The number of vectors.
        vectors: usize,
        /// The most clusters that so many vectors may have.
        most: usize,
    },
    /// A tensor could not be made.
    Tensor,
    /// The caller cancelled the work.
    Cancelled,
}

impl RunError {
    pub(crate) fn input_shape(expected: &[usize], given: &[usize]) -> Self {
        Self { kind: RunErrorKind::InputShape { expected: expected.to_vec(), given: given.to_vec() }, cause: None }
    }

    pub(crate) fn layer_shape(node: &Node, rows: usize, given: &[usize]) -> Self {
        let (layer, expected) = (node.display_name().to_owned(), [&[rows], node.shape.as_slice()].concat());
        Self { kind: RunErrorKind::LayerShape { layer, expected: expected.into(), given: given.into() }, cause: None }
    }

    pub(crate) fn node(node: &Node, cause: ComputeError) -> Self {
        let kind = RunErrorKind::Node { node: node.display_name().to_owned(), op_type: node.op_type.clone() };
        Self { kind, cause: Some(cause) }
    }

    pub(crate) fn shares(node: &Node, rows: usize, expected: &[Vec<usize>], given: &[Tensor]) -> Self {
        let expected = expected.iter().map(|shape| [&[rows], shape.as_slice()].concat()).collect();
        let given = given.iter().map(|share| share.shape().to_vec()).collect();
        Self { kind: RunErrorKind::Shares { node: node.display_name().into(), expected, given }, cause: None }
    }

    pub(crate) fn clusters(clusters: usize, vectors: usize, most: usize) -> Self {
        Self { kind: RunErrorKind::Clusters { clusters, vectors, most }, cause: None }
    }

    pub(crate) fn cancelled() -> Self {
        Self { kind: RunErrorKind::Cancelled, cause: None }
    }

    /// What went wrong.
    pub fn kind(&self) -> &RunErrorKind {
        &self.kind
    }
}

impl From<ComputeError> for RunError {
    fn from(cause: ComputeError) -> Self {
        Self { kind: RunErrorKind::Tensor, cause: Some(cause) }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RunErrorKind::InputShape { expected, given } => {
                write!(f, "the model takes a batch of samples of shape {expected:?}, it was given {given:?}")
            }
            RunErrorKind::LayerShape { layer, expected, given } => {
                write!(f, "the values of layer {layer} must have shape {expected:?}, they have {given:?}")
            }
            RunErrorKind::Node { node, op_type } => write!(f, "layer {node} ({op_type}) failed"),
            RunErrorKind::Shares { node, expected, given } => write!(
                f,
                "the rule of layer {node} must hand down shares of shapes {expected:?}, they have {given:?}; a rule is given values \
                 without rows where its `reads` does not name them"
            ),
            RunErrorKind::Clusters { clusters, vectors, most } => write!(
                f,
                "{clusters} clusters of {vectors} vectors take too much memory; ask for at most {most}, or give fewer vectors"
            ),
            RunErrorKind::Tensor => write!(f, "a tensor operation failed"),
            RunErrorKind::Cancelled => write!(f, "cancelled"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}
