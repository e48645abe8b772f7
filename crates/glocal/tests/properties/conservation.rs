//! Relevance is a budget: what a layer does not hand down is accounted for.

mod conditions;

use glocal::attribution::{Attributor, Initial, Method, Request};
use glocal::canonizer::canonize;
use glocal::conservation::{self, Balance};
use glocal::error::RequestErrorKind;
use glocal::op::activation::Activation;
use glocal::op::{Budget, Op, OpKind};
use glocal::rule::{Epsilon, Flat, Norm, Pass, Rule, WSquare, ZPlus};
use glocal_compute::{CpuBackend, Rows, Tensor};
use proptest::prelude::*;

use crate::case::Case;
use crate::network::{self, Network};
use crate::random::Random;
use crate::{BUDGETS, MODELS, attributor, inputs, merged, support};

/// Relevances are single-precision sums of up to a few hundred shares, each rounded; so is their account. Relative to the
/// sum of the sizes of all relevances of a layer, most of that cancels: this is what ten roundings in the same direction
/// would make.
const UNEXPLAINED: f64 = 10.0 * f32::EPSILON as f64;

/// As for a layer, over all layers of a model: at most 60, whose errors may add up.
const UNEXPLAINED_IN_A_MODEL: f64 = 60.0 * UNEXPLAINED;

/// The smallest denominator that relevance is sent through here, beside which ε = 1e-6 is small.
const SMALLEST_DENOMINATOR: f64 = 0.05;

/// ε of the stabilizers.
const EPSILON: f64 = 1e-6;

/// The operations of a rule beside its sums.
const SINGLE_OPERATIONS: usize = 8;

/// A rule, what each connection adds to its denominator, given the input and the weight, and what the bias adds.
type Share = (Box<dyn Rule>, fn(f64, f64) -> f64, fn(f64) -> f64);

fn shares() -> Vec<Share> {
    vec![
        (Box::new(Epsilon::default()), |x, w| x * w, |b| b),
        (Box::new(Epsilon { zero_bias: true, ..Epsilon::default() }), |x, w| x * w, |_| 0.0),
        (Box::new(ZPlus::default()), |x, w| x.max(0.0) * w.max(0.0) + x.min(0.0) * w.min(0.0), |b| b.max(0.0)),
        (Box::new(WSquare::default()), |_, w| w * w, |b| b * b),
        (Box::new(WSquare { zero_bias: true, ..WSquare::default() }), |_, w| w * w, |_| 0.0),
        (Box::new(Flat::default()), |_, _| 1.0, |_| 0.0),
        (Box::new(Norm::default()), |x, w| x * w, |b| b),
    ]
}

proptest! {
    #![proptest_config(crate::config(256))]

    /// Rules conserve relevance but for what biases and the stabilizer stand for, and account for these. What single
    /// precision may be off is relative to the sizes in each denominator.
    #[test]
    fn rules_conserve_relevance(choices in crate::choices(), seed in 0u64..1000) {
        let backend = CpuBackend::new();
        let case = Case::drawn(choices);
        let output = case.op.forward(&backend, &[&case.x]).unwrap();
        let rows = Rows::identity(case.x.batch());
        for (rule, share, bias_share) in shares() {
            let what = format!("{}, {}", case.name, rule.describe());
            let mut relevance = Random::new(seed).tensor(output.shape());
            let width = relevance.row_len();
            let longest = width.max(case.x.row_len()) + SINGLE_OPERATIONS;
            let (mut stabilizer, mut rounding) = (0.0, 0.0);
            for sample in 0..case.x.batch() {
                let mut z: Vec<f64> = case.matrix.bias.iter().map(|&bias| bias_share(bias)).collect();
                let mut sizes: Vec<f64> = z.iter().map(|z| z.abs()).collect();
                for &(to, from, weight) in &case.matrix.connections {
                    let share = share(f64::from(case.x.row(sample)[from]), weight);
                    z[to] += share;
                    sizes[to] += share.abs();
                }
                let values = relevance.data_mut()[sample * width..(sample + 1) * width].iter_mut();
                for (value, (z, size)) in values.zip(z.iter().zip(sizes)) {
                    if z.abs() < SMALLEST_DENOMINATOR {
                        *value = 0.0;
                        continue;
                    }
                    let value = f64::from(value.abs());
                    stabilizer += value * EPSILON / z.abs();
                    rounding += value * f64::from(f32::EPSILON) * longest as f64 * (1.0 + size / z.abs());
                }
            }
            let prepared = rule.prepare(&backend, case.op.as_ref(), &[&case.x], &output).unwrap();
            let handed = prepared.propagate(&backend, relevance.clone(), &rows).unwrap().remove(0);
            let Budget::Absorbed(absorbed) = prepared.account(&backend, &relevance, &rows).unwrap() else {
                panic!("{what}: no account")
            };
            let missing = sum(&relevance) - sum(&handed);
            let unexplained = missing - absorbed.bias - absorbed.stabilizer - absorbed.definition;
            prop_assert!(unexplained.abs() <= rounding, "{what}: {unexplained:e} of {rounding:e} is unexplained");
            prop_assert!(absorbed.definition.abs() <= rounding, "{what}: {absorbed:?}");
            prop_assert!(absorbed.stabilizer.abs() <= stabilizer + rounding, "{what}: {absorbed:?}");
            if case.matrix.bias.iter().all(|&bias| bias_share(bias) == 0.0) {
                prop_assert_eq!(absorbed.bias, 0.0, "{}", what);
                prop_assert!(missing.abs() <= stabilizer + rounding, "{what}: {missing:e} is lost");
            }
        }
    }

    /// Pass hands everything on as it is, whatever the function of one number.
    #[test]
    fn pass_conserves_relevance_to_the_bit(seed in 0u64..1000) {
        let (backend, mut random) = (CpuBackend::new(), Random::new(seed));
        let x = random.tensor(&[2, 3, 4]);
        let op = random.pick(&[Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::Absolute]);
        let output = op.forward(&backend, &[&x]).unwrap();
        let prepared = Pass.prepare(&backend, &op, &[&x], &output).unwrap();
        let relevance = random.tensor(output.shape());
        let rows = Rows::identity(2);
        prop_assert_eq!(prepared.propagate(&backend, relevance.clone(), &rows).unwrap(), vec![relevance.clone()]);
        prop_assert_eq!(prepared.account(&backend, &relevance, &rows).unwrap(), Budget::Kept);
    }

    /// No layer of a random network loses relevance unexplained, canonized or not. Not with ZBox: its denominators are
    /// what is left when the biases cancel, which is less than their rounding where weights are much smaller.
    #[test]
    fn no_layer_of_a_random_network_loses_relevance_unexplained(choices in network::choices()) {
        let Network { model, x } = Network::drawn(choices);
        let gamma = "extends = 'epsilon-plus'\nrules = [{ class = 'any-convolution', rule = 'gamma' }]";
        for model in [canonize(&model).unwrap(), model] {
            for composite in ["epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1", gamma] {
                let balance = predicted(&attributor(model.clone(), composite), &x);
                let faults = faults(&balance);
                prop_assert!(faults.is_empty(), "{composite}: {faults:?}\n{}", network::describe(&model));
            }
        }
    }
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
