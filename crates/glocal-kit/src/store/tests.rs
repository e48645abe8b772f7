use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glocal::concept::Scoring;
use glocal::search::{Entry, SampleId, ScanOptions, Statistics};
use tempfile::TempDir;

use super::*;
use crate::data::{self, DataSet};

mod simulated;

const TOP_K: usize = 5;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Three samples with labels 2, 0, 1.
fn data(folder: &Path) -> Box<dyn DataSet> {
    let path = folder.join("data.safetensors");
    let (x, y) = ([0u8; 12], [2u8, 0, 1]);
    let tensors = [
        ("x", safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 1], &x).unwrap()),
        ("y", safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![3], &y).unwrap()),
    ];
    safetensors::serialize_to_file(tensors, None, &path).unwrap();
    data::open(&path).unwrap()
}

fn manifest(layers: &[(&str, usize)]) -> Manifest {
    let options = ScanOptions { top_k: TOP_K, relevance: Scoring::RELEVANCE, activation: Scoring::ACTIVATION };
    Manifest {
        format: FORMAT_VERSION,
        glocal: "0".to_owned(),
        complete: false,
        origin: Origin::Scan,
        model: ModelManifest {
            blake3: "ab".to_owned(),
            canonized: true,
            input_shape: vec![1],
            explained: "output".to_owned(),
        },
        composite: CompositeManifest { name: "a".to_owned(), rules: vec!["* -> Epsilon".to_owned()] },
        preprocess: "scale = 1.0\n".to_owned(),
        data: DataManifest {
            fingerprint: "cd".to_owned(),
            labels: None,
            description: "three arrays".to_owned(),
            samples: 3,
            classes: None,
        },
        options: OptionsManifest::new(&options, Targets::Label, None),
        layers: layers
            .iter()
            .map(|(name, concepts)| LayerManifest {
                name: (*name).to_owned(),
                concepts: *concepts,
                shape: vec![*concepts, 2, 2],
                channel_axis: 0,
            })
            .collect(),
        covered: vec![[0, 3]],
        scored: 0,
        tables: BTreeMap::new(),
    }
}

fn sources() -> Sources {
    Sources { model: "m".to_owned(), data: "d".to_owned(), composite: "c".to_owned() }
}

/// Rankings of all kinds: empty, full, with ties, with numbers at their limits.
fn found(layers: &[(&str, usize)], seed: u64) -> References {
    let mut numbers = Numbers(seed);
    let mut ranking = |entries: u64| {
        let mut ranking = TopK::new(TOP_K);
        for sample in 0..entries {
            ranking.insert(Entry {
                // Those of different seeds have no sample in common.
                sample: SampleId(
                    [sample + 100 * seed, i64::MAX as u64 - sample - 100 * seed][numbers.below(2) as usize],
                ),
                target: [0, 7, u32::MAX][numbers.below(3) as usize],
                score: [0.0, 1.5, -2.0, f32::INFINITY, f32::MIN_POSITIVE / 2.0][numbers.below(5) as usize],
                other: [0.0, -0.0, f32::NAN, -1.0][numbers.below(4) as usize],
                peak: [0, u32::MAX][numbers.below(2) as usize],
            });
        }
        ranking
    };
    let layers = layers.iter().map(|(name, count)| LayerReferences {
        layer: (*name).to_owned(),
        concepts: (0..*count)
            .map(|id| ConceptReferences {
                relevance: ranking(id as u64 % 8),
                activation: ranking(7 - id as u64 % 8),
                relevance_by_class: [(0, ranking(3)), (u32::MAX, ranking(1))].into_iter().collect(),
                activation_by_class: [(2, ranking(9))].into_iter().collect(),
                active: id as u64,
                not_a_number: 3,
                statistics: statistics(id as f32, seed as f32),
            })
            .collect(),
    });
    References::from_parts(TOP_K, layers.collect(), 3)
}

/// Of two samples.
fn statistics(one: f32, other: f32) -> Statistics {
    let mut statistics = Statistics::default();
    for (activation, relevance) in [(one, other), (0.3, -1e-30)] {
        statistics.add_sample(activation);
        statistics.add_pair(activation, relevance);
    }
    statistics
}

/// What was found and is not written yet.
fn held(references: References) -> Found {
    Found { references, vectors: None, skipped: Vec::new() }
}

/// As text, because NaN does not equal itself.
fn text(references: &References) -> String {
    format!("{references:?}")
}

const LAYERS: [(&str, usize); 3] = [
    ("conv", 20),
    ("a layer of a name much longer than the statistics of the format keep by default, ü", 9),
    ("conv2", 1),
];

/// A complete store, and what is in it.
fn store(layers: &[(&str, usize)]) -> (TempDir, References) {
    let folder = TempDir::new().unwrap();
    let data_folder = TempDir::new().unwrap();
    let references = found(layers, 1);
    let writer = begin(folder.path(), layers).0;
    writer.finish(&held(references.clone()), data(data_folder.path()).as_ref()).unwrap();
    (folder, references)
}

fn begin(folder: &Path, layers: &[(&str, usize)]) -> (StoreWriter, u64) {
    let Begun { writer, next } = StoreWriter::prepare(folder, manifest(layers), 0..3, &sources()).unwrap().unwrap();
    (writer, next)
}

#[test]
fn what_is_written_is_read() {
    let (folder, references) = store(&LAYERS);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(text(&store.read_all().unwrap()), text(&references));
    for layer in references.layers() {
        for (id, concept) in layer.concepts.iter().enumerate() {
            assert_eq!(format!("{:?}", store.concept(&layer.layer, id).unwrap()), format!("{concept:?}"));
        }
    }
    let labels: Vec<Vec<u32>> = store.samples().unwrap().into_iter().map(|sample| sample.labels).collect();
    assert_eq!(labels, [[2], [0], [1]]);
    assert_eq!(store.samples().unwrap()[1].key, "1");
    assert_eq!(store.sources().unwrap(), sources());
}

#[test]
fn equal_stores_have_equal_bytes() {
    let ((first, _), (second, _)) = (store(&LAYERS), store(&LAYERS));
    let mut files: Vec<_> = fs::read_dir(first.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    let expected = [
        "concepts.parquet",
        "glocal.lock",
        "manifest.json",
        "references.parquet",
        "samples.parquet",
        "sources.json",
        "sums.parquet",
    ];
    assert_eq!(files, expected);
    for file in files {
        assert_eq!(
            fs::read(first.path().join(&file)).unwrap(),
            fs::read(second.path().join(&file)).unwrap(),
            "{file:?}"
        );
    }
}

#[test]
fn rankings_that_span_row_groups_are_read_whole() {
    let layers = [("wide", 6_000), ("last", 2)];
    let (folder, references) = store(&layers);
    let store = Store::open(folder.path()).unwrap();
    assert!(
        store.manifest().tables["references.parquet"].rows
            > 2 * columns::GROUP_ROWS as u64 - columns::GROUP_ROWS as u64
    );
    assert_eq!(text(&store.read_all().unwrap()), text(&references));
    for id in (0..6_000).step_by(97).chain(5_990..6_000) {
        let expected = &references.layers()[0].concepts[id];
        assert_eq!(format!("{:?}", store.concept("wide", id).unwrap()), format!("{expected:?}"));
    }
}

#[test]
fn views_of_a_concept() {
    let folder = TempDir::new().unwrap();
    let entry = |sample, score| Entry { sample: SampleId(sample), target: 0, score, other: 0.0, peak: 0 };
    let ranking = |scores: &[f32]| {
        let mut ranking = TopK::new(TOP_K);
        scores.iter().zip(0..).for_each(|(score, sample)| assert!(ranking.insert(entry(sample, *score))));
        ranking
    };
    let mut concept = ConceptReferences::new(TOP_K);
    concept.relevance = ranking(&[5.0, 4.0, 3.0]);
    concept.activation_by_class =
        [(1, ranking(&[2.0, 2.0])), (3, ranking(&[4.0, 0.0, -9.0])), (9, ranking(&[7.0]))].into_iter().collect();
    let references =
        References::from_parts(TOP_K, vec![LayerReferences { layer: "l".to_owned(), concepts: vec![concept] }], 3);
    begin(folder.path(), &[("l", 1)])
        .0
        .finish(&held(references), data(TempDir::new().unwrap().path()).as_ref())
        .unwrap();
    let store = Store::open(folder.path()).unwrap();

    let samples = |class, ranks| -> Vec<u64> {
        store.references("l", 0, Measure::Relevance, class, ranks).unwrap().iter().map(|entry| entry.sample.0).collect()
    };
    assert_eq!(samples(None, 0..2), [0, 1]);
    assert_eq!(samples(None, 1..99), [1, 2]);
    assert!(samples(None, 7..9).is_empty());
    assert!(samples(Some(4), 0..9).is_empty());

    let classes = store.classes("l", 0, Measure::Activation, 3, 2).unwrap();
    let expected =
        [(9, 7.0, 1), (1, 2.0, 2), (3, 2.0, 2)].map(|(class, mean, entries)| ClassScore { class, mean, entries });
    assert_eq!(classes, expected);
    assert_eq!(store.classes("l", 0, Measure::Activation, 1, 1).unwrap()[0].class, 9);
    assert!(store.classes("l", 0, Measure::Relevance, 3, 2).unwrap().is_empty());

    let kind = store.concept("m", 0).unwrap_err().kind().clone();
    assert_eq!(kind, StoreErrorKind::Layer { given: "m".to_owned(), nearest: vec!["l".to_owned()] });
    let kind = store.concept("l", 1).unwrap_err().kind().clone();
    assert_eq!(kind, StoreErrorKind::Concept { layer: "l".to_owned(), given: 1, count: 1 });
}

/// Reads all there is to read.
fn read(folder: &Path) -> Result<(), StoreError> {
    let store = Store::open(folder)?;
    store.read_all()?;
    store.samples()?;
    Ok(())
}

#[test]
fn damaged_tables_are_refused() {
    let (folder, _) = store(&LAYERS);
    let mut numbers = Numbers(3);
    for file in ["references.parquet", "concepts.parquet", "samples.parquet", "sums.parquet"] {
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        for _ in 0..40 {
            fs::write(&path, &whole[..numbers.below(whole.len() as u64) as usize]).unwrap();
            assert!(matches!(read(folder.path()).unwrap_err().kind(), StoreErrorKind::Size { .. }));
            let mut flipped = whole.clone();
            flipped[numbers.below(whole.len() as u64) as usize] ^= 1 << numbers.below(8);
            fs::write(&path, flipped).unwrap();
            let error = read(folder.path()).unwrap_err();
            assert_eq!((error.kind(), error.path()), (&StoreErrorKind::Content, path.as_path()));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), &StoreErrorKind::Read);
        fs::write(&path, whole).unwrap();
    }
    read(folder.path()).unwrap();
}

#[test]
fn tables_that_do_not_fit_the_manifest_are_refused() {
    let (folder, _) = store(&LAYERS);
    let other = store(&[("conv", 20), ("other", 9), ("conv2", 1)]).0;
    let path = folder.path().join(MANIFEST);
    let whole = fs::read_to_string(&path).unwrap();
    let manifest: Manifest = serde_json::from_str(&whole).unwrap();
    let change = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        fs::write(&path, serde_json::to_vec(&changed).unwrap()).unwrap();
        read(folder.path()).unwrap_err()
    };
    let damaged = |error: StoreError| matches!(error.kind(), StoreErrorKind::Malformed { .. });
    assert!(damaged(change(&|manifest| manifest.layers[0].concepts = usize::MAX)));
    assert!(damaged(change(&|manifest| manifest.layers[2].concepts = 0)));
    assert!(damaged(change(&|manifest| drop(manifest.layers.pop()))));
    assert!(damaged(change(&|manifest| manifest.layers.swap(0, 1))));
    assert!(damaged(change(&|manifest| manifest.options.top_k = 2)));
    assert!(damaged(change(&|manifest| manifest.tables.clear())));
    for covered in [&[[0, 4]][..], &[[2, 2]], &[[2, 1]], &[[2, 3], [0, 1]], &[[0, 1], [1, 2]], &[[0, u64::MAX]; 2]] {
        assert!(damaged(change(&|manifest| manifest.covered = covered.to_vec())), "{covered:?}");
    }
    assert!(damaged(change(&|manifest| manifest.tables.get_mut("samples.parquet").unwrap().rows += 1)));
    let error = change(&|manifest| manifest.complete = false);
    assert_eq!(error.kind(), &StoreErrorKind::Incomplete { done: 0, total: 3 });
    let error = change(&|manifest| manifest.format = 1);
    assert_eq!(error.kind(), &StoreErrorKind::Version { given: 1, expected: 2 });

    // A table of another kind, with the size and hash that the manifest says.
    let error = change(&|manifest| {
        fs::copy(folder.path().join("samples.parquet"), folder.path().join("concepts.parquet")).unwrap();
        let samples = manifest.tables["samples.parquet"].clone();
        manifest.tables.insert("concepts.parquet".to_owned(), samples);
    });
    assert_eq!(error.kind(), &StoreErrorKind::Column { column: "layer".to_owned() });
    // The table of another store.
    let error = change(&|manifest| {
        fs::copy(other.path().join("concepts.parquet"), folder.path().join("concepts.parquet")).unwrap();
        let other: Manifest = serde_json::from_slice(&fs::read(other.path().join(MANIFEST)).unwrap()).unwrap();
        manifest.tables.insert("concepts.parquet".to_owned(), other.tables["concepts.parquet"].clone());
    });
    assert!(damaged(error));
}

#[test]
fn a_damaged_manifest_never_panics() {
    let (folder, _) = store(&LAYERS);
    let path = folder.path().join(MANIFEST);
    let whole = fs::read(&path).unwrap();
    let mut numbers = Numbers(4);
    for _ in 0..150 {
        let mut flipped = whole.clone();
        flipped[numbers.below(whole.len() as u64) as usize] ^= 1 << numbers.below(8);
        fs::write(&path, &flipped).unwrap();
        // A name or a number that people read may have changed without a trace.
        let _ = read(folder.path());
        // Without the last brace and line end it is no JSON.
        fs::write(&path, &whole[..numbers.below(whole.len() as u64 - 1) as usize]).unwrap();
        assert!(matches!(read(folder.path()).unwrap_err().kind(), StoreErrorKind::Malformed { .. }));
    }
}

#[test]
fn folders_that_are_no_stores() {
    let folder = TempDir::new().unwrap();
    assert_eq!(read(folder.path()).unwrap_err().kind(), &StoreErrorKind::NoStore);
    assert_eq!(read(&folder.path().join("none")).unwrap_err().kind(), &StoreErrorKind::Read);
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let prepare = |path: &Path| StoreWriter::prepare(path, manifest(&LAYERS), 0..3, &sources()).err().unwrap();
    assert_eq!(prepare(folder.path()).kind(), &StoreErrorKind::Occupied);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = prepare(&folder.path().join("notes.txt").join("store"));
    assert_eq!(error.kind(), &StoreErrorKind::Write);
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(prepare(&folder.path().join("notes.txt")).kind(), &StoreErrorKind::Write);
}

#[test]
fn parts_are_gone_on_with() {
    let folder = TempDir::new().unwrap();
    let (mut writer, next) = begin(folder.path(), &LAYERS);
    assert_eq!(next, 0);
    let mut whole = found(&LAYERS, 1);
    for end in [1, 2] {
        let mut held = held(found(&LAYERS, end));
        writer.save(&mut held, end).unwrap();
        assert!(held.references.samples() == 0 && held.held() == 0);
    }
    whole.merge(&found(&LAYERS, 2));
    whole.merge(&found(&LAYERS, 3));
    assert_eq!(read(folder.path()).unwrap_err().kind(), &StoreErrorKind::Incomplete { done: 2, total: 3 });
    // Whoever is killed leaves such names.
    fs::create_dir(folder.path().join("part-2-3.partial")).unwrap();
    fs::write(folder.path().join("references.parquet.partial"), "PAR1").unwrap();
    let locked = StoreWriter::prepare(folder.path(), manifest(&LAYERS), 0..3, &sources()).err().unwrap();
    assert_eq!(locked.kind(), &StoreErrorKind::Locked);
    drop(writer);
    let (mut writer, next) = begin(folder.path(), &LAYERS);
    assert_eq!(next, 2);
    let names = || folder::names(folder.path()).unwrap();
    assert!(!names().iter().any(|name| name.ends_with(".partial")), "{:?}", names());

    // A part that cannot be written leaves those before, and what was found.
    fs::write(folder.path().join("part-2-3"), "in the way").unwrap();
    let mut last = held(found(&LAYERS, 3));
    assert_eq!(writer.save(&mut last, 3).unwrap_err().kind(), &StoreErrorKind::Write);
    assert_eq!(text(&last.references), text(&found(&LAYERS, 3)));
    fs::remove_file(folder.path().join("part-2-3")).unwrap();
    assert_eq!(names().iter().filter(|name| name.starts_with("part")).count(), 2, "{:?}", names());

    // The same for the tables.
    let obstacle = folder.path().join("references.parquet");
    fs::create_dir_all(obstacle.join("in the way")).unwrap();
    let error = writer.finish(&last, data(TempDir::new().unwrap().path()).as_ref()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (&StoreErrorKind::Write, obstacle.as_path()));
    assert!(!names().iter().any(|name| name.ends_with(".partial")), "{:?}", names());
    fs::remove_dir_all(obstacle).unwrap();
    let (writer, next) = begin(folder.path(), &LAYERS);
    assert_eq!(next, 2);
    writer.finish(&last, data(TempDir::new().unwrap().path()).as_ref()).unwrap();
    assert_eq!(text(&Store::open(folder.path()).unwrap().read_all().unwrap()), text(&whole));
    assert!(!names().iter().any(|name| name.starts_with("part")), "{:?}", names());
    assert!(StoreWriter::prepare(folder.path(), manifest(&LAYERS), 0..3, &sources()).unwrap().is_none());
}

#[test]
fn damaged_and_missing_parts_are_refused() {
    let prepare = |folder: &Path| StoreWriter::prepare(folder, manifest(&LAYERS), 0..3, &sources());
    let folder = TempDir::new().unwrap();
    let (mut writer, _) = begin(folder.path(), &LAYERS);
    writer.save(&mut held(found(&LAYERS, 2)), 1).unwrap();
    writer.save(&mut held(found(&LAYERS, 3)), 2).unwrap();
    drop(writer);
    let path = folder.path().join("part-0-1/references.parquet");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let Begun { writer, .. } = prepare(folder.path()).unwrap().unwrap();
    let error = writer.finish(&held(found(&LAYERS, 4)), data(TempDir::new().unwrap().path()).as_ref()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (&StoreErrorKind::Content, path.as_path()));
    // Without the first part the second follows nothing.
    fs::remove_dir_all(folder.path().join("part-0-1")).unwrap();
    let error = prepare(folder.path()).err().unwrap();
    assert!(matches!(error.kind(), StoreErrorKind::Malformed { .. }), "{error}");
}

/// A store of many samples, each of which a part is made of; what it becomes is the same whenever it is left.
#[test]
fn many_parts_become_few_and_one() {
    const SAMPLES: u64 = 70;
    let layers = [("conv", 6)];
    let manifest = || {
        let mut manifest = manifest(&layers);
        (manifest.data.samples, manifest.covered) = (SAMPLES, vec![[0, SAMPLES]]);
        manifest
    };
    let prepare = |folder: &Path| StoreWriter::prepare(folder, manifest(), 0..SAMPLES, &sources()).unwrap().unwrap();
    let data_folder = TempDir::new().unwrap();
    let data = data(data_folder.path());
    let folder = TempDir::new().unwrap();
    let mut writer = prepare(folder.path()).writer;
    let mut expected = References::from_parts(TOP_K, Vec::new(), 0);
    let parts = || folder::names(folder.path()).unwrap().iter().filter(|name| name.starts_with("part-")).count();
    for sample in 0..SAMPLES {
        let here = found(&layers, sample + 1);
        if sample == 0 {
            expected = here.clone()
        } else {
            expected.merge(&here)
        }
        writer.save(&mut held(here), sample + 1).unwrap();
        assert!(parts() <= 19, "{}", parts());
        if sample % 13 == 5 {
            // Killed after parts were made one and before all of them were removed.
            drop(writer);
            let leftover = folder.path().join(format!("part-{sample}-{}", sample + 1));
            let kept = folder.path().join("kept");
            if leftover.exists() {
                fs::rename(&leftover, &kept).unwrap()
            }
            if kept.exists() {
                fs::rename(&kept, &leftover).unwrap()
            }
            let begun = prepare(folder.path());
            assert_eq!(begun.next, sample + 1);
            writer = begun.writer;
        }
    }
    let mut empty = expected.clone();
    empty.take();
    writer.finish(&held(empty), data.as_ref()).unwrap();
    assert_eq!(text(&Store::open(folder.path()).unwrap().read_all().unwrap()), text(&expected));
}

#[test]
fn every_difference_is_spelled_out() {
    let (folder, _) = store(&LAYERS);
    let mut other = manifest(&LAYERS);
    other.model.blake3 = "ef".to_owned();
    other.composite.rules.push("first conv -> Flat".to_owned());
    other.options.targets = Targets::Class(3);
    other.layers.pop();
    // This is for people, and no difference.
    other.data.description = "other words".to_owned();
    let error = Store::open(folder.path()).unwrap().check(&other).unwrap_err();
    let StoreErrorKind::Mismatch { differences } = error.kind() else { panic!("{error}") };
    let fields: Vec<&str> = differences.iter().map(|difference| difference.field).collect();
    assert_eq!(fields, ["model (BLAKE3)", "composite", "targets", "layers"]);
    assert!(error.to_string().contains("targets: made with label, now given 3"), "{error}");
    let prepared = StoreWriter::prepare(folder.path(), other, 0..3, &sources()).err().unwrap();
    assert_eq!(prepared.kind(), error.kind());
    Store::open(folder.path()).unwrap().check(&manifest(&LAYERS)).unwrap();
}

#[test]
fn tables_that_were_changed_together_with_their_hashes_never_panic() {
    let (folder, _) = store(&LAYERS);
    let path = folder.path().join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut numbers = Numbers(77);
    let mut refused = 0;
    for round in 0..800 {
        let file = ["references.parquet", "concepts.parquet", "samples.parquet", "sums.parquet"][round % 4];
        let table = folder.path().join(file);
        let whole = fs::read(&table).unwrap();
        // Every second time in the last third, where the offsets and sizes are.
        let (len, part) = (whole.len() as u64, if round % 2 == 0 { 1 } else { 3 });
        let mut changed = whole.clone();
        changed[(len - 1 - numbers.below(len / part)) as usize] = numbers.next() as u8;
        fs::write(&table, &changed).unwrap();
        let mut manifest = manifest.clone();
        manifest.tables.get_mut(file).unwrap().blake3 = blake3::hash(&changed).to_string();
        fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
        refused += u32::from(read(folder.path()).is_err());
        fs::write(&table, whole).unwrap();
    }
    assert!(refused > 400, "{refused}");
}
