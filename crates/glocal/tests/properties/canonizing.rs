//! Canonizers leave the function unchanged.

use glocal::canonizer::{canonize, unmerged_batch_normalizations};
use glocal::model::Model;
use glocal::op::OpKind;
use serde_json::Value;

use crate::{MODELS, inputs, support};

/// Merged weights are rounded once more, and products are added up in another order: some hundred roundings over a dozen
/// layers, relative to the largest logit.
const TOLERANCE: f32 = 2e-5;

fn logits(model: &Model, name: &str) -> Vec<f32> {
    model.run(&inputs(name)).unwrap()[model.output().index()].data().to_vec()
}

#[test]
fn canonizing_keeps_the_logits() {
    for name in MODELS {
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
    for name in MODELS {
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
