//! Folders of image files, with or without a folder for each class.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::error::{DataError, DataErrorKind};
use super::fingerprint::{Fingerprint, Hasher};
use super::image_file::{has_image_extension, load_image};
use super::{Content, DataSet};

/// The images below a folder.
pub(super) struct Folder {
    root: PathBuf,
    /// Empty when the images lie in the folder itself and have no labels.
    classes: Vec<String>,
    samples: Vec<Sample>,
    skipped: usize,
    fingerprint: Fingerprint,
}

pub(super) struct Sample {
    /// Relative to the root.
    path: PathBuf,
    size: u64,
    label: u32,
}

/// The images below `root` that were listed.
pub(super) fn open(root: &Path, listing: Listing) -> Result<Folder, DataError> {
    let Listing { loose, folders, skipped } = listing;
    let nested = folders.values().map(Vec::len).sum::<usize>();
    if loose.is_empty() && nested == 0 {
        return Err(DataError::new(root, DataErrorKind::NoImages { skipped }));
    }
    if !loose.is_empty() && nested > 0 {
        return Err(DataError::new(root, DataErrorKind::MixedFolder { images: loose.len(), nested }));
    }
    let mut classes = Vec::new();
    let mut samples = loose;
    if nested > 0 {
        for ((name, mut images), label) in folders.into_iter().zip(0..) {
            if images.is_empty() {
                return Err(DataError::new(root.join(name), DataErrorKind::EmptyClass));
            }
            images.iter_mut().for_each(|sample| sample.label = label);
            samples.append(&mut images);
            classes.push(name.to_string_lossy().into_owned());
        }
    }
    // Paths compare folder by folder and byte by byte, so within a class the order is that of the relative paths.
    samples.sort_unstable_by(|left, right| (left.label, &left.path).cmp(&(right.label, &right.path)));
    let fingerprint = fingerprint(root, &classes, &samples);
    Ok(Folder { root: root.to_path_buf(), classes, samples, skipped, fingerprint })
}

/// What lies below a folder, in no order.
pub(super) struct Listing {
    /// The images directly in it.
    loose: Vec<Sample>,
    /// The images at any depth in each of its subfolders.
    folders: BTreeMap<OsString, Vec<Sample>>,
    /// The number of other files.
    skipped: usize,
}

/// Lists what lies below `root`, hidden files left out.
pub(super) fn list(root: &Path) -> Result<Listing, DataError> {
    let mut listing = Listing { loose: Vec::new(), folders: BTreeMap::new(), skipped: 0 };
    let visible = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    for entry in WalkDir::new(root).min_depth(1).follow_links(true).into_iter().filter_entry(visible) {
        let failed = |error: walkdir::Error| DataError::read(error.path().unwrap_or(root).to_path_buf(), error);
        let entry = entry.map_err(failed)?;
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_path_buf();
        if entry.file_type().is_dir() {
            if entry.depth() == 1 {
                listing.folders.entry(entry.file_name().to_os_string()).or_default();
            }
        } else if !entry.file_type().is_file() || !has_image_extension(&path) {
            listing.skipped += 1;
        } else {
            let size = entry.metadata().map_err(failed)?.len();
            let class = path.components().next().map(|class| class.as_os_str().to_os_string()).unwrap_or_default();
            let group = if entry.depth() == 1 { &mut listing.loose } else { listing.folders.entry(class).or_default() };
            group.push(Sample { path, size, label: 0 });
        }
    }
    Ok(listing)
}

fn fingerprint(root: &Path, classes: &[String], samples: &[Sample]) -> Fingerprint {
    let mut hasher = Hasher::new("glocal image folder 2");
    hasher.number(classes.len() as u64);
    classes.iter().for_each(|name| hasher.text(name));
    hasher.number(samples.len() as u64);
    for sample in samples {
        hasher.text(&key(&sample.path));
        hasher.number(sample.size);
        hasher.number(sample.label.into());
    }
    let total = samples.iter().fold(0_u64, |total, sample| total.saturating_add(sample.size));
    for index in Hasher::chosen(samples.len(), total) {
        let path = root.join(&samples[index].path);
        // What cannot be read is told of when it is loaded, and may be passed over then.
        hasher.file(&path).unwrap_or_else(|_| hasher.text("unreadable"));
    }
    hasher.finish()
}

pub(super) fn key(path: &Path) -> String {
    let names: Vec<_> = path.components().map(|name| name.as_os_str().to_string_lossy()).collect();
    names.join("/")
}

impl Listing {
    /// Whether there are no images at any depth.
    pub(super) fn is_empty(&self) -> bool {
        self.loose.is_empty() && self.folders.values().all(Vec::is_empty)
    }

    /// The paths of the images directly in the folder, relative to it.
    pub(super) fn loose(&self) -> Vec<PathBuf> {
        self.loose.iter().map(|sample| sample.path.clone()).collect()
    }
}

impl DataSet for Folder {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn key(&self, index: usize) -> String {
        self.samples.get(index).map(|sample| key(&sample.path)).unwrap_or_default()
    }

    fn labels(&self, index: usize) -> &[u32] {
        match self.samples.get(index) {
            Some(sample) if !self.classes.is_empty() => std::slice::from_ref(&sample.label),
            _ => &[],
        }
    }

    fn class_names(&self) -> Option<&[String]> {
        (!self.classes.is_empty()).then_some(&self.classes)
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        let len = self.len();
        let sample =
            self.samples.get(index).ok_or_else(|| DataError::new(&self.root, DataErrorKind::Index { index, len }))?;
        load_image(&self.root.join(&sample.path)).map(Content::Image)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn describe(&self) -> String {
        let mut text = format!("{} images", self.samples.len());
        match self.classes.len() {
            0 => text += " without labels",
            1 => text += " in 1 class",
            classes => text += &format!(" in {classes} classes"),
        }
        match self.skipped {
            0 => {}
            1 => text += "; 1 other file skipped",
            skipped => text += &format!("; {skipped} other files skipped"),
        }
        text
    }
}
