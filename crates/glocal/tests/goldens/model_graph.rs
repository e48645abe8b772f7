//! Which layers feed which.

use glocal::model::NodeId;
use serde_json::Value;

use crate::MODELS;
use crate::support::Oracle;

#[test]
fn layers_below_equal_the_reference() {
    let mut cases = 0;
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("model_graph") {
            cases += 1;
            let id = |layer: &Value| oracle.merged.layer(&oracle.node_of(layer.as_str().unwrap())).unwrap();
            let among: Vec<NodeId> = case["layer_names"].as_array().unwrap().iter().map(id).collect();
            for layer in case["layer_names"].as_array().unwrap() {
                let below = &case["input_layers"][layer.as_str().unwrap()];
                let expected: Vec<NodeId> = below.as_array().unwrap().iter().map(id).collect();
                let found = oracle.merged.graph().layers_below(id(layer), &among);
                assert_eq!(found, expected, "{name}: {layer}");
            }
        }
    }
    assert_eq!(cases, 5, "the oracle has 5 cases");
}
