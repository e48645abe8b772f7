//! `glocal graph`: numbers, forms of output, wrong calls.

use serde_json::Value;

use crate::support::{glocal, model, names, picture, preprocess, rows};

/// Relevance that starts again at a layer rounds differently.
const TOLERANCE: f64 = 1e-4;

#[test]
fn a_graph_agrees_with_the_concepts_of_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[1]);
    let inputs = inputs.to_str().unwrap();
    let call = ["graph", &model(), inputs, "--target", "2", "--width", "3,2", "--json"];
    let document = glocal(&call).document();
    let nodes = document["nodes"].as_array().unwrap();
    assert_eq!(
        (&nodes[0]["layer"], nodes[0]["channel"].as_u64(), document["target"].as_u64()),
        (&"classifier.2".into(), Some(2), Some(2))
    );
    let layers: Vec<&str> =
        document["layers"].as_array().unwrap().iter().map(|layer| layer["layer"].as_str().unwrap()).collect();
    assert_eq!(layers, ["classifier.2", "classifier.0", "features.8"]);
    // The best concepts of the first layer below are the best for the target.
    let call = ["concepts", &model(), inputs, "--layer", "classifier.0", "--target", "2", "--top", "3", "--json"];
    let concepts = glocal(&call).document();
    let concepts = concepts["samples"][0]["layers"][0]["concepts"].as_array().unwrap();
    let edges = document["edges"].as_array().unwrap();
    let first: Vec<&Value> = edges.iter().filter(|edge| edge["from"] == 0).collect();
    assert_eq!(first.len(), 3);
    for (edge, concept) in first.into_iter().zip(concepts) {
        let node = &nodes[edge["to"].as_u64().unwrap() as usize];
        assert_eq!(node["channel"], concept["id"]);
        for share in [&edge["share"], &node["share"]] {
            assert!((share.as_f64().unwrap() - concept["share"].as_f64().unwrap()).abs() < TOLERANCE);
        }
    }
    let again = glocal(&["graph", &model(), inputs, "--target", "2", "--width", "3,2", "--json", "--threads", "1"]);
    assert_eq!(again.document(), document);
}

#[test]
fn every_form_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (image, preprocess) = (picture(folder.path(), "cat.png", 40, 30), preprocess(folder.path()));
    let out = folder.path().join("out");
    let file = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let call = ["graph", &model(), &image, "--preprocess", &preprocess, "--concept", "features.8:1", "--layers"];
    let call = [&call[..], &["features.4,features.0", "--width", "2", "--depth", "2"]].concat();
    let text = glocal(&call).succeeded();
    assert!(text.contains("features.8 channel 1") && text.contains("features.0 channel"), "{text}");
    let (json, svg) = (file("graph.json"), file("graph.svg"));
    let document = glocal(&[&call[..], &["--json", "-o", &json]].concat()).document();
    let written: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(written, document);
    assert_eq!(document["layers"].as_array().unwrap().len(), 3);
    let text = glocal(&[&call[..], &["-o", &svg]].concat()).succeeded();
    assert!(text.contains("wrote"), "{text}");
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.contains(">channel 1<") && drawn.ends_with("</svg>\n"));
    assert_eq!(names(&out), ["graph.json", "graph.svg"]);
}

#[test]
fn a_concept_may_be_followed_by_its_own_activation_and_by_every_path() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[1]);
    let call = ["graph", &model(), inputs.to_str().unwrap(), "--concept", "features.8:2", "--json"];
    let of = |more: &[&str]| glocal(&[&call[..], more].concat()).document();
    let own = of(&["--activation", "--order", "size"]);
    // All of the layer's relevance is the concept's, whatever its sign.
    assert_eq!(own["nodes"][0]["share"].as_f64().unwrap().abs(), 1.0);
    assert_eq!((&own["target"], &own["order"]), (&Value::Null, &"size".into()));
    for path in ["whole", "root", "masked"] {
        let document = of(&["--path", path]);
        assert_eq!(document["path"], path);
        assert!(document["edges"].as_array().unwrap().len() > 4);
    }
}

#[test]
fn wrong_calls_are_told_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0, 1]);
    let inputs = inputs.to_str().unwrap();
    let out = folder.path().join("new").join("graph.svg");
    let call = ["graph", &model(), inputs, "-o", out.to_str().unwrap()];
    let wrong = |more: &[&str], words: &[&str]| glocal(&[&call[..], more].concat()).was_wrong(words);
    wrong(&[], &["2 samples"]);
    wrong(&["--row", "2"], &["2 samples", "2 was given"]);
    wrong(&["--row", "0", "--concept", "features.99:1"], &["features.99"]);
    wrong(&["--row", "0", "--concept", "features.8:999"], &["features.8", "999"]);
    wrong(&["--row", "0", "--target", "5"], &["5 was given"]);
    wrong(&["--row", "0", "--layers", "features.99"], &["features.99"]);
    wrong(&["--row", "0", "--concept", "features.4:0", "--layers", "features.8"], &["features.8", "features.4"]);
    wrong(&["--row", "0", "--store", "nowhere"], &["nowhere"]);
    let form = folder.path().join("graph.png");
    glocal(&["graph", &model(), inputs, "--row", "0", "-o", form.to_str().unwrap()]).was_wrong(&["graph.png", ".svg"]);
    for arguments in [&["--width", "0"][..], &["--depth", "0"], &["--concept", "features.8"], &["--activation"]] {
        let run = glocal(&[&call[..], &["--row", "0"], arguments].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
    }
    assert_eq!(names(folder.path()), ["rows.safetensors"]);
}
