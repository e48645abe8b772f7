//! Stores in the layout of zennit-crp: what is written is what the library itself finds, and what is read is what was written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glocal::attribution::{Attributor, Cancel};
use glocal::canonizer::canonize;
use glocal::concept::{Normalization, Score, Scoring};
use glocal::model::{ImportOptions, Model};
use glocal::search::{Measure, Scan, ScanOptions};
use glocal_compute::CpuBackend;
use glocal_kit::convert::{ConvertErrorKind, Search, from_zennit_crp, to_zennit_crp};
use glocal_kit::data::{self, DataSet, load_arrays};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::scan::{self, Analysis, RunOptions, Source};
use glocal_kit::store::Store;
use serde_json::Value;
use tempfile::TempDir;

/// The composite that the oracle's searches were made with: all else is what nodes get by themselves.
const COMPOSITE: &str = "name = \"z-plus\"\n[[rules]]\nclass = \"linear\"\nrule = \"z-plus\"\n";

fn oracle(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/vgg_tiny").join(file)
}

struct Setting {
    folder: TempDir,
    scan: Scan,
    data: Box<dyn DataSet>,
    preprocess: Preprocess,
    source: Source,
    options: RunOptions,
}

impl Setting {
    fn new(scoring: Scoring, layers: &[&str]) -> Self {
        let onnx = glocal_onnx::Model::read(oracle("model.onnx")).unwrap();
        let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap();
        let attributor = Attributor::new(canonize(&model).unwrap(), COMPOSITE.parse().unwrap()).unwrap();
        let layers: Vec<String> = layers.iter().map(|layer| (*layer).to_owned()).collect();
        let options = ScanOptions { top_k: 40, relevance: scoring, activation: scoring };
        let data_path = oracle("dataset.safetensors");
        Self {
            folder: TempDir::new().unwrap(),
            scan: Scan::new(attributor, &layers, options).unwrap(),
            data: data::open(&data_path).unwrap(),
            preprocess: Preprocess::default(),
            source: Source {
                model: oracle("model.onnx"),
                model_hash: "0".to_owned(),
                canonized: true,
                composite: COMPOSITE.to_owned(),
                data: data_path,
                class_names: None,
            },
            options: RunOptions { batch: NonZeroUsize::new(16).unwrap(), ..RunOptions::default() },
        }
    }

    fn analysis(&self) -> Analysis<'_> {
        let Self { scan, data, preprocess, source, options, .. } = self;
        Analysis { scan, data: data.as_ref(), preprocess, source, options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> Store {
        scan::run(&self.analysis(), &self.path("store"), &|_| (), &Cancel::default()).unwrap();
        Store::open(self.path("store")).unwrap()
    }
}

/// An array `[ranks, concepts]`.
fn array(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let array = load_arrays(path).unwrap_or_else(|error| panic!("{error}"));
    (array.shape().to_vec(), array.data().to_vec())
}

#[test]
fn what_is_written_is_what_the_library_finds() {
    let cases: Value = serde_json::from_slice(&fs::read(oracle("cases.json")).unwrap()).unwrap();
    let bytes = fs::read(oracle("fv.safetensors")).unwrap();
    let goldens = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let golden = |name: &Value| -> (Vec<usize>, Vec<f32>) {
        let view = goldens.tensor(name.as_str().unwrap()).unwrap();
        let values = view.data().as_chunks().0.iter().map(|bytes| match view.dtype() {
            safetensors::Dtype::I32 => i32::from_le_bytes(*bytes) as f32,
            _ => f32::from_le_bytes(*bytes),
        });
        (view.shape().to_vec(), values.collect())
    };
    let mut compared = 0;
    for (suffix, score, normalization) in [
        ("sum_normed", Score::Sum, Normalization::Share),
        ("sum_unnormed", Score::Sum, Normalization::Raw),
        ("max_normed", Score::Max, Normalization::Share),
        ("max_unnormed", Score::Max, Normalization::Raw),
    ] {
        let id = format!("fv_{suffix}");
        let case = cases["cases"].as_array().unwrap().iter().find(|case| case["id"] == id.as_str()).unwrap();
        let layers: Vec<&str> =
            case["layers"].as_array().unwrap().iter().map(|layer| layer.as_str().unwrap()).collect();
        let setting = Setting::new(Scoring { score, normalization }, &layers);
        let output = setting.path("converted");
        let written = to_zennit_crp(&setting.store(), &output).unwrap();
        assert_eq!((written.suffix.as_str(), written.shortened), (suffix, 0));
        for kind in ["RelMax", "ActMax", "RelStats", "ActStats"] {
            for (layer, expected) in case["expected"][kind].as_object().unwrap() {
                let folder = output.join(format!("{kind}_{suffix}"));
                let rankings: Vec<(PathBuf, &str, &Value)> = match expected.get("data") {
                    Some(_) => vec![(folder, layer.as_str(), expected)],
                    None => {
                        let classes = expected.as_object().unwrap().iter();
                        classes.map(|(class, expected)| (folder.join(layer), class.as_str(), expected)).collect()
                    }
                };
                for (folder, name, expected) in rankings {
                    let place = format!("{id} {kind} {layer} {name}");
                    // Scores are held to the library's by the suite `fv` of the crate `glocal`.
                    let (shape, scores) = array(&folder.join(format!("{name}_rel.npy")));
                    assert_eq!(shape, golden(&expected["rel"]).0, "{place}");
                    let columns = (0..shape[1]).map(|concept| scores.iter().skip(concept).step_by(shape[1]));
                    assert!(columns.into_iter().all(|scores| scores.is_sorted_by(|a, b| a >= b)), "{place}");
                    for part in ["data", "rf"] {
                        let (_, numbers) = array(&folder.join(format!("{name}_{part}.npy")));
                        assert!(numbers == golden(&expected[part]).1, "{place} {part}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert_eq!(compared, 4 * 2 * 2 * (2 + 2 * 5));
}

#[test]
fn what_is_written_is_read() {
    let scoring = Scoring { score: Score::Sum, normalization: Normalization::Share };
    let setting = Setting::new(scoring, &["features.4", "features.8", "classifier.0"]);
    let store = setting.store();
    let (converted, back) = (setting.path("converted"), setting.path("back"));
    to_zennit_crp(&store, &converted).unwrap();
    let search = Search::open(&converted).unwrap();
    assert_eq!((search.layers.len(), search.options.relevance, search.options.top_k), (3, scoring, 40));
    // The layers come back in the order of their names.
    let reading = Setting::new(scoring, &search.layers.iter().map(String::as_str).collect::<Vec<_>>());
    from_zennit_crp(&search, &reading.analysis(), &back).unwrap();
    let back = Store::open(&back).unwrap();
    assert_eq!(back.samples().unwrap(), store.samples().unwrap());
    for layer in &search.layers {
        let (before, after) = (store.layer(layer).unwrap(), back.layer(layer).unwrap());
        for (before, after) in before.concepts.iter().zip(&after.concepts) {
            for measure in [Measure::Relevance, Measure::Activation] {
                for class in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
                    let entries = |concept: &glocal::search::ConceptReferences| {
                        let entries = concept.ranking(measure, class).unwrap().entries().iter();
                        entries.map(|entry| (entry.sample, entry.target, entry.score, entry.peak)).collect::<Vec<_>>()
                    };
                    assert_eq!(entries(before), entries(after));
                }
            }
            // The other score is known where a sample is in both rankings, and is not made up elsewhere.
            let others = after.relevance.entries().iter().zip(before.relevance.entries());
            assert!(others.clone().all(|(after, before)| after.other.is_nan() || after.other == before.other));
            assert!(others.clone().any(|(after, _)| !after.other.is_nan()));
            assert_eq!(after.statistics.activation.mean(), None);
        }
    }
}

#[test]
fn a_conversion_is_never_mixed_with_anything_else() {
    let scoring = Scoring { score: Score::Max, normalization: Normalization::Raw };
    let setting = Setting::new(scoring, &["features.4"]);
    let store = setting.store();
    let (converted, back) = (setting.path("converted"), setting.path("back"));
    to_zennit_crp(&store, &converted).unwrap();
    let search = Search::open(&converted).unwrap();
    let convert = |to: &Path| from_zennit_crp(&search, &setting.analysis(), to);
    convert(&back).unwrap();
    convert(&back).unwrap();
    // A scan of the same options does not take it for its own, nor does a conversion take the scan's.
    let scanned = scan::run(&setting.analysis(), &back, &|_| (), &Cancel::default()).unwrap_err();
    assert!(std::error::Error::source(&scanned).unwrap().to_string().contains("origin: made with zennit-crp"));
    assert!(convert(&setting.path("store")).unwrap_err().to_string().contains("origin: made with a scan"));
    // Other content is another store.
    let file = converted.join("RelMax_max_unnormed/features.4_rel.npy");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(convert(&back).unwrap_err().to_string().contains("origin: made with zennit-crp"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let scoring = Scoring { score: Score::Max, normalization: Normalization::Raw };
    let setting = Setting::new(scoring, &["features.4"]);
    let store = setting.store();
    let converted = setting.path("converted");
    fs::create_dir(&converted).unwrap();
    fs::write(converted.join("notes.txt"), "mine").unwrap();
    assert!(matches!(to_zennit_crp(&store, &converted).unwrap_err().kind(), ConvertErrorKind::Occupied));
    assert!(matches!(Search::open(&converted).unwrap_err().kind(), ConvertErrorKind::NoSearch));
    assert!(matches!(Search::open(&setting.path("none")).unwrap_err().kind(), ConvertErrorKind::Read(_)));
    fs::remove_file(converted.join("notes.txt")).unwrap();
    to_zennit_crp(&store, &converted).unwrap();

    let other = Setting::new(scoring, &["features.8"]);
    let read = |setting: &Setting| {
        from_zennit_crp(&Search::open(&converted).unwrap(), &setting.analysis(), &setting.path("back")).unwrap_err()
    };
    assert!(matches!(read(&other).kind(), ConvertErrorKind::Data(_)), "{}", read(&other));
    let folder = converted.join("RelMax_max_unnormed");
    let copy = |from: &str, to: &str| fs::copy(folder.join(from), folder.join(to)).unwrap();
    copy("features.4_data.npy", "kept.npy");
    // Scores are no samples.
    copy("features.4_rel.npy", "features.4_data.npy");
    assert!(matches!(read(&setting).kind(), ConvertErrorKind::Number { .. }), "{}", read(&setting));
    copy("kept.npy", "features.4_data.npy");
    copy("../RelStats_max_unnormed/features.4/2_rf.npy", "features.4_rf.npy");
    assert!(matches!(read(&setting).kind(), ConvertErrorKind::Shape { .. }), "{}", read(&setting));
    assert!(!setting.path("back").exists());
    fs::create_dir(converted.join("RelMax_sum_normed")).unwrap();
    let error = Search::open(&converted).unwrap_err();
    assert!(matches!(error.kind(), ConvertErrorKind::SeveralSearches { .. }), "{error}");
    fs::remove_dir(converted.join("RelMax_sum_normed")).unwrap();
    fs::rename(&folder, converted.join("RelMax_mean_normed")).unwrap();
    assert!(matches!(Search::open(&converted).unwrap_err().kind(), ConvertErrorKind::Suffix { .. }));
}
