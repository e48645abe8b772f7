//! Explanations: every view is what a request of its own gives, and findings agree with the attributions behind them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "an explanation that cannot be made is a failed test")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glocal::attribution::{Attributor, Cancel, Condition, Initial, Request, Target};
use glocal::canonizer::canonize;
use glocal::composite::Composite;
use glocal::concept::Selection;
use glocal::model::{ImportOptions, Model};
use glocal::search::{Entry, Measure, SampleId, Scan, ScanOptions};
use glocal_compute::{CpuBackend, Tensor};
use glocal_kit::cache::Cache;
use glocal_kit::data::{self, Content, DataSet};
use glocal_kit::explain::{
    ExplainErrorKind, ExplainOptions, Explainer, Illustration, Origin, Part, Sample, View, ViewCache, ViewStyle, Wanted,
};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::scan::{self, Analysis, RunOptions, Source};
use glocal_kit::store::{Manifest, Store, Targets};

const COMPOSITE: &str = "epsilon-plus";
const LAYERS: [&str; 2] = ["features.0", "features.5"];

/// Batches may round differently than single samples; values are of the order of 1.
const TOLERANCE: f32 = 1e-5;

/// A model of the oracle and its inputs.
struct Fixture {
    attributor: Attributor,
    data: Box<dyn DataSet>,
    preprocess: Preprocess,
    cancel: Cancel,
    source: PathBuf,
}

fn fixture() -> Fixture {
    fixture_of("vgg_tiny")
}

fn fixture_of(name: &str) -> Fixture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens").join(name);
    let onnx = glocal_onnx::Model::read(folder.join("model.onnx")).unwrap();
    let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap();
    let attributor = Attributor::new(canonize(&model).unwrap(), COMPOSITE.parse::<Composite>().unwrap()).unwrap();
    let source = folder.join("inputs.safetensors");
    let data = data::open(&source).unwrap();
    Fixture { attributor, data, preprocess: Preprocess::default(), cancel: Cancel::default(), source }
}

impl Fixture {
    fn explainer(&self) -> Explainer<'_> {
        let Self { attributor, data, preprocess, cancel, .. } = self;
        Explainer { attributor, data: data.as_ref(), preprocess, cancel, views: None }
    }

    /// Sample `index` as a batch of one.
    fn input(&self, index: usize) -> Tensor {
        let Content::Array(array) = self.data.load(index).unwrap() else { panic!("the oracle's inputs are arrays") };
        array.reshape([&[1], array.shape()].concat()).unwrap()
    }

    fn store(&self, folder: &Path) -> Store {
        let layers = LAYERS.map(str::to_owned);
        let scan = Scan::new(self.attributor.clone(), &layers, ScanOptions::default()).unwrap();
        let source = Source {
            model: PathBuf::from("model.onnx"),
            model_hash: "0".repeat(64),
            canonized: true,
            composite: COMPOSITE.to_owned(),
            data: self.source.clone(),
            class_names: None,
        };
        let options =
            RunOptions { targets: Targets::Predicted, batch: NonZeroUsize::new(3).unwrap(), ..RunOptions::default() };
        let (data, preprocess) = (self.data.as_ref(), &self.preprocess);
        let analysis = Analysis { scan: &scan, data, preprocess, source: &source, options: &options };
        scan::run(&analysis, folder, &|_| (), &self.cancel).unwrap();
        Store::open(folder).unwrap()
    }
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= TOLERANCE)
}

fn heatmap(attributor: &Attributor, input: &Tensor, request: &Request) -> Vec<f32> {
    attributor.attribute(input, request).unwrap().items[0].heatmap().unwrap().into_data()
}

#[test]
fn views_are_what_single_requests_give() {
    let fixture = fixture();
    let mut wanted = Vec::new();
    for (sample, layer) in [(2, 0), (0, 1), (1, 0), (0, 0), (2, 1)] {
        for origin in [Origin::Activation, Origin::Class(1), Origin::Class(4)] {
            for part in [Part::Channel(3), Part::Neuron(17), Part::Whole] {
                wanted.push(Wanted { layer: LAYERS[layer].to_owned(), origin, sample: SampleId(sample), part });
            }
        }
    }
    // Equal ones may be asked for.
    wanted.push(wanted[4].clone());
    let views = fixture.explainer().views(&wanted).unwrap();
    assert_eq!(views.len(), wanted.len());
    for (wanted, view) in wanted.iter().zip(&views) {
        let selection = match wanted.part {
            Part::Channel(id) => Some(Selection::channels([id])),
            Part::Neuron(position) => Some(Selection::neurons([position])),
            Part::Whole => None,
        };
        let request = match wanted.origin {
            Origin::Class(class) => {
                let whole = Condition::class(class as usize);
                let condition = match selection {
                    Some(selection) => whole.through(&wanted.layer, selection),
                    None => whole,
                };
                Request { conditions: vec![condition], ..Request::default() }
            }
            Origin::Activation => Request {
                conditions: vec![Condition {
                    target: selection.map_or(Target::Everything, Target::Some),
                    layers: Vec::new(),
                }],
                start: Some(wanted.layer.clone()),
                initial: Initial::Function(Arc::new(|value| {
                    let positive = value.data().iter().map(|value| value.max(0.0)).collect();
                    Tensor::new(value.shape(), positive).unwrap()
                })),
                ..Request::default()
            },
        };
        let expected = heatmap(&fixture.attributor, &fixture.input(wanted.sample.0 as usize), &request);
        assert!(close(&view.heatmap, &expected), "{wanted:?}");
        for drawn in [View::Image, View::Heatmap, View::Overlay, View::Masked, View::Crop, View::Peak] {
            let picture = view.draw(drawn, &ViewStyle::default()).unwrap();
            assert!(picture.width() <= 16 && (drawn.is_of_peak() || picture.dimensions() == (16, 16)), "{drawn:?}");
        }
    }
}

#[test]
fn findings_agree_with_attributions_and_the_store() {
    let fixture = fixture();
    let folder = tempfile::tempdir().unwrap();
    let store = fixture.store(folder.path());
    let explainer = fixture.explainer();
    let sample = Sample::load(fixture.data.as_ref(), 1, &fixture.preprocess).unwrap();
    let options = ExplainOptions { layers: LAYERS.map(str::to_owned).to_vec(), references: 2, ..Default::default() };
    let findings = explainer.explain(sample.clone(), &store, &options).unwrap();
    assert_eq!(findings.target, findings.predicted);
    assert!(close(&findings.heatmap, &heatmap(&fixture.attributor, &fixture.input(1), &Request::default())));
    for layer in &findings.layers {
        assert_eq!(layer.concepts.len(), 5);
        for concept in &layer.concepts {
            let condition = Condition::predicted().through(&layer.layer, Selection::channels([concept.id]));
            let request = Request { conditions: vec![condition], ..Request::default() };
            let expected = heatmap(&fixture.attributor, &fixture.input(1), &request);
            assert!(close(&concept.heatmap, &expected), "{} of {}", concept.id, layer.layer);
            for (found, measure) in
                [(&concept.by_relevance, Measure::Relevance), (&concept.by_activation, Measure::Activation)]
            {
                let entries: Vec<Entry> = found.iter().map(|found| found.entry).collect();
                let mut stored = store.references(&layer.layer, concept.id, measure, None, 0..2).unwrap();
                stored.retain(|entry| entry.score > 0.0);
                assert_eq!(entries, stored);
            }
        }
    }
    for layer in &findings.layers {
        // The concepts and all others make the whole: in size by their shares, and by their heatmaps, as all relevance passes
        // these layers.
        let rest = layer.rest.as_ref().unwrap();
        assert_eq!(rest.count, layer.count - layer.concepts.len());
        let shown: f64 = layer.concepts.iter().map(|concept| concept.share.abs()).sum();
        assert!((shown + rest.supporting - rest.opposing - 1.0).abs() < 1e-9);
        let sum = |place: usize| layer.concepts.iter().map(|c| c.heatmap[place]).sum::<f32>() + rest.heatmap[place];
        let added: Vec<f32> = (0..findings.heatmap.len()).map(sum).collect();
        assert!(close(&added, &findings.heatmap), "{}", layer.layer);
    }
    let all = ExplainOptions { concepts: 1000, references: 1, ..options.clone() };
    let all = explainer.explain(sample.clone(), &store, &all).unwrap();
    for layer in all.layers {
        let silent = layer.count - layer.concepts.len();
        let rest = layer.rest.map(|rest| (rest.count, rest.supporting, rest.opposing));
        assert_eq!(rest, (silent > 0).then_some((silent, 0.0, 0.0)), "{}", layer.layer);
    }
    let arriving = findings.scores[findings.target];
    assert!((findings.balance.accounts[0].relevance_in - f64::from(arriving)).abs() < f64::from(TOLERANCE));
    let page = findings.illustrate(&Illustration::default()).unwrap();
    assert_eq!(page.predictions[0].name, format!("class {}", findings.predicted));
    assert_eq!(page.layers.len(), 2);
    // One account a layer for the target, one for each concept's way, whose ends are those of its heatmap.
    assert_eq!(page.conservation.len(), findings.balance.accounts.len());
    let concepts: Vec<_> = findings.layers.iter().flat_map(|layer| &layer.concepts).collect();
    assert_eq!(page.concept_conservation.len(), concepts.len());
    for (row, concept) in page.concept_conservation.iter().zip(concepts) {
        let near = |a: f64, b: f64| assert!((a - b).abs() <= f64::from(TOLERANCE * arriving.abs().max(1.0)));
        near(row.relevance_in, f64::from(arriving));
        near(row.relevance_out, concept.heatmap.iter().map(|&value| f64::from(value)).sum());
        assert!(row.masked != 0.0 && row.beside == 0.0, "{row:?}");
        assert!(row.unaccounted().abs() <= 1e-3 * row.relevance_in.abs(), "{row:?}");
    }

    let absent = ExplainOptions { layers: vec!["features.99".to_owned()], ..Default::default() };
    let error = explainer.explain(sample.clone(), &store, &absent).unwrap_err();
    assert!(matches!(error.kind(), ExplainErrorKind::Store(_)), "{error}");
    let beyond = ExplainOptions { target: Some(5), ..Default::default() };
    let error = explainer.explain(sample, &store, &beyond).unwrap_err();
    assert!(matches!(error.kind(), ExplainErrorKind::Target { given: 5, classes: 5 }), "{error}");
}

#[test]
fn arrays_of_any_usual_shape_can_be_seen() {
    for (shape, size) in [
        (vec![3, 4, 6], Some((6, 4))),
        (vec![7, 4, 6], Some((6, 4))),
        (vec![2, 9], Some((9, 1))),
        (vec![5], Some((5, 1))),
        (vec![1, 2, 3, 4], Some((4, 3))),
        (vec![1, 1, 2, 3, 4], None),
    ] {
        let input = Tensor::full(shape.clone(), 0.5).unwrap();
        let sample = Sample::from_array("array", input);
        assert_eq!(sample.ok().map(|sample| sample.picture.dimensions()), size, "{shape:?}");
    }
}

/// All views of all kinds, of every sample.
fn many() -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (sample, layer) in [(0, 0), (1, 0), (2, 1), (0, 1)] {
        for origin in [Origin::Activation, Origin::Class(1)] {
            for part in [Part::Channel(3), Part::Neuron(17)] {
                wanted.push(Wanted { layer: LAYERS[layer].to_owned(), origin, sample: SampleId(sample), part });
            }
        }
    }
    wanted
}

#[test]
fn cached_views_are_the_computed_ones_and_nothing_is_computed_twice() {
    let fixture = fixture();
    let folder = tempfile::tempdir().unwrap();
    let store = fixture.store(&folder.path().join("store"));
    let open = || Cache::open(folder.path().join("cache"), 1 << 20).unwrap();
    let cached = |views: &ViewCache, wanted: &[Wanted]| {
        let explainer = Explainer { views: Some(views), ..fixture.explainer() };
        explainer.views(wanted).unwrap().into_iter().map(|view| view.heatmap).collect::<Vec<_>>()
    };
    let wanted = many();
    let (half, first) = (&wanted[..wanted.len() / 2], ViewCache::new(open(), store.manifest()));
    let computed = cached(&first, half);
    let count = |views: &ViewCache| (views.tally().found as usize, views.tally().made as usize);
    assert_eq!(count(&first), (0, half.len()));
    let second = ViewCache::new(open(), store.manifest());
    let all = cached(&second, &wanted);
    assert_eq!((count(&second), &all[..half.len()]), ((half.len(), wanted.len() - half.len()), &computed[..]));
    for (wanted, (cached, fresh)) in wanted.iter().zip(all.iter().zip(fixture.explainer().views(&wanted).unwrap())) {
        assert!(close(cached, &fresh.heatmap), "{wanted:?}");
    }
    // Whatever a view depends on makes it another one.
    let other = |change: fn(&mut Manifest)| {
        let mut manifest = store.manifest().clone();
        change(&mut manifest);
        let views = ViewCache::new(open(), &manifest);
        cached(&views, &wanted[..1]);
        count(&views)
    };
    assert_eq!(other(|_| ()), (1, 0));
    assert_eq!(other(|manifest| manifest.model.blake3.push('0')), (0, 1));
    assert_eq!(other(|manifest| manifest.model.canonized = false), (0, 1));
    assert_eq!(other(|manifest| manifest.model.explained.push('0')), (0, 1));
    assert_eq!(other(|manifest| manifest.composite.rules.push(String::new())), (0, 1));
    // The fingerprint of the data set is not among them: samples are known by what they are.
    assert_eq!(other(|manifest| manifest.data.fingerprint.clear()), (1, 0));
}

#[test]
fn damaged_entries_are_computed_anew() {
    let fixture = fixture();
    let folder = tempfile::tempdir().unwrap();
    let store = fixture.store(&folder.path().join("store"));
    let cache = folder.path().join("cache");
    let run = || {
        let views = ViewCache::new(Cache::open(&cache, 1 << 20).unwrap(), store.manifest());
        let explainer = Explainer { views: Some(&views), ..fixture.explainer() };
        let heatmaps: Vec<_> = explainer.views(&many()).unwrap().into_iter().map(|view| view.heatmap).collect();
        (heatmaps, views.tally().found as usize)
    };
    let (whole, _) = run();
    let entries = walkdir::WalkDir::new(&cache).into_iter().map(Result::unwrap);
    let entries: Vec<_> = entries.filter(|entry| entry.file_type().is_file()).collect();
    assert_eq!(entries.len(), many().len());
    for (index, entry) in entries.iter().enumerate() {
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let middle = bytes.len() / 2;
        if index % 2 == 0 {
            bytes.truncate(middle)
        } else {
            bytes[middle] ^= 64
        }
        std::fs::write(entry.path(), bytes).unwrap();
    }
    let (again, found) = run();
    assert_eq!(found, 0);
    assert!(whole.iter().zip(&again).all(|(a, b)| close(a, b)));
    assert_eq!(run().1, many().len());
}

#[test]
fn time_series_keep_the_relevance_of_each_channel() {
    let fixture = fixture_of("conv1d_tiny");
    let wanted = [Part::Channel(2), Part::Neuron(30)].map(|part| Wanted {
        layer: "body.4".to_owned(),
        origin: Origin::Class(1),
        sample: SampleId(1),
        part,
    });
    let views = fixture.explainer().views(&wanted).unwrap();
    let input = fixture.input(1);
    let condition = Condition::class(1).through("body.4", Selection::channels([2]));
    let request = Request { conditions: vec![condition], ..Request::default() };
    let attribution = fixture.attributor.attribute(&input, &request).unwrap().items.remove(0).input.unwrap();
    let series = views[0].series.as_ref().unwrap();
    assert_eq!((series.values.shape(), series.values.data()), (&[2, 48][..], input.data()));
    assert!(close(series.relevance.data(), attribution.data()));
    let mut pictures = Vec::new();
    for view in [View::Image, View::Heatmap, View::Masked] {
        pictures.push(views[0].draw(view, &ViewStyle::default()).unwrap());
    }
    assert!(pictures.iter().all(|picture| picture.dimensions() == pictures[0].dimensions()));
    assert!(pictures[0] != pictures[1] && pictures[0] != pictures[2]);
    // A neuron of the second convolution sees a part of the time: its plot shows less of it in the same room.
    let seen = views[1].heatmap.iter().filter(|value| **value != 0.0).count();
    assert!((2..40).contains(&seen), "{seen}");
    assert_ne!(views[1].draw(View::Crop, &ViewStyle::default()).unwrap(), pictures[0]);
}

#[test]
fn volumes_show_the_slice_with_the_most_relevance() {
    let fixture = fixture_of("conv3d_tiny");
    let wanted = [0, 1, 2].map(|sample| Wanted {
        layer: "4".to_owned(),
        origin: Origin::Activation,
        sample: SampleId(sample),
        part: Part::Channel(3),
    });
    let views = fixture.explainer().views(&wanted).unwrap();
    for (wanted, view) in wanted.iter().zip(&views) {
        let request = Request {
            conditions: vec![Condition { target: Target::Some(Selection::channels([3])), layers: Vec::new() }],
            start: Some("4".to_owned()),
            initial: Initial::Function(Arc::new(|value| {
                let positive = value.data().iter().map(|value| value.max(0.0)).collect();
                Tensor::new(value.shape(), positive).unwrap()
            })),
            ..Request::default()
        };
        let whole = heatmap(&fixture.attributor, &fixture.input(wanted.sample.0 as usize), &request);
        let slices: Vec<&[f32]> = whole.chunks(8 * 8).collect();
        let size = |slice: &[f32]| slice.iter().map(|value| value.abs()).sum::<f32>();
        let slice = view.slice.unwrap();
        assert!(close(&view.heatmap, slices[slice]), "{wanted:?}");
        assert!(slices.iter().all(|other| size(other) <= size(slices[slice])), "{wanted:?}");
        assert_eq!(view.draw(View::Overlay, &ViewStyle::default()).unwrap().dimensions(), (8, 8));
    }
    // Without relevance there is no such slice: the one in the middle is shown. No page shows a volume.
    let alone = fixture.explainer().samples(&[SampleId(2), SampleId(0), SampleId(2)]).unwrap();
    assert!(alone.len() == 3 && alone.iter().all(|view| view.slice == Some(2)) && alone[0].picture == alone[2].picture);
    let folder = tempfile::tempdir().unwrap();
    let store = fixture_of("vgg_tiny").store(folder.path());
    let sample = Sample::load(fixture.data.as_ref(), 0, &fixture.preprocess).unwrap();
    let error = fixture.explainer().explain(sample, &store, &ExplainOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ExplainErrorKind::NoPage { .. }), "{error}");
}
