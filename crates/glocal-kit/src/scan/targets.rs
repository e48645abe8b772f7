//! Which output of the model is explained for each sample.

use super::{ScanError, ScanErrorKind, Targets};
use crate::data::{DataSet, Numbering};

/// Checks, before anything is computed, that every sample has the targets that are asked for.
pub(crate) fn check(output_shape: &[usize], data: &dyn DataSet, targets: Targets) -> Result<(), ScanError> {
    let &[classes] = output_shape else {
        return Err(ScanErrorKind::Output { shape: output_shape.to_vec() }.into());
    };
    if data.is_empty() {
        return Err(ScanErrorKind::NoSamples.into());
    }
    let labelled = |sample| !data.labels(sample).is_empty();
    match targets {
        Targets::Predicted => return Ok(()),
        Targets::Class(class) if class as usize >= classes => {
            return Err(ScanErrorKind::Class { class, classes }.into());
        }
        Targets::Class(_) => return Ok(()),
        Targets::Label | Targets::AllLabels if !(0..data.len()).any(labelled) => {
            return Err(ScanErrorKind::NoLabels.into());
        }
        Targets::Label | Targets::AllLabels => {}
    }
    // Classes that are numbered in an order of their own are outputs only if there is one for each.
    let named = data.class_names().filter(|_| data.numbering() == Numbering::Classes).map(<[String]>::len);
    if let Some(folders) = named.filter(|&folders| folders != classes) {
        return Err(ScanErrorKind::FolderClasses { folders, classes }.into());
    }
    for sample in 0..data.len() {
        let labels = data.labels(sample);
        if targets == Targets::Label && labels.len() != 1 {
            return Err(ScanErrorKind::LabelCount { sample, key: data.key(sample), labels: labels.len() }.into());
        }
        if let Some(&label) = labels.iter().find(|label| **label as usize >= classes) {
            return Err(ScanErrorKind::Label { sample, key: data.key(sample), label, classes }.into());
        }
    }
    Ok(())
}

/// The targets of a sample; `None` for the predicted class.
pub(super) fn of(targets: Targets, data: &dyn DataSet, sample: usize) -> Option<Vec<u32>> {
    match targets {
        Targets::Predicted => None,
        Targets::Class(class) => Some(vec![class]),
        Targets::Label | Targets::AllLabels => {
            let mut labels: Vec<u32> = Vec::new();
            for &label in data.labels(sample) {
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }
            Some(labels)
        }
    }
}
