//! Makes a store of what zennit-crp has found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glocal::concept::{Normalization, Score, Scoring, Site};
use glocal::search::{
    ClassRankings, ConceptReferences, Entry, LayerReferences, Measure, References, SampleId, ScanOptions, Statistics,
    TopK,
};

use super::{ConvertError, ConvertErrorKind, folders};
use crate::data::{DataSet, Numbers, load_numbers};
use crate::scan::{Analysis, ScanError, ScanErrorKind, manifest, sources};
use crate::store::{Begun, Found, Manifest, Origin, StoreWriter};

/// A search as the peer has written it, looked at but not read yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    folder: PathBuf,
    /// What the names of its folders end with.
    suffix: String,
    /// The layers, in the order of their names.
    pub layers: Vec<String>,
    /// How it was scored, and how many entries its rankings have at most.
    pub options: ScanOptions,
}

impl Search {
    /// Looks at what `folder` holds.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds no search, or several.
    pub fn open(folder: &Path) -> Result<Self, ConvertError> {
        let [prefix, _] = folders(Measure::Relevance);
        let suffixes = names(folder)?.into_iter().filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned()));
        let mut suffixes: Vec<String> = suffixes.collect();
        let Some(suffix) = suffixes.pop() else { return Err(ConvertError::new(folder, ConvertErrorKind::NoSearch)) };
        if !suffixes.is_empty() {
            suffixes.push(suffix);
            return Err(ConvertError::new(folder, ConvertErrorKind::SeveralSearches { suffixes }));
        }
        let (score, normalization) = match suffix.as_str() {
            "sum_normed" => (Score::Sum, Normalization::Share),
            "sum_unnormed" => (Score::Sum, Normalization::Raw),
            "max_normed" => (Score::Max, Normalization::Share),
            "max_unnormed" => (Score::Max, Normalization::Raw),
            _ => return Err(ConvertError::new(folder, ConvertErrorKind::Suffix { suffix })),
        };
        let scoring = Scoring { score, normalization };
        let rankings = folder.join(format!("{prefix}{suffix}"));
        let layers = names(&rankings)?.into_iter().filter_map(|name| Some(name.strip_suffix(DATA)?.to_owned()));
        let layers: Vec<String> = layers.collect();
        if layers.is_empty() {
            return Err(ConvertError::new(folder, ConvertErrorKind::NoSearch));
        }
        let mut top_k = 1;
        for layer in &layers {
            top_k = top_k.max(numbers(&rankings.join(format!("{layer}{DATA}")))?.shape[0]);
        }
        let options = ScanOptions { top_k, relevance: scoring, activation: scoring };
        Ok(Self { folder: folder.to_owned(), suffix, layers, options })
    }
}

/// What the name of the file of a ranking's samples ends with.
const DATA: &str = "_data.npy";

/// Makes a store of `search`, which was made with the model, rules, data and targets of `analysis`; its scan has the layers and
/// options of the search.
///
/// What the peer does not keep is unknown: statistics are of no samples, `active` counts the samples of the ranking by activation
/// alone, the other measure's score is there where the sample is in both rankings (else it is not a number), and targets
/// are the labels of the samples.
///
/// # Errors
/// When an array cannot be read, or does not fit the model and the data; when the store cannot be written.
pub fn from_zennit_crp(search: &Search, analysis: &Analysis<'_>, store: &Path) -> Result<(), ConvertError> {
    if analysis.data.is_empty() || (0..analysis.data.len()).all(|sample| analysis.data.labels(sample).is_empty()) {
        return Err(ConvertError::from(ScanError::from(ScanErrorKind::NoLabels)));
    }
    let mut manifest = manifest(analysis)?;
    let mut content = blake3::Hasher::new();
    let mut layers = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        let classes = analysis.scan.attributor().model().output_shape().first().copied().unwrap_or(0);
        let reader = Reader { search, data: analysis.data, site: layer.site(), layer: &layer.name, classes };
        let concepts = reader.read(layer.concepts, &mut content)?;
        layers.push(LayerReferences { layer: layer.name.clone(), concepts });
    }
    // What is left of another conversion, or of a scan, is not gone on with.
    manifest.origin = Origin::ZennitCrp(content.finalize().to_hex().to_string());
    let samples = manifest.data.samples;
    let references = References::from_parts(search.options.top_k, layers, samples);
    let found = Found { references, vectors: None, skipped: Vec::new() };
    write(manifest, samples, analysis, store, &found)
}

fn write(
    manifest: Manifest,
    samples: u64,
    analysis: &Analysis<'_>,
    store: &Path,
    found: &Found,
) -> Result<(), ConvertError> {
    // One that is complete already is of the same files: the manifest has their hash.
    if let Some(Begun { writer, .. }) = StoreWriter::prepare(store, manifest, 0..samples, &sources(analysis.source))? {
        writer.finish(found, analysis.data)?;
    }
    Ok(())
}

/// Reads the rankings of one layer.
struct Reader<'a> {
    search: &'a Search,
    data: &'a dyn DataSet,
    site: Site<'a>,
    layer: &'a str,
    /// The number of the model's outputs.
    classes: usize,
}

impl Reader<'_> {
    /// Reads all rankings, and adds what they say to `content`.
    fn read(&self, count: usize, content: &mut blake3::Hasher) -> Result<Vec<ConceptReferences>, ConvertError> {
        let mut concepts = vec![ConceptReferences::new(self.search.options.top_k); count];
        for measure in [Measure::Relevance, Measure::Activation] {
            let [all, by_class] =
                folders(measure).map(|folder| self.search.folder.join(format!("{folder}{}", self.search.suffix)));
            // Whoever searched by relevance only has no folder of the other measure.
            if !all.exists() {
                continue;
            }
            for (concept, ranking) in concepts.iter_mut().zip(self.rankings(&all, self.layer, count, None, content)?) {
                match measure {
                    Measure::Relevance => concept.relevance = ranking,
                    Measure::Activation => concept.activation = ranking,
                }
            }
            for class in classes(&by_class.join(self.layer))? {
                let folder = by_class.join(self.layer);
                if class as usize >= self.classes {
                    let expected = format!("classes of the model, from 0 to {}", self.classes.saturating_sub(1));
                    let given = class.to_string();
                    return Err(ConvertError::new(folder, ConvertErrorKind::Number { given, expected }));
                }
                let rankings = self.rankings(&folder, &class.to_string(), count, Some(class), content)?;
                for (concept, ranking) in concepts.iter_mut().zip(rankings) {
                    match measure {
                        Measure::Relevance => concept.relevance_by_class.insert(class, ranking),
                        Measure::Activation => concept.activation_by_class.insert(class, ranking),
                    }
                }
            }
        }
        for concept in &mut concepts {
            let active = concept.activation.entries().iter().filter(|entry| entry.score != 0.0).count();
            concept.active = active as u64;
            concept.statistics = Statistics::default();
            pair(concept);
        }
        Ok(concepts)
    }

    /// The rankings of all concepts in the three files of `folder` that `name` begins.
    fn rankings(
        &self,
        folder: &Path,
        name: &str,
        count: usize,
        class: Option<u32>,
        content: &mut blake3::Hasher,
    ) -> Result<Vec<TopK>, ConvertError> {
        let path = |part: &str| folder.join(format!("{name}_{part}.npy"));
        let arrays = ["data", "rel", "rf"].map(|part| numbers(&path(part)));
        let [samples, scores, peaks] = arrays;
        let (samples, scores, peaks) = (samples?, scores?, peaks?);
        for (array, part) in [(&samples, "data"), (&scores, "rel"), (&peaks, "rf")] {
            if array.shape != [samples.shape[0], count] {
                let expected = format!("[{}, {count}]: ranks and the concepts of {}", samples.shape[0], self.layer);
                let given = array.shape.clone();
                return Err(ConvertError::new(path(part), ConvertErrorKind::Shape { given, expected }));
            }
        }
        for text in [folder.file_name().unwrap_or_default().to_string_lossy().as_ref(), name] {
            content.update(&(text.len() as u64).to_le_bytes());
            content.update(text.as_bytes());
        }
        for array in [&samples, &scores, &peaks] {
            content.update(&(array.values.len() as u64).to_le_bytes());
            for value in &array.values {
                content.update(&value.to_le_bytes());
            }
        }
        let mut rankings = vec![TopK::new(self.search.options.top_k); count];
        let all = samples.values.iter().zip(&scores.values).zip(&peaks.values).enumerate();
        for (index, ((&sample, &score), &peak)) in all {
            let id = index % count.max(1);
            let sample = whole(sample, self.data.len(), &path("data"), "the number of a sample")?;
            let peak = whole(peak, self.site.positions(), &path("rf"), "a position of the layer")?;
            let target = match class {
                Some(class) => class,
                // The peer explains one label a sample.
                None => self.data.labels(sample).first().copied().unwrap_or_default(),
            };
            let entry = Entry {
                sample: SampleId(sample as u64),
                target,
                score: score as f32 + 0.0,
                other: f32::NAN,
                peak: self.site.element(id, peak) as u32,
            };
            // Where batches overlapped, the peer has a sample twice.
            let known = |known: &Entry| known.sample == entry.sample && known.target == entry.target;
            if !rankings[id].entries().iter().any(known) && !rankings[id].insert(entry) {
                let (given, expected) = (score.to_string(), "numbers".to_owned());
                return Err(ConvertError::new(path("rel"), ConvertErrorKind::Number { given, expected }));
            }
        }
        Ok(rankings)
    }
}

/// Gives each entry the other measure's score, where the other ranking has the sample too.
fn pair(concept: &mut ConceptReferences) {
    let scores = |rankings: &[&TopK]| -> BTreeMap<SampleId, f32> {
        rankings.iter().flat_map(|ranking| ranking.entries()).map(|entry| (entry.sample, entry.score)).collect()
    };
    let of = |all: &TopK, by_class: &ClassRankings| {
        scores(&std::iter::once(all).chain(by_class.iter().map(|(_, ranking)| ranking)).collect::<Vec<_>>())
    };
    let relevance = of(&concept.relevance, &concept.relevance_by_class);
    let activation = of(&concept.activation, &concept.activation_by_class);
    let put = |ranking: &mut TopK, scores: &BTreeMap<SampleId, f32>| {
        let mut paired = TopK::new(ranking.k());
        for entry in ranking.entries() {
            let other = scores.get(&entry.sample).copied().unwrap_or(f32::NAN);
            paired.insert(Entry { other, ..*entry });
        }
        *ranking = paired;
    };
    put(&mut concept.relevance, &activation);
    concept.relevance_by_class.rankings_mut().for_each(|ranking| put(ranking, &activation));
    put(&mut concept.activation, &relevance);
    concept.activation_by_class.rankings_mut().for_each(|ranking| put(ranking, &relevance));
}

/// A whole number below `end`.
fn whole(value: f64, end: usize, path: &Path, what: &str) -> Result<usize, ConvertError> {
    if value.fract() == 0.0 && (0.0..end as f64).contains(&value) {
        return Ok(value as usize);
    }
    let expected = format!("{what}, from 0 to {}", end.saturating_sub(1));
    Err(ConvertError::new(path, ConvertErrorKind::Number { given: value.to_string(), expected }))
}

/// An array of two axes with at least one element.
fn numbers(path: &Path) -> Result<Numbers, ConvertError> {
    let numbers = load_numbers(path).map_err(|error| ConvertError::new(path, ConvertErrorKind::Data(error)))?;
    if numbers.shape.len() != 2 {
        let expected = "[ranks, concepts]".to_owned();
        return Err(ConvertError::new(path, ConvertErrorKind::Shape { given: numbers.shape, expected }));
    }
    Ok(numbers)
}

/// The classes that a folder has rankings of; none where there is no such folder.
fn classes(folder: &Path) -> Result<BTreeSet<u32>, ConvertError> {
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    Ok(names(folder)?.iter().filter_map(|name| name.strip_suffix(DATA)?.parse().ok()).collect())
}

/// The names in a folder, in their order.
fn names(folder: &Path) -> Result<Vec<String>, ConvertError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(|error| ConvertError::new(folder, ConvertErrorKind::Read(error)))?;
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
