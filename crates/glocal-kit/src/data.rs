//! Data sets: numbered samples with their labels, read from disk one at a time, whatever they are stored in.
//!
//! [`open`] detects what a path holds. The order of the samples, their keys and the [`Fingerprint`] depend on the data
//! alone, never on the machine or the order in which a folder is listed.

mod archive;
mod archive_entries;
mod array_file;
mod array_set;
mod by_name;
mod class_fault;
mod element;
mod error;
mod fault;
mod fingerprint;
mod folder;
mod idx;
mod image_file;
mod labelled;
mod labels;
mod member_label;
mod npy;
mod npz;
mod parquet_fault;
mod parquet_file;
mod parquet_set;
mod regular;
mod rows;
mod safetensors_file;
mod shards;
mod stored_array;
mod table;

use std::io::Read;
use std::path::{Path, PathBuf};

use glocal_compute::Tensor;

pub(crate) use array_file::{Numbers, load_numbers};
pub use array_file::{load_arrays, load_directions};
pub use by_name::{AbsentClasses, with_outputs};
pub use class_fault::ClassFault;
pub use error::{ArrayFormat, DataError, DataErrorKind};
pub use fault::{ArchiveFault, TableFault};
pub use fingerprint::Fingerprint;
pub(crate) use image_file::flatten;
pub use image_file::{IMAGE_EXTENSIONS, load_image};
pub use labelled::with_labels;
pub use parquet_fault::ParquetFault;

/// A numbered collection of samples, each an image or an array, with its labels if there are any.
///
/// Samples are decoded on [`load`](DataSet::load) only, so a data set costs little memory whatever its size, and any
/// number of threads may load at once.
pub trait DataSet: Send + Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The stable name of sample `index`: its path relative to the data set with `/` between folders (what is no
    /// Unicode in it replaced by U+FFFD), or its index in decimal where samples have no names.
    fn key(&self, index: usize) -> String;

    /// The class indices of sample `index`; empty when it has none or there is no such sample.
    fn labels(&self, index: usize) -> &[u32];

    /// The names of the classes, in the order of the class indices, where the data set names them.
    fn class_names(&self) -> Option<&[String]>;

    /// Reads and decodes sample `index`.
    ///
    /// # Errors
    /// When there is no such sample, or it cannot be read or decoded.
    fn load(&self, index: usize) -> Result<Content, DataError>;

    /// What identifies this data set: equal for equal data, see [`Fingerprint`].
    fn fingerprint(&self) -> Fingerprint;

    /// What the labels number: the classes, where the data set names them.
    fn numbering(&self) -> Numbering {
        if self.class_names().is_some() { Numbering::Classes } else { Numbering::Outputs }
    }

    /// What identifies the labels, where they are not those of the data set itself but [from a table](with_labels) or others
    /// by [the names of outputs](with_outputs).
    fn labels_fingerprint(&self) -> Option<Fingerprint> {
        None
    }

    /// One line about the data set for people: how many samples of what, how many classes, what was skipped.
    fn describe(&self) -> String;
}

/// What labels are indices of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// The classes of the data set, in an order of its own, such as that of their names.
    Classes,
    /// The outputs of the model.
    Outputs,
}

/// The content of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// An image, 8 bits a channel, grey or RGB; still to be preprocessed.
    Image(image::DynamicImage),
    /// An array of shape `[C, ...]` as the model takes it; not to be preprocessed.
    Array(Tensor),
}

/// Opens the data set at `path`, whose kind is detected:
///
/// - a folder of class folders: one class a folder, classes numbered in the order of their names; images are found at
///   any depth below, ordered by path; hidden files (`.name`) are ignored, other files are counted and skipped;
/// - a folder of images: no labels;
/// - a folder of images with `labels.csv`, or with a single `.csv` or `.tsv` file of any name, or that file itself: its rows
///   are the samples, in their order, and name files relative to its folder. A header is recognised by the name of the column
///   of files (`file`, `filename`, `path`, `image`, ...); the labels are in `label`, `class`, `target`, ..., or in the other
///   of two columns. Without a header there are two columns. Labels are class indices, or names, which are numbered in their
///   order; `a;b` are several labels of one sample. Quotes are those of RFC 4180. Images in no row are counted and left out;
/// - a tar file, or a folder of them, in the order of their names (WebDataset): a sample is the files side by side that are
///   named alike up to the first dot; its label is in `.cls` or in the field `label` of `.json`;
/// - a Parquet file, or a folder of them, in the order of their names: each row a sample, its encoded image in a binary column
///   or in the field `bytes` of one (as the `datasets` library of Hugging Face has it), its label, an index or a name, in
///   `label` or in the column that the library has noted as the classes; -1 is none;
/// - an IDX images file (MNIST and its relatives, also `.gz`), or a folder with one; its labels file lies beside it,
///   named alike with `labels` for `images` and `idx1` for `idx3`; without one there are no labels;
/// - `.npy` (samples `[N, C, ...]`), `.npz` or `.safetensors` (samples in `x`, `images`, `data` or `inputs`, or in the only
///   array; labels `[N]` in `y`, `labels` or `targets`).
///
/// Where classes have names, [`with_outputs`] finds the model's outputs of the same names, whatever their order.
///
/// Names and sizes are read, not the images; array and IDX files are read once in full for their fingerprint.
///
/// # Errors
/// When there is no such path, it holds none of these or several at once, or a header does not agree with its file.
pub fn open(path: &Path) -> Result<Box<dyn DataSet>, DataError> {
    let metadata = std::fs::metadata(path).map_err(|error| DataError::read(path, error))?;
    if metadata.is_dir() {
        return open_folder(path);
    }
    if array_file::format_of(path).is_some() {
        return Ok(Box::new(array_set::open(path)?));
    }
    if rows::is_table(path) {
        return Ok(Box::new(table::open(path, &[])?));
    }
    if shards::has_extension(path, PARQUET) {
        return Ok(Box::new(parquet_set::open(vec![path.to_owned()])?));
    }
    if is_archive(path) {
        return Ok(Box::new(archive::open(vec![path.to_owned()])?));
    }
    if image_file::has_image_extension(path) {
        return Err(DataError::new(path, DataErrorKind::SingleImage));
    }
    let mut magic = [0; 2];
    let read = regular::open_file(path)
        .and_then(|mut file| file.read(&mut magic))
        .map_err(|error| DataError::read(path, error))?;
    if read == 2 && idx::is_magic(magic) {
        return Ok(Box::new(idx::open(path)?));
    }
    Err(DataError::new(path, DataErrorKind::UnknownFormat))
}

/// The extensions of tar archives, and those of compressed ones, which are refused by their name.
const ARCHIVE_EXTENSIONS: &[&str] = &["tar", "tgz", "tbz2", "txz"];

/// The extension of Parquet files.
const PARQUET: &[&str] = &["parquet"];

fn is_archive(path: &Path) -> bool {
    let compressed = path.file_stem().is_some_and(|stem| shards::has_extension(Path::new(stem), &["tar"]));
    shards::has_extension(path, ARCHIVE_EXTENSIONS) || compressed
}

/// Opens what lies in the folder at `path`.
fn open_folder(path: &Path) -> Result<Box<dyn DataSet>, DataError> {
    if let Some(images) = idx::find_pair(path)? {
        return Ok(Box::new(idx::open(&images)?));
    }
    let listing = folder::list(path)?;
    if listing.is_empty() {
        let tables = shards::find(path, PARQUET)?;
        if !tables.is_empty() {
            return Ok(Box::new(parquet_set::open(tables)?));
        }
        let archives = shards::find(path, ARCHIVE_EXTENSIONS)?;
        if !archives.is_empty() {
            return Ok(Box::new(archive::open(archives)?));
        }
    }
    let loose = listing.loose();
    match table_in(path, !loose.is_empty())? {
        Some(table) => Ok(Box::new(table::open(&table, &loose)?)),
        None => Ok(Box::new(folder::open(path, listing)?)),
    }
}

/// The list of labels in a folder: `labels.csv` (or `.tsv`), or the only such file beside loose images.
fn table_in(folder: &Path, loose: bool) -> Result<Option<PathBuf>, DataError> {
    let mut tables = shards::find(folder, &["csv", "tsv"])?;
    let is_labels = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("labels"));
    if let Some(index) = tables.iter().position(is_labels) {
        return Ok(Some(tables.swap_remove(index)));
    }
    match tables.as_slice() {
        [] => Ok(None),
        _ if !loose => Ok(None),
        [_] => Ok(tables.pop()),
        several => {
            let tables = several.iter().map(|path| shards::name(path)).collect();
            Err(DataError::new(folder, DataErrorKind::SeveralTables { tables }))
        }
    }
}

/// Whether `path` names a file of arrays, by its extension: `.npy`, `.npz` or `.safetensors`.
pub fn is_array_file(path: &Path) -> bool {
    array_file::format_of(path).is_some()
}

#[cfg(test)]
mod tests;
