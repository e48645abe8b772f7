//! The pages of a Parquet column, of which the library takes memory by what their headers claim: claims are checked before.
//!
//! The sizes of pages are checked by the library alone, once they are decompressed: a header may cost 2 GiB for a moment.

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;

/// How large a dictionary may be whatever the rows: writers of categories write those without rows, too.
const DICTIONARY_VALUES: usize = 1 << 20;

/// The reader of a column of which the row group holds at most so many values, those that are null included.
pub(crate) fn column_reader(group: &dyn RowGroupReader, column: usize, values: usize) -> Result<ColumnReader> {
    let descriptor = group.metadata().schema_descr().column(column);
    let nullable = descriptor.max_def_level() > 0;
    let pages = CheckedPages { pages: group.get_column_page_reader(column)?, values, left: values, nullable };
    Ok(get_column_reader(descriptor, Box::new(pages)))
}

struct CheckedPages {
    pages: Box<dyn PageReader>,
    values: usize,
    /// The values that pages to come may hold.
    left: usize,
    nullable: bool,
}

impl CheckedPages {
    fn check(&mut self, page: &Page) -> Result<()> {
        let claimed = page.num_values() as usize;
        if matches!(page, Page::DictionaryPage { .. }) {
            let fits = claimed <= page.buffer().len() && claimed <= self.values.max(DICTIONARY_VALUES);
            return if fits { Ok(()) } else { Err(refused("a dictionary page of more values than it can hold")) };
        }
        let left = self.left.checked_sub(claimed);
        self.left = left.ok_or_else(|| refused("pages of more values than there are in the row group"))?;
        match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY if self.lengths(page).is_none_or(|lengths| lengths > claimed as u64) => {
                Err(refused("a page of more lengths than values"))
            }
            // How many there are is found out by reading them only.
            Encoding::DELTA_BYTE_ARRAY => Err(refused("bytes as differences, which are not read")),
            _ => Ok(()),
        }
    }

    /// How many lengths the values of a page say that they begin with.
    fn lengths(&self, page: &Page) -> Option<u64> {
        let bytes = page.buffer();
        let start = match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                (*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize)?
            }
            // The levels are behind their own length.
            Page::DataPage { def_level_encoding: Encoding::RLE, .. } if self.nullable => {
                (u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize).checked_add(4)?
            }
            _ if self.nullable => return None,
            _ => 0,
        };
        let mut values = bytes.get(start..)?;
        // After the sizes of blocks and of their parts.
        variable_length(&mut values)?;
        variable_length(&mut values)?;
        variable_length(&mut values)
    }
}

/// Takes a number of seven bits a byte from the start of `bytes`.
fn variable_length(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn refused(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.iter().try_for_each(|page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

#[cfg(test)]
mod tests;
