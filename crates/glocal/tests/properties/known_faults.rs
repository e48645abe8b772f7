//! What the reference library zennit-crp 0.6.0 gets wrong, held right here; where it has a test of its own, that is named.
//!
//! Masks that reach parallel branches: `scope`. Graphs of 2,000 layers and layers repeated in residual graphs: `layers`,
//! `flow`.

use glocal::attribution::{Condition, Initial, Request};
use glocal::concept::Selection;

use crate::{attributor, difference, inputs, merged, support};

/// Conditions of different layer sets come back in the order in which they were asked for, whatever work they share, in
/// runs of any size (the last one is smaller), for several samples; some have a target and some have none.
#[test]
fn results_keep_the_order_of_conditions_of_any_kind() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let channel = |id| Selection::channels([id]);
    let conditions = vec![
        Condition::class(1).through("layer1.0.conv1", channel(2)),
        Condition::everything(),
        Condition::class(1).through("layer2.0.conv1", channel(0)).through("layer1.0.conv1", channel(2)),
        Condition::everything().through("layer2.0.conv1", channel(1)),
        Condition::class(0),
        Condition::class(1).through("layer1.0.conv1", channel(1)),
        Condition::predicted().through("conv1", channel(3)),
    ];
    let x = inputs("resnet_tiny");
    let trace = attributor.trace(&x).unwrap();
    let alone = |condition: &Condition| {
        let request = Request { conditions: vec![condition.clone()], ..Request::default() };
        trace.attribute(&request).unwrap().items
    };
    let alone: Vec<_> = conditions.iter().map(alone).collect();
    for rows_at_once in [1, 2, 4, 5, 20, 21, 100] {
        let request = Request { conditions: conditions.clone(), rows_at_once, ..Request::default() };
        let mut stream = trace.stream(&request).unwrap();
        for sample in 0..x.batch() {
            for (condition, alone) in alone.iter().enumerate() {
                let item = stream.next().unwrap().unwrap();
                assert_eq!((item.sample, item.condition), (sample, condition));
                assert_eq!(difference(&item, &alone[sample]), None, "{rows_at_once}, {condition}");
            }
        }
        assert!(stream.next().is_none());
    }
    // They differ, so that a mistaken order would show.
    for (index, one) in alone.iter().enumerate() {
        for other in &alone[..index] {
            let differ = one.iter().zip(other).any(|(a, b)| difference(a, b).is_some());
            assert!(differ, "conditions {index} and one before are the same");
        }
    }
}

/// An initial relevance of 0.5 is a half, not zero or one.
#[test]
fn fractions_of_initial_relevance_count() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let trace = attributor.trace(&inputs("vgg_tiny")).unwrap();
    let of = |initial| {
        let request = Request { conditions: vec![Condition::class(2)], initial, ..Request::default() };
        trace.attribute(&request).unwrap().items
    };
    for (whole, half) in of(Initial::Constant(1.0)).iter().zip(of(Initial::Constant(0.5))) {
        // Halving is exact in floating point, and every step is linear.
        let doubled: Vec<f32> = half.input.unwrap().data().iter().map(|value| 2.0 * value).collect();
        assert_eq!(whole.input.as_ref().unwrap().data(), doubled);
        assert!(doubled.iter().any(|value| *value != 0.0));
    }
}

/// A sample that is a vector of features has a heatmap of as many numbers.
#[test]
fn heatmaps_of_feature_vectors_keep_the_features() {
    let attributor = attributor(merged("mlp"), "epsilon-plus");
    let trace = attributor.trace(&inputs("mlp")).unwrap();
    let found = trace.attribute(&Request::default()).unwrap();
    for item in &found.items {
        let heatmap = item.heatmap().unwrap();
        assert_eq!(heatmap.shape(), attributor.model().input_shape());
        assert_eq!(heatmap.data(), item.input.as_ref().unwrap().data());
    }
}

/// A sum that takes a layer by two ways, a shortcut and a branch, has it once among those below it.
#[test]
fn layers_below_a_residual_sum_are_unique() {
    let model = support::load_model(&support::folder("resnet_tiny").join("model.onnx"));
    let graph = model.graph();
    let convolutions: Vec<_> = graph.nodes().filter(|(_, node)| node.op.affine().is_some()).map(|(id, _)| id).collect();
    let mut joined = 0;
    for &layer in &convolutions {
        let below = graph.layers_below(layer, &convolutions);
        let mut unique = below.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), below.len());
        joined += usize::from(below.len() > 1);
    }
    assert!(joined > 0, "no layer has several below it");
}
