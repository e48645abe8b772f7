//! Elements in little-endian bytes, decoded piece by piece as they are read: their bytes are never in memory together.

use std::io::{self, Read};

use half::{bf16, f16};

use super::Data;
use crate::element_type::ElementType;
use crate::source::shortened;

/// Bytes in memory at once: a multiple of every element's size.
const PIECE: usize = 1 << 18;

/// Reads `count` elements, whose bytes have been found to be there. 64-bit unsigned integers come with their bits.
///
/// # Errors
/// When the bytes cannot be read, are not there any more, or take more memory than there is.
pub(super) fn read(source: &mut (impl Read + ?Sized), count: usize, element_type: ElementType) -> io::Result<Data> {
    Ok(match element_type {
        ElementType::Float32 => Data::F32(each(source, count, f32::from_le_bytes)?),
        ElementType::Float16 => Data::F32(each(source, count, |bytes| f16::from_le_bytes(bytes).to_f32())?),
        ElementType::BFloat16 => Data::F32(each(source, count, |bytes| bf16::from_le_bytes(bytes).to_f32())?),
        ElementType::Float64 => Data::F32(each(source, count, |bytes| f64::from_le_bytes(bytes) as f32)?),
        ElementType::Int8 => Data::I64(each(source, count, |bytes| i8::from_le_bytes(bytes).into())?),
        ElementType::Int16 => Data::I64(each(source, count, |bytes| i16::from_le_bytes(bytes).into())?),
        ElementType::Int32 => Data::I64(each(source, count, |bytes| i32::from_le_bytes(bytes).into())?),
        ElementType::Int64 | ElementType::Uint64 => Data::I64(each(source, count, i64::from_le_bytes)?),
        ElementType::Uint8 => Data::I64(each(source, count, |bytes| u8::from_le_bytes(bytes).into())?),
        ElementType::Uint16 => Data::I64(each(source, count, |bytes| u16::from_le_bytes(bytes).into())?),
        ElementType::Uint32 => Data::I64(each(source, count, |bytes| u32::from_le_bytes(bytes).into())?),
        ElementType::Bool => Data::Bool(each(source, count, |[byte]: [u8; 1]| byte != 0)?),
        ElementType::String | ElementType::Undefined | ElementType::Undecoded(_) | ElementType::Unknown(_) => {
            return Err(io::ErrorKind::Unsupported.into());
        }
    })
}

fn each<const SIZE: usize, T>(
    source: &mut (impl Read + ?Sized),
    count: usize,
    decode: impl Fn([u8; SIZE]) -> T,
) -> io::Result<Vec<T>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(count).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut piece = vec![0; count.saturating_mul(SIZE).min(PIECE)];
    while elements.len() < count {
        piece.truncate((count - elements.len()).saturating_mul(SIZE));
        source.read_exact(&mut piece).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => shortened(),
            _ => cause,
        })?;
        elements.extend(piece.as_chunks().0.iter().map(|bytes| decode(*bytes)));
    }
    Ok(elements)
}
