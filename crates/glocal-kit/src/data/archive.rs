//! Tar archives of samples, as WebDataset writes them: the files of a sample lie side by side and are named alike up to the
//! first dot, `0001.jpg` beside `0001.cls` or `0001.json`.
//!
//! Archives are read once for an index of where the images are; nothing in them is believed without a look at the file.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive_entries::{Entry, entries};
use super::error::{DataError, DataErrorKind};
use super::fault::ArchiveFault;
use super::fingerprint::{Fingerprint, Hasher};
use super::image_file::{self, IMAGE_EXTENSIONS, decode_image};
use super::labels::{LabelTexts, Labels};
use super::member_label::read_label;
use super::regular::open_file;
use super::{Content, DataSet, shards};

/// The samples of one archive or of several.
pub(super) struct Archive {
    shards: Vec<PathBuf>,
    samples: Vec<Sample>,
    labels: Labels,
    /// The number of entries that are neither images nor labels, and of samples without an image.
    skipped: usize,
    fingerprint: Fingerprint,
}

struct Sample {
    /// The index of its shard.
    shard: usize,
    /// The entry with its image, as the archive spells it.
    name: String,
    start: u64,
    size: u64,
}

/// The files of one sample, as they are found.
#[derive(Default)]
struct Group {
    key: String,
    extensions: HashSet<String>,
    image: Option<(String, u64, u64)>,
    /// What the `.cls` entry says, or else the `.json` entry.
    labels: Option<Vec<String>>,
}

/// Opens the archives at `paths`, in this order.
pub(super) fn open(paths: Vec<PathBuf>) -> Result<Archive, DataError> {
    let (mut samples, mut texts, mut skipped) = (Vec::new(), LabelTexts::default(), 0);
    for (shard, path) in paths.iter().enumerate() {
        skipped += index(path, shard, &mut samples, &mut texts)?;
    }
    let first = paths.first().cloned().unwrap_or_default();
    if samples.is_empty() {
        return Err(DataError::new(first, DataErrorKind::Archive(ArchiveFault::Empty)));
    }
    let labels = texts.resolve().map_err(|mixed| {
        let key = |sample: usize| samples.get(sample).map(|sample: &Sample| sample.name.clone()).unwrap_or_default();
        let (index_key, name_key) = (key(mixed.index_sample), key(mixed.name_sample));
        let fault = ArchiveFault::MixedLabels { index: mixed.index, index_key, name: mixed.name, name_key };
        DataError::new(first, DataErrorKind::Archive(fault))
    })?;
    let mut archive = Archive { shards: paths, samples, labels, skipped, fingerprint: Hasher::new("").finish() };
    archive.fingerprint = archive.hash()?;
    Ok(archive)
}

/// Adds the samples of the archive at `path`; returns how many entries are of no use.
fn index(path: &Path, shard: usize, samples: &mut Vec<Sample>, texts: &mut LabelTexts) -> Result<usize, DataError> {
    let fault = |fault| DataError::new(path, DataErrorKind::Archive(fault));
    let (mut group, mut ended, mut skipped) = (Group::default(), HashSet::new(), 0);
    let mut end = |group: Group, skipped: &mut usize| match group.image {
        Some((name, start, size)) => {
            samples.push(Sample { shard, name, start, size });
            texts.push(group.labels.unwrap_or_default());
        }
        // Entries of other kinds are counted where they are met.
        None => *skipped += ["cls", "json"].iter().filter(|label| group.extensions.contains(**label)).count(),
    };
    let mut file = open_file(path).map_err(|error| DataError::read(path, error))?;
    for entry in entries(path)? {
        let Entry { name, start, size } = entry;
        let Some((key, extension)) = split(&name) else {
            skipped += 1;
            continue;
        };
        if key != group.key {
            let before = std::mem::take(&mut group);
            ended.insert(before.key.clone());
            end(before, &mut skipped);
            if ended.contains(&key) {
                return Err(fault(ArchiveFault::Duplicate { entry: name }));
            }
            group.key = key;
        }
        if !group.extensions.insert(extension.clone()) {
            return Err(fault(ArchiveFault::Duplicate { entry: name }));
        }
        if IMAGE_EXTENSIONS.contains(&extension.as_str()) {
            if group.image.is_some() {
                return Err(fault(ArchiveFault::SeveralImages { key: group.key }));
            }
            group.image = Some((name, start, size));
        } else if extension == "cls" || (extension == "json" && !group.extensions.contains("cls")) {
            let labels = read_label(&mut file, &name, start, size).map_err(|(kind, source)| match source {
                Some(source) => DataError::caused(path, kind, source),
                None => DataError::new(path, kind),
            })?;
            group.labels = labels.or(group.labels);
        } else {
            skipped += usize::from(extension != "json");
        }
    }
    end(group, &mut skipped);
    Ok(skipped)
}

/// The key and the extension, in lower case, of an entry: both of its name are told apart by the first dot. `None` for hidden
/// files and names without a dot.
fn split(name: &str) -> Option<(String, String)> {
    let (folder, base) = name.rsplit_once('/').map_or(("", name), |(folder, base)| (folder, base));
    let (stem, extension) = base.split_once('.').filter(|(stem, _)| !stem.is_empty())?;
    let folder = folder.trim_start_matches("./").trim_matches('/');
    let key = if folder.is_empty() || folder == "." { stem.to_owned() } else { format!("{folder}/{stem}") };
    Some((key, extension.to_ascii_lowercase()))
}

impl Archive {
    fn hash(&self) -> Result<Fingerprint, DataError> {
        let mut hasher = Hasher::new("glocal tar shards 1");
        self.labels.hash(&mut hasher);
        for sample in &self.samples {
            hasher.text(&sample.name);
            hasher.number(sample.size);
        }
        let total = self.samples.iter().fold(0_u64, |total, sample| total.saturating_add(sample.size));
        for index in Hasher::chosen(self.samples.len(), total) {
            if let Some(sample) = self.samples.get(index) {
                // Longer ones are never decoded.
                let size = sample.size.min(image_file::LIMIT);
                hasher.content(&self.bytes(sample, size)?);
            }
        }
        Ok(hasher.finish())
    }

    fn bytes(&self, sample: &Sample, size: u64) -> Result<Vec<u8>, DataError> {
        let path = self.shards.get(sample.shard).map(PathBuf::as_path).unwrap_or(Path::new(""));
        let failed = |error| DataError::read(path, error);
        // Opened each time: there may be more shards than a process may hold open.
        let mut file = open_file(path).map_err(failed)?;
        file.seek(SeekFrom::Start(sample.start)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 != size {
            let (entry, actual) = (sample.name.clone(), bytes.len() as u64);
            let fault = ArchiveFault::CutOff { entry, declared: size, actual };
            return Err(DataError::new(path, DataErrorKind::Archive(fault)));
        }
        Ok(bytes)
    }
}

impl DataSet for Archive {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn key(&self, index: usize) -> String {
        let Some(sample) = self.samples.get(index) else { return String::new() };
        match self.shards.get(sample.shard) {
            // Keys are unique within a shard only.
            Some(shard) if self.shards.len() > 1 => format!("{}/{}", shards::name(shard), sample.name),
            _ => sample.name.clone(),
        }
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.labels.of(index)
    }

    fn class_names(&self) -> Option<&[String]> {
        self.labels.names()
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        let len = self.len();
        let first = self.shards.first().cloned().unwrap_or_default();
        let sample =
            self.samples.get(index).ok_or_else(|| DataError::new(first, DataErrorKind::Index { index, len }))?;
        let path = self.shards.get(sample.shard).map(|shard| shard.join(&sample.name)).unwrap_or_default();
        if sample.size > image_file::LIMIT {
            let kind = DataErrorKind::FileTooLarge { size: sample.size, limit: image_file::LIMIT };
            return Err(DataError::new(path, kind));
        }
        decode_image(self.bytes(sample, sample.size)?, &path).map(Content::Image)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn describe(&self) -> String {
        let mut text = format!("{} images{}", self.samples.len(), self.labels.describe());
        text += &match self.shards.len() {
            1 => ", in 1 tar shard".to_owned(),
            shards => format!(", in {shards} tar shards"),
        };
        match self.skipped {
            0 => text,
            1 => text + "; 1 other entry skipped",
            skipped => text + &format!("; {skipped} other entries skipped"),
        }
    }
}
