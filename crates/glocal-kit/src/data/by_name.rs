//! Labels found by their names among the outputs of a model, whatever the order of the classes in the data set.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::class_fault::ClassFault;
use super::error::{DataError, DataErrorKind};
use super::fingerprint::{Fingerprint, Hasher};
use super::labels::Labels;
use super::{Content, DataSet, Numbering};

/// How many names of outputs are shown where none fits.
const NEAREST_NAMES: usize = 3;

/// What becomes of labels whose class is no output of the model, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentClasses {
    /// They are an error, as where labels are to be explained.
    Refused,
    /// Samples do not have them any more, as where the labels do not matter.
    Unlabelled,
}

/// The samples of a data set, with labels that are indices of named outputs.
struct ByName {
    data: Box<dyn DataSet>,
    names: Vec<String>,
    labels: Labels,
    fingerprint: Option<Fingerprint>,
}

/// `data` with labels that are indices of the model's outputs, which are called `outputs`; the file at `path` says so.
///
/// Data sets number their classes in an order of their own, such as that of the folders' names. A label becomes the index of
/// the output of the same name; names are equal when they are so after white space around them is dropped. Outputs may be
/// more than the classes of the data set. Where both are called the same in the same order, nothing changes; nor where there are as many of
/// both and none is called the same: the names of folders are often keys (`n01440764`), whose order is that of the outputs. Where
/// the data set has no names of classes, its labels are indices of outputs already; so they are [from a table of
/// indices](super::with_labels).
///
/// # Errors
/// Unless such samples are unlabelled: when `outputs` lacks the class of a sample or has it twice; when a table's indices are
/// named differently by the data set and by `outputs`.
pub fn with_outputs(
    data: Box<dyn DataSet>,
    outputs: &[String],
    path: &Path,
    absent: AbsentClasses,
) -> Result<Box<dyn DataSet>, DataError> {
    let Some(classes) = data.class_names() else { return Ok(data) };
    let trimmed = |names: &[String]| names.iter().map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    let (classes, names) = (trimmed(classes), trimmed(outputs));
    if classes == names {
        return Ok(data);
    }
    let other_words = classes.len() == names.len() && !classes.iter().any(|class| names.contains(class));
    if other_words && data.numbering() == Numbering::Classes {
        return Ok(data);
    }
    let fault = |fault| DataError::new(path, DataErrorKind::Classes(fault));
    let labels = match data.numbering() {
        Numbering::Outputs => {
            if absent == AbsentClasses::Refused {
                agree(data.as_ref(), &classes, &names).map_err(fault)?;
            }
            let indices = (0..data.len()).map(|sample| data.labels(sample).to_vec());
            Labels::of_several(indices)
        }
        Numbering::Classes => find(data.as_ref(), &classes, &names, absent).map_err(fault)?,
    };
    let unchanged = (0..data.len()).all(|sample| labels.of(sample) == data.labels(sample));
    let fingerprint = if unchanged {
        data.labels_fingerprint()
    } else {
        let mut hasher = Hasher::new("glocal labels by name 1");
        labels.hash(&mut hasher);
        Some(hasher.finish())
    };
    Ok(Box::new(ByName { data, names: outputs.to_vec(), labels, fingerprint }))
}

/// The labels of all samples as indices of `outputs`.
fn find(
    data: &dyn DataSet,
    classes: &[String],
    outputs: &[String],
    absent: AbsentClasses,
) -> Result<Labels, ClassFault> {
    let known = positions(outputs);
    // The first sample of each class.
    let mut used: BTreeMap<u32, usize> = BTreeMap::new();
    for sample in 0..data.len() {
        for &class in data.labels(sample) {
            used.entry(class).or_insert(sample);
        }
    }
    let mut found: HashMap<u32, u32> = HashMap::new();
    let mut lacking: Vec<(String, usize)> = Vec::new();
    for (class, sample) in used {
        // The name of a class, or its number where it has none.
        let name = classes.get(class as usize).cloned().unwrap_or_else(|| class.to_string());
        match known.get(name.as_str()).map_or(&[][..], Vec::as_slice) {
            [output] => {
                found.insert(class, *output as u32);
            }
            [first, second, ..] if absent == AbsentClasses::Refused => {
                return Err(ClassFault::Repeated { name, first: *first, second: *second });
            }
            _ => lacking.push((name, sample)),
        }
    }
    let others = lacking.len().saturating_sub(1);
    if let Some((name, sample)) = lacking.into_iter().next().filter(|_| absent == AbsentClasses::Refused) {
        let nearest = nearest(&name, outputs);
        return Err(ClassFault::Absent { name, key: data.key(sample), others, nearest });
    }
    let of_sample = |sample| data.labels(sample).iter().filter_map(|class| found.get(class).copied());
    Ok(Labels::of_several((0..data.len()).map(of_sample)))
}

/// Checks that no label, an index of an output, belongs to another output by the name that the data set has for it.
fn agree(data: &dyn DataSet, classes: &[String], outputs: &[String]) -> Result<(), ClassFault> {
    let known = positions(outputs);
    for sample in 0..data.len() {
        for &label in data.labels(sample) {
            let Some(name) = classes.get(label as usize) else { continue };
            let Some(positions) = known.get(name.as_str()) else { continue };
            let [elsewhere, ..] = positions[..] else { continue };
            if !positions.contains(&(label as usize)) {
                let (name, output) = (name.clone(), outputs.get(label as usize).cloned());
                return Err(ClassFault::Contradicted { label, key: data.key(sample), name, output, elsewhere });
            }
        }
    }
    Ok(())
}

/// Where each name is.
fn positions(names: &[String]) -> HashMap<&str, Vec<usize>> {
    let mut positions: HashMap<&str, Vec<usize>> = HashMap::new();
    for (position, name) in names.iter().enumerate() {
        positions.entry(name).or_default().push(position);
    }
    positions
}

/// The names that are most like `name`, whatever their case.
fn nearest(name: &str, names: &[String]) -> Vec<String> {
    let name = name.to_lowercase();
    let mut nearest: Vec<&String> = names.iter().filter(|other| !other.is_empty()).collect();
    nearest.sort_by_cached_key(|other| strsim::levenshtein(&name, &other.to_lowercase()));
    nearest.into_iter().take(NEAREST_NAMES).cloned().collect()
}

impl DataSet for ByName {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn key(&self, index: usize) -> String {
        self.data.key(index)
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.labels.of(index)
    }

    fn class_names(&self) -> Option<&[String]> {
        Some(&self.names)
    }

    fn numbering(&self) -> Numbering {
        Numbering::Outputs
    }

    fn load(&self, index: usize) -> Result<Content, DataError> {
        self.data.load(index)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.data.fingerprint()
    }

    fn labels_fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    fn describe(&self) -> String {
        self.data.describe()
    }
}
