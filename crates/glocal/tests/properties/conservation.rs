//! Relevance is a budget: what a layer does not hand down is accounted for.

use glocal::attribution::{Attribution, Attributor, Condition, Initial, Method, Pairing, Request, Scope, Target};
use glocal::canonizer::canonize;
use glocal::composite::Preset;
use glocal::concept::Selection;
use glocal::conservation::{self, Account, Balance};
use glocal::error::RequestErrorKind;
use glocal::op::activation::Activation;
use glocal::op::{Budget, Op, OpKind};
use glocal::rule::{Epsilon, Flat, Norm, Pass, Rule, WSquare, ZPlus};
use glocal_compute::{CpuBackend, Rows, Tensor};
use proptest::prelude::*;

use crate::case::Case;
use crate::network::{self, Network};
use crate::random::Random;
use crate::{BUDGETS, MODELS, attributor, inputs, merged, name_of, planning, support};

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
            let handed = prepared.propagate(&backend, &relevance, &rows).unwrap().remove(0);
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
        prop_assert_eq!(prepared.propagate(&backend, &relevance, &rows).unwrap(), vec![relevance.clone()]);
        prop_assert_eq!(prepared.account(&backend, &relevance, &rows).unwrap(), Budget::Kept);
    }

    /// No layer of a random network loses relevance unexplained, canonized or not.
    #[test]
    fn no_layer_of_a_random_network_loses_relevance_unexplained(choices in network::choices()) {
        let Network { model, x } = Network::drawn(choices);
        for model in [canonize(&model).unwrap(), model] {
            for composite in BUDGETS {
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

/// Every model of the oracle.
const ALL: [&str; 10] = [
    "mlp",
    "vgg_tiny",
    "resnet_tiny",
    "inception_tiny",
    "mobile_tiny",
    "conv1d_tiny",
    "conv3d_tiny",
    "conv_zoo",
    "unet_tiny",
    "parallel_linear",
];

/// Conditions, scopes, start layers and initial relevances at random, over every model and preset.
#[test]
fn no_condition_loses_relevance_unexplained() {
    let mut failures = Vec::new();
    let (mut accounts, mut masked, mut beside) = (0, 0, 0);
    for (index, name) in ALL.into_iter().enumerate() {
        let x = inputs(name);
        for preset in Preset::ALL {
            let composite = match preset {
                Preset::EpsilonGammaBox => format!("{}:low=-3,high=3", preset.name()),
                _ => preset.name().to_owned(),
            };
            let attributor = attributor(merged(name), &composite);
            let trace = attributor.trace(&x).unwrap();
            for round in 0..20 {
                let mut random = Random::new(1_000 * index as u64 + round);
                let request = random_request(&mut random, &attributor);
                for balance in conservation::report(&trace, &request).unwrap() {
                    let what = format!("{name}, {composite}, {:?}", request.conditions[balance.condition]);
                    failures.extend(faults(&balance).iter().map(|fault| format!("{what}: {fault}")));
                    accounts += balance.accounts.len();
                    let count = |dropped: fn(&Account) -> f64| {
                        balance.accounts.iter().filter(|account| dropped(account) != 0.0).count()
                    };
                    masked += count(|account| account.masked);
                    let dropped = count(|account| account.beside);
                    assert!(request.scope == Scope::Isolated || dropped == 0, "{what}");
                    beside += dropped;
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(
        accounts > 50_000 && masked > 5_000 && beside > 400,
        "{accounts} accounts, {masked} masked, {beside} beside"
    );
}

fn random_request(random: &mut Random, attributor: &Attributor) -> Request {
    let model = attributor.model();
    let graph = model.graph();
    let reached = graph.ancestors(model.explained());
    let ids: Vec<_> = graph.nodes().map(|(id, _)| id).filter(|id| reached[id.index()]).collect();
    let start = if random.flip() { random.pick(&ids) } else { model.explained() };
    let shape = &graph.node(start).shape;
    let conditions = (0..3).map(|_| {
        let target = match random.within(0, 2) {
            0 => Target::Everything,
            _ => Target::Some(Selection::channels([random.within(0, shape[0] - 1)])),
        };
        let layers = planning::layers(random, model, start);
        let layers = layers.into_iter().map(|(id, selection)| (name_of(model, id), selection)).collect();
        Condition { target, layers }
    });
    let conditions = conditions.collect();
    Request {
        conditions,
        scope: if random.flip() { Scope::Isolated } else { Scope::Whole },
        start: Some(name_of(model, start)),
        initial: if random.flip() { Initial::Value } else { Initial::Constant(-0.5) },
        pairing: if random.flip() { Pairing::Product } else { Pairing::Zip },
        rows_at_once: random.pick(&[1, 2, 32]),
        ..Request::default()
    }
}

/// What the report says of the ends is what the attributions have there.
#[test]
fn what_starts_and_arrives_is_that_of_the_attributions() {
    for name in ["resnet_tiny", "vgg_tiny", "parallel_linear"] {
        let attributor = attributor(merged(name), "epsilon-plus");
        let trace = attributor.trace(&inputs(name)).unwrap();
        for round in 0..10 {
            let request = random_request(&mut Random::new(round), &attributor);
            let start = request.start.clone().unwrap();
            let items = trace.attribute(&Request { record: vec![start.clone()], ..request.clone() }).unwrap().items;
            for balance in conservation::report(&trace, &request).unwrap() {
                let of = || items.iter().filter(|item| item.condition == balance.condition);
                // Sums over samples are taken in another order.
                let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0), "{name}: {a}, {b}");
                close(balance.started, of().map(|item| sum(&item.layers[&start])).sum());
                close(balance.arrived, of().map(|item| sum(item.input.as_ref().unwrap())).sum());
            }
        }
    }
}

#[test]
fn a_mask_is_in_the_account_of_its_layer() {
    for scope in [Scope::Isolated, Scope::Whole] {
        let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
        let trace = attributor.trace(&inputs("resnet_tiny")).unwrap();
        let layer = "layer2.0.conv1";
        let condition = Condition::class(1).through(layer, Selection::channels([0]));
        let request =
            Request { conditions: vec![condition], scope, record: vec![layer.to_owned()], ..Request::default() };
        let items = trace.attribute(&request).unwrap().items;
        let balance = conservation::report(&trace, &request).unwrap().remove(0);
        let id = attributor.model().layer(layer).unwrap();
        let account = balance.accounts.iter().find(|account| account.node == id).unwrap();
        let plane = items[0].layers[layer].len() / items[0].layers[layer].shape()[0];
        let part = |from: usize, to: Option<usize>| -> f64 {
            let of = |item: &Attribution| {
                let data = item.layers[layer].data();
                data[from..to.unwrap_or(data.len())].iter().map(|&value| f64::from(value)).sum::<f64>()
            };
            items.iter().map(of).sum()
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * account.magnitude, "{a}, {b}");
        close(account.relevance_in, part(0, None));
        close(account.masked, part(plane, None));
        close(account.relevance_in - account.masked, part(0, Some(plane)));
        // Under isolated scope the branch beside is cut off where both meet.
        let beside: Vec<&Account> = balance.accounts.iter().filter(|account| account.beside != 0.0).collect();
        assert_eq!(beside.is_empty(), scope == Scope::Whole, "{beside:?}");
        assert!(beside.iter().all(|account| account.node > id));
    }
}

#[test]
fn pairs_have_their_own_balance() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let x = inputs("vgg_tiny");
    let conditions =
        (0..3).map(|class| Condition::class(class).through("features.4", Selection::channels([class]))).collect();
    let request = Request { conditions, pairing: Pairing::Zip, ..Request::default() };
    let together = conservation::report(&attributor.trace(&x).unwrap(), &request).unwrap();
    for (index, balance) in together.iter().enumerate() {
        let alone = attributor.trace(&support::rows(&x, &[index])).unwrap();
        let request = Request { conditions: vec![request.conditions[index].clone()], ..request.clone() };
        let expected = conservation::report(&alone, &request).unwrap().remove(0);
        assert_eq!(*balance, Balance { condition: index, ..expected });
    }
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
