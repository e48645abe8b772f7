//! Methods are what their definitions say of the plain call, whatever the batch and whatever the condition.

mod known;
mod refusal;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use glocal::attribution::method::{Baseline, IntegratedGradients, Noise, SmoothGrad};
use glocal::attribution::{Attribution, Attributor, Condition, Initial, Method, Pairing, Request, Scope};
use glocal::concept::Selection;
use glocal_compute::Tensor;

use crate::random::Random;
use crate::{MODELS, attributor, difference, inputs, merged, names, support};

/// A handful of single-precision sums and products, relative to the largest element.
const ROUNDING: f32 = 16.0 * f32::EPSILON;

/// One of each, small.
fn methods() -> Vec<Method> {
    let of = |text: &str| text.parse().unwrap();
    vec![
        Method::TimesInput,
        of("smooth-grad:noise=0.2,passes=5,seed=3"),
        of("integrated-gradients:steps=6,baseline=0.1"),
        of("occlusion:window=5,stride=3"),
        of("occlusion:window=4,fill=0.5,hide=window"),
    ]
}

fn is_occlusion(method: &Method) -> bool {
    matches!(method, Method::Occlusion(_))
}

fn zip(a: &Tensor, b: &Tensor, function: impl Fn(f32, f32) -> f32) -> Tensor {
    let data = a.data().iter().zip(b.data()).map(|(&a, &b)| function(a, b)).collect();
    Tensor::new(a.shape(), data).unwrap()
}

fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum()
}

/// A request with masks and recorded layers where the method takes them.
fn request(attributor: &Attributor, name: &str, method: Method) -> Request {
    let mut conditions = vec![Condition::predicted(), Condition::class(1)];
    let mut record = Vec::new();
    if !is_occlusion(&method) {
        record = names(attributor.model());
        if name == "resnet_tiny" {
            conditions.push(Condition::class(0).through("layer2.0.conv1", Selection::channels([0, 2])));
        }
    }
    Request { conditions, method, record, ..Request::default() }
}

#[test]
fn results_do_not_depend_on_the_batch_or_on_how_many_run_together() {
    for name in ["mlp", "vgg_tiny", "resnet_tiny", "conv1d_tiny"] {
        let attributor = attributor(merged(name), "epsilon-plus-flat");
        let x = inputs(name);
        for method in methods() {
            let request = request(&attributor, name, method);
            let together = attributor.attribute(&x, &request).unwrap();
            let conditions = request.conditions.len();
            for rows_at_once in [1, 2, 7, 100] {
                let other = attributor.attribute(&x, &Request { rows_at_once, ..request.clone() }).unwrap();
                for (a, b) in together.items.iter().zip(&other.items) {
                    assert_eq!((a.sample, a.condition), (b.sample, b.condition));
                    assert_eq!(difference(a, b), None, "{name}, {}, {rows_at_once} rows at once", request.method);
                }
            }
            for sample in 0..x.batch() {
                let alone = attributor.attribute(&support::rows(&x, &[sample]), &request).unwrap();
                assert_eq!(alone.prediction.row(0), together.prediction.row(sample));
                for (condition, item) in alone.items.iter().enumerate() {
                    let other = &together.items[sample * conditions + condition];
                    assert_eq!((other.sample, other.condition), (sample, condition));
                    assert_eq!(difference(item, other), None, "{name}, {}, sample {sample}", request.method);
                }
            }
        }
    }
}

/// The mean of the plain attributions of `copies` of the inputs, with conditions, scopes and recorded layers.
fn means(attributor: &Attributor, copies: &[Tensor], request: &Request) -> Vec<Attribution> {
    let plain = Request { method: Method::Plain, ..request.clone() };
    let runs: Vec<_> = copies.iter().map(|copy| attributor.attribute(copy, &plain).unwrap().items).collect();
    let mean = |parts: Vec<&Tensor>| {
        let of = |at: usize| parts.iter().map(|part| f64::from(part.data()[at])).sum::<f64>() / parts.len() as f64;
        Tensor::new(parts[0].shape(), (0..parts[0].len()).map(|at| of(at) as f32).collect()).unwrap()
    };
    let mut items = runs.last().unwrap().clone();
    for (index, item) in items.iter_mut().enumerate() {
        let all = || runs.iter().map(|run| &run[index]);
        item.input = all().map(|item| item.input.as_ref()).collect::<Option<Vec<_>>>().map(mean);
        for (name, tensor) in &mut item.layers {
            *tensor = mean(all().map(|item| &item.layers[name]).collect());
        }
    }
    items
}

fn agree(ours: &Attribution, expected: &Attribution, what: &str) {
    assert_eq!(ours.layers.keys().collect::<Vec<_>>(), expected.layers.keys().collect::<Vec<_>>(), "{what}");
    let input = (ours.input.as_ref().unwrap(), expected.input.as_ref().unwrap());
    for (name, (a, b)) in
        ours.layers.iter().map(|(name, a)| (name.as_str(), (a, &expected.layers[name]))).chain([("the input", input)])
    {
        assert_eq!(support::differ(a.data(), b.data(), ROUNDING), None, "{what}: {name}");
    }
}

#[test]
fn smooth_grad_is_the_mean_over_noisy_copies() {
    for scope in [Scope::Isolated, Scope::Whole] {
        let attributor = attributor(merged("resnet_tiny"), "epsilon-plus-flat");
        let x = inputs("resnet_tiny");
        let noise = Random::new(5).tensor(&[&[3], x.shape()].concat());
        let range =
            |row: &[f32]| row.iter().fold(f32::MIN, |a, &b| a.max(b)) - row.iter().fold(f32::MAX, |a, &b| a.min(b));
        let scales: Vec<f32> = (0..3).map(|row| 0.2 * range(x.row(row))).collect();
        let noisy = |pass: usize| {
            let of = |(at, value): (usize, &f32)| value + scales[at / x.row_len()] * noise.row(pass)[at];
            Tensor::new(x.shape(), x.data().iter().enumerate().map(of).collect()).unwrap()
        };
        let method = SmoothGrad { noise_level: 0.2, passes: 4, noise: Noise::Given(noise.clone()) };
        // The predicted class of a noisy copy may be another one: it does not count.
        let mut request = request(&attributor, "resnet_tiny", Method::SmoothGrad(method));
        request.conditions.remove(0);
        request.scope = scope;
        let copies = [noisy(0), noisy(1), noisy(2), x.clone()];
        let ours = attributor.attribute(&x, &request).unwrap();
        for (item, expected) in ours.items.iter().zip(means(&attributor, &copies, &request)) {
            agree(item, &expected, &format!("{scope:?}"));
        }
        // Activations are those of the samples themselves.
        let plain = attributor.attribute(&x, &Request { method: Method::Plain, ..request.clone() }).unwrap();
        assert_eq!(ours.activations, plain.activations);
        assert_eq!(ours.prediction, plain.prediction);
    }
}

#[test]
fn smooth_grad_without_noise_is_the_plain_call() {
    for name in MODELS {
        let attributor = attributor(merged(name), "epsilon-plus-flat");
        for text in ["smooth-grad:noise=0,passes=7", "smooth-grad:noise=0.5,passes=1"] {
            let smooth = request(&attributor, name, text.parse().unwrap());
            let plain = Request { method: Method::Plain, ..smooth.clone() };
            let of = |request: &Request| attributor.attribute(&inputs(name), request).unwrap().items;
            for (smooth, plain) in of(&smooth).iter().zip(&of(&plain)) {
                assert_eq!(difference(smooth, plain), None, "{name}, {text}");
            }
        }
    }
}

#[test]
fn seeds_decide_the_noise() {
    let attributor = attributor(merged("vgg_tiny"), "gradient");
    let of = |text: &str| {
        let request = Request { method: text.parse().unwrap(), ..Request::default() };
        attributor.attribute(&inputs("vgg_tiny"), &request).unwrap().items
    };
    let (first, again, other) = (of("smooth-grad:seed=1"), of("smooth-grad:seed=1"), of("smooth-grad:seed=2"));
    for ((first, again), other) in first.iter().zip(&again).zip(&other) {
        assert_eq!(difference(first, again), None);
        assert!(difference(first, other).is_some());
    }
}

#[test]
fn the_predicted_class_is_that_of_the_sample_itself() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let x = inputs("resnet_tiny");
    let prediction = attributor.trace(&x).unwrap().prediction().clone();
    let class = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let mut classes: Vec<Condition> =
        (0..x.batch()).map(|sample| Condition::class(class(prediction.row(sample)))).collect();
    // So much noise that copies are predicted to be something else.
    for text in ["smooth-grad:noise=3", "integrated-gradients", "occlusion"] {
        let predicted = Request { method: text.parse().unwrap(), ..Request::default() };
        let named = Request { conditions: classes, pairing: Pairing::Zip, ..predicted.clone() };
        let of = |request: &Request| attributor.attribute(&x, request).unwrap().items;
        for (predicted, named) in of(&predicted).iter().zip(&of(&named)) {
            assert_eq!(difference(predicted, named), None, "{text}");
        }
        classes = named.conditions;
    }
}

#[test]
fn integrated_gradients_are_complete() {
    /// Share of the difference in score that a sum of so many steps leaves out. The sum's error is, in the first order,
    /// half a step times the change of the slope along the path, which is a few times the mean slope.
    const STEPS: usize = 400;
    const COMPLETE: f64 = 0.02;
    for name in ["conv_zoo", "mlp", "vgg_tiny", "resnet_tiny", "inception_tiny", "conv1d_tiny"] {
        let attributor = attributor(merged(name), "gradient");
        let x = inputs(name);
        for baseline in [0.0, 0.3] {
            let method = IntegratedGradients { steps: STEPS, baseline: Baseline::Constant(baseline) };
            let conditions = (0..3).map(Condition::class).collect();
            let (initial, method) = (Initial::One, Method::IntegratedGradients(method));
            let request = Request { conditions, initial, method, ..Request::default() };
            let found = attributor.attribute(&x, &request).unwrap();
            let start = Tensor::full(x.shape(), baseline).unwrap();
            let start = attributor.trace(&start).unwrap().prediction().clone();
            let scale =
                zip(&found.prediction, &start, |a, b| (a - b).abs()).data().iter().fold(0.0f32, |a, &b| a.max(b));
            for item in &found.items {
                let score = |of: &Tensor| f64::from(of.row(item.sample)[item.condition]);
                let rest = sum(item.input.as_ref().unwrap().data()) - (score(&found.prediction) - score(&start));
                assert!(rest.abs() <= COMPLETE * f64::from(scale), "{name}, from {baseline}: {rest} of {scale}");
            }
        }
    }
}

/// Twice the initial relevance is twice the attribution: powers of two scale without rounding.
#[test]
fn methods_are_linear_in_the_initial_relevance() {
    let attributor = attributor(merged("inception_tiny"), "epsilon-plus");
    let x = inputs("inception_tiny");
    for method in methods().into_iter().filter(|method| !is_occlusion(method)) {
        let of = |initial: f32| {
            let request = Request {
                initial: Initial::Constant(initial),
                ..request(&attributor, "inception_tiny", method.clone())
            };
            attributor.attribute(&x, &request).unwrap().items
        };
        for (one, minus_two) in of(1.0).iter().zip(of(-2.0)) {
            let doubled = zip(one.input.as_ref().unwrap(), one.input.as_ref().unwrap(), |a, _| -2.0 * a);
            assert_eq!(minus_two.input.unwrap(), doubled, "{method}");
        }
    }
}

#[test]
fn initial_relevance_is_told_apart_by_sample_result_and_copy() {
    let attributor = attributor(merged("mlp"), "epsilon-plus");
    let x = inputs("mlp");
    let classes = attributor.model().output_shape()[0];
    let of = |initial: Initial| {
        let method = "smooth-grad:passes=4".parse().unwrap();
        let request = Request { initial, rows_at_once: 5, ..request(&attributor, "mlp", method) };
        attributor.attribute(&x, &request).unwrap().items
    };
    let square = |value: &Tensor| zip(value, value, |a, b| a * b);
    let samples = Random::new(3).tensor(&[3, classes]);
    let by_result = (0..6).flat_map(|result| samples.row(result / 2).to_vec()).collect();
    let by_result = Tensor::new([6, classes], by_result).unwrap();
    for (a, b) in of(Initial::Given(samples)).iter().zip(&of(Initial::Given(by_result))) {
        assert_eq!(difference(a, b), None);
    }
    // A function that minds the row sees each copy of the samples by itself.
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let function = move |value: &Tensor| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert_eq!(value.batch(), 3);
        square(value)
    };
    let squares = of(Initial::Function(Arc::new(function)));
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    for (a, b) in squares.iter().zip(&of(Initial::Value)) {
        assert!(difference(a, b).is_some());
    }
}
