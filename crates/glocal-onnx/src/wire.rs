//! Walks the protobuf wire format once before the messages are built: finds where a file is cut off and bounds the
//! memory that decoding takes, since two bytes on the wire can become a message of hundreds in memory.

mod schema;

use crate::budget::Budget;
use crate::error::{OnnxError, OnnxErrorKind};
use schema::{Content, MODEL, MessageSchema};

/// The depth at which the decoder gives up as well.
const MAX_DEPTH: usize = 100;

/// The message in memory, the same again while a list of them grows, and once more for what it is turned into.
const COPIES: u64 = 3;

/// What is wrong with the bytes, at which offset of the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("field {field} at byte {offset} needs {needed} bytes and {available} are left")]
    Overrun { field: u32, wire_type: u8, offset: usize, needed: u64, available: usize },
    #[error("the number at byte {offset} is cut off")]
    CutNumber { offset: usize },
    #[error("the number at byte {offset} has more than 64 bits")]
    LongNumber { offset: usize },
    #[error("byte {offset} starts no protobuf field: field {field} with wire type {wire_type}")]
    NoField { field: u64, wire_type: u8, offset: usize },
    #[error("field {field} at byte {offset} has wire type {wire_type}, which is another one in ONNX")]
    OtherType { field: u32, wire_type: u8, offset: usize },
}

/// One field of a message, with its payload where that is a block of bytes.
struct Field<'a> {
    number: u32,
    wire_type: u8,
    offset: usize,
    /// The bytes and their offset in the file.
    block: Option<(&'a [u8], usize)>,
}

const VARINT: u8 = 0;
const BITS_64: u8 = 1;
const BLOCK: u8 = 2;
const BITS_32: u8 = 5;

/// Reads the fields of one message in order.
struct Fields<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Offset of `bytes` in the file.
    base: usize,
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<u64, WireError> {
        let start = self.base + self.position;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.position) else {
                return Err(WireError::CutNumber { offset: start });
            };
            self.position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::LongNumber { offset: start })
    }

    fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.position == self.bytes.len() {
            return Ok(None);
        }
        let offset = self.base + self.position;
        let tag = self.number()?;
        let wire_type = (tag & 7) as u8;
        let number = match u32::try_from(tag >> 3) {
            Ok(number) if number != 0 && matches!(wire_type, VARINT | BITS_64 | BLOCK | BITS_32) => number,
            _ => return Err(WireError::NoField { field: tag >> 3, wire_type, offset }),
        };
        let length = match wire_type {
            VARINT => {
                self.number()?;
                0
            }
            BITS_64 => 8,
            BITS_32 => 4,
            _ => self.number()?,
        };
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let block = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let Some(block) = block else {
            return Err(WireError::Overrun { field: number, wire_type, offset, needed: length, available: rest.len() });
        };
        let start = self.base + self.position;
        self.position += block.len();
        Ok(Some(Field { number, wire_type, offset, block: (wire_type == BLOCK).then_some((block, start)) }))
    }
}

/// Checks that the bytes are whole ONNX messages and books the memory that decoding them takes.
///
/// # Errors
///
/// `Truncated` if a known field of the model itself runs past the end, `NotOnnx` if the model's own fields are not those of
/// ONNX, `Malformed` if that is so for a message inside, `MemoryLimit`.
pub(crate) fn check(bytes: &[u8], budget: &mut Budget) -> Result<(), OnnxError> {
    let mut fields = Fields { bytes, position: 0, base: 0 };
    let mut known_before = false;
    loop {
        match fields.next() {
            Ok(None) => return Ok(()),
            Ok(Some(field)) => {
                known_before |= MODEL.content(field.number).is_some();
                charge(&field, &MODEL, 1, budget, true)?;
            }
            Err(cause) => {
                let kind = match missing_bytes(&cause, known_before) {
                    Some(missing) => {
                        let actual = bytes.len() as u64;
                        OnnxErrorKind::Truncated { at_least: actual.saturating_add(missing), actual }
                    }
                    None => OnnxErrorKind::NotOnnx { looks_like: None },
                };
                return Err(OnnxError::caused(kind, cause));
            }
        }
    }
}

/// How many bytes are missing at least, if the error is one that cutting off an ONNX file gives.
fn missing_bytes(error: &WireError, known_before: bool) -> Option<u64> {
    match *error {
        WireError::Overrun { field, wire_type: BLOCK, needed, available, .. } => {
            let known = matches!(MODEL.content(field), Some(Content::Message(_) | Content::Text));
            known.then(|| needed.saturating_sub(available as u64))
        }
        WireError::CutNumber { .. } => known_before.then_some(1),
        _ => None,
    }
}

fn message(
    block: &[u8],
    base: usize,
    schema: &MessageSchema,
    depth: usize,
    budget: &mut Budget,
) -> Result<(), OnnxError> {
    // Deeper messages are not decoded either: the decoder reports them.
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let mut fields = Fields { bytes: block, position: 0, base };
    while let Some(field) = fields.next().map_err(|cause| OnnxError::caused(OnnxErrorKind::Malformed, cause))? {
        charge(&field, schema, depth, budget, false)?;
    }
    Ok(())
}

fn charge(
    field: &Field<'_>,
    schema: &MessageSchema,
    depth: usize,
    budget: &mut Budget,
    outermost: bool,
) -> Result<(), OnnxError> {
    let Some(content) = schema.content(field.number) else { return Ok(()) };
    match (content, field.block) {
        (Content::Message(schema), Some((block, base))) => {
            budget.charge(COPIES * schema.size as u64)?;
            message(block, base, schema, depth + 1, budget)
        }
        (Content::Text, Some((block, _))) => budget.charge(COPIES * size_of::<String>() as u64 + block.len() as u64),
        (Content::Bytes, Some(_)) => budget.charge(COPIES * size_of::<prost::bytes::Bytes>() as u64),
        (Content::Varints(size), Some((block, _))) => {
            let count = block.iter().filter(|byte| **byte < 0x80).count() as u64;
            budget.charge(2 * count * *size as u64)
        }
        (Content::Fixed, Some((block, _))) => budget.charge(2 * block.len() as u64),
        (Content::Varints(_) | Content::Fixed, None) => budget.charge(2 * 8),
        (Content::Scalar, None) => Ok(()),
        (Content::Message(_) | Content::Text | Content::Bytes, None) | (Content::Scalar, Some(_)) => {
            let Field { number, wire_type, offset, .. } = *field;
            let kind = if outermost { OnnxErrorKind::NotOnnx { looks_like: None } } else { OnnxErrorKind::Malformed };
            Err(OnnxError::caused(kind, WireError::OtherType { field: number, wire_type, offset }))
        }
    }
}

#[cfg(test)]
mod tests;
