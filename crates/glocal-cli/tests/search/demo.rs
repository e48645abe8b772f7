//! The demo, as it is.

use std::path::Path;

use crate::support::glocal;

#[test]
fn the_demo_explains_a_boot_and_keeps_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let out = out.to_str().unwrap();
    let first = glocal(&["demo", "-o", out, "--json"]).document();
    assert_eq!(first["analysis"]["samples"], 2000);
    assert_eq!(first["explanation"]["predicted"]["name"], "Ankle boot");
    assert_eq!(first["explanation"]["label"], first["explanation"]["predicted"]["class"]);
    let layers = first["explanation"]["layers"].as_array().unwrap();
    assert!(layers.len() == 2 && layers.iter().all(|layer| layer["concepts"].as_array().unwrap().len() == 5));
    let html = std::fs::read_to_string(Path::new(out).join("report.html")).unwrap();
    assert!(html.contains("Why Ankle boot?") && !html.contains("http://") && !html.contains("https://"));
    for picture in ["sample.png", "heatmap.png", "overlay.png"] {
        assert!(std::fs::read(Path::new(out).join(picture)).unwrap().starts_with(b"\x89PNG"), "{picture}");
    }

    let text = glocal(&["demo", "-o", out, "--image", "0"]).succeeded();
    for words in ["is complete already", "image 0\n", "Ankle boot", "Open ", "glocal references "] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    // A report by default shows the last convolution and two layers on the way down, whatever the order of the store.
    let at = |name: &str| Path::new(out).join(name).to_str().unwrap().to_owned();
    let (model, sample, store, page) = (at("model.onnx"), at("sample.png"), at("store"), at("page.html"));
    let call = ["report", &model, &sample, "--store", &store, "--references", "1", "-o", &page, "--json"];
    let layers = glocal(&call).document()["layers"].clone();
    let names: Vec<_> = layers.as_array().unwrap().iter().map(|layer| layer["layer"].as_str().unwrap()).collect();
    assert!(names.len() == 3 && names[0] == "head.conv", "{names:?}");

    // What it says to try works.
    let command = text.lines().find(|line| line.contains("glocal classes")).unwrap();
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    assert!(glocal(&words).succeeded().contains("mean"));
}
