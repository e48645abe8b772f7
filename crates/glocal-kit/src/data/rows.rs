//! The rows of a CSV file of labels: which cell is the file and which its labels.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::error::{DataError, DataErrorKind};
use super::fault::TableFault;
use super::regular::open_file;

/// What the column of files, or of samples, may be called, in lower case.
pub(super) const FILE_COLUMNS: &[&str] = &[
    "file",
    "file_name",
    "filename",
    "file_path",
    "filepath",
    "path",
    "image",
    "image_name",
    "image_path",
    "img",
    "sample",
    "key",
];

/// What the column of labels may be called, in lower case, in the order of preference.
pub(super) const LABEL_COLUMNS: &[&str] =
    &["label", "labels", "class", "class_name", "class_index", "target", "targets", "category", "y"];

/// The greatest size of a table: ten million rows and more.
const TABLE_LIMIT: u64 = 1 << 30;

/// A sample of a table.
pub(super) struct Row {
    /// The line that it begins in, from 1.
    pub(super) line: u64,
    pub(super) file: String,
    /// Labels separated by `;`.
    pub(super) label: String,
}

/// Whether `path` names a table by its extension.
pub(super) fn is_table(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    matches!(extension.as_deref(), Some("csv" | "tsv"))
}

/// The rows of the table at `path`, without the header.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, DataError> {
    let failed = |error| DataError::read(path, error);
    let malformed = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        DataError::caused(path, DataErrorKind::Table(TableFault::Syntax { line }), error)
    };
    let file = open_file(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > TABLE_LIMIT {
        return Err(DataError::new(path, DataErrorKind::FileTooLarge { size, limit: TABLE_LIMIT }));
    }
    let mut source = BufReader::new(file);
    let delimiter = delimiter(&mut source).map_err(failed)?;
    // A row of another length than the others is an error, as a missing quote makes such rows. One that is missing in the last
    // cell of a row makes all that follows a part of that cell, to which the line end is added.
    let source = source.take(TABLE_LIMIT).chain(b"\n".as_slice());
    let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(source);
    let unquoted = |line| DataError::new(path, DataErrorKind::Table(TableFault::Syntax { line }));
    let mut record = StringRecord::new();
    let mut columns: Option<(usize, usize)> = None;
    let mut rows = Vec::new();
    let mut open = None;
    while reader.read_record(&mut record).map_err(malformed)? {
        let (file, label) = match columns {
            Some(columns) => columns,
            None => {
                let Some((found, is_header)) = find_columns(&record) else {
                    let header = record.iter().map(str::to_owned).collect();
                    return Err(DataError::new(path, DataErrorKind::Table(TableFault::Columns { header })));
                };
                columns = Some(found);
                if is_header {
                    continue;
                }
                found
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| record.get(column).unwrap_or_default();
        if [file, label].into_iter().any(|column| cell(column).contains(['\n', '\r'])) {
            return Err(unquoted(line));
        }
        open = record.iter().next_back().is_some_and(|last| last.ends_with('\n')).then_some(line);
        rows.push(Row { line, file: cell(file).trim().to_owned(), label: cell(label).trim().to_owned() });
    }
    match open {
        Some(line) => Err(unquoted(line)),
        None => Ok(rows),
    }
}

/// Skips a byte order mark, and tells by the first line what separates the cells: `,`, or else a tab, or else `;`.
fn delimiter(source: &mut (impl BufRead + Seek)) -> std::io::Result<u8> {
    let mut first = Vec::new();
    source.by_ref().take(1 << 16).read_until(b'\n', &mut first)?;
    let mark = if first.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    source.seek(SeekFrom::Start(mark))?;
    Ok([b',', b'\t', b';'].into_iter().find(|delimiter| first.contains(delimiter)).unwrap_or(b','))
}

/// The columns of files and of labels, and whether `first` is a header: it is one if a cell of it is a name that the column
/// of files may have. Without a header there are two columns, the files and the labels.
fn find_columns(first: &StringRecord) -> Option<((usize, usize), bool)> {
    let names: Vec<String> = first.iter().map(|name| name.trim().to_lowercase()).collect();
    let find = |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
    match (find(FILE_COLUMNS), find(LABEL_COLUMNS), names.len()) {
        (Some(file), Some(label), _) => Some(((file, label), true)),
        (Some(file), None, 2) => Some(((file, 1 - file), true)),
        (None, None, 2) => Some(((0, 1), false)),
        _ => None,
    }
}
