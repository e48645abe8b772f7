//! What can be wrong with the wire format.

use std::io;

use super::MAX_DEPTH;
use crate::error::{OnnxError, OnnxErrorKind};

/// What is wrong with the bytes, at which offset of the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("field {field} at byte {offset} needs {needed} bytes and {available} are left")]
    Overrun { field: u32, wire_type: u8, offset: u64, needed: u64, available: u64 },
    #[error("the number at byte {offset} is cut off")]
    CutNumber { offset: u64 },
    #[error("the number at byte {offset} has more than 64 bits")]
    LongNumber { offset: u64 },
    #[error("byte {offset} starts no protobuf field: field {field} with wire type {wire_type}")]
    NoField { field: u64, wire_type: u8, offset: u64 },
    #[error("field {field} at byte {offset} has wire type {wire_type}, which is another one in ONNX")]
    OtherType { field: u32, wire_type: u8, offset: u64 },
    #[error("the message at byte {offset} lies inside of more than {MAX_DEPTH} others")]
    TooDeep { offset: u64 },
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

impl WireError {
    /// The error of a file that has this at a place where it makes the file one of this kind.
    pub(super) fn within(self, kind: OnnxErrorKind) -> OnnxError {
        match self {
            Self::Unreadable(cause) => OnnxError::caused(OnnxErrorKind::Unreadable, cause),
            damage => OnnxError::caused(kind, damage),
        }
    }
}
