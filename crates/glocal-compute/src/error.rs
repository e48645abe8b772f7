//! What can go wrong in a tensor operation: shapes that do not fit. A backend never panics on them.

use std::fmt;

/// An operation was called with operands that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputeError {
    operation: &'static str,
    kind: ComputeErrorKind,
}

/// The ways in which operands do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComputeErrorKind {
    /// A shape and the number of elements given for it differ.
    ElementCount {
        /// The shape that was asked for.
        shape: Vec<usize>,
        /// The number of elements that were given.
        elements: usize,
    },
    /// Two shapes do not fit together.
    ShapeMismatch {
        /// What the operation expected.
        expected: Vec<usize>,
        /// What it was given.
        given: Vec<usize>,
    },
    /// The operand has a rank that the operation does not take.
    Rank {
        /// The ranks that the operation takes, in words.
        expected: &'static str,
        /// The operand's shape.
        given: Vec<usize>,
    },
    /// An attribute (stride, group, axis, range, ...) is out of the operation's domain.
    Attribute {
        /// The attribute's name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The result would have no elements.
    Empty {
        /// The shape of the result.
        shape: Vec<usize>,
    },
    /// The result would have more elements than can be addressed.
    TooLarge {
        /// The shape of the result.
        shape: Vec<usize>,
    },
}

impl ComputeError {
    /// An error of `operation` (a [`Backend`](crate::Backend) method's name).
    pub fn new(operation: &'static str, kind: ComputeErrorKind) -> Self {
        Self { operation, kind }
    }

    /// Two shapes that do not fit.
    pub fn shapes(operation: &'static str, expected: &[usize], given: &[usize]) -> Self {
        Self::new(operation, ComputeErrorKind::ShapeMismatch { expected: expected.to_vec(), given: given.to_vec() })
    }

    /// What went wrong.
    pub fn kind(&self) -> &ComputeErrorKind {
        &self.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

impl fmt::Display for ComputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        match &self.kind {
            ComputeErrorKind::ElementCount { shape, elements } => {
                write!(f, "shape {shape:?} needs {} elements, {elements} were given", shape.iter().product::<usize>())
            }
            ComputeErrorKind::ShapeMismatch { expected, given } => {
                write!(f, "expected shape {expected:?}, got {given:?}")
            }
            ComputeErrorKind::Rank { expected, given } => write!(f, "expected {expected}, got shape {given:?}"),
            ComputeErrorKind::Attribute { name, reason } => write!(f, "{name}: {reason}"),
            ComputeErrorKind::Empty { shape } => write!(f, "a tensor of shape {shape:?} has no elements"),
            ComputeErrorKind::TooLarge { shape } => write!(f, "a tensor of shape {shape:?} is too large"),
        }
    }
}

impl std::error::Error for ComputeError {}
