//! What stores say about concepts.

use glocal_kit::data::load_image;
use serde_json::Value;

use crate::samples::{analyzed, noise, path};
use crate::support::{glocal, model};

/// A convolution of vgg_tiny.
const LAYER: &str = "features.0";

fn scores(entries: &Value, name: &str) -> Vec<f64> {
    entries.as_array().unwrap().iter().map(|entry| entry[name].as_f64().unwrap()).collect()
}

#[test]
fn references_are_listed_best_first_for_all_samples_or_one_class() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 40);
    let call = ["references", &store, "--layer", LAYER, "--concept", "1", "--json"];
    let document = glocal(&call).document();
    for measure in ["relevance", "activation"] {
        let scores = scores(&document[measure], measure);
        assert_eq!(scores.len(), 8, "{measure}");
        assert!(scores.is_sorted_by(|a, b| a >= b), "{measure}: {scores:?}");
    }
    assert_ne!(document["relevance"], document["activation"]);
    let later = glocal(&[&call[..], &["--ranks", "2..4", "--by", "relevance"]].concat()).document();
    assert_eq!(later["relevance"][0], document["relevance"][2]);
    assert_eq!((later["relevance"].as_array().unwrap().len(), &later["activation"]), (2, &Value::Null));
    let of_class = glocal(&[&call[..], &["--class", "3", "--by", "activation"]].concat()).document();
    let targets: Vec<_> = of_class["activation"].as_array().unwrap().iter().map(|entry| &entry["target"]).collect();
    assert!(targets.len() == 8 && targets.iter().all(|target| **target == 3), "{targets:?}");
    let text = glocal(&call[..call.len() - 1]).succeeded();
    assert!(text.contains("by relevance") && text.contains("by activation") && text.contains("class 0"), "{text}");
}

#[test]
fn classes_are_ranked_by_their_best_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 40);
    for by in ["relevance", "activation"] {
        let call = ["classes", &store, "--layer", LAYER, "--concept", "1", "--by", by, "--top", "3", "--mean", "2"];
        let document = glocal(&[&call[..], &["--json"]].concat()).document();
        let means = scores(&document["classes"], "mean");
        assert!(means.len() == 3 && means.is_sorted_by(|a, b| a >= b), "{means:?}");
        assert!(document["classes"].as_array().unwrap().iter().all(|class| class["samples"] == 2));
        // The mean is that of the entries that `references` lists.
        let class = document["classes"][0]["class"].to_string();
        let list = ["references", &store, "--layer", LAYER, "--concept", "1", "--ranks", "0..2", "--json"];
        let entries = glocal(&[&list[..], &["--by", by, "--class", &class]].concat()).document();
        let mean = scores(&entries[by], by).iter().sum::<f64>() / 2.0;
        // Printed with the digits of single precision.
        assert!((mean - means[0]).abs() <= 1e-6 * mean.abs(), "{mean} {means:?}");
        assert!(glocal(&call).succeeded().contains("mean"));
    }
}

#[test]
fn pictures_show_every_view() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 20);
    let mut pictures = Vec::new();
    for view in ["image", "heatmap", "masked", "crop"] {
        let picture = path(folder.path(), &format!("{view}.png"));
        let call = ["references", &store, "--layer", LAYER, "--concept", "1", "--view", view, "-o", &picture];
        assert!(glocal(&call).succeeded().contains(&format!("picture: {picture}")));
        let image = load_image(picture.as_ref()).unwrap();
        assert!(image.width() > 8 * 96, "{view}");
        pictures.push(image);
    }
    assert!((1..4).all(|view| pictures[0] != pictures[view]), "views that show the same");
}

#[test]
fn views_follow_the_rules_of_a_composite_file_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = (noise(folder.path(), 12), path(folder.path(), "store"));
    let composite = path(folder.path(), "rules.toml");
    let text = "name = \"mine\"\nextends = \"epsilon-plus\"\n\n[[rules]]\nlayer = \"features.0\"\nrule = \"flat\"\n";
    std::fs::write(&composite, text).unwrap();
    glocal(&["analyze", &model(), &data, "-o", &store, "--composite", &composite]).succeeded();
    std::fs::remove_file(&composite).unwrap();
    let picture = path(folder.path(), "picture.png");
    let call = ["references", &store, "--layer", "features.4", "--concept", "1", "--view", "heatmap", "-o", &picture];
    glocal(&call).succeeded();
    assert!(load_image(picture.as_ref()).is_ok());
}
