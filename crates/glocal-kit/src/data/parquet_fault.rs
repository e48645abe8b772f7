//! What can be wrong with Parquet files of images.

use std::fmt;

/// The ways in which a Parquet file of images fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParquetFault {
    /// It is no Parquet file or a damaged one; the source may say more.
    Malformed {
        /// What it should have had.
        expected: &'static str,
    },
    /// It has no rows.
    Empty,
    /// It is unclear which column holds the images.
    Images {
        /// The columns that might.
        columns: Vec<String>,
    },
    /// It is unclear which column holds the labels.
    Labels {
        /// The columns that might.
        columns: Vec<String>,
    },
    /// A file lacks a column that the first file of the data set has.
    Column {
        /// The column.
        column: String,
    },
    /// A column is compressed in a way that is not read.
    Compression {
        /// The column.
        column: String,
        /// The compression.
        given: String,
    },
    /// The column of labels holds no class indices or names.
    LabelType {
        /// The column.
        column: String,
    },
    /// A label is no class index.
    Label {
        /// The sample.
        sample: usize,
        /// The label.
        label: i64,
        /// The number of classes, where the file names them.
        classes: Option<usize>,
    },
    /// The row of a sample holds no image, or only the path of one.
    NoImage,
}

impl fmt::Display for ParquetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { expected } => write!(f, "is no Parquet file: expected {expected}"),
            Self::Empty => write!(f, "has no rows; expected one for each image"),
            Self::Images { columns } if columns.is_empty() => {
                write!(f, "has no column of images; expected encoded images in a binary column, or in bytes of image")
            }
            Self::Images { columns } => write!(
                f,
                "has several columns that may hold the images ({}); call the right one image, or leave out the others",
                columns.join(", ")
            ),
            Self::Labels { columns } => write!(
                f,
                "has several columns of labels ({}); call the right one label, or leave out the others",
                columns.join(", ")
            ),
            Self::Column { column } => {
                write!(
                    f,
                    "lacks the column {column} of the first file, or has it of another type; expected files alike"
                )
            }
            Self::Compression { column, given } => write!(
                f,
                "has the column {column} compressed with {given}; write it with snappy, gzip or uncompressed (pandas: \
                 to_parquet(..., compression=\"snappy\"))"
            ),
            Self::LabelType { column } => {
                write!(f, "has labels in {column} that are neither integers nor texts; expected class indices or names")
            }
            Self::Label { sample, label, classes: Some(classes) } => {
                write!(f, "sample {sample} has the label {label}; the file names {classes} classes, numbered from 0")
            }
            Self::Label { sample, label, classes: None } => {
                write!(
                    f,
                    "sample {sample} has the label {label}; expected an integer from 0 to {}, or -1 for none",
                    u32::MAX
                )
            }
            Self::NoImage => write!(f, "holds no image in this row; expected the encoded image itself, not its path"),
        }
    }
}
