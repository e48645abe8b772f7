//! What a mask does to what lies beside it: nothing under whole scope, silence under isolated scope.

use glocal::attribution::{Attribution, Attributor, Condition, Request, Scope};
use glocal::concept::Selection;
use glocal::model::NodeId;

use crate::{attributor, inputs, merged, name_of, names};

/// Models with parallel branches, and for each some layers inside of them.
const BRANCHES: [(&str, &[&str]); 3] = [
    ("resnet_tiny", &["layer1.0.conv1", "layer2.0.conv2", "layer2.0.downsample.0", "layer3.0.relu2"]),
    ("inception_tiny", &["mixed.branch1.conv", "mixed.branch3.1.conv", "mixed.branch5.0.relu", "mixed.branch_pool.0"]),
    ("parallel_linear", &["a", "b"]),
];

fn run(attributor: &Attributor, name: &str, condition: Condition, scope: Scope) -> Vec<Attribution> {
    let record = names(attributor.model());
    let request = Request { conditions: vec![condition], scope, record, ..Request::default() };
    attributor.attribute(&inputs(name), &request).unwrap().items
}

/// Nodes that relevance masked at `layer` never gets to, though it gets to what the output depends on.
fn untouched(attributor: &Attributor, layer: NodeId) -> Vec<String> {
    let graph = attributor.model().graph();
    let below = graph.ancestors(layer);
    let reached = graph.ancestors(attributor.model().explained());
    let ids = graph.nodes().map(|(id, _)| id).filter(|id| reached[id.index()] && (!below[id.index()] || *id == layer));
    ids.map(|id| name_of(attributor.model(), id)).collect()
}

#[test]
fn masks_do_not_leak_to_parallel_branches() {
    for composite in ["epsilon-plus-flat", "gradient"] {
        for (name, layers) in BRANCHES {
            let attributor = attributor(merged(name), composite);
            let unmasked = run(&attributor, name, Condition::class(1), Scope::Whole);
            for layer in layers {
                let id = attributor.model().layer(layer).unwrap();
                let condition = Condition::class(1).through(*layer, Selection::channels([0]));
                let masked = run(&attributor, name, condition, Scope::Whole);
                let untouched = untouched(&attributor, id);
                assert!(untouched.len() > 2);
                for (masked, unmasked) in masked.iter().zip(&unmasked) {
                    for other in &untouched {
                        let (masked, unmasked) = (&masked.layers[other], &unmasked.layers[other]);
                        assert_eq!(masked.data(), unmasked.data(), "{name}, {composite}: {layer} changes {other}");
                    }
                    assert_ne!(masked.input, unmasked.input, "{name}, {composite}: {layer} has no mask");
                }
            }
        }
    }
}

/// Where all relevance goes through one layer, both scopes mean the same.
#[test]
fn both_scopes_agree_on_a_single_path() {
    /// Under isolated scope relevance may go down in patches, whose sums run in another order.
    const TOLERANCE: f32 = 1e-5;
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let condition = || {
        let upper = Condition::class(2).through("features.8", Selection::channels([1, 4]));
        upper.through("features.0", Selection::channels([0, 2, 5]))
    };
    let isolated = run(&attributor, "vgg_tiny", condition(), Scope::Isolated);
    let whole = run(&attributor, "vgg_tiny", condition(), Scope::Whole);
    for (isolated, whole) in isolated.iter().zip(&whole) {
        assert!(isolated.layers.keys().eq(whole.layers.keys()));
        for (layer, relevance) in &isolated.layers {
            let whole = &whole.layers[layer];
            let largest = whole.data().iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            for (a, b) in relevance.data().iter().zip(whole.data()) {
                assert!((a - b).abs() <= TOLERANCE * largest, "{layer}: {a} and {b}");
            }
        }
    }
}

#[test]
fn layers_beside_the_condition_are_absent_under_isolated_scope() {
    for (name, layers) in BRANCHES {
        let attributor = attributor(merged(name), "epsilon-plus");
        let graph = attributor.model().graph();
        for layer in layers {
            let id = attributor.model().layer(layer).unwrap();
            let condition = Condition::class(1).through(*layer, Selection::channels([1]));
            // A layer is reached on the way down to the condition's, or below it.
            let (above, below) = (graph.descendants(id), graph.ancestors(id));
            for item in run(&attributor, name, condition, Scope::Isolated) {
                for recorded in names(attributor.model()) {
                    let index = attributor.model().layer(&recorded).unwrap().index();
                    let expected = above[index] || below[index];
                    assert_eq!(item.layers.contains_key(&recorded), expected, "{name}, {layer}: {recorded}");
                }
            }
        }
    }
}

/// The relevance of a layer's channels, one by one, adds up to that of the whole layer.
#[test]
fn conditions_on_all_channels_add_up() {
    /// Eight channels' relevances, each a chain of single-precision sums, relative to the largest element.
    const TOLERANCE: f32 = 1e-4;
    for (name, layer) in
        [("resnet_tiny", "layer2.0.relu2"), ("vgg_tiny", "features.8"), ("mobile_tiny", "features.3.0")]
    {
        let attributor = attributor(merged(name), "epsilon-plus-flat");
        let channels = attributor.model().graph().node(attributor.model().layer(layer).unwrap()).shape[0];
        let whole = Condition::predicted().through(layer, Selection::channels(0..channels));
        let whole = run(&attributor, name, whole, Scope::Isolated);
        let mut sums = vec![vec![0.0f32; whole[0].input.as_ref().unwrap().len()]; whole.len()];
        for channel in 0..channels {
            let condition = Condition::predicted().through(layer, Selection::channels([channel]));
            for item in run(&attributor, name, condition, Scope::Isolated) {
                let input = item.input.unwrap();
                sums[item.sample].iter_mut().zip(input.data()).for_each(|(sum, value)| *sum += value);
            }
        }
        for (item, sum) in whole.iter().zip(&sums) {
            let difference = crate::support::differ(sum, item.input.as_ref().unwrap().data(), TOLERANCE);
            assert_eq!(difference, None, "{name}, sample {}", item.sample);
        }
    }
}

#[test]
fn relevance_that_starts_at_a_layer_never_reaches_the_layers_above_it() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let request = Request {
        conditions: vec![Condition::class(3)],
        start: Some("layer2.0.relu1".to_owned()),
        record: names(attributor.model()),
        ..Request::default()
    };
    let graph = attributor.model().graph();
    let below = graph.ancestors(attributor.model().layer("layer2.0.relu1").unwrap());
    for item in attributor.attribute(&inputs("resnet_tiny"), &request).unwrap().items {
        for recorded in names(attributor.model()) {
            let index = attributor.model().layer(&recorded).unwrap().index();
            assert_eq!(item.layers.contains_key(&recorded), below[index], "{recorded}");
        }
    }
}

/// What a mask lets through is there beside what arrives, under both scopes and for methods of several passes.
#[test]
fn what_masks_let_through_is_recorded_beside_what_arrives() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let x = inputs("resnet_tiny");
    let layer = "layer1.0.conv2";
    for (scope, method) in [(Scope::Isolated, "plain"), (Scope::Whole, "plain"), (Scope::Isolated, "smooth-grad")] {
        let request = Request {
            conditions: vec![
                Condition::class(1).through(layer, Selection::channels([1, 3])),
                Condition::class(1).through("layer2.0.conv1", Selection::channels([0])),
            ],
            scope,
            method: method.parse().unwrap(),
            record: vec![layer.to_owned(), "layer2.0.conv1".to_owned()],
            ..Request::default()
        };
        let found = attributor.attribute(&x, &request).unwrap();
        let mut kept_any = false;
        for item in &found.items {
            let named = [layer, "layer2.0.conv1"][item.condition];
            assert_eq!(item.masked.keys().collect::<Vec<_>>(), [named]);
            let (arrived, masked) = (&item.layers[named], &item.masked[named]);
            let plane: usize = arrived.shape()[1..].iter().product();
            let kept: &[usize] = if item.condition == 0 { &[1, 3] } else { &[0] };
            for (index, (&arrived, &masked)) in arrived.data().iter().zip(masked.data()).enumerate() {
                let expected = if kept.contains(&(index / plane)) { arrived } else { 0.0 };
                assert_eq!(masked, expected, "{scope:?}, {method}, element {index}");
            }
            kept_any |= masked.data().iter().any(|value| *value != 0.0) && masked != arrived;
        }
        assert!(kept_any);
    }
}
