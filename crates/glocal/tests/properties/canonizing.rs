//! Canonizers leave the function unchanged, and names the values that they mean.

mod merging;
mod recognizing;

use std::collections::BTreeSet;

use glocal::canonizer::{canonize, unmerged_batch_normalizations};
use glocal::model::{LayerName, Model};
use glocal::op::OpKind;
use glocal_compute::Tensor;
use proptest::prelude::*;
use serde_json::Value;

use crate::network::rounding;
use crate::network::{self, Network};
use crate::{ALL_MODELS, inputs, support};

/// Merged weights are rounded once more, and products are added up in another order: some hundred roundings over a dozen
/// layers, relative to the largest logit.
const TOLERANCE: f32 = 2e-5;

fn logits(model: &Model, name: &str) -> Vec<f32> {
    model.run(&inputs(name)).unwrap()[model.output().index()].data().to_vec()
}

#[test]
fn canonizing_keeps_the_logits() {
    for name in ALL_MODELS {
        for file in ["model.onnx", "model_fused.onnx"] {
            let path = support::folder(name).join(file);
            if !path.exists() {
                continue;
            }
            let model = support::load_model(&path);
            let canonized = canonize(&model).unwrap();
            let difference = support::differ(&logits(&canonized, name), &logits(&model, name), TOLERANCE);
            assert_eq!(difference, None, "{name}/{file}");
            let identities = canonized.graph().nodes().filter(|(_, node)| node.op.kind() == OpKind::Identity);
            assert_eq!(identities.count(), 0, "{name}/{file}");
            let again = canonize(&canonized).unwrap();
            assert_eq!(again.graph().len(), canonized.graph().len(), "{name}/{file}: a second time changes more");
            assert_eq!(logits(&again, name), logits(&canonized, name), "{name}/{file}");
        }
    }
}

#[test]
fn batch_normalisations_are_merged_where_they_can_be() {
    let mut merged = 0;
    for name in ALL_MODELS {
        let folder = support::folder(name);
        let layers: Value = serde_json::from_slice(&std::fs::read(folder.join("layers.json")).unwrap()).unwrap();
        let model = support::load_model(&folder.join("model.onnx"));
        let canonized = canonize(&model).unwrap();
        let left = layers["batch_norm"]["not_merged"].as_array().map_or(0, Vec::len);
        assert_eq!(unmerged_batch_normalizations(&canonized), left, "{name}");
        for pair in layers["batch_norm"]["merged"].as_array().into_iter().flatten() {
            let [affine, normalization] = [&pair[0], &pair[1]].map(|name| name.as_str().unwrap());
            let id = canonized.layer(affine).unwrap();
            assert_eq!(canonized.layer(normalization).unwrap(), id, "{name}: {normalization}");
            assert_eq!(canonized.graph().node(id).display_name(), affine, "{name}");
            merged += 1;
        }
    }
    assert!(merged >= 30, "only {merged} pairs");
}

/// The largest share of a bound that two values are apart; more than 1 is more than rounding explains. Where roundings are
/// without bound, as in what a normalisation makes of equal values, nothing can be said.
fn apart(a: &Tensor, b: &Tensor, bound: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let shares = a.data().iter().zip(b.data()).zip(bound.data()).map(|((a, b), bound)| {
        let off = (a - b).abs();
        if off == 0.0 || !bound.is_finite() { 0.0 } else { off / bound }
    });
    shares.fold(0.0, |worst, share| if share.is_nan() { f32::INFINITY } else { worst.max(share) })
}

proptest! {
    #![proptest_config(crate::config(400))]

    /// The model's output is the same but for rounding, and so is every value by every name that still has one: a name
    /// means the last value of those that a node stands for, as the original model computes it, or nothing.
    #[test]
    fn canonizing_keeps_the_values_of_random_networks(choices in network::choices()) {
        let network = Network::drawn(choices);
        let (model, canonized) = (&network.model, canonize(&network.model).unwrap());
        let (before, after) = (model.run(&network.x).unwrap(), canonized.run(&network.x).unwrap());
        let bounds = rounding::bounds(model, &before);
        let what = || format!("{}became\n{}", network.describe(), network::describe(&canonized));

        let (old, new) = (model.output().index(), canonized.output().index());
        let off = apart(&after[new], &before[old], &bounds[old]);
        prop_assert!(off <= 1.0, "the output is {off} bounds off\n{}", what());

        let mut named = BTreeSet::new();
        for (id, node) in canonized.graph().nodes() {
            let names: Vec<&str> = node.layers.iter().map(LayerName::as_str).collect();
            let meant = names.iter().map(|name| model.layer(name).unwrap()).max();
            if let Some(meant) = meant {
                let off = apart(&after[id.index()], &before[meant.index()], &bounds[meant.index()]);
                prop_assert!(off <= 1.0, "{names:?} is {off} bounds off\n{}", what());
            }
            for name in names {
                prop_assert_eq!(canonized.layer(name).unwrap(), id);
                prop_assert!(named.insert(name.to_owned()), "{} twice\n{}", name, what());
            }
        }
        // ONNX names go where layer names go. The name of an ONNX value means that value, or nothing.
        for (id, node) in model.graph().nodes().skip(1) {
            let [layer, value] = [node.layers[0].as_str(), node.values[0].as_str()];
            let found = canonized.layer(layer).ok();
            if let Ok(valued) = canonized.layer(value) {
                prop_assert_eq!(found, Some(valued), "{}", value);
                let off = apart(&after[valued.index()], &before[id.index()], &bounds[id.index()]);
                prop_assert!(off <= 1.0, "{value} is {off} bounds off\n{}", what());
            } else if let Some(found) = found {
                let last = canonized.graph().node(found).layers.iter().map(|name| model.layer(name.as_str()).unwrap()).max();
                prop_assert!(last > Some(id), "{} is lost though it is the last value\n{}", value, what());
            }
            prop_assert_eq!(found, canonized.layer(&node.name).ok(), "{}", node.name);
            prop_assert_eq!(found.is_some(), named.contains(layer), "{} of node {}", layer, id);
        }

        let again = canonize(&canonized).unwrap();
        prop_assert_eq!(again.graph().len(), canonized.graph().len(), "a second time changes more\n{}", what());
    }
}

/// That random networks have what the canonizers look for, and that the bounds are worth something.
#[test]
fn random_networks_are_worth_canonizing() {
    let (mut merged, mut kept, mut nameless, mut recognized, mut tight) = (0, 0, 0, 0, 0);
    for seed in 0..200 {
        let network = Network::drawn(crate::numbers(seed, 100));
        let count = |model: &Model, what: &[OpKind]| {
            model.graph().nodes().filter(|(_, node)| what.contains(&node.op.kind())).count()
        };
        let canonized = canonize(&network.model).unwrap();
        let left = count(&canonized, &[OpKind::BatchNormalization]);
        merged += count(&network.model, &[OpKind::BatchNormalization]) - left;
        kept += left;
        nameless += canonized.graph().nodes().skip(1).filter(|(_, node)| node.layers.is_empty()).count();
        recognized += count(&canonized, &[OpKind::LayerNormalization, OpKind::RmsNormalization]);
        let values = network.model.run(&network.x).unwrap();
        let [value, bound] = [&values, &rounding::bounds(&network.model, &values)]
            .map(|all| all.last().unwrap().data().iter().fold(0.0f32, |largest, value| largest.max(value.abs())));
        tight += usize::from(bound < 1e-2 * value);
    }
    let counts = format!("{merged} merged, {kept} kept, {nameless} between, {recognized} recognized, {tight} tight");
    println!("{counts}");
    assert!(merged > 100 && kept > 40 && nameless > 20 && recognized > 20 && tight > 150, "{counts}");
}
