//! Relevance is a budget: what a layer does not hand down is accounted for.

mod conditions;

use glocal::attribution::{Attributor, Initial, Method, Request};
use glocal::conservation::{self, Balance};
use glocal::error::RequestErrorKind;
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

/// Where the predicted class's logit goes.
fn predicted(attributor: &Attributor, x: &Tensor) -> Balance {
    let mut balances = conservation::report(&attributor.trace(x).unwrap(), &Request::default()).unwrap();
    assert_eq!(balances.len(), 1);
    balances.remove(0)
}

/// What is wrong with a balance: layers that lose relevance unexplained, or a sum that does not come out.
fn faults(balance: &Balance) -> Vec<String> {
    let mut faults = Vec::new();
    let mut magnitude = balance.started.abs();
    for account in &balance.accounts {
        let share = account.unexplained().abs() / account.magnitude.max(f64::MIN_POSITIVE);
        if share.is_nan() || share > UNEXPLAINED {
            faults.push(format!("{share:e} of {account:?}"));
        }
        magnitude = magnitude.max(account.magnitude);
    }
    let missing = balance.unexplained().abs();
    if missing.is_nan() || missing > UNEXPLAINED_IN_A_MODEL * magnitude {
        let Balance { started, arrived, .. } = balance;
        faults.push(format!("{started} started, {} was kept, {arrived} arrived", balance.kept()));
    }
    faults
}

#[test]
fn no_layer_of_any_model_loses_relevance_unexplained() {
    let mut failures = Vec::new();
    let mut layers = 0;
    for name in MODELS {
        for composite in BUDGETS {
            let plain = support::load_model(&support::folder(name).join("model.onnx"));
            for (what, model) in [("as read", plain), ("merged", merged(name))] {
                let balance = predicted(&attributor(model, composite), &inputs(name));
                layers += balance.accounts.len();
                assert!(balance.accounts.iter().all(|account| account.masked == 0.0 && account.beside == 0.0));
                failures.extend(faults(&balance).iter().map(|fault| format!("{name} {what}, {composite}: {fault}")));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(layers > 800, "only {layers} layers");
}

/// The definition's share is for what a rule leaves out on purpose. Here that is nothing, except where Gamma's output or one
/// side of AlphaBeta is exactly zero, and what padding or a ReLU never lets happen.
#[test]
fn presets_leave_nothing_out_by_definition() {
    for name in MODELS {
        for composite in ["epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1"] {
            for account in predicted(&attributor(merged(name), composite), &inputs(name)).accounts {
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
    let accounts = predicted(&attributor(model, "epsilon-plus"), &inputs("resnet_tiny")).accounts;
    assert!(!activations.is_empty());
    for account in accounts.iter().filter(|account| activations.contains(&account.node)) {
        assert_eq!(account.relevance_in, account.relevance_out, "{account:?}");
        assert_eq!(account.rule, "Pass");
    }
}

#[test]
fn requests_without_a_balance_are_refused() {
    let attributor = attributor(merged("mlp"), "epsilon-plus");
    let trace = attributor.trace(&inputs("mlp")).unwrap();
    let refused = |request: Request| conservation::report(&trace, &request).unwrap_err();
    let error = refused(Request { initial: Initial::Given(Tensor::zeros([3, 4]).unwrap()), ..Request::default() });
    assert!(matches!(error.kind(), RequestErrorKind::InitialShape { .. }), "{error}");
    for method in ["gradient-times-input", "smooth-grad", "integrated-gradients", "occlusion"] {
        let method: Method = method.parse().unwrap();
        let error = refused(Request { method, ..Request::default() });
        assert!(matches!(error.kind(), RequestErrorKind::NotOneWayDown { .. }), "{error}");
    }
    let request = Request::default();
    request.cancel.cancel();
    assert!(matches!(refused(request).kind(), RequestErrorKind::Run(_)));
}

fn sum(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value)).sum()
}

fn size(x: &Tensor) -> f64 {
    x.data().iter().map(|&value| f64::from(value.abs())).sum()
}
