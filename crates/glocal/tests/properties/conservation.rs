//! Relevance is a budget: what a layer does not hand down is accounted for.

use glocal::attribution::{Cancel, Condition, Initial, Request};
use glocal::conservation::{self, Account};
use glocal::op::{Budget, OpKind};
use glocal::rule::{Epsilon, Flat, Norm, Rule, WSquare, ZPlus};
use glocal_compute::{CpuBackend, Rows, Tensor};

use crate::case::{Case, Kind};
use crate::random::Random;
use crate::{BUDGETS, MODELS, attributor, inputs, merged, support};

/// Relevances are single-precision sums of up to a few hundred shares, each rounded; so is their account. Relative to the
/// sum of the sizes of all relevances of a layer, most of that cancels: this is what ten roundings in the same direction
/// would make.
const UNEXPLAINED: f64 = 10.0 * f32::EPSILON as f64;

/// As for a layer, over all layers of a model: at most 60, whose errors may add up.
const UNEXPLAINED_IN_A_MODEL: f64 = 60.0 * UNEXPLAINED;

/// The smallest denominator that relevance is sent through here: ε = 1e-6 takes at most 2e-5 of it then.
const SMALLEST_DENOMINATOR: f64 = 0.05;

/// What the stabilizer takes at such denominators, and rounding.
const LOSS: f64 = 1e-6 / SMALLEST_DENOMINATOR + UNEXPLAINED;

/// A rule, and what each connection adds to its denominator, given the input and the weight.
type Share = (Box<dyn Rule>, fn(f64, f64) -> f64);

fn shares() -> Vec<Share> {
    vec![
        (Box::new(Epsilon::default()), |x, w| x * w),
        (Box::new(Epsilon { zero_bias: true, ..Epsilon::default() }), |x, w| x * w),
        (Box::new(ZPlus::default()), |x, w| x.max(0.0) * w.max(0.0) + x.min(0.0) * w.min(0.0)),
        (Box::new(WSquare::default()), |_, w| w * w),
        (Box::new(Flat::default()), |_, _| 1.0),
        (Box::new(Norm::default()), |x, w| x * w),
    ]
}

#[test]
fn rules_without_bias_conserve_relevance() {
    let backend = CpuBackend::new();
    let mut checked = 0;
    for (kind, seed) in Kind::ALL.into_iter().flat_map(|kind| (0..60).map(move |seed| (kind, seed))) {
        let case = Case::random(kind, seed);
        if case.matrix.bias.iter().any(|&bias| bias != 0.0) {
            continue;
        }
        let output = case.op.forward(&backend, &[&case.x]).unwrap();
        let rows = Rows::identity(case.x.batch());
        for (rule, share) in shares() {
            let mut relevance = Random::new(seed + 900).tensor(output.shape());
            let width = relevance.row_len();
            for sample in 0..case.x.batch() {
                let mut z = vec![0.0; width];
                for &(to, from, weight) in &case.matrix.connections {
                    z[to] += share(f64::from(case.x.row(sample)[from]), weight);
                }
                let values = relevance.data_mut()[sample * width..(sample + 1) * width].iter_mut();
                values.zip(z).filter(|(_, z)| z.abs() < SMALLEST_DENOMINATOR).for_each(|(value, _)| *value = 0.0);
            }
            let prepared = rule.prepare(&backend, case.op.as_ref(), &[&case.x], &output).unwrap();
            let handed = prepared.propagate(&backend, &relevance, &rows).unwrap().remove(0);
            let (total, off) = (size(&relevance) + size(&handed), (sum(&relevance) - sum(&handed)).abs());
            let what = format!("case {seed}, {}, {}", case.name, rule.describe());
            assert!(off <= LOSS * total, "{what}: {off:e} of {total:e} is lost");

            let Budget::Absorbed(absorbed) = prepared.account(&backend, &relevance, &rows).unwrap() else {
                panic!("{what}: no account")
            };
            assert_eq!(absorbed.bias, 0.0, "{what}");
            assert!(absorbed.stabilizer.abs() <= LOSS * total, "{what}: {absorbed:?}");
            assert!(absorbed.definition.abs() <= UNEXPLAINED * total, "{what}: {absorbed:?}");
            checked += usize::from(total > 0.0);
        }
    }
    assert!(checked > 300, "only {checked} cases");
}

/// The accounts of the predicted class's logit, with the initial relevance and what arrives at the input.
fn accounts(model: glocal::model::Model, composite: &str, x: &Tensor) -> (Vec<Account>, f64, f64) {
    let attributor = attributor(model, composite);
    let trace = attributor.trace(x).unwrap();
    let mut initial = Tensor::zeros(trace.prediction().shape()).unwrap();
    let classes = initial.row_len();
    for sample in 0..x.batch() {
        let logits = trace.prediction().row(sample);
        let best = (0..classes).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        initial.data_mut()[sample * classes + best] = logits[best];
    }
    let request = Request {
        conditions: vec![Condition::everything()],
        initial: Initial::Given(initial.clone()),
        ..Request::default()
    };
    let attributions = trace.attribute(&request).unwrap();
    let arrived = attributions.items.iter().map(|item| sum(item.input.as_ref().unwrap())).sum();
    let put_in = sum(&initial);
    (conservation::report(&trace, initial, &Cancel::default()).unwrap(), put_in, arrived)
}

#[test]
fn no_layer_of_any_model_loses_relevance_unexplained() {
    let mut failures = Vec::new();
    let (mut layers, mut worst) = (0, 0.0f64);
    for name in MODELS {
        for composite in BUDGETS {
            let plain = support::load_model(&support::folder(name).join("model.onnx"));
            for (what, model) in [("as read", plain), ("merged", merged(name))] {
                let (accounts, put_in, arrived) = accounts(model, composite, &inputs(name));
                let mut absorbed = 0.0;
                let mut magnitude = 0.0f64;
                for account in &accounts {
                    let share = account.unexplained().abs() / account.magnitude.max(f64::MIN_POSITIVE);
                    worst = worst.max(share);
                    if share.is_nan() || share > UNEXPLAINED {
                        failures.push(format!("{name} {what}, {composite}: {share:e} of {account:?}"));
                    }
                    absorbed += account.bias + account.stabilizer + account.definition;
                    magnitude = magnitude.max(account.magnitude);
                }
                layers += accounts.len();
                let missing = (put_in - absorbed - arrived).abs();
                if missing.is_nan() || missing > UNEXPLAINED_IN_A_MODEL * magnitude {
                    failures.push(format!(
                        "{name} {what}, {composite}: {put_in} was put in, {absorbed} kept, {arrived} arrived"
                    ));
                }
            }
        }
    }
    println!("{layers} layers, at worst {worst:e} unexplained");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(layers > 800, "only {layers} layers");
}

/// The definition's share is for what a rule leaves out on purpose. Here that is nothing, except where Gamma's output or one
/// side of AlphaBeta is exactly zero, and what padding or a ReLU never lets happen.
#[test]
fn presets_leave_nothing_out_by_definition() {
    for name in MODELS {
        for composite in ["epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1"] {
            let (accounts, ..) = accounts(merged(name), composite, &inputs(name));
            for account in accounts {
                assert!(
                    account.definition.abs() <= UNEXPLAINED * account.magnitude,
                    "{name}, {composite}: {account:?}"
                );
            }
        }
    }
}

#[test]
fn activations_pass_all_relevance() {
    let model = merged("resnet_tiny");
    let activations: Vec<_> =
        model.graph().nodes().filter(|(_, node)| node.op.kind() == OpKind::Relu).map(|(id, _)| id).collect();
    let (accounts, ..) = accounts(model, "epsilon-plus", &inputs("resnet_tiny"));
    assert!(!activations.is_empty());
    for account in accounts.iter().filter(|account| activations.contains(&account.node)) {
        assert_eq!(account.relevance_in, account.relevance_out, "{account:?}");
        assert_eq!(account.rule, "Pass");
    }
}

#[test]
fn an_initial_relevance_of_another_shape_is_refused() {
    let attributor = attributor(merged("mlp"), "epsilon-plus");
    let trace = attributor.trace(&inputs("mlp")).unwrap();
    let initial = Tensor::zeros([3, 4]).unwrap();
    assert!(conservation::report(&trace, initial, &Cancel::default()).is_err());
}

fn sum(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value)).sum()
}

fn size(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value.abs())).sum()
}
