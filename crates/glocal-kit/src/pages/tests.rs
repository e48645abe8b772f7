use std::collections::VecDeque;

use super::*;

/// Pages that are made up.
struct Made(VecDeque<Page>);

impl PageReader for Made {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        Ok(self.0.pop_front())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Ok(None)
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Iterator for Made {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn dictionary(num_values: u32, bytes: usize) -> Page {
    Page::DictionaryPage { buf: vec![0; bytes].into(), num_values, encoding: Encoding::PLAIN, is_sorted: false }
}

fn data(num_values: u32, encoding: Encoding, bytes: &[u8]) -> Page {
    Page::DataPage {
        buf: bytes.to_vec().into(),
        num_values,
        encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    }
}

/// How many pages of a column of at most `values` values are read before one is refused; `None` where none is.
fn refused(values: usize, nullable: bool, pages: &[Page]) -> Option<usize> {
    let made = Box::new(Made(pages.to_vec().into()));
    let read = CheckedPages { pages: made, values, left: values, nullable }.collect::<Vec<_>>();
    read.iter().position(Result::is_err)
}

#[test]
fn dictionaries_are_no_larger_than_their_bytes() {
    assert_eq!(refused(1, false, &[dictionary(24, 24), data(1, Encoding::RLE_DICTIONARY, &[])]), None);
    assert_eq!(refused(1, false, &[dictionary(i32::MAX as u32, 24)]), Some(0));
    // Of texts without a letter, well compressed.
    let many = DICTIONARY_VALUES as u32 + 1;
    assert_eq!(refused(9, false, &[dictionary(many, 4 * many as usize)]), Some(0));
    assert_eq!(refused(many as usize, false, &[dictionary(many, 4 * many as usize)]), None);
}

#[test]
fn pages_hold_no_more_values_than_the_row_group() {
    let page = |values| data(values, Encoding::PLAIN, &[]);
    assert_eq!(refused(7, false, &[page(3), page(4), page(0)]), None);
    assert_eq!(refused(7, false, &[page(3), page(4), page(1)]), Some(2));
    assert_eq!(refused(GROUP, false, &[page(i32::MAX as u32)]), Some(0));
}

const GROUP: usize = 1 << 24;

#[test]
fn there_are_no_more_lengths_than_values() {
    // Blocks of 128 in four parts, then the number of lengths: 5, and 2³⁶.
    let (few, many) = ([128, 1, 4, 5], [128, 1, 4, 128, 128, 128, 128, 128, 2]);
    let behind_levels = |lengths: &[u8]| [&[2, 0, 0, 0, 10, 1], lengths].concat();
    let page = |bytes: &[u8]| [data(5, Encoding::DELTA_LENGTH_BYTE_ARRAY, bytes)];
    assert_eq!(refused(5, false, &page(&few)), None);
    assert_eq!(refused(5, true, &page(&behind_levels(&few))), None);
    for bytes in [&many[..], &few[..3], &[255; 20], &[]] {
        assert_eq!(refused(5, false, &page(bytes)), Some(0), "{bytes:?}");
        assert_eq!(refused(5, true, &page(&behind_levels(bytes))), Some(0), "{bytes:?}");
    }
    assert_eq!(refused(5, true, &page(&[255, 255, 255, 255, 0])), Some(0));
    assert_eq!(refused(5, false, &[data(5, Encoding::DELTA_BYTE_ARRAY, &few)]), Some(0));
}
