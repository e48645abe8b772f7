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
            "Flat(epsilon=1e-6)",
            "first",
            "(class",
            "linear)"
        ]
    );
    assert_eq!(line("classifier.0")[5..], ["Epsilon(epsilon=1e-6)", "kind", "dense"]);
    assert_eq!(line("features.3")[4..], ["Gradient", "default"]);
    assert!(!text.contains("unused"), "{text}");
}

/// A composite of the user's own shows which entry won, and which never does.
#[test]
fn entries_that_win_and_entries_that_never_do_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let composite = folder.path().join("mine.toml");
    let text = r#"
        name = "mine"
        extends = { preset = "epsilon-gamma-box", low = -3, high = 3 }
        rules = [
            { layer = "featurs.*", kind = "convolution", rule = "flat" },
            { class = "any-convolution", except = { layer = "features.0" }, last = true, rule = "w-square" },
            { layer = ["features.0", "classifier.*"], class = "linear", rule = "z-plus" },
            { kind = "dense", nth = 1, rule = "flat" },
            { kind = "tanh", rule = "pass" },
        ]
    "#;
    std::fs::write(&composite, text).unwrap();
    let arguments = ["inspect", &model(), "--composite", composite.to_str().unwrap()];
    let text = glocal(&arguments).succeeded();
    let lines = |start: &str| {
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(lines("composite"), ["composite mine"]);
    let unused = lines("unused");
    assert_eq!(unused.len(), 3, "{unused:?}");
    let first = "unused (layer featurs.*) and (kind convolution) -> Flat(epsilon=1e-6): matches no node; the nearest names are ";
    assert!(unused[0].starts_with(first) && unused[0].contains("features."), "{unused:?}");
    let second = "unused number 1 of (kind dense) -> Flat(epsilon=1e-6): earlier entries match all that it does";
    assert_eq!(unused[1..], [second, "unused kind tanh -> Pass: matches no node"]);
    assert!(
        lines("features.0,")[0]
            .ends_with("ZPlus(epsilon=1e-6) ((layer features.0) or (layer classifier.*)) and (class linear)")
    );
    let last = "WSquare(epsilon=1e-6) last ((class any-convolution) and (not (layer features.0)))";
    assert!(lines("features.8,")[0].ends_with(last), "{text}");
    assert!(lines("features.2 ")[0].ends_with("Pass class activation"), "{text}");

    let document = glocal(&[arguments.as_slice(), &["--json"]].concat()).document();
    let of = |layer: &str| {
        let nodes = document["layers"].as_array().unwrap().iter();
        nodes.clone().find(|node| node["layers"].as_array().unwrap().contains(&json!(layer))).unwrap().clone()
    };
    let dense = of("classifier.0");
    assert_eq!((&dense["rule"], &dense["rule_entry"]), (&json!("ZPlus(epsilon=1e-6)"), &json!(2)));
    assert_eq!(dense["rule_selector"], "((layer features.0) or (layer classifier.*)) and (class linear)");
    assert_eq!((&dense["rule_is_default"], &of("features.3")["rule_is_default"]), (&json!(false), &json!(true)));
    let unused = document["unused_entries"].as_array().unwrap();
    assert_eq!(unused.iter().map(|entry| &entry["entry"]).collect::<Vec<_>>(), [0, 3, 4]);
    assert_eq!((&unused[1]["matches_nothing"], &unused[2]["matches_nothing"]), (&json!(false), &json!(true)));
}

#[test]
fn rules_of_the_command_line_come_before_the_composite() {
    let rules = ["--rule", "layer = \"features.0\", rule = \"w-square\"", "--rule", "kind = 'dense', rule = 'gamma'"];
    let call = [&["inspect", &model(), "--composite", "epsilon-plus-flat:epsilon=0.1", "--json"], rules.as_slice()];
    let document = glocal(&call.concat()).document();
    assert_eq!(document["composite"], "epsilon-plus-flat, extended");
    let rule = |layer: &str| {
        let nodes = document["layers"].as_array().unwrap();
        nodes.iter().find(|node| node["layers"].as_array().unwrap().contains(&json!(layer))).unwrap()["rule"].clone()
    };
    assert_eq!(rule("features.0"), "WSquare(epsilon=1e-6)");
    assert_eq!(rule("classifier.0"), "Gamma(gamma=0.25,epsilon=1e-6)");
    assert_eq!(rule("features.4"), "ZPlus(epsilon=1e-6)");

    let wrong = |rule: &str, words: &[&str]| {
        glocal(&["inspect", &model(), "--composite", "epsilon-plus", "--rule", rule]).was_wrong(words);
    };
    wrong("layer = 'features.0', rule = 'flatt'", &["no rule is called \"flatt\"", "flat"]);
    wrong("layr = 'features.0', rule = 'flat'", &["called \"layr\"", "layer"]);
    wrong("layer = features.0, rule = 'flat'", &["TOML"]);
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
