//! Images listed in a CSV file, with their labels.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::error::{DataError, DataErrorKind};
use super::fault::TableFault;
use super::fingerprint::{Fingerprint, Hasher};
use super::image_file::load_image;
use super::labels::{LabelTexts, Labels};
use super::rows::{Row, read};
use super::{Content, DataSet, folder};

/// The images of a table.
pub(super) struct Table {
    folder: PathBuf,
    samples: Vec<Sample>,
    labels: Labels,
    /// The number of images in the folder that no row names, where the folder was listed.
    unlisted: usize,
    fingerprint: Fingerprint,
}

struct Sample {
    /// Relative to the folder, without `.`.
    path: PathBuf,
    size: u64,
}

/// Opens the table at `path`, whose files are named relative to its folder; the paths of the `images` there, relative to it
/// too, if it was listed.
pub(super) fn open(path: &Path, images: &[PathBuf]) -> Result<Table, DataError> {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let fault = |fault| DataError::new(path, DataErrorKind::Table(fault));
    let (mut samples, mut texts, mut lines) = (Vec::new(), LabelTexts::default(), Vec::new());
    let mut seen: HashMap<PathBuf, u64> = HashMap::new();
    let mut missing: Option<(u64, String, usize)> = None;
    for Row { line, file, label } in read(path)? {
        let Some(relative) = inside(&file) else {
            return Err(fault(TableFault::Outside { line, file }));
        };
        if let Some(first) = seen.insert(relative.clone(), line) {
            return Err(fault(TableFault::Duplicate { file, first, line }));
        }
        match std::fs::metadata(folder.join(&relative)) {
            Ok(metadata) if metadata.is_file() => samples.push(Sample { path: relative, size: metadata.len() }),
            // What is too long for a path, or otherwise none on this system, is no file either.
            _ => missing.get_or_insert((line, file, 0)).2 += 1,
        }
        texts.push_cell(&label);
        lines.push(line);
    }
    if let Some((line, file, count)) = missing {
        return Err(fault(TableFault::Missing { line, file, others: count - 1 }));
    }
    if samples.is_empty() {
        return Err(fault(TableFault::Empty));
    }
    let labels = texts.resolve().map_err(|mixed| {
        // Samples are the rows, so that lines can be named.
        let line = |sample: usize| lines.get(sample).copied().unwrap_or_default();
        let (index_line, name_line) = (line(mixed.index_sample), line(mixed.name_sample));
        fault(TableFault::MixedLabels { index: mixed.index, index_line, name: mixed.name, name_line })
    })?;
    let fingerprint = fingerprint(&folder, &samples, &labels);
    let unlisted = images.iter().filter(|image| !seen.contains_key(*image)).count();
    Ok(Table { folder, samples, labels, unlisted, fingerprint })
}

/// `file` as a path below the table's folder; `None` where it would lead out of it, or nowhere.
fn inside(file: &str) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in Path::new(file).components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!inside.as_os_str().is_empty()).then_some(inside)
}

fn fingerprint(folder: &Path, samples: &[Sample], labels: &Labels) -> Fingerprint {
    let mut hasher = Hasher::new("glocal image table 1");
    labels.hash(&mut hasher);
    for sample in samples {
        hasher.text(&folder::key(&sample.path));
        hasher.number(sample.size);
    }
    let total = samples.iter().fold(0_u64, |total, sample| total.saturating_add(sample.size));
    for index in Hasher::chosen(samples.len(), total) {
        let path = folder.join(&samples[index].path);
        // What cannot be read is told of when it is loaded, and may be passed over then.
        hasher.file(&path).unwrap_or_else(|_| hasher.text("unreadable"));
    }
    hasher.finish()
}

impl DataSet for Table {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn key(&self, index: usize) -> String {
        self.samples.get(index).map(|sample| folder::key(&sample.path)).unwrap_or_default()
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.labels.of(index)
    }

    fn class_names(&self) -> Option<&[String]> {
        self.labels.names()
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        let len = self.len();
        let sample =
            self.samples.get(index).ok_or_else(|| DataError::new(&self.folder, DataErrorKind::Index { index, len }))?;
        load_image(&self.folder.join(&sample.path)).map(Content::Image)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn describe(&self) -> String {
        let text = format!("{} listed images{}", self.samples.len(), self.labels.describe());
        match self.unlisted {
            0 => text,
            1 => text + "; 1 image is in no row and left out",
            unlisted => text + &format!("; {unlisted} images are in no row and left out"),
        }
    }
}
