//! What can go wrong while data is found, checked and decoded.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::class_fault::ClassFault;
use super::fault::{ArchiveFault, TableFault};
use super::image_file::IMAGE_EXTENSIONS;
use super::parquet_fault::ParquetFault;

/// A file or folder could not be used as data.
#[derive(Debug)]
pub struct DataError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    kind: DataErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// A file format that holds arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArrayFormat {
    /// The IDX format of MNIST.
    Idx,
    /// NumPy's format for one array.
    Npy,
    /// NumPy's archive of several arrays.
    Npz,
    /// The safetensors format.
    Safetensors,
}

/// The ways in which a file or folder fails as data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataErrorKind {
    /// The path cannot be read; the source says why.
    Read,
    /// The folder holds no image.
    NoImages {
        /// The number of other files in it.
        skipped: usize,
    },
    /// The folder holds images both beside and inside its subfolders, so that it is unclear what the classes are.
    MixedFolder {
        /// The number of images directly in it.
        images: usize,
        /// The number of images in its subfolders.
        nested: usize,
    },
    /// A class folder holds no image.
    EmptyClass,
    /// The folder holds more than one IDX images file.
    SeveralPairs {
        /// The names of the images files.
        images: Vec<String>,
    },
    /// The names of a model's outputs do not fit the classes of the data set.
    Classes(ClassFault),
    /// A list of labels cannot be used.
    Table(TableFault),
    /// A tar archive cannot be used.
    Archive(ArchiveFault),
    /// A Parquet file cannot be used.
    Parquet(ParquetFault),
    /// A folder holds several lists of labels.
    SeveralTables {
        /// Their names.
        tables: Vec<String>,
    },
    /// A single image was given where a data set was expected.
    SingleImage,
    /// The file is of no format that holds a data set.
    UnknownFormat,
    /// The image cannot be decoded; the source says why.
    Image,
    /// The image file ends before the image does.
    ImageCutOff,
    /// The image's header claims more than is allowed.
    ImageTooLarge {
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
        /// The greatest number of bytes that a decoded image may have.
        limit: u64,
    },
    /// The image's header claims more than its file can hold.
    ImageClaim {
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
        /// The number of bytes of the file.
        size: u64,
    },
    /// The file is larger than is allowed.
    FileTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The greatest size in bytes.
        limit: u64,
    },
    /// The file is not of the format that it should be of.
    Malformed {
        /// The format.
        format: ArrayFormat,
        /// What the file should have had.
        expected: &'static str,
    },
    /// The header claims another amount of data than the file holds.
    DataSize {
        /// The format.
        format: ArrayFormat,
        /// The number of bytes that the header claims.
        declared: u64,
        /// The number of bytes that there are.
        actual: u64,
    },
    /// An array has to be held in memory and is too large for it.
    ArrayTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The greatest size in bytes.
        limit: u64,
    },
    /// The elements of an array are of a type that is not read.
    ElementType {
        /// The array.
        array: String,
        /// Its element type as the file spells it.
        given: String,
    },
    /// An array is stored with its first axis running fastest.
    FortranOrder {
        /// The array.
        array: String,
    },
    /// An array has a shape that does not fit its purpose.
    Shape {
        /// The array.
        array: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The shape that was expected, in words.
        expected: &'static str,
    },
    /// It is unclear which array holds the samples.
    Samples {
        /// The arrays in the file.
        arrays: Vec<String>,
    },
    /// It is unclear which array holds the directions.
    Directions {
        /// The arrays in the file.
        arrays: Vec<String>,
    },
    /// The extension is not that of a file of arrays.
    NoArrays,
    /// There are more or fewer labels than samples.
    LabelCount {
        /// The number of samples.
        samples: usize,
        /// The number of labels.
        labels: usize,
    },
    /// A label is no class index.
    Label {
        /// The sample.
        index: usize,
        /// The label, as [`f64::to_bits`].
        bits: u64,
    },
    /// There is no sample of this index.
    Index {
        /// The index.
        index: usize,
        /// The number of samples.
        len: usize,
    },
}

impl DataError {
    pub(crate) fn new(path: impl Into<PathBuf>, kind: DataErrorKind) -> Self {
        Self(Box::new(Inner { path: path.into(), kind, source: None }))
    }

    pub(crate) fn caused(
        path: impl Into<PathBuf>,
        kind: DataErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { path: path.into(), kind, source: Some(source.into()) }))
    }

    pub(crate) fn read(path: impl Into<PathBuf>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::caused(path, DataErrorKind::Read, source)
    }

    pub(crate) fn malformed(path: impl Into<PathBuf>, format: ArrayFormat, expected: &'static str) -> Self {
        Self::new(path, DataErrorKind::Malformed { format, expected })
    }

    /// What went wrong.
    pub fn kind(&self) -> &DataErrorKind {
        &self.0.kind
    }

    /// The file or folder that the error is about.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What went wrong and why, without the path: the same wherever the data lies.
    pub fn reason(&self) -> String {
        let mut text = self.0.kind.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            text += &format!(": {cause}");
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for ArrayFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idx => "IDX",
            Self::Npy => ".npy",
            Self::Npz => ".npz",
            Self::Safetensors => "safetensors",
        })
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.path.display(), self.0.kind)
    }
}

impl fmt::Display for DataErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => write!(f, "cannot be read"),
            Self::NoImages { skipped } => {
                write!(
                    f,
                    "no images here ({skipped} other files); expected a folder of class folders, a folder of images"
                )?;
                write!(f, " ({}), an IDX images file, Parquet files or tar shards", IMAGE_EXTENSIONS.join(", "))
            }
            Self::MixedFolder { images, nested } => write!(
                f,
                "{images} images beside folders that hold {nested}; expected either class folders or images, so move the \
                 loose images into a class folder or elsewhere"
            ),
            Self::EmptyClass => {
                write!(
                    f,
                    "no images in this class folder; fill it, remove it or hide it (.name), as it would count as a class"
                )
            }
            Self::SeveralPairs { images } => {
                write!(f, "holds several IDX images files; give one of them instead: {}", images.join(", "))
            }
            Self::Classes(fault) => fault.fmt(f),
            Self::Table(fault) => fault.fmt(f),
            Self::Archive(fault) => fault.fmt(f),
            Self::Parquet(fault) => fault.fmt(f),
            Self::SeveralTables { tables } => write!(
                f,
                "holds several lists of labels ({}); call the right one labels.csv, or give it instead of the folder",
                tables.join(", ")
            ),
            Self::SingleImage => {
                write!(f, "is a single image; expected a data set, such as the folder it lies in")
            }
            Self::UnknownFormat => write!(
                f,
                "is no known data set; expected a folder of class folders, a folder of images, a .csv file that lists images, an IDX \
                 images file, .npy, .npz, .safetensors, .parquet or .tar"
            ),
            Self::Image => write!(f, "cannot be decoded as an image"),
            Self::ImageCutOff => write!(f, "ends before the image does; it is truncated, so fetch it again"),
            Self::ImageTooLarge { width, height, limit } => {
                write!(
                    f,
                    "claims {width}×{height} pixels; at most {limit} bytes decoded are read, so scale it down first"
                )
            }
            Self::ImageClaim { width, height, size } => {
                write!(
                    f,
                    "claims {width}×{height} pixels, which {size} bytes cannot hold; it is damaged, so fetch it again"
                )
            }
            Self::FileTooLarge { size, limit } => {
                write!(f, "has {size} bytes; at most {limit} are read")
            }
            Self::Malformed { format, expected } => write!(f, "is no {format} file: expected {expected}"),
            Self::DataSize { format, declared, actual } => write!(
                f,
                "the {format} header claims {declared} bytes, the file holds {actual}; it is truncated or damaged, so fetch it \
                 again"
            ),
            Self::ArrayTooLarge { size, limit } => write!(
                f,
                "takes {size} bytes of memory, at most {limit} are used; save it uncompressed (numpy.savez, .npy or .safetensors) \
                 and use it as a data set"
            ),
            Self::ElementType { array, given } => write!(
                f,
                "{array} has elements of type {given}; expected bool, 8 to 64 bit integers or 16 to 64 bit floats"
            ),
            Self::FortranOrder { array } => {
                write!(f, "{array} is stored in Fortran order; save numpy.ascontiguousarray of it")
            }
            Self::Shape { array, shape, expected } => {
                write!(f, "{array} has shape {shape:?}; expected {expected}")
            }
            Self::Samples { arrays } => write!(
                f,
                "holds the arrays [{}]; expected the samples in x, images, data or inputs, or a single array",
                arrays.join(", ")
            ),
            Self::Directions { arrays } => write!(
                f,
                "holds the arrays [{}]; expected directions [K, C] in directions or vectors, or a single array",
                arrays.join(", ")
            ),
            Self::NoArrays => write!(f, "is no file of arrays; expected .npy, .npz or .safetensors"),
            Self::LabelCount { samples, labels } => {
                write!(f, "has {labels} labels for {samples} samples; expected one label a sample")
            }
            Self::Label { index, bits } => {
                write!(
                    f,
                    "sample {index} has the label {}; expected an integer from 0 to {}",
                    f64::from_bits(*bits),
                    u32::MAX
                )
            }
            Self::Index { index, len } => write!(f, "has no sample {index}; it has {len}, numbered from 0"),
        }
    }
}

impl Error for DataError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}
