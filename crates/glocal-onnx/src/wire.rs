//! Walks the protobuf wire format once before the messages are built: finds where a file is cut off, bounds the memory
//! that decoding takes, since two bytes on the wire can become a message of hundreds in memory, and leaves the weights
//! where they are.

mod error;
mod schema;

use std::io::{self, BufRead, BufReader, Read};

use prost::bytes::Bytes;
use prost::encoding::encode_varint;

use crate::budget::Budget;
use crate::error::{OnnxError, OnnxErrorKind};
use crate::source::{Source, Stored, shortened};
use error::WireError;
use schema::{Content, MODEL, MessageSchema};

/// How deep messages may lie inside of each other: the decoder's own limit.
const MAX_DEPTH: usize = 100;

/// The message in memory, the same again while a list of them grows, and once more for what it is turned into.
const COPIES: u64 = 3;

/// Bytes of a message's length in the outline, the same for all, so that it can be filled in behind: 35 bits.
const LENGTH_BYTES: usize = 5;

/// One field of a message, read up to its payload.
struct Field {
    number: u32,
    wire_type: u8,
    offset: u64,
    /// The number itself, or how many bytes of payload follow.
    value: u64,
}

const VARINT: u8 = 0;
const BITS_64: u8 = 1;
const BLOCK: u8 = 2;
const BITS_32: u8 = 5;

/// Checks that the `length` bytes of `source` are whole ONNX messages, books the memory that decoding them takes, and
/// returns them without the elements in `raw_data`, which a [`Stored`] replaces, and without fields that ONNX does not have.
///
/// # Errors
///
/// `Truncated` if a known field of the model itself runs past the end, `NotOnnx` if the model's own fields are not those of
/// ONNX, `Malformed` if that is so for a message inside, `MemoryLimit`, `Unreadable`.
pub(crate) fn outline(source: &mut dyn Source, length: u64, budget: &mut Budget) -> Result<Bytes, OnnxError> {
    let unreadable = |cause| OnnxError::caused(OnnxErrorKind::Unreadable, cause);
    source.rewind().map_err(unreadable)?;
    let mut walk = Walk { source: BufReader::new(source), position: 0, outline: Vec::new(), budget };
    // Weights that are not in `raw_data` stay in the outline, which must not double then.
    let room = usize::try_from(length + length / 16).map_err(|cause| unreadable(io::Error::other(cause)))?;
    walk.outline.try_reserve_exact(room).map_err(|cause| unreadable(io::Error::other(cause)))?;
    walk.model(length)?;
    let mut outline = walk.outline;
    outline.shrink_to_fit();
    Ok(outline.into())
}

/// Reads the fields of messages in order, and writes those of the outline.
struct Walk<'a> {
    source: BufReader<&'a mut dyn Source>,
    position: u64,
    outline: Vec<u8>,
    budget: &'a mut Budget,
}

impl Walk<'_> {
    fn model(&mut self, end: u64) -> Result<(), OnnxError> {
        let mut known_before = false;
        loop {
            match self.next(end) {
                Ok(None) => return Ok(()),
                Ok(Some(field)) => {
                    known_before |= MODEL.content(field.number).is_some();
                    self.field(&field, &MODEL, 0)?;
                }
                Err(cause) => {
                    let kind = match missing_bytes(&cause, known_before) {
                        Some(missing) => {
                            OnnxErrorKind::Truncated { at_least: end.saturating_add(missing), actual: end }
                        }
                        None => OnnxErrorKind::NotOnnx { looks_like: None },
                    };
                    return Err(cause.within(kind));
                }
            }
        }
    }

    /// The next field of the message that ends there.
    fn next(&mut self, end: u64) -> Result<Option<Field>, WireError> {
        if self.position == end {
            return Ok(None);
        }
        let offset = self.position;
        let tag = self.number(end)?;
        let wire_type = (tag & 7) as u8;
        let number = match u32::try_from(tag >> 3) {
            Ok(number) if number != 0 && matches!(wire_type, VARINT | BITS_64 | BLOCK | BITS_32) => number,
            _ => return Err(WireError::NoField { field: tag >> 3, wire_type, offset }),
        };
        let value = match wire_type {
            BITS_64 => 8,
            BITS_32 => 4,
            _ => self.number(end)?,
        };
        let field = Field { number, wire_type, offset, value };
        let (needed, available) = (field.payload(), end - self.position);
        if needed > available {
            return Err(WireError::Overrun { field: number, wire_type, offset, needed, available });
        }
        Ok(Some(field))
    }

    fn number(&mut self, end: u64) -> Result<u64, WireError> {
        let offset = self.position;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            if self.position == end {
                return Err(WireError::CutNumber { offset });
            }
            let byte = *self.source.fill_buf()?.first().ok_or_else(shortened)?;
            self.source.consume(1);
            self.position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            // Of the last byte, only one bit is within the 64.
            if byte < 0x80 && (shift < 63 || byte < 2) {
                return Ok(value);
            }
        }
        Err(WireError::LongNumber { offset })
    }

    /// Takes a field of a message that lies inside of `depth` others.
    fn field(&mut self, field: &Field, schema: &MessageSchema, depth: usize) -> Result<(), OnnxError> {
        let failed = |cause: WireError| {
            let outermost = depth == 0;
            cause.within(if outermost { OnnxErrorKind::NotOnnx { looks_like: None } } else { OnnxErrorKind::Malformed })
        };
        let Some(content) = schema.content(field.number) else { return self.skip(field).map_err(failed) };
        match (content, field.wire_type == BLOCK) {
            (Content::Message(schema), true) => {
                self.budget.charge(COPIES * schema.size as u64)?;
                self.message(field, schema, depth + 1)
            }
            (Content::Text, true) => {
                self.budget.charge(COPIES * size_of::<String>() as u64 + field.value)?;
                self.copy(field).map(drop).map_err(failed)
            }
            (Content::Bytes, true) => {
                self.budget.charge(COPIES * size_of::<Bytes>() as u64)?;
                self.copy(field).map(drop).map_err(failed)
            }
            (Content::Elements, true) => {
                self.budget.charge(COPIES * size_of::<Bytes>() as u64)?;
                self.refer(field).map_err(failed)
            }
            (Content::Varints(size), true) => {
                let block = self.copy(field).map_err(failed)?;
                let count = block.iter().filter(|byte| **byte < 0x80).count() as u64;
                self.budget.charge(2 * count * *size as u64)
            }
            (Content::Fixed, true) => {
                self.budget.charge(2 * field.value)?;
                self.copy(field).map(drop).map_err(failed)
            }
            (Content::Varints(_) | Content::Fixed, false) => {
                self.budget.charge(2 * 8)?;
                self.copy(field).map(drop).map_err(failed)
            }
            (Content::Scalar, false) => self.copy(field).map(drop).map_err(failed),
            (Content::Message(_) | Content::Text | Content::Bytes | Content::Elements, false)
            | (Content::Scalar, true) => {
                let Field { number, wire_type, offset, .. } = *field;
                Err(failed(WireError::OtherType { field: number, wire_type, offset }))
            }
        }
    }

    fn message(&mut self, field: &Field, schema: &MessageSchema, depth: usize) -> Result<(), OnnxError> {
        let malformed = |cause: WireError| cause.within(OnnxErrorKind::Malformed);
        if depth > MAX_DEPTH {
            return Err(malformed(WireError::TooDeep { offset: field.offset }));
        }
        self.write_key(field);
        self.outline.extend([0; LENGTH_BYTES]);
        let start = self.outline.len();
        let end = self.position + field.value;
        while let Some(field) = self.next(end).map_err(malformed)? {
            self.field(&field, schema, depth)?;
        }
        let mut length = self.outline.len() - start;
        let (last, others) = (start - 1, start - LENGTH_BYTES..start - 1);
        for byte in &mut self.outline[others] {
            *byte = length as u8 | 0x80;
            length >>= 7;
        }
        self.outline[last] = length as u8;
        Ok(())
    }

    /// Passes over a field's payload, which nobody needs now.
    fn skip(&mut self, field: &Field) -> Result<(), WireError> {
        let distance = i64::try_from(field.payload()).map_err(io::Error::other)?;
        self.source.seek_relative(distance)?;
        self.position += field.payload();
        Ok(())
    }

    /// Writes a field as it is; returns its payload.
    fn copy(&mut self, field: &Field) -> Result<&[u8], WireError> {
        self.write_key(field);
        if matches!(field.wire_type, VARINT | BLOCK) {
            encode_varint(field.value, &mut self.outline);
        }
        let start = self.outline.len();
        let read = (&mut self.source).take(field.payload()).read_to_end(&mut self.outline)?;
        if read as u64 != field.payload() {
            return Err(shortened().into());
        }
        self.position += field.payload();
        Ok(&self.outline[start..])
    }

    /// Writes where a field's payload is.
    fn refer(&mut self, field: &Field) -> Result<(), WireError> {
        let stored = Stored { offset: self.position, length: field.value }.to_bytes();
        let stored = if field.value == 0 { &[] } else { stored.as_slice() };
        self.write_key(field);
        encode_varint(stored.len() as u64, &mut self.outline);
        self.outline.extend_from_slice(stored);
        self.skip(field)
    }

    fn write_key(&mut self, field: &Field) {
        encode_varint(u64::from(field.number) << 3 | u64::from(field.wire_type), &mut self.outline);
    }
}

impl Field {
    /// Bytes of its payload.
    fn payload(&self) -> u64 {
        if self.wire_type == VARINT { 0 } else { self.value }
    }
}

/// How many bytes are missing at least, if the error is one that cutting off an ONNX file gives.
fn missing_bytes(error: &WireError, known_before: bool) -> Option<u64> {
    match *error {
        WireError::Overrun { field, wire_type: BLOCK, needed, available, .. } => {
            let known = matches!(MODEL.content(field), Some(Content::Message(_) | Content::Text));
            known.then(|| needed.saturating_sub(available))
        }
        WireError::CutNumber { .. } => known_before.then_some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
