//! Writes a store in the layout of zennit-crp.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glocal::search::{ConceptReferences, Entry, Measure, TopK};

use super::{CLASSES, ConvertError, ConvertErrorKind, folders, npy};
use crate::store::{LayerManifest, NormalizationName, ScoreName, ScoringManifest, Store};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The suffix of the folders.
    pub suffix: String,
    /// The number of files.
    pub files: usize,
    /// How many rankings have entries that were left out: arrays have as many ranks as the shortest ranking of their concepts,
    /// and a ranking is shorter where scores were not a number.
    pub shortened: usize,
    /// How activation was scored, where that is not what the suffix says of both measures.
    pub activation: Option<ScoringManifest>,
}

/// Writes all rankings of `store` into `folder`, in full or not at all.
///
/// The peer has one suffix for both measures; it is that of how relevance was scored. Its rankings do not say how activation
/// was, nor the targets of samples, nor the other measure's scores, nor statistics: these are lost.
///
/// # Errors
/// When the store is damaged, the name of a layer is none of a file, or the folder is not empty or cannot be written.
pub fn to_zennit_crp(store: &Store, folder: &Path) -> Result<Written, ConvertError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| ConvertError::new(path, ConvertErrorKind::Write(error))
    };
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ConvertError::new(folder, ConvertErrorKind::Occupied));
    }
    for LayerManifest { name, .. } in &store.manifest().layers {
        if name.contains(['/', '\\', '\0']) || name.starts_with('.') {
            return Err(ConvertError::new(folder, ConvertErrorKind::LayerName { layer: name.clone() }));
        }
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let temporary = parent.join(format!(".{name}.{}.partial", std::process::id()));
    fs::create_dir(&temporary).map_err(failed(folder))?;
    let written = Writer { store, folder: &temporary, suffix: suffix(store), files: 0, shortened: 0 }.write();
    let placed = written.and_then(|written| {
        // An empty folder is replaced.
        fs::rename(&temporary, folder).map_err(failed(folder))?;
        Ok(written)
    });
    if placed.is_err() {
        // The error that led here is the one to report.
        let _ = fs::remove_dir_all(&temporary);
    }
    placed
}

/// How relevance was scored, as the peer writes it.
fn suffix(store: &Store) -> String {
    let relevance = store.manifest().options.relevance;
    let score = match relevance.score {
        ScoreName::Sum | ScoreName::PositiveSum => "sum",
        ScoreName::Max => "max",
    };
    let normalization = match relevance.normalization {
        NormalizationName::Share => "normed",
        NormalizationName::Raw => "unnormed",
    };
    format!("{score}_{normalization}")
}

struct Writer<'a> {
    store: &'a Store,
    folder: &'a Path,
    suffix: String,
    files: usize,
    shortened: usize,
}

impl Writer<'_> {
    fn write(mut self) -> Result<Written, ConvertError> {
        let mut classes: [BTreeSet<u32>; 2] = Default::default();
        for layer in &self.store.manifest().layers {
            let concepts = self.store.layer(&layer.name)?.concepts;
            for (measure, classes) in [Measure::Relevance, Measure::Activation].into_iter().zip(&mut classes) {
                let [all, by_class] =
                    folders(measure).map(|folder| self.folder.join(format!("{folder}{}", self.suffix)));
                self.rankings(&all, &layer.name, layer, &concepts, measure, None)?;
                let of_layer = concepts.iter().flat_map(|concept| match measure {
                    Measure::Relevance => concept.relevance_by_class.classes(),
                    Measure::Activation => concept.activation_by_class.classes(),
                });
                let of_layer: BTreeSet<u32> = of_layer.collect();
                for class in of_layer {
                    let name = class.to_string();
                    if self.rankings(&by_class.join(&layer.name), &name, layer, &concepts, measure, Some(class))? {
                        classes.insert(class);
                    }
                }
            }
        }
        for (measure, classes) in [Measure::Relevance, Measure::Activation].into_iter().zip(classes) {
            let [_, by_class] = folders(measure).map(|folder| self.folder.join(format!("{folder}{}", self.suffix)));
            let classes: Vec<i64> = classes.into_iter().map(i64::from).collect();
            self.array(&by_class, CLASSES, &[classes.len()], classes)?;
        }
        let options = &self.store.manifest().options;
        let activation = (options.activation != options.relevance).then_some(options.activation);
        Ok(Written { suffix: self.suffix, files: self.files, shortened: self.shortened, activation })
    }

    /// The three files of the rankings of all concepts of a layer; none, and `false`, where one of the rankings is empty.
    fn rankings(
        &mut self,
        folder: &Path,
        name: &str,
        layer: &LayerManifest,
        concepts: &[ConceptReferences],
        measure: Measure,
        class: Option<u32>,
    ) -> Result<bool, ConvertError> {
        let of = |concept| ConceptReferences::ranking(concept, measure, class).map_or(&[][..], TopK::entries);
        let ranks = concepts.iter().map(|concept| of(concept).len()).min().unwrap_or(0);
        self.shortened += concepts.iter().filter(|concept| of(concept).len() > ranks).count();
        if ranks == 0 {
            return Ok(false);
        }
        let shape = [ranks, concepts.len()];
        let entries = |of_entry: fn(&LayerManifest, &Entry) -> i64| -> Vec<i64> {
            let ranks = (0..ranks).flat_map(|rank| concepts.iter().filter_map(move |concept| of(concept).get(rank)));
            ranks.map(|entry| of_entry(layer, entry)).collect()
        };
        let samples = entries(|_, entry| entry.sample.0 as i64);
        self.array(folder, &format!("{name}_data.npy"), &shape, samples)?;
        let peaks = entries(|layer, entry| layer.site().place(entry.peak as usize).1 as i64);
        self.array(folder, &format!("{name}_rf.npy"), &shape, peaks)?;
        let scores = (0..ranks).flat_map(|rank| concepts.iter().filter_map(move |concept| of(concept).get(rank)));
        self.array(folder, &format!("{name}_rel.npy"), &shape, scores.map(|entry| entry.score))?;
        Ok(true)
    }

    fn array<T: npy::Element>(
        &mut self,
        folder: &Path,
        name: &str,
        shape: &[usize],
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), ConvertError> {
        let path: PathBuf = folder.join(name);
        let written = fs::create_dir_all(folder).and_then(|()| npy::write(&path, shape, elements));
        self.files += 1;
        written.map_err(|error| ConvertError::new(path, ConvertErrorKind::Write(error)))
    }
}
