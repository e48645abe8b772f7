use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use glocal::attribution::Attributor;
use glocal::canonizer::canonize;
use glocal::composite::{Preset, PresetParameters};
use glocal::model::{ImportOptions, Model};
use glocal::search::{SampleId, ScanOptions};
use glocal_compute::{CpuBackend, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::*;
use crate::data::{self, Content};
use crate::store::{Store, StoreErrorKind};

mod loading;
mod shards;

const SAMPLES: usize = 61;
const CLASSES: u64 = 5;
const ROW: usize = 3 * 16 * 16;

/// A model of the oracle, and random arrays with labels.
struct Setting {
    folder: TempDir,
    scan: Scan,
    data: Box<dyn DataSet>,
    preprocess: Preprocess,
    source: Source,
    options: RunOptions,
}

fn onnx() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/vgg_tiny/model.onnx")
}

fn scan(top_k: usize) -> Scan {
    let onnx = glocal_onnx::Model::read(onnx()).unwrap();
    let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap();
    let composite = Preset::EpsilonPlusFlat.composite(&PresetParameters::default()).unwrap();
    let attributor = Attributor::new(canonize(&model).unwrap(), composite).unwrap();
    let layers = ["features.0", "features.4", "features.8", "classifier.0"].map(str::to_owned);
    Scan::new(attributor, &layers, ScanOptions { top_k, ..ScanOptions::default() }).unwrap()
}

/// Writes `SAMPLES` arrays; many are alike, so that scores tie.
fn write_data(path: &Path, labels: Option<&dyn Fn(u64) -> u64>) -> Box<dyn DataSet> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let distinct: Vec<Vec<f32>> =
        (0..SAMPLES / 2).map(|_| (0..ROW).map(|_| next() as f32 / 2f32.powi(30) - 1.0).collect()).collect();
    let rows = (0..SAMPLES)
        .flat_map(|sample| distinct[sample * 7 % distinct.len()].iter().flat_map(|value| value.to_le_bytes()));
    let x: Vec<u8> = rows.collect();
    let y: Vec<u8> = labels.map_or(Vec::new(), |label| (0..SAMPLES as u64).map(|sample| label(sample) as u8).collect());
    let mut tensors = vec![("x", TensorView::new(Dtype::F32, vec![SAMPLES, 3, 16, 16], &x).unwrap())];
    if labels.is_some() {
        tensors.push(("y", TensorView::new(Dtype::U8, vec![SAMPLES], &y).unwrap()));
    }
    safetensors::serialize_to_file(tensors, None, path).unwrap();
    data::open(path).unwrap()
}

impl Setting {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("data.safetensors");
        let data = write_data(&path, Some(&|sample| sample * sample % CLASSES));
        let source = Source {
            model: onnx(),
            model_hash: blake3::hash(&fs::read(onnx()).unwrap()).to_string(),
            canonized: true,
            composite: "epsilon-plus-flat".to_owned(),
            data: path,
            class_names: None,
        };
        let batch = NonZeroUsize::new(4).unwrap();
        // The stops of the tests are to find a checkpoint after every batch.
        let options = RunOptions { batch, checkpoint_every: Duration::ZERO, ..RunOptions::default() };
        Self { folder, scan: scan(6), data, preprocess: Preprocess::default(), source, options }
    }

    fn analysis(&self) -> Analysis<'_> {
        let Self { scan, data, preprocess, source, options, .. } = self;
        Analysis { scan, data: data.as_ref(), preprocess, source, options }
    }

    fn store(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, name: &str) -> Result<Report, ScanError> {
        run(&self.analysis(), &self.store(name), &|_| (), &Cancel::default())
    }
}

/// All files of a store by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    files.collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn store_kind(error: &ScanError) -> StoreErrorKind {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref::<crate::store::StoreError>().unwrap().kind().clone()
}

#[test]
fn finds_what_a_search_in_memory_finds() {
    let setting = Setting::new();
    let report = setting.run("store").unwrap();
    assert_eq!(
        report,
        Report { samples: SAMPLES as u64, resumed: 0, already_complete: false, not_a_number: 0, skipped: 0 }
    );
    let rows = (0..SAMPLES).flat_map(|sample| match setting.data.load(sample).unwrap() {
        Content::Array(array) => array.into_data(),
        Content::Image(_) => unreachable!(),
    });
    let inputs = Tensor::new([SAMPLES, 3, 16, 16], rows.collect()).unwrap();
    let samples: Vec<SampleId> = (0..SAMPLES as u64).map(SampleId).collect();
    let targets: Vec<Vec<u32>> = (0..SAMPLES).map(|sample| setting.data.labels(sample).to_vec()).collect();
    let mut expected = References::for_scan(&setting.scan);
    expected.collect(&setting.scan.observe(&inputs, &samples, &targets, &Cancel::default()).unwrap());
    let store = Store::open(setting.store("store")).unwrap();
    assert_eq!(store.read_all().unwrap(), expected);
    assert_eq!(store.manifest().scored, SAMPLES as u64);
    assert!(expected.layers().iter().all(|layer| layer.concepts.iter().any(|concept| !concept.is_dead())));
    assert_eq!(store.sources().unwrap().composite, "epsilon-plus-flat");
    assert_eq!(fs::read(store.sources().unwrap().data).unwrap(), fs::read(&setting.source.data).unwrap());
}

#[test]
fn batches_threads_and_checkpoints_change_nothing() {
    let mut setting = Setting::new();
    setting.run("expected").unwrap();
    let expected = files(&setting.store("expected"));
    for (batch, threads, pause) in [(1, Some(1), 0), (7, Some(2), 0), (32, None, 1_000), (100, Some(3), 0)] {
        setting.options.batch = NonZeroUsize::new(batch).unwrap();
        setting.options.threads = threads.and_then(NonZeroUsize::new);
        setting.options.checkpoint_every = Duration::from_secs(pause);
        let name = format!("batch {batch}");
        setting.run(&name).unwrap();
        assert!(files(&setting.store(&name)) == expected, "batch {batch}, threads {threads:?}");
    }
}

#[test]
fn every_kind_of_target_is_gone_on_with() {
    let mut setting = Setting::new();
    for (index, targets) in [Targets::Predicted, Targets::AllLabels, Targets::Class(3)].into_iter().enumerate() {
        setting.options.targets = targets;
        let (whole, stopped) = (format!("whole {index}"), format!("stopped {index}"));
        setting.run(&whole).unwrap();
        let stores = [setting.store(&whole), setting.store(&stopped)];
        // Each run is stopped after two batches more.
        let mut runs = 0;
        loop {
            let cancel = Cancel::default();
            let stop = |progress: Progress| {
                if progress.done >= progress.resumed + 8 {
                    cancel.cancel()
                }
            };
            match run(&setting.analysis(), &stores[1], &stop, &cancel) {
                Ok(_) => break,
                Err(error) => assert!(matches!(error.kind(), ScanErrorKind::Cancelled { total: 61, .. }), "{error}"),
            }
            runs += 1;
        }
        assert_eq!(runs, 7);
        assert!(files(&stores[0]) == files(&stores[1]), "{targets}");
        let classes: Vec<u32> =
            Store::open(&stores[0]).unwrap().concept("features.4", 0).unwrap().relevance_by_class.classes().collect();
        match targets {
            Targets::Class(class) => assert_eq!(classes, [class]),
            _ => assert!(classes.len() > 1 && classes.len() <= CLASSES as usize, "{classes:?}"),
        }
    }
}

#[test]
fn whatever_a_kill_leaves_ends_in_the_same_bytes() {
    let mut setting = Setting::new();
    setting.run("expected").unwrap();
    let expected = files(&setting.store("expected"));
    // What lies in the folder at some moment is what a kill would leave at that moment.
    let moments = Cell::new(0);
    let keep = |_: Progress| {
        copy(&setting.store("killed"), &setting.store(&format!("moment {}", moments.get())));
        moments.set(moments.get() + 1);
    };
    run(&setting.analysis(), &setting.store("killed"), &keep, &Cancel::default()).unwrap();
    assert_eq!(moments.get(), 17);
    for moment in 0..moments.get() {
        setting.options.batch = NonZeroUsize::new(1 + moment * 3).unwrap();
        let name = format!("moment {moment}");
        let report = setting.run(&name).unwrap();
        // A checkpoint is written after the progress is reported.
        assert_eq!(report.resumed, 4 * moment.saturating_sub(1) as u64);
        assert!(files(&setting.store(&name)) == expected, "{name}");
    }
}

/// Not a test: the process that `a_killed_process_is_gone_on_with` kills.
#[test]
#[ignore = "is run and killed by another test"]
fn victim() {
    let Some(folder) = std::env::var_os("GLOCAL_TEST_VICTIM") else { return };
    let mut setting = Setting::new();
    setting.options.batch = NonZeroUsize::MIN;
    let slow = |_: Progress| thread::sleep(Duration::from_millis(1));
    run(&setting.analysis(), Path::new(&folder), &slow, &Cancel::default()).unwrap();
}

#[test]
fn a_killed_process_is_gone_on_with() {
    let setting = Setting::new();
    setting.run("expected").unwrap();
    let folder = setting.store("killed");
    let mut killed = 0;
    for run in 0..12u64 {
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "scan::tests::victim", "--ignored"])
            .env("GLOCAL_TEST_VICTIM", &folder)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(40 + run * 37 % 60));
        killed += u32::from(victim.try_wait().unwrap().is_none());
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
    assert!(killed > 0, "every process ended before it could be killed");
    setting.run("killed").unwrap();
    assert!(files(&folder) == files(&setting.store("expected")));
}

#[test]
fn a_complete_store_is_left_as_it_is() {
    let mut setting = Setting::new();
    setting.run("store").unwrap();
    let before = files(&setting.store("store"));
    // What a run leaves that was killed when it had just ended.
    fs::create_dir(setting.store("store").join("part-0-9")).unwrap();
    setting.options.batch = NonZeroUsize::MIN;
    let report = setting.run("store").unwrap();
    assert_eq!(
        report,
        Report {
            samples: SAMPLES as u64,
            resumed: SAMPLES as u64,
            already_complete: true,
            not_a_number: 0,
            skipped: 0
        }
    );
    assert!(files(&setting.store("store")) == before);
    fs::write(setting.store("store").join("samples.parquet"), "short").unwrap();
    assert!(matches!(store_kind(&setting.run("store").unwrap_err()), StoreErrorKind::Size { .. }));
}

#[test]
fn the_store_of_another_scan_is_refused() {
    let mut setting = Setting::new();
    setting.run("store").unwrap();
    let before = files(&setting.store("store"));
    let refused = |setting: &Setting| -> Vec<&'static str> {
        match store_kind(&setting.run("store").unwrap_err()) {
            StoreErrorKind::Mismatch { differences } => differences.iter().map(|difference| difference.field).collect(),
            other => panic!("{other:?}"),
        }
    };
    setting.options.targets = Targets::Predicted;
    assert_eq!(refused(&setting), ["targets"]);
    setting.options.targets = Targets::Label;
    setting.scan = scan(7);
    setting.preprocess.scale = 1.0;
    assert_eq!(refused(&setting), ["preprocessing", "top k"]);
    setting.scan = scan(6);
    setting.preprocess.scale = Preprocess::default().scale;
    setting.data = write_data(&setting.store("other.safetensors"), Some(&|sample| sample % CLASSES));
    assert_eq!(refused(&setting), ["data set (fingerprint)"]);
    assert!(files(&setting.store("store")) == before);
}

#[test]
fn two_runs_do_not_write_one_store() {
    let setting = Setting::new();
    let tried = Cell::new(0);
    let try_beside = |_: Progress| {
        assert_eq!(store_kind(&setting.run("store").unwrap_err()), StoreErrorKind::Locked);
        tried.set(tried.get() + 1);
    };
    run(&setting.analysis(), &setting.store("store"), &try_beside, &Cancel::default()).unwrap();
    assert_eq!(tried.get(), 17);
}

#[test]
fn targets_that_samples_do_not_have() {
    let mut setting = Setting::new();
    setting.data = write_data(&setting.store("unlabelled.safetensors"), None);
    let kind = |setting: &Setting| setting.run("store").unwrap_err().kind().clone();
    assert_eq!(kind(&setting), ScanErrorKind::NoLabels);
    setting.options.targets = Targets::AllLabels;
    assert_eq!(kind(&setting), ScanErrorKind::NoLabels);
    setting.options.targets = Targets::Class(5);
    assert_eq!(kind(&setting), ScanErrorKind::Class { class: 5, classes: 5 });
    setting.data = write_data(&setting.store("labelled.safetensors"), Some(&|sample| sample % 7));
    setting.options.targets = Targets::Label;
    assert_eq!(kind(&setting), ScanErrorKind::Label { sample: 5, key: "5".to_owned(), label: 5, classes: 5 });
    assert!(!setting.store("store").exists());
}

/// A data set with several labels a sample, or none.
struct Several(Box<dyn DataSet>);

impl DataSet for Several {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, index: usize) -> String {
        self.0.key(index)
    }

    fn labels(&self, index: usize) -> &[u32] {
        [&[][..], &[], &[4], &[1, 0, 1]][index / 8 % 4]
    }

    fn class_names(&self) -> Option<&[String]> {
        None
    }

    fn load(&self, index: usize) -> Result<Content, data::DataError> {
        self.0.load(index)
    }

    fn fingerprint(&self) -> data::Fingerprint {
        self.0.fingerprint()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[test]
fn samples_with_several_labels_or_none() {
    let mut setting = Setting::new();
    setting.data = Box::new(Several(setting.data));
    let kind = setting.run("store").unwrap_err().kind().clone();
    assert_eq!(kind, ScanErrorKind::LabelCount { sample: 0, key: "0".to_owned(), labels: 0 });
    setting.options.targets = Targets::AllLabels;
    setting.run("store").unwrap();
    let store = Store::open(setting.store("store")).unwrap();
    // Of 61 samples, those of every second 16 have labels.
    assert_eq!(store.manifest().scored, 29);
    let concept = store.concept("features.4", 1).unwrap();
    assert_eq!(concept.relevance_by_class.classes().collect::<Vec<u32>>(), [0, 1, 4]);
    assert!(concept.activation.entries().iter().all(|entry| entry.sample.0 / 8 % 4 > 1 && entry.target != 0));
    assert_eq!(store.samples().unwrap()[24].labels, [1, 0, 1]);
    assert!(store.samples().unwrap()[0].labels.is_empty());
    setting.options.batch = NonZeroUsize::new(11).unwrap();
    setting.run("other batches").unwrap();
    assert!(files(&setting.store("store")) == files(&setting.store("other batches")));
}

/// A folder of 20 images, 16 × 16 pixels.
fn images(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for index in 0..20 {
        image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x * 16) as u8, (y * 16) as u8, index * 12]))
            .save(folder.join(format!("{index:02}.png")))
            .unwrap();
    }
}

#[test]
fn a_sample_that_cannot_be_used_is_named() {
    let mut setting = Setting::new();
    setting.options.targets = Targets::Predicted;
    let folder = setting.store("images");
    images(&folder);
    setting.data = data::open(&folder).unwrap();
    setting.run("images store").unwrap();

    setting.options.batch = NonZeroUsize::new(5).unwrap();
    image::RgbImage::new(9, 16).save(folder.join("13.png")).unwrap();
    fs::write(folder.join("14.png"), "no image").unwrap();
    setting.data = data::open(&folder).unwrap();
    let expected =
        ScanErrorKind::Shape { sample: 13, key: "13.png".to_owned(), given: vec![3, 16, 9], expected: vec![3, 16, 16] };
    assert_eq!(setting.run("store").unwrap_err().kind(), &expected);

    // Preprocessing makes it fit, and what was done before it is not done again.
    fs::remove_dir_all(setting.store("store")).unwrap();
    setting.preprocess.crop = Some(crate::preprocess::Crop { width: 16, height: 16 });
    let expected = ScanErrorKind::Sample { sample: 14, key: "14.png".to_owned() };
    let error = setting.run("store").unwrap_err();
    assert_eq!(error.kind(), &expected);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("14.png"));
    let error = Store::open(setting.store("store")).err().unwrap();
    assert_eq!(error.kind(), &StoreErrorKind::Incomplete { done: 10, total: 20 });
}

#[test]
fn unusable_samples_are_passed_over_and_listed() {
    let mut setting = Setting::new();
    setting.options.targets = Targets::Predicted;
    let folder = setting.store("images");
    images(&folder);
    for name in ["00.png", "07.png", "08.png", "19.png"] {
        fs::write(folder.join(name), "no image").unwrap();
    }
    image::RgbImage::new(9, 16).save(folder.join("13.png")).unwrap();
    setting.data = data::open(&folder).unwrap();
    assert!(matches!(setting.run("strict").unwrap_err().kind(), ScanErrorKind::Sample { sample: 0, .. }));

    setting.options.keep_going = true;
    let report = setting.run("expected").unwrap();
    assert_eq!((report.samples, report.skipped), (20, 5));
    let store = Store::open(setting.store("expected")).unwrap();
    assert_eq!(store.manifest().scored, 15);
    let skipped = store.skipped().unwrap();
    assert_eq!(skipped.iter().map(|skipped| skipped.sample).collect::<Vec<_>>(), [0, 7, 8, 13, 19]);
    assert_eq!((skipped[1].key.as_str(), skipped[3].reason.contains("[3, 16, 9]")), ("07.png", true));
    // The same wherever the data lies.
    assert!(skipped.iter().all(|skipped| !skipped.reason.contains(folder.to_str().unwrap())), "{skipped:?}");
    assert_eq!(store.samples().unwrap().len(), 20);
    let all = store.read_all().unwrap();
    let concepts = all.layers().iter().flat_map(|layer| &layer.concepts);
    assert!(
        concepts
            .flat_map(|concept| concept.activation.entries())
            .all(|entry| { !skipped.iter().any(|skipped| skipped.sample == entry.sample.0) })
    );

    let expected = files(&setting.store("expected"));
    for (batch, threads) in [(1, 1), (3, 2), (20, 2)] {
        setting.options.batch = NonZeroUsize::new(batch).unwrap();
        setting.options.threads = NonZeroUsize::new(threads);
        let name = format!("batch {batch}");
        // Stopped after every batch but the last ones, and gone on with; what was found before stays.
        for _ in 0..40 {
            let cancel = Cancel::default();
            let stop = |progress: Progress| {
                if progress.done > progress.resumed {
                    cancel.cancel()
                }
            };
            if run(&setting.analysis(), &setting.store(&name), &stop, &cancel).is_ok() {
                break;
            }
        }
        assert!(files(&setting.store(&name)) == expected, "batches of {batch}");
    }
    // A run that stopped at a sample goes on past it when it is asked to.
    assert!(setting.run("strict").is_ok());
    assert!(files(&setting.store("strict")) == expected);

    fs::read_dir(&folder).unwrap().for_each(|entry| fs::write(entry.unwrap().path(), "no image").unwrap());
    setting.data = data::open(&folder).unwrap();
    assert_eq!(setting.run("none").unwrap_err().kind(), &ScanErrorKind::NothingUsable { skipped: 20 });
}

#[test]
fn time_series_and_volumes_are_searched() {
    for (name, layer, shape) in [("conv1d_tiny", "body.4", &[2, 48][..]), ("conv3d_tiny", "4", &[1, 4, 8, 8])] {
        let mut setting = Setting::new();
        setting.source.model =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens").join(name).join("model.onnx");
        let onnx = glocal_onnx::Model::read(&setting.source.model).unwrap();
        let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap();
        assert_eq!(model.input_shape(), shape);
        let composite = Preset::EpsilonPlus.composite(&PresetParameters::default()).unwrap();
        let attributor = Attributor::new(canonize(&model).unwrap(), composite).unwrap();
        setting.scan = Scan::new(attributor, &[layer.to_owned()], ScanOptions::default()).unwrap();
        let row: usize = shape.iter().product();
        let values: Vec<f32> = (0..9 * row).map(|index| ((index * 37 % 101) as f32 - 50.0) / 25.0).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = [&[9], shape].concat();
        // The same arrays in both formats are the same data set.
        let tensors = setting.store("x.safetensors");
        safetensors::serialize_to_file(
            [("x", TensorView::new(Dtype::F32, shape.clone(), &bytes).unwrap())],
            None,
            &tensors,
        )
        .unwrap();
        let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", axes.join(", "));
        let length = (header.len() as u16).to_le_bytes();
        let npy = [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), &bytes].concat();
        fs::write(setting.store("x.npy"), npy).unwrap();
        setting.options.targets = Targets::Predicted;
        for file in ["x.safetensors", "x.npy"] {
            setting.data = data::open(&setting.store(file)).unwrap();
            setting.options.batch = NonZeroUsize::new(file.len() % 5 + 1).unwrap();
            setting.run(&format!("store of {file}")).unwrap();
        }
        let stores = ["store of x.safetensors", "store of x.npy"].map(|name| files(&setting.store(name)));
        for table in ["references.parquet", "concepts.parquet", "samples.parquet"] {
            assert!(stores[0][table] == stores[1][table], "{name}: {table}");
        }
        let store = Store::open(setting.store("store of x.npy")).unwrap();
        assert_eq!(store.manifest().scored, 9);
        assert_eq!(store.concept(layer, 0).unwrap().relevance.entries().len(), 9, "{name}");
    }
}
