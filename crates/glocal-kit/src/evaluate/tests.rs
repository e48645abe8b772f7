//! Evaluations of small models, against running all of the model again for every variant.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use glocal::attribution::{Condition, Initial, Request};
use glocal::canonizer::canonize;
use glocal::error::RequestErrorKind;
use glocal::faithfulness::{Bootstrap, Direction, Estimate, Ranking};
use glocal::model::{ImportOptions, Model, NodeId};
use glocal_compute::{CpuBackend, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::*;
use crate::data;
use crate::scan::ScanErrorKind;

const SAMPLES: usize = 7;
const LAYER: &str = "features.8";

/// Sums of some tens of numbers below 100, in another order: 64 roundings of 2⁻⁵³ each, and some room.
const ROUNDING: f64 = 1e-11;

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn attributor(name: &str, composite: &str) -> Attributor {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens").join(name).join("model.onnx");
    let onnx = glocal_onnx::Model::read(path).unwrap();
    let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap();
    Attributor::new(canonize(&model).unwrap(), composite.parse().unwrap()).unwrap()
}

/// Random samples of `shape`, of which those in `spoilt` hold what is not a number.
fn values(shape: &[usize], spoilt: &[usize]) -> Vec<f32> {
    let row: usize = shape.iter().product();
    let mut state = 3u64;
    let mut next = |index: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if spoilt.contains(&(index / row)) { f32::NAN } else { (state >> 33) as f32 / 2f32.powi(30) - 1.0 }
    };
    (0..SAMPLES * row).map(&mut next).collect()
}

fn write(path: &Path, shape: &[usize], values: &[f32], labels: Option<u8>) -> Box<dyn DataSet> {
    let x: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let y: Vec<u8> = (0..SAMPLES as u8).map(|sample| sample % labels.unwrap_or(1)).collect();
    let mut tensors = vec![("x", TensorView::new(Dtype::F32, [&[SAMPLES], shape].concat(), &x).unwrap())];
    if labels.is_some() {
        tensors.push(("y", TensorView::new(Dtype::U8, vec![SAMPLES], &y).unwrap()));
    }
    safetensors::serialize_to_file(tensors, None, path).unwrap();
    data::open(path).unwrap()
}

struct Setting {
    folder: TempDir,
    attributor: Attributor,
    data: Box<dyn DataSet>,
    preprocess: Preprocess,
    options: EvaluateOptions,
}

impl Setting {
    fn new() -> Self {
        Self::of("vgg_tiny", "epsilon-plus", Some(5))
    }

    fn of(model: &str, composite: &str, labels: Option<u8>) -> Self {
        let folder = TempDir::new().unwrap();
        let attributor = attributor(model, composite);
        let shape = attributor.model().input_shape();
        let data = write(&folder.path().join("data.safetensors"), shape, &values(shape, &[]), labels);
        let subjects = vec![Subject::Concepts { layer: LAYER.to_owned() }, Subject::Pixels { side: count(5) }];
        let options = EvaluateOptions {
            subjects,
            orders: vec![Order::Relevance, Order::Activation, Order::Gradient, Order::Random, Order::Ascending],
            steps: count(6),
            draws: count(3),
            bootstrap: Bootstrap { resamples: 40, ..Bootstrap::default() },
            ..EvaluateOptions::default()
        };
        Self { folder, attributor, data, preprocess: Preprocess::default(), options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn evaluation(&self) -> Evaluation<'_> {
        let Self { attributor, data, preprocess, options, .. } = self;
        Evaluation { attributor, data: data.as_ref(), preprocess, options }
    }

    fn run(&self) -> Result<Findings, EvaluateError> {
        run(&self.evaluation(), &|_| (), &Cancel::default())
    }

    fn error(&self) -> EvaluateErrorKind {
        self.run().unwrap_err().into_kind()
    }
}

/// The explained output for one sample, node by node, with the value of `layer` replaced.
fn naive(model: &Model, input: &Tensor, layer: NodeId, value: &[f32]) -> Vec<f32> {
    let mut values: Vec<Tensor> = Vec::new();
    for (id, node) in model.graph().nodes().take(model.explained().index() + 1) {
        let operands: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        values.push(match id {
            id if id == layer => Tensor::new([&[1], node.shape.as_slice()].concat(), value.to_vec()).unwrap(),
            id if id == model.graph().input() => input.clone(),
            _ => node.op.forward(model.backend(), &operands).unwrap(),
        });
    }
    values[model.explained().index()].data().to_vec()
}

/// The parts of the elements: channels of `[C, ...]`, or patches of 5×5.
fn parts(subject: &Subject, shape: &[usize]) -> (Vec<usize>, usize) {
    let (height, width) = (shape[1], shape[2]);
    match subject {
        Subject::Concepts { .. } => {
            ((0..shape[0] * height * width).map(|index| index / (height * width)).collect(), shape[0])
        }
        Subject::Pixels { .. } => {
            let (rows, columns) = (height.div_ceil(5), width.div_ceil(5));
            let patch = |index: usize| index / width % height / 5 * columns + index % width / 5;
            ((0..shape[0] * height * width).map(patch).collect(), rows * columns)
        }
    }
}

fn sums(parts: &(Vec<usize>, usize), values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sums = vec![0.0; parts.1];
    parts.0.iter().zip(values).for_each(|(&part, value)| sums[part] += value);
    sums
}

/// The parts by descending score.
fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order
}

/// Everything by the longest way: one variant of one sample at a time, through all of the model.
#[test]
fn curves_are_those_of_running_the_whole_model_again() {
    let setting = Setting::new();
    let found = setting.run().unwrap();
    assert_eq!((found.samples, found.skipped.len(), found.curves.len()), (SAMPLES, 0, 8));
    let model = setting.attributor.model();
    let shape = model.input_shape();
    let all = values(shape, &[]);
    let row: usize = shape.iter().product();
    let inputs: Vec<Tensor> =
        all.chunks(row).map(|row| Tensor::new([&[1], shape].concat(), row.to_vec()).unwrap()).collect();
    let gradient = setting.attributor.with_composite("gradient".parse().unwrap()).unwrap();
    for curves in &found.curves {
        let (node, record) = match &curves.subject {
            Subject::Concepts { layer } => (model.layer(layer).unwrap(), vec![layer.clone()]),
            Subject::Pixels { .. } => (model.graph().input(), Vec::new()),
        };
        let node_shape = &model.graph().node(node).shape;
        let parts = parts(&curves.subject, node_shape);
        assert_eq!((curves.parts, &curves.shape), (parts.1, node_shape));
        let activations: Vec<Vec<f32>> =
            inputs.iter().map(|input| model.run(input).unwrap()[node.index()].data().to_vec()).collect();
        let channel = node_shape[1] * node_shape[2];
        let mut changes = vec![vec![0.0; curves.counts.len()]; curves.orders.len()];
        for (sample, (input, activation)) in inputs.iter().zip(&activations).enumerate() {
            let target = sample % 5;
            let scores = |attributor: &Attributor, initial: Initial, times: bool| {
                let request = Request {
                    conditions: vec![Condition::class(target)],
                    initial,
                    record: record.clone(),
                    ..Request::default()
                };
                let item = attributor.attribute(input, &request).unwrap().items.remove(0);
                let arrived = item.layers.get(LAYER).filter(|_| !record.is_empty()).cloned().or(item.input).unwrap();
                let weigh =
                    |(&arrived, &value): (&f32, &f32)| f64::from(arrived) * if times { f64::from(value) } else { 1.0 };
                sums(&parts, arrived.data().iter().zip(activation).map(weigh))
            };
            let relevance = scores(&setting.attributor, Initial::Value, false);
            let mean_of = |channel_index: usize| {
                let own = std::slice::from_ref(activation);
                let over = if matches!(curves.subject, Subject::Pixels { .. }) { own } else { activations.as_slice() };
                let values = over.iter().flat_map(|values| &values[channel_index * channel..][..channel]);
                (values.map(|&value| f64::from(value)).sum::<f64>() / (over.len() * channel) as f64) as f32
            };
            let replacement: Vec<f32> = match curves.replacement {
                Replacement::Zero => vec![0.0; activation.len()],
                Replacement::Mean => (0..activation.len()).map(|element| mean_of(element / channel)).collect(),
            };
            for (curve, changes) in curves.orders.iter().zip(&mut changes) {
                let orders: Vec<Vec<usize>> = match curve.order {
                    Order::Relevance => vec![descending(&relevance)],
                    Order::Ascending => vec![descending(&relevance.iter().map(|value| -value).collect::<Vec<_>>())],
                    Order::Activation => {
                        vec![descending(&sums(&parts, activation.iter().map(|&value| f64::from(value.max(0.0)))))]
                    }
                    Order::Gradient => vec![descending(&scores(&gradient, Initial::One, true))],
                    Order::Random => (0..3)
                        .map(|draw| {
                            let ranks = Ranking::shuffled(parts.1, 0, sample as u32 * 3 + draw);
                            let mut order: Vec<usize> = (0..parts.1).collect();
                            order.sort_by_key(|&part| ranks.ranks()[part]);
                            order
                        })
                        .collect(),
                };
                for (step, &count) in curves.counts.iter().enumerate() {
                    for order in &orders {
                        let (first, flips) = (&order[..count], curves.direction == Direction::Flipping);
                        let changed = activation.iter().zip(&replacement).zip(&parts.0);
                        let changed = changed
                            .map(|((&own, &other), part)| if first.contains(part) == flips { other } else { own });
                        let logit = naive(model, input, node, &changed.collect::<Vec<f32>>())[target];
                        let original = naive(model, input, model.graph().input(), input.data())[target];
                        changes[step] += f64::from(logit - original) / (orders.len() * SAMPLES) as f64;
                    }
                }
            }
        }
        for (curve, changes) in curves.orders.iter().zip(&changes) {
            let place =
                format!("{}, {:?}, {:?}, {}", curves.subject, curves.replacement, curves.direction, curve.order);
            // Differences of logits are rounded to 32 bits here and there: 2⁻²⁴ of logits below 4.
            let tolerance = ROUNDING + 4.0 * 2f64.powi(-23);
            for (estimate, change) in curve.change.iter().zip(changes) {
                assert!((estimate.value - change).abs() < tolerance, "{place}: {} is not {change}", estimate.value);
            }
            let step = |index: usize| (curves.counts[index + 1] - curves.counts[index]) as f64 / curves.parts as f64;
            let area: f64 = (0..changes.len() - 1).map(|i| step(i) * (changes[i] + changes[i + 1]) / 2.0).sum();
            assert!((curve.area.value - area).abs() < tolerance, "{place}: area {} is not {area}", curve.area.value);
        }
    }
}

#[test]
fn areas_and_differences_belong_together() {
    let found = Setting::new().run().unwrap();
    for curves in &found.curves {
        let of = |order: Order| curves.orders.iter().find(|curve| curve.order == order).unwrap();
        assert_eq!(curves.differences.len(), 10);
        for difference in &curves.differences {
            let (a, b) = (of(difference.of), of(difference.minus));
            assert!((difference.area.value - (a.area.value - b.area.value)).abs() < ROUNDING);
            let normalized = a.normalized_area.value - b.normalized_area.value;
            assert!((difference.normalized_area.value - normalized).abs() < ROUNDING);
        }
        for curve in &curves.orders {
            let (first, last) = (&curve.change[0], &curve.change[curve.change.len() - 1]);
            let (whole, replaced) = if curves.direction == Direction::Flipping { (first, last) } else { (last, first) };
            assert_eq!((whole.value, replaced.value), (0.0, curves.replaced.value));
            let height = 1.0 - curve.area.value / curves.replaced.value;
            assert!((curve.normalized_area.value - height).abs() < ROUNDING * (1.0 + height.abs()), "{height}");
            let inside = |estimate: &Estimate| estimate.interval.is_some_and(|interval| interval.low <= interval.high);
            assert!(curve.logit.iter().chain(&curve.change).all(inside) && inside(&curve.area));
            for (logit, change) in curve.logit.iter().zip(&curve.change) {
                assert!((logit.value - curves.original.value - change.value).abs() < ROUNDING);
            }
        }
    }
}

#[test]
fn findings_depend_on_neither_batches_threads_nor_memory() {
    let mut setting = Setting::new();
    let expected = setting.run().unwrap();
    for (batch, threads, memory) in [(1, 1, 1), (3, 2, 1), (7, 1, 2 << 30), (5, 2, 2 << 30)] {
        (setting.options.batch, setting.options.memory) = (Some(count(batch)), memory);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| setting.run().unwrap());
        assert!(found == expected, "batches of {batch}, {threads} threads");
    }
    setting.options.bootstrap.seed = 1;
    let other = setting.run().unwrap();
    assert!(other.curves[0].orders[0].change[1].value == expected.curves[0].orders[0].change[1].value);
    assert_ne!(other.curves[0].orders[3], expected.curves[0].orders[3], "random orders depend on the seed");
}

#[test]
fn time_series_and_volumes_are_evaluated() {
    for (name, layer, parts) in [("conv1d_tiny", "body.4", 10), ("conv3d_tiny", "4", 8)] {
        let mut setting = Setting::of(name, "epsilon-plus", None);
        setting.options.explained = Explained::Predicted;
        setting.options.subjects[0] = Subject::Concepts { layer: layer.to_owned() };
        let found = setting.run().unwrap();
        let of = |pixels: bool| {
            found.curves.iter().find(|curves| matches!(curves.subject, Subject::Pixels { .. }) == pixels)
        };
        let model = setting.attributor.model();
        let channels = model.graph().node(model.layer(layer).unwrap()).shape[0];
        assert_eq!(of(false).unwrap().parts, channels, "{name}");
        let patches = model.input_shape()[1..].iter().map(|side| side.div_ceil(5)).product::<usize>();
        assert_eq!((of(true).unwrap().parts, patches), (patches, if name == "conv1d_tiny" { parts } else { patches }));
        // All parts are replaced at last, whatever the order; the predicted logit changes.
        assert!(found.curves.iter().all(|curves| curves.replaced.value != 0.0), "{name}");
    }
}

#[test]
fn samples_are_chosen_and_progress_counts_them() {
    let mut setting = Setting::new();
    setting.options.samples = Some(count(3));
    let seen = Mutex::new(Vec::new());
    let progress = |state: Progress| seen.lock().unwrap().push((state.done, state.total));
    let found = run(&setting.evaluation(), &progress, &Cancel::default()).unwrap();
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    seen.retain(|(done, _)| *done > 0);
    seen.dedup();
    assert_eq!((found.samples, seen), (3, vec![(1, 3), (2, 3), (3, 3)]));
    setting.options.explained = Explained::Class(2);
    let one = setting.run().unwrap();
    assert_ne!(one.curves[0].original, found.curves[0].original);
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let mut setting = Setting::new();
    let subjects = std::mem::take(&mut setting.options.subjects);
    assert!(matches!(setting.error(), EvaluateErrorKind::NothingAsked { what: "layers or pixels" }));
    let model = setting.attributor.model();
    let output = model.graph().node(model.explained()).display_name().to_owned();
    for (layer, expected) in [("features.99".to_owned(), false), (output, true)] {
        setting.options.subjects = vec![Subject::Concepts { layer: layer.clone() }];
        let EvaluateErrorKind::Request(error) = setting.error() else { panic!("{layer}") };
        assert_eq!(matches!(error.kind(), RequestErrorKind::NotExplained { .. }), expected, "{error}");
    }
    setting.options.subjects = subjects;
    for given in [0.0, 1.0, -3.0, f64::NAN] {
        setting.options.bootstrap.confidence = given;
        assert!(matches!(setting.error(), EvaluateErrorKind::Confidence { .. }), "{given}");
    }
    setting.options.bootstrap.confidence = 0.9;
    setting.options.explained = Explained::Class(5);
    let EvaluateErrorKind::Data(error) = setting.error() else { panic!() };
    assert_eq!(error.kind(), &ScanErrorKind::Class { class: 5, classes: 5 });
    let shape = setting.attributor.model().input_shape().to_vec();
    setting.data = write(&setting.path("unlabelled.safetensors"), &shape, &values(&shape, &[]), None);
    setting.options.explained = Explained::Label;
    let EvaluateErrorKind::Data(error) = setting.error() else { panic!() };
    assert_eq!(error.kind(), &ScanErrorKind::NoLabels);
}

#[test]
fn unusable_samples_are_named_or_passed_over() {
    let mut setting = Setting::new();
    let shape = setting.attributor.model().input_shape().to_vec();
    setting.data = write(&setting.path("spoilt.safetensors"), &shape, &values(&shape, &[0, 4]), Some(5));
    let named = setting.error();
    // Where reading does not refuse it, the output does.
    assert!(
        matches!(&named, EvaluateErrorKind::NotFinite { sample: 0, subject: None, .. })
            || matches!(&named, EvaluateErrorKind::Data(error) if matches!(error.kind(), ScanErrorKind::Sample { sample: 0, .. })),
        "{named:?}"
    );
    setting.options.keep_going = true;
    let found = setting.run().unwrap();
    assert_eq!(found.samples, SAMPLES - 2);
    assert_eq!(found.skipped.iter().map(|skipped| skipped.sample).collect::<Vec<_>>(), [0, 4]);
    assert!(found.curves.iter().flat_map(|curves| &curves.orders).all(|curve| curve.area.value.is_finite()));
    let all: Vec<usize> = (0..SAMPLES).collect();
    setting.data = write(&setting.path("all.safetensors"), &shape, &values(&shape, &all), Some(5));
    assert!(matches!(setting.error(), EvaluateErrorKind::NothingUsable { skipped: SAMPLES }));
}

#[test]
fn cancelling_is_heard() {
    let mut setting = Setting::new();
    setting.options.batch = Some(count(1));
    let cancel = Cancel::default();
    let stop = |progress: Progress| {
        if progress.done == 2 {
            cancel.cancel();
        }
    };
    let error = run(&setting.evaluation(), &stop, &cancel).unwrap_err();
    assert!(matches!(error.kind(), EvaluateErrorKind::Cancelled { done: 2, total: SAMPLES }), "{error}");
    let error = run(&setting.evaluation(), &|_| (), &cancel).unwrap_err();
    assert!(matches!(error.kind(), EvaluateErrorKind::Cancelled { done: 0, total: SAMPLES }), "{error}");
}
