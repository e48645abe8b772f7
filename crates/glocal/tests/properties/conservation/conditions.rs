//! Relevance under conditions is accounted for like any other.

use glocal::attribution::{Attribution, Attributor, Condition, Initial, Pairing, Request, Scope, Target};
use glocal::composite::Preset;
use glocal::concept::Selection;
use glocal::conservation::{self, Account, Balance};
use glocal_compute::Tensor;
use proptest::prelude::*;

use super::{faults, sum};
use crate::network::{Network, choices, describe};
use crate::random::Random;
use crate::{ALL_MODELS, attributor, config, inputs, merged, name_of, planning, support};

/// Conditions, scopes, start layers and initial relevances at random, over every model and preset.
#[test]
fn no_condition_loses_relevance_unexplained() {
    let mut failures = Vec::new();
    let (mut accounts, mut masked, mut beside) = (0, 0, 0);
    for (index, name) in ALL_MODELS.into_iter().enumerate() {
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

proptest! {
    #![proptest_config(config(64))]

    /// The same over networks that nobody would draw.
    #[test]
    fn random_networks_lose_no_relevance_unexplained(choices in choices(), seed in any::<u64>()) {
        let Network { model, x } = Network::drawn(choices);
        let text = describe(&model);
        let mut random = Random::new(seed);
        // Without the box rule, whose denominators are differences: rounded, those near zero are off by a large part.
        let composite = random.pick(&["epsilon-plus", "epsilon-plus-flat", "epsilon-alpha2-beta1"]);
        let attributor = attributor(model, composite);
        let request = random_request(&mut random, &attributor);
        for balance in conservation::report(&attributor.trace(&x).unwrap(), &request).unwrap() {
            // Denominators near zero may blow relevance up beyond what numbers can hold.
            if balance.accounts.iter().all(|account| account.magnitude.is_finite()) {
                let faults = faults(&balance);
                prop_assert!(faults.is_empty(), "{request:?}: {faults:?}\n{text}");
            }
        }
    }
}

fn random_request(random: &mut Random, attributor: &Attributor) -> Request {
    let model = attributor.model();
    let graph = model.graph();
    let reached = graph.ancestors(model.explained());
    let ids: Vec<_> = graph.nodes().map(|(id, _)| id).filter(|id| reached[id.index()]).collect();
    let start = if random.flip() { random.pick(&ids) } else { model.explained() };
    let channels = graph.site(start).channels();
    let conditions = (0..3).map(|_| {
        let target = match random.within(0, 2) {
            0 => Target::Everything,
            _ => Target::Some(Selection::channels([random.within(0, channels - 1)])),
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

/// Whether relevance `[C, ...]` has an element that is not zero at both ends of every axis of positions: no patch is less.
fn reaches_all_ends(relevance: &Tensor) -> bool {
    let shape = relevance.shape();
    (1..shape.len()).all(|axis| {
        let (size, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let has = |end: usize| {
            let mut elements = relevance.data().iter().enumerate();
            elements.any(|(index, value)| index / inner % size == end && *value != 0.0)
        };
        has(0) && has(size - 1)
    })
}

/// What the report says of the ends is what the attributions have there.
#[test]
fn what_starts_and_arrives_is_that_of_the_attributions() {
    for name in ["resnet_tiny", "vgg_tiny", "parallel_linear"] {
        let attributor = attributor(merged(name), "epsilon-plus");
        let trace = attributor.trace(&inputs(name)).unwrap();
        let nodes = attributor.model().graph().nodes().count() as f64;
        for round in 0..10 {
            let request = random_request(&mut Random::new(round), &attributor);
            let start = request.start.clone().unwrap();
            let masked = request.conditions.iter().flat_map(|condition| condition.layers.iter().map(|(name, _)| name));
            let record = masked.chain([&start]).cloned().collect();
            let items = trace.attribute(&Request { record, ..request.clone() }).unwrap().items;
            for balance in conservation::report(&trace, &request).unwrap() {
                let of = || items.iter().filter(|item| item.condition == balance.condition);
                let close = |a: f64, b: f64, tolerance: f64| assert!((a - b).abs() <= tolerance, "{name}: {a}, {b}");
                // Sums over samples are taken in another order.
                let order = 1e-12 * balance.started.abs().max(1.0);
                close(balance.started, of().map(|item| sum(&item.layers[&start])).sum(), order);
                // The attributions' relevance goes down in patches where it is zero outside of them, by kernels that suit
                // their size: every element is rounded otherwise, once a node.
                let inputs = || of().map(|item| item.input.as_ref().unwrap());
                let size: f64 = inputs().flat_map(|input| input.data()).map(|value| f64::from(value.abs())).sum();
                let is_whole =
                    of().all(|item| item.masked.values().chain(item.layers.get(&start)).all(reaches_all_ends));
                let patches = if is_whole { 0.0 } else { f64::from(f32::EPSILON) * nodes * size };
                close(balance.arrived, inputs().map(sum).sum(), order + patches);
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
