//! `glocal inspect`: both names of each layer, shapes and rules.

use serde_json::json;

use crate::support::{glocal, model, oracle};

#[test]
fn layers_are_listed_with_both_names_shapes_and_rules() {
    let text = glocal(&["inspect", &model(), "--composite", "epsilon-plus-flat"]).succeeded();
    let line = |start: &str| {
        let found = text.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no line starts with {start}: {text}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("opset")[1], "17,");
    assert_eq!(
        line("features.0,"),
        [
            "features.0,",
            "features.1",
            "/features/features.0/Conv",
            "convolution",
            "6×16×16",
            "168",
            "Flat(epsilon=1e-6)"
        ]
    );
    assert_eq!(line("classifier.0")[5], "Epsilon(epsilon=1e-6)");
}

#[test]
fn the_document_has_every_layer_of_the_oracle() {
    let layers: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(oracle("layers.json")).unwrap()).unwrap();
    let document = glocal(&["inspect", &model(), "--canonize", "none", "--json"]).document();
    let nodes = document["layers"].as_array().unwrap();
    for (name, expected) in layers["layers"].as_object().unwrap() {
        let Some(onnx_node) = expected["onnx_node"].as_str() else { continue };
        let node = nodes.iter().find(|node| node["layers"].as_array().unwrap().contains(&json!(name)));
        let node = node.unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(node["node"], onnx_node);
    }
    assert_eq!(document["input"]["shape"], json!([3, 16, 16]));
    assert_eq!(document["output"]["shape"], json!([5]));
}
