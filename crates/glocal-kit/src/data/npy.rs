//! The header of NumPy's `.npy` format.
//!
//! Only the header is read here, by a reader that neither recurses nor allocates more than the header's own bytes; the
//! elements are read row by row later.

use std::io::Read;
use std::path::Path;

use super::element::{ByteOrder, ElementType};
use super::error::{ArrayFormat, DataError, DataErrorKind};
use super::stored_array::Layout;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The greatest length of a header: as NumPy itself reads without being told to trust the file.
const HEADER_LIMIT: usize = 10_000;

/// Reads the header at the start of `source`, the array `name` of the file at `path`: its layout and its own number of
/// bytes.
pub(super) fn read_header(source: &mut impl Read, name: &str, path: &Path) -> Result<(Layout, u64), DataError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            DataError::malformed(path, ArrayFormat::Npy, "a header, which ends too early")
        }
        _ => DataError::read(path, error),
    };
    let mut start = [0; 8];
    source.read_exact(&mut start).map_err(failed)?;
    if !start.starts_with(MAGIC) {
        return Err(DataError::malformed(path, ArrayFormat::Npy, "the magic bytes \\x93NUMPY at the start"));
    }
    let (length, before) = match start[6] {
        1 => {
            let mut length = [0; 2];
            source.read_exact(&mut length).map_err(failed)?;
            (u16::from_le_bytes(length) as usize, 10)
        }
        2 | 3 => {
            let mut length = [0; 4];
            source.read_exact(&mut length).map_err(failed)?;
            (u32::from_le_bytes(length) as usize, 12)
        }
        _ => return Err(DataError::malformed(path, ArrayFormat::Npy, "format version 1, 2 or 3")),
    };
    if length > HEADER_LIMIT {
        return Err(DataError::malformed(path, ArrayFormat::Npy, "a header of at most 10,000 bytes"));
    }
    let mut header = vec![0; length];
    source.read_exact(&mut header).map_err(failed)?;
    let text = String::from_utf8_lossy(&header);
    let Some(Header { descr, fortran_order, shape }) = parse(&text) else {
        let expected = "a header {'descr': '...', 'fortran_order': ..., 'shape': (...)} of a plain element type";
        return Err(DataError::malformed(path, ArrayFormat::Npy, expected));
    };
    let Some((element, byte_order)) = element_type(descr) else {
        let (array, given) = (name.to_owned(), descr.to_owned());
        return Err(DataError::new(path, DataErrorKind::ElementType { array, given }));
    };
    if fortran_order && shape.len() > 1 {
        return Err(DataError::new(path, DataErrorKind::FortranOrder { array: name.to_owned() }));
    }
    let layout = Layout { format: ArrayFormat::Npy, name: name.to_owned(), element, byte_order, shape };
    Ok((layout, (before + length) as u64))
}

struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// The Python dictionary of a header; `None` when it is none, or an entry is missing, unknown or given twice.
fn parse(text: &str) -> Option<Header<'_>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let after = match key {
            "descr" if descr.is_none() => {
                let (text, after) = quoted(value)?;
                descr = Some(text);
                after
            }
            "fortran_order" if fortran_order.is_none() => {
                let (flag, after) = match value.strip_prefix("True") {
                    Some(after) => (true, after),
                    None => (false, value.strip_prefix("False")?),
                };
                fortran_order = Some(flag);
                after
            }
            "shape" if shape.is_none() => {
                let (axes, after) = value.strip_prefix('(')?.split_once(')')?;
                let axes = axes.trim().trim_end_matches(',');
                let axes = if axes.is_empty() {
                    Some(Vec::new())
                } else {
                    axes.split(',').map(|axis| axis.trim().parse().ok()).collect()
                };
                shape = Some(axes?);
                after
            }
            _ => return None,
        };
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(Header { descr: descr?, fortran_order: fortran_order?, shape: shape? })
}

/// The content of the quoted string that `text` starts with, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    text[1..].split_once(quote)
}

/// The element type of a type string such as `<f4`.
fn element_type(descr: &str) -> Option<(ElementType, ByteOrder)> {
    let (order, kind) = match descr.strip_prefix('>') {
        Some(kind) => (ByteOrder::Big, kind),
        None => (ByteOrder::Little, descr.strip_prefix(['<', '|']).unwrap_or(descr)),
    };
    let element = match kind {
        "b1" => ElementType::Bool,
        "u1" => ElementType::U8,
        "i1" => ElementType::I8,
        "u2" => ElementType::U16,
        "i2" => ElementType::I16,
        "u4" => ElementType::U32,
        "i4" => ElementType::I32,
        "u8" => ElementType::U64,
        "i8" => ElementType::I64,
        "f2" => ElementType::F16,
        "f4" => ElementType::F32,
        "f8" => ElementType::F64,
        _ => return None,
    };
    Some((element, order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_numpy_writes_them_are_read() {
        let header = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }          \n").unwrap();
        assert_eq!((header.descr, header.fortran_order, header.shape), ("<f4", false, vec![3, 4]));
        assert_eq!(parse("{'descr': '|u1', 'fortran_order': True, 'shape': (), }").unwrap().shape, Vec::<usize>::new());
        assert_eq!(parse("{'shape': (7,), 'descr': '>i8', 'fortran_order': False}").unwrap().shape, [7]);
    }

    #[test]
    fn other_headers_are_refused() {
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': ((((((1,)",
            "{é",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(element_type("<c8").is_none() && element_type("|O").is_none() && element_type("<U3").is_none());
    }
}
