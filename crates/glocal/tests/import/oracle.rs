//! The reference models as PyTorch's older exporter writes them, with batch normalisations kept and folded.

use glocal::model::Model;
use serde_json::Value;

use crate::{output, support, tensor};

/// The models whose ops are read. The others of the oracle need more.
const MODELS: [&str; 7] =
    ["mlp", "vgg_tiny", "resnet_tiny", "inception_tiny", "mobile_tiny", "conv1d_tiny", "parallel_linear"];

/// How far logits may be from the reference, relative to the largest: sums of some hundred products in another order,
/// over up to twenty layers.
const LOGIT_TOLERANCE: f32 = 1e-4;

/// A model file of the oracle with what is known of it.
struct File {
    name: String,
    model: Model,
    /// What `layers.json` says of the layers in this file.
    layers: Value,
}

/// `model.onnx` of every model, and `model_fused.onnx` of those that have one.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    for name in MODELS {
        let folder = support::folder(name);
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join("layers.json")).unwrap()).unwrap();
        for (file, layers) in [("model.onnx", &json["layers"]), ("model_fused.onnx", &json["fused"]["layers"])] {
            if layers.is_object() {
                let model = support::load_model(&folder.join(file));
                files.push(File { name: format!("{name}/{file}"), model, layers: layers.clone() });
            }
        }
    }
    assert_eq!(files.len(), MODELS.len() + 5, "a file is missing");
    files
}

#[test]
fn logits_equal_the_reference() {
    for File { name, model, .. } in files() {
        let folder = support::folder(name.split('/').next().unwrap());
        let bytes = std::fs::read(folder.join("inputs.safetensors")).unwrap();
        let inputs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (x, expected) = (tensor(&inputs, "x"), tensor(&inputs, "logits"));
        let ours = output(&model, &x);
        assert_eq!(ours.shape(), expected.shape(), "{name}");
        let difference = support::differ(ours.data(), expected.data(), LOGIT_TOLERANCE);
        assert_eq!(difference, None, "{name}");
    }
}

#[test]
fn every_layer_is_found_by_its_name() {
    let mut failures = Vec::new();
    let mut found = 0;
    for File { name, model, layers } in files() {
        for (layer, known) in layers.as_object().unwrap() {
            let computed_as = known["onnx_output"].as_str().unwrap();
            // A dropout leaves no node behind: its value is that of the layer below it.
            let has_node = known["onnx_node"].is_string();
            let node = match model.layer(if has_node { layer } else { computed_as }) {
                Ok(id) => model.graph().node(id),
                Err(error) => {
                    failures.push(format!("{name}: {error}"));
                    continue;
                }
            };
            found += 1;
            if !node.values.iter().any(|value| value == computed_as) {
                failures.push(format!("{name}: {layer} is {:?} instead of {computed_as}", node.values));
            }
            if has_node && node.display_name() != layer {
                failures.push(format!("{name}: {layer} is shown as {}", node.display_name()));
            }
            let shape: Vec<usize> =
                known["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
            if node.shape != shape {
                failures.push(format!("{name}: {layer} has shape {:?} instead of {shape:?}", node.shape));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(found > 200, "only {found} layers");
}

#[test]
fn layers_are_found_by_the_names_of_onnx_too() {
    for File { name, model, layers } in files() {
        for known in layers.as_object().unwrap().values().filter(|known| known["onnx_node"].is_string()) {
            let by_value = model.layer(known["onnx_output"].as_str().unwrap()).unwrap();
            let by_node = model.layer(known["onnx_node"].as_str().unwrap()).unwrap();
            assert_eq!(by_node, by_value, "{name}: {known}");
        }
    }
}

#[test]
fn an_unknown_layer_is_answered_with_the_nearest() {
    let model = support::load_model(&support::folder("resnet_tiny").join("model.onnx"));
    let error = model.layer("layer1.0.conv9").unwrap_err();
    assert_eq!(error.name(), "layer1.0.conv9");
    assert!(error.nearest().iter().any(|name| name == "layer1.0.conv1"), "{error}");
    assert!(error.to_string().contains("layer1.0.conv1"), "{error}");
}
