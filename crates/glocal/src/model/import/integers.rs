//! The integers that constants hold: the arithmetic of narrow ones is refused where it leaves them.

use glocal_onnx::ElementType;

use crate::model::import::value::Size;

/// The numbers of an ONNX type that is none of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integers {
    /// 0 and 1.
    Bool,
    /// From the first to the last.
    Between(i64, i64),
}

impl Integers {
    /// Those of 64 bits.
    pub(super) const ALL: Self = Self::Between(i64::MIN, i64::MAX);

    /// Those of a type.
    pub(super) fn of_type(element_type: ElementType) -> Option<Self> {
        Some(match element_type {
            ElementType::Bool => Self::Bool,
            ElementType::Int8 => Self::Between(i8::MIN.into(), i8::MAX.into()),
            ElementType::Int16 => Self::Between(i16::MIN.into(), i16::MAX.into()),
            ElementType::Int32 => Self::Between(i32::MIN.into(), i32::MAX.into()),
            ElementType::Int64 => Self::Between(i64::MIN, i64::MAX),
            ElementType::Uint8 => Self::Between(0, u8::MAX.into()),
            ElementType::Uint16 => Self::Between(0, u16::MAX.into()),
            ElementType::Uint32 => Self::Between(0, u32::MAX.into()),
            ElementType::Uint64 => Self::Between(0, i64::MAX),
            _ => return None,
        })
    }

    /// An integer as one of these, if it is.
    pub(super) fn of(self, size: Size) -> Option<Size> {
        match (self, size) {
            (Self::Bool, Size::Fixed(value)) => Some(Size::Fixed(i64::from(value != 0))),
            // A batch is at least 1.
            (Self::Bool, Size::Batch(count)) => Some(Size::Fixed(i64::from(count != 0))),
            (Self::Bool, Size::Sample { .. }) => None,
            (Self::Between(low, high), Size::Fixed(value)) => (low..=high).contains(&value).then_some(size),
            (Self::Between(..), _) => Some(size),
        }
    }

    /// A float as one of these, towards zero, if it is.
    pub(super) fn of_float(self, value: f32) -> Option<Size> {
        match self {
            Self::Bool => Some(Size::Fixed(i64::from(value != 0.0))),
            // Beyond this a float is no i64.
            Self::Between(..) if value.abs() < 9.2e18 => self.of(Size::Fixed(value as i64)),
            Self::Between(..) => None,
        }
    }
}
