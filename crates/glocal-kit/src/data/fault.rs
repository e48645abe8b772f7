//! What can be wrong with lists of labels, archives and tables of images.

use std::fmt;

use super::rows::{FILE_COLUMNS, LABEL_COLUMNS};

/// The ways in which a CSV file of labels fails. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableFault {
    /// It is no CSV file in UTF-8, its rows differ in length, or a cell goes on in another line, as without its closing quote.
    Syntax {
        /// The line.
        line: u64,
    },
    /// It is unclear which column holds the files and which the labels.
    Columns {
        /// The first row.
        header: Vec<String>,
    },
    /// It has no rows.
    Empty,
    /// A row names a file outside of the table's folder, or none.
    Outside {
        /// The line.
        line: u64,
        /// What it names.
        file: String,
    },
    /// There is no such file.
    Missing {
        /// The first line that names such a file.
        line: u64,
        /// What it names.
        file: String,
        /// The number of other rows of which the same is true.
        others: usize,
    },
    /// A row names a sample that the data set does not have.
    UnknownSample {
        /// The line.
        line: u64,
        /// What it names.
        sample: String,
        /// A sample that the data set has.
        example: String,
    },
    /// Two rows name the same file.
    Duplicate {
        /// The file.
        file: String,
        /// The first line that names it.
        first: u64,
        /// The second.
        line: u64,
    },
    /// Some labels are class indices and others names.
    MixedLabels {
        /// A class index.
        index: String,
        /// Its line.
        index_line: u64,
        /// A name.
        name: String,
        /// Its line.
        name_line: u64,
    },
}

/// The ways in which a tar archive of samples fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveFault {
    /// It is compressed.
    Compressed,
    /// It is no tar archive, or a damaged one.
    Malformed {
        /// What it should have had.
        expected: &'static str,
    },
    /// An entry is longer than what is left of the file.
    CutOff {
        /// The entry.
        entry: String,
        /// The number of bytes that it claims.
        declared: u64,
        /// The number of bytes that there are.
        actual: u64,
    },
    /// No sample of it has an image.
    Empty,
    /// The entries of a sample do not lie side by side, or one of them comes twice.
    Duplicate {
        /// The entry that comes too late.
        entry: String,
    },
    /// A sample has more than one image.
    SeveralImages {
        /// The sample.
        key: String,
    },
    /// The label of a sample cannot be understood.
    Label {
        /// The entry.
        entry: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// Some labels are class indices and others names.
    MixedLabels {
        /// A class index.
        index: String,
        /// Its sample.
        index_key: String,
        /// A name.
        name: String,
        /// Its sample.
        name_key: String,
    },
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line } => write!(
                f,
                "line {line}: is no row of a CSV file; expected UTF-8 and as many cells in every row, with quotes (\") around cells \
                 that hold separators, closed in the same line"
            ),
            Self::Columns { header } => write!(
                f,
                "starts with the cells [{}]; expected a header that names the column of files ({}) and that of labels ({}), or two \
                 columns, files and labels; hide the file (.name) if it is no list of labels",
                header.join(", "),
                FILE_COLUMNS.join(", "),
                LABEL_COLUMNS.join(", ")
            ),
            Self::Empty => write!(f, "lists no files; expected a row for each, with its labels"),
            Self::Outside { line, file } => write!(
                f,
                "line {line} names {file:?}; expected a path relative to the folder of this table that stays in it"
            ),
            Self::Missing { line, file, others } => {
                write!(f, "line {line} names {file:?}, and there is no such file beside this table")?;
                match others {
                    0 => {}
                    1 => write!(f, "; so does 1 other row")?,
                    others => write!(f, "; so do {others} other rows")?,
                }
                write!(f, "; mend the rows or leave them out (a header needs a column called file)")
            }
            Self::UnknownSample { line, sample, example } => {
                write!(
                    f,
                    "line {line} names the sample {sample:?}, which the data set does not have; it has {example:?}, for example"
                )
            }
            Self::Duplicate { file, first, line } => {
                write!(
                    f,
                    "lines {first} and {line} both name {file:?}; leave one out, several labels go in one cell (a;b)"
                )
            }
            Self::MixedLabels { index, index_line, name, name_line } => write!(
                f,
                "has the label {index:?} in line {index_line} and {name:?} in line {name_line}; expected class indices in all rows, or \
                 names in all"
            ),
        }
    }
}

impl fmt::Display for ArchiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed => {
                write!(f, "is a compressed archive, in which samples cannot be found again; unpack it to .tar (gunzip)")
            }
            Self::Malformed { expected } => write!(f, "is no tar archive: expected {expected}"),
            Self::CutOff { entry, declared, actual } => write!(
                f,
                "the entry {entry} claims {declared} bytes, the file goes on for {actual}; it is truncated, so fetch it again"
            ),
            Self::Empty => write!(f, "holds no samples; expected images, as in 0001.jpg beside 0001.cls"),
            Self::Duplicate { entry } => write!(
                f,
                "the entry {entry} comes after its sample has ended, or twice; expected the files of a sample side by side, each once"
            ),
            Self::SeveralImages { key } => write!(f, "sample {key} has several images; expected one"),
            Self::Label { entry, expected } => write!(f, "the entry {entry} is no label: expected {expected}"),
            Self::MixedLabels { index, index_key, name, name_key } => write!(
                f,
                "sample {index_key} has the label {index:?} and sample {name_key} {name:?}; expected class indices for all, or names for \
                 all"
            ),
        }
    }
}
