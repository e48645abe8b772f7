//! Graphs of concepts with their reference samples.

use crate::samples::{analyzed, path};
use crate::support::{glocal, model};

#[test]
fn cards_show_the_samples_that_their_concepts_were_useful_for() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 30);
    let svg = path(folder.path(), "graph.svg");
    let call = ["graph", &model(), &data, "--row", "3", "--store", &store, "-o", &svg, "--json"];
    let document = glocal(&call).document();
    let nodes = document["nodes"].as_array().unwrap();
    // Classes are no concepts of the store.
    assert!(nodes[0]["references"].as_array().unwrap().is_empty());
    let mut shown = 0;
    for node in &nodes[1..] {
        let (layer, concept) = (node["layer"].as_str().unwrap(), node["channel"].to_string());
        let call =
            ["references", &store, "--layer", layer, "--concept", &concept, "--by", "relevance", "--ranks", "0..4"];
        let references = glocal(&[&call[..], &["--json"]].concat()).document();
        let useful: Vec<&serde_json::Value> = references["relevance"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["relevance"].as_f64().unwrap() > 0.0)
            .map(|entry| &entry["sample"])
            .collect();
        assert_eq!(node["references"].as_array().unwrap().iter().collect::<Vec<_>>(), useful, "{node}");
        shown += useful.len();
    }
    let drawn = std::fs::read_to_string(&svg).unwrap();
    let images = drawn.matches("<image").count();
    assert!(shown > 0 && (images == shown || images == shown + 1), "{images} pictures of {shown}");
    assert!(
        ["http://www.w3.org/2000/svg"]
            .iter()
            .all(|allowed| drawn.matches("http").count() == drawn.matches(allowed).count())
    );
}
