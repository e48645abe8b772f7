//! Vectors that cannot be directions.

use std::fmt;

/// Why vectors cannot be directions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectionErrorKind {
    /// They are no table of vectors.
    Shape {
        /// The shape given.
        shape: Vec<usize>,
    },
    /// A vector has length zero.
    Zero {
        /// Its row.
        id: usize,
    },
    /// A vector holds an infinite number or none.
    NotFinite {
        /// Its row.
        id: usize,
    },
}

impl fmt::Display for DirectionErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { shape } => write!(f, "they must have shape [K, C], not {shape:?}"),
            Self::Zero { id } => write!(f, "the vector {id} is zero"),
            Self::NotFinite { id } => write!(f, "the vector {id} is not finite"),
        }
    }
}
