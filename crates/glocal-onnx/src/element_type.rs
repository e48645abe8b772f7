//! What the elements of a tensor are, as the file says it.

use std::fmt;

use crate::proto::DataType;

/// The element type of a tensor in the file, before any conversion.
///
/// The types up to [`String`](Self::String) can be decoded; the rest are known by name so that an error can say them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ElementType {
    /// 32-bit float.
    Float32,
    /// IEEE 754 half precision.
    Float16,
    /// The upper half of a 32-bit float.
    BFloat16,
    /// 64-bit float.
    Float64,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits.
    Uint8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// A truth value.
    Bool,
    /// A UTF-8 string.
    String,
    /// No type is given.
    Undefined,
    /// A type of the format that this crate does not decode: complex, or a number of fewer than 8 bits, or an 8-bit float.
    Undecoded(DataType),
    /// A code that the format did not have when this was written.
    Unknown(i32),
}

impl ElementType {
    /// The element type of a `TensorProto.DataType` code.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        let Ok(data_type) = DataType::try_from(code) else {
            return Self::Unknown(code);
        };
        match data_type {
            DataType::Undefined => Self::Undefined,
            DataType::Float => Self::Float32,
            DataType::Float16 => Self::Float16,
            DataType::Bfloat16 => Self::BFloat16,
            DataType::Double => Self::Float64,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 => Self::Int64,
            DataType::Uint8 => Self::Uint8,
            DataType::Uint16 => Self::Uint16,
            DataType::Uint32 => Self::Uint32,
            DataType::Uint64 => Self::Uint64,
            DataType::Bool => Self::Bool,
            DataType::String => Self::String,
            other => Self::Undecoded(other),
        }
    }

    /// Bytes of one element in `raw_data` and external files; `None` for strings and for types that are not decoded.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Int8 | Self::Uint8 | Self::Bool => Some(1),
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::Uint16 => Some(2),
            Self::Float32 | Self::Int32 | Self::Uint32 => Some(4),
            Self::Float64 | Self::Int64 | Self::Uint64 => Some(8),
            Self::String | Self::Undefined | Self::Undecoded(_) | Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Float64 => "float64",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint16 => "uint16",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Undefined => "undefined",
            Self::Undecoded(data_type) => return formatter.write_str(&format!("{data_type:?}").to_lowercase()),
            Self::Unknown(code) => return write!(formatter, "unknown type code {code}"),
        };
        formatter.write_str(name)
    }
}
