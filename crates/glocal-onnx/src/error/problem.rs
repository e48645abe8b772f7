//! What can be wrong with one attribute, tensor or external file.

use crate::element_type::ElementType;

/// What is wrong with an attribute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeProblem {
    /// Another attribute of the node has the same name.
    #[error("occurs twice")]
    Duplicate,
    /// The attribute's type is given and its value is not.
    #[error("has no value")]
    MissingValue,
    /// A string is not UTF-8.
    #[error("is a string that is not UTF-8")]
    NotUtf8,
    /// It stands for a parameter of a function, outside of any.
    #[error("refers to the function parameter `{parameter}`, and the node is not in a function")]
    Reference {
        /// Name of the parameter.
        parameter: String,
    },
    /// The type code is one that the format did not have when this was written.
    #[error("has the unknown type code {code}")]
    UnknownType {
        /// The code.
        code: i32,
    },
}

/// What is wrong with a constant tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// An initializer without a name cannot be used by any node.
    #[error("has no name")]
    Unnamed,
    /// The element type cannot be decoded.
    #[error(
        "has elements of type {element_type}, which is not supported; expected floats of 16 bits or more, integers of 8 or more, bool or string"
    )]
    UnsupportedElementType {
        /// The type.
        element_type: ElementType,
    },
    /// It has more dimensions than any network needs.
    #[error("has {count} dimensions; expected at most {limit}")]
    TooManyDimensions {
        /// The number of dimensions.
        count: usize,
        /// The most that are read.
        limit: usize,
    },
    /// A dimension is negative.
    #[error("has a negative dimension in its shape {shape:?}")]
    NegativeDimension {
        /// The shape as the file gives it.
        shape: Vec<i64>,
    },
    /// The number of elements is beyond what can be addressed.
    #[error("has the shape {shape:?}, of more elements than can be addressed")]
    ShapeOverflow {
        /// The shape as the file gives it.
        shape: Vec<i64>,
    },
    /// The data has another size than shape and type ask for.
    #[error("has {actual} bytes of data; its shape {shape:?} of {element_type} needs {expected}")]
    WrongByteCount {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Its type.
        element_type: ElementType,
        /// Bytes that the shape needs.
        expected: u64,
        /// Bytes that are there.
        actual: u64,
    },
    /// The typed data has another length than the shape asks for.
    #[error("has {actual} values of type {element_type}; its shape {shape:?} needs {expected}")]
    WrongValueCount {
        /// Shape of the tensor.
        shape: Vec<usize>,
        /// Its type.
        element_type: ElementType,
        /// Values that the shape needs.
        expected: usize,
        /// Values that are there.
        actual: usize,
    },
    /// The elements are given more than once.
    #[error("has its data in more than one place (raw, typed or external); expected one")]
    SeveralSources,
    /// The tensor is stored in segments.
    #[error("is stored in segments, which is not supported")]
    Segmented,
    /// A value does not fit its own type, or an unsigned one not 64 signed bits.
    #[error("has the value {value}, which its type {element_type} does not hold, or 64 signed bits do not")]
    ValueOutOfRange {
        /// The value.
        value: i128,
        /// The element type.
        element_type: ElementType,
    },
    /// A string is not UTF-8.
    #[error("has a string that is not UTF-8")]
    NotUtf8,
}

/// What is wrong with a tensor's external data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalProblem {
    /// The model was read from bytes, so there is no folder to look in.
    #[error("cannot be found, because the model was given as bytes; read it by its path")]
    NoFolder,
    /// No path is given.
    #[error("has no path")]
    NoLocation,
    /// The path is absolute, goes up, or uses backslashes.
    #[error("has an unsafe path; expected a relative path without `..` and backslashes")]
    UnsafePath,
    /// The path leads out of the model's folder through a link.
    #[error("lies outside of the model's folder, through a symbolic link; put the file itself into the folder")]
    OutsideFolder,
    /// The file is missing or unreadable; the error's cause says why.
    #[error("cannot be read; the file belongs beside the model")]
    Unreadable,
    /// The path is a folder, a pipe or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// An offset or length is no number.
    #[error("has the {key} `{value}`; expected a number of bytes")]
    BadNumber {
        /// `offset` or `length`.
        key: &'static str,
        /// What the model gives.
        value: String,
    },
    /// The bytes asked for are not in the file.
    #[error("should be {length} bytes from byte {offset} on, and the file has {file_length} bytes")]
    OutOfBounds {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// Size of the external file.
        file_length: u64,
    },
    /// Strings cannot be external.
    #[error("should hold strings, which have no external form")]
    Strings,
}
