//! Data sets in Parquet files with a column of encoded images, as the `datasets` library of Hugging Face writes them.
//!
//! Images are decoded a window of rows at a time, as a page cannot be read in part; the last windows are kept, so that
//! samples in order are read once.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use parquet::data_type::ByteArray;

use super::error::{DataError, DataErrorKind};
use super::fingerprint::{Fingerprint, HASHED_BYTES, Hasher};
use super::image_file::decode_image;
use super::labels::{LabelTexts, Labels};
use super::parquet_fault::ParquetFault;
use super::parquet_file::{Columns, FileLabels, ParquetFile};
use super::{Content, DataSet, shards};

/// About how many bytes of images are held in a window; more where a page has more.
const WINDOW_BYTES: u64 = 32 << 20;

/// How many windows are kept: a batch may end in the next one.
const WINDOWS: usize = 2;

/// The rows of one file or of several.
pub(super) struct ParquetSet {
    files: Vec<PathBuf>,
    columns: Columns,
    groups: Vec<Group>,
    samples: usize,
    labels: Labels,
    fingerprint: Fingerprint,
    /// The last used one at the end.
    windows: Mutex<Vec<Window>>,
}

/// A row group.
struct Group {
    file: usize,
    /// Its index in the file.
    index: usize,
    /// The samples before it.
    first: usize,
    rows: usize,
    /// The number of rows of a window.
    window: usize,
}

/// Some images, by the samples before them.
struct Window {
    first: usize,
    images: Vec<Option<ByteArray>>,
}

/// Opens the files at `paths`, in this order.
pub(super) fn open(paths: Vec<PathBuf>) -> Result<ParquetSet, DataError> {
    let first = paths.first().cloned().unwrap_or_default();
    let fault = |fault| DataError::new(&first, DataErrorKind::Parquet(fault));
    let columns = ParquetFile::open(&first)?.columns()?;
    let (mut groups, mut samples) = (Vec::new(), 0);
    let (mut indices, mut texts, mut named) = (Vec::new(), LabelTexts::default(), false);
    for (file, path) in paths.iter().enumerate() {
        let opened = ParquetFile::open(path)?;
        for (index, (rows, bytes)) in opened.groups(&columns.images)?.into_iter().enumerate() {
            let window = (WINDOW_BYTES / (bytes / (rows as u64).max(1)).max(1)).max(1);
            groups.push(Group { file, index, first: samples, rows, window: window.min(rows as u64) as usize });
            samples += rows;
        }
        let Some(column) = &columns.labels else { continue };
        match opened.labels(column)? {
            FileLabels::Indices(labels) => indices.extend(labels),
            FileLabels::Names(names) => {
                named = true;
                let text = |name: ByteArray| String::from_utf8_lossy(name.data()).into_owned();
                names.into_iter().for_each(|name| texts.push(name.map(text)));
            }
        }
    }
    if samples == 0 {
        return Err(fault(ParquetFault::Empty));
    }
    let labels = match (named, &columns.labels) {
        (true, Some(column)) => {
            let mixed = |_| fault(ParquetFault::LabelType { column: column.clone() });
            if !indices.is_empty() {
                return Err(mixed(()));
            }
            texts.resolve().map_err(|_| mixed(()))?
        }
        _ => {
            let classes = columns.classes.as_ref().map(Vec::len);
            let index = |(sample, label): (usize, Option<i64>)| match label {
                // What `datasets` writes where the label is not known.
                None | Some(-1) => Ok(None),
                Some(label) => u32::try_from(label)
                    .ok()
                    .filter(|label| classes.is_none_or(|classes| (*label as usize) < classes))
                    .map(Some)
                    .ok_or_else(|| fault(ParquetFault::Label { sample, label, classes })),
            };
            let indices = indices.into_iter().enumerate().map(index).collect::<Result<Vec<_>, _>>()?;
            Labels::of_indices(indices, columns.classes.clone())
        }
    };
    let fingerprint = fingerprint(&paths, &labels)?;
    Ok(ParquetSet { files: paths, columns, groups, samples, labels, fingerprint, windows: Mutex::default() })
}

/// The content of all files, or of large ones their sizes and both ends, where the footer says where everything is.
fn fingerprint(paths: &[PathBuf], labels: &Labels) -> Result<Fingerprint, DataError> {
    let mut hasher = Hasher::new("glocal parquet shards 1");
    labels.hash(&mut hasher);
    let mut total = 0_u64;
    for path in paths {
        let size = std::fs::metadata(path).map_err(|error| DataError::read(path, error))?.len();
        total = total.saturating_add(size);
        hasher.number(size);
    }
    for path in paths {
        let hashed = if total <= HASHED_BYTES { hasher.file(path) } else { hasher.ends(path) };
        hashed.map_err(|error| DataError::read(path, error))?;
    }
    Ok(hasher.finish())
}

impl ParquetSet {
    /// The encoded image of a sample, where its row has one, and the index of its file.
    fn image(&self, sample: usize) -> Result<(Option<ByteArray>, usize), DataError> {
        let first = self.files.first().cloned().unwrap_or_default();
        let missing = DataErrorKind::Index { index: sample, len: self.samples };
        let at = self.groups.partition_point(|group| group.first + group.rows <= sample);
        let group = self.groups.get(at).ok_or_else(|| DataError::new(first, missing))?;
        let row = sample - group.first;
        let start = row - row % group.window.max(1);
        // Others that want the same window wait for it. A thread that panicked has left only whole windows.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = match windows.iter().position(|window| window.first == group.first + start) {
            Some(known) => windows.remove(known),
            None => {
                let rows = start..group.rows.min(start + group.window);
                let path = self.files.get(group.file).map(PathBuf::as_path).unwrap_or(std::path::Path::new(""));
                let images = ParquetFile::open(path)?.images(&self.columns.images, group.index, rows)?;
                if windows.len() == WINDOWS {
                    windows.remove(0);
                }
                Window { first: group.first + start, images }
            }
        };
        let image = window.images.get(row - start).cloned().flatten();
        windows.push(window);
        Ok((image, group.file))
    }
}

impl DataSet for ParquetSet {
    fn len(&self) -> usize {
        self.samples
    }

    fn key(&self, index: usize) -> String {
        let at = self.groups.partition_point(|group| group.first + group.rows <= index);
        let Some(group) = self.groups.get(at) else { return String::new() };
        if self.files.len() < 2 {
            return index.to_string();
        }
        // The row within its file, so that the file can be looked into.
        let first = self.groups.iter().find(|other| other.file == group.file).map_or(0, |first| first.first);
        format!("{}/{}", self.files.get(group.file).map(|file| shards::name(file)).unwrap_or_default(), index - first)
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.labels.of(index)
    }

    fn class_names(&self) -> Option<&[String]> {
        self.labels.names()
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        let (image, file) = self.image(index)?;
        let path = self.files.get(file).map(|file| file.join(self.key(index))).unwrap_or_default();
        let image = image.filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| DataError::new(&path, DataErrorKind::Parquet(ParquetFault::NoImage)))?;
        decode_image(image.data().to_vec(), &path).map(Content::Image)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn describe(&self) -> String {
        let text = format!("{} images{}", self.samples, self.labels.describe());
        match self.files.len() {
            1 => text + ", in 1 Parquet file",
            files => text + &format!(", in {files} Parquet files"),
        }
    }
}
