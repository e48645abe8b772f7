//! Constant tensors, decoded.

mod decode;
mod elements;

pub(crate) use decode::Decoder;

use crate::element_type::ElementType;

/// A constant tensor: a weight, or the value of a Constant node.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name; may be empty for a tensor in an attribute.
    pub name: String,
    /// Its dimensions, outermost first; empty for a scalar. Their product is the length of `data`.
    pub shape: Vec<usize>,
    /// The type that the file stores.
    pub element_type: ElementType,
    /// Its elements in row-major order.
    pub data: Data,
}

/// The elements of a tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// All floats. 16-bit ones convert exactly, 64-bit ones are rounded to the nearest (beyond the range: infinite).
    F32(Vec<f32>),
    /// All integers.
    I64(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Strings.
    String(Vec<String>),
}

impl Data {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::String(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tensor {
    /// The elements if they are floats.
    #[must_use]
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The elements if they are integers.
    #[must_use]
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(values) => Some(values),
            _ => None,
        }
    }
}
