//! Writes NumPy's `.npy` files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// What the length of a header, with what comes before it, is a multiple of.
const ALIGNMENT: usize = 64;

/// What comes before a header of version 1.0.
const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";

/// An element of an array, as NumPy names its type.
pub(super) trait Element: Copy {
    const TYPE: &'static str;

    fn write(self, output: &mut impl Write) -> io::Result<()>;
}

impl Element for i64 {
    const TYPE: &'static str = "<i8";

    fn write(self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&self.to_le_bytes())
    }
}

impl Element for f32 {
    const TYPE: &'static str = "<f4";

    fn write(self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&self.to_le_bytes())
    }
}

/// Writes an array of `shape`, whose elements come in row-major order.
pub(super) fn write<T: Element>(path: &Path, shape: &[usize], elements: impl IntoIterator<Item = T>) -> io::Result<()> {
    let mut output = BufWriter::new(File::create(path)?);
    let axes: String = shape.iter().map(|axis| format!("{axis},")).collect();
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({axes}), }}", T::TYPE);
    // The length takes two bytes, and the header ends with a line.
    let before = MAGIC.len() + 2;
    let padding = (before + header.len() + 1).next_multiple_of(ALIGNMENT) - before - header.len() - 1;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    output.write_all(MAGIC)?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(header.as_bytes())?;
    elements.into_iter().try_for_each(|element| element.write(&mut output))?;
    output.into_inner()?.sync_all()
}
