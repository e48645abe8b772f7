//! Pages that explain a sample.

use crate::samples::{CLASSES, analyzed, path};
use crate::support::{glocal, model};

/// The names of the classes, the first of them as hostile as a name can be.
fn names(folder: &std::path::Path) -> String {
    let names: Vec<String> = (0..CLASSES).map(|class| format!("<b>kind {class}</b>")).collect();
    let file = path(folder, "names.txt");
    std::fs::write(&file, names.join("\n")).unwrap();
    file
}

#[test]
fn a_page_holds_everything_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 30);
    let (names, page) = (names(folder.path()), path(folder.path(), "page.html"));
    let call = ["report", &model(), &data, "--store", &store, "-o", &page, "--row", "4", "--classes", &names];
    std::fs::write(&page, "an older page").unwrap();
    let document = glocal(&[&call[..], &["--json"]].concat()).document();
    let html = std::fs::read_to_string(&page).unwrap();
    let name = document["predicted"]["name"].as_str().unwrap();
    assert!(html.contains(&name.replace('<', "&lt;").replace('>', "&gt;")) && !html.contains("<b>kind"), "{name}");
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            assert!(rest.starts_with("data:image/") || rest.starts_with('#'), "{attribute}{}", &rest[..40]);
        }
    }
    assert!(["http://", "https://", "url(", "<script"].iter().all(|load| !html.contains(load)));
    assert!(html.contains("Most relevant, or most active") && html.contains("<circle"));
    // Two layers by default, the upper one first.
    let layers = document["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for layer in layers {
        let concepts = layer["concepts"].as_array().unwrap();
        assert!(concepts.len() <= 5, "{layer}");
        let shares: Vec<f64> = concepts.iter().map(|concept| concept["share"].as_f64().unwrap()).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
        for (concept, by, score) in
            concepts.iter().flat_map(|c| [(c, "by_relevance", "relevance"), (c, "by_activation", "activation")])
        {
            let references = concept[by].as_array().unwrap();
            assert!((1..=8).contains(&references.len()), "{concept}");
            assert!(references.iter().all(|reference| reference[score].as_f64().unwrap() > 0.0), "{concept}");
        }
        assert!(html.contains(&format!("<code>{}</code></a>", layer["layer"].as_str().unwrap())));
        let both = &layer["relevance_and_activation"];
        assert!((0.0..=1.0).contains(&both["overlap"].as_f64().unwrap()), "{both}");
        assert!(both["correlation_of_means"].as_f64().unwrap().abs() <= 1.0, "{both}");
        let rest = |key: &str| layer["rest"][key].as_f64().unwrap();
        let whole = shares.iter().map(|share| share.abs()).sum::<f64>() + rest("supporting") - rest("opposing");
        assert!((whole - 1.0).abs() < 1e-9, "{layer}");
        assert_eq!(rest("count") + concepts.len() as f64, layer["count"].as_f64().unwrap());
    }
    let text = glocal(&call).succeeded();
    assert!(text.contains(&format!("report: {page}")), "{text}");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), html, "the same call wrote another page");
}

#[test]
fn target_layers_and_numbers_are_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 30);
    let (names, page) = (names(folder.path()), path(folder.path(), "page.html"));
    let call = ["report", &model(), &data, "--store", &store, "-o", &page, "--row", "0", "--classes", &names, "--json"];
    let asked = ["--target", "<b>kind 2</b>", "--layers", "features.0", "--concepts", "2", "--references", "3"];
    let document = glocal(&[&call[..], &asked].concat()).document();
    let repeated = ["--layer", "features.0", "--layer", "features.4", "--concepts", "1", "--references", "1"];
    let layers = glocal(&[&call[..], &repeated].concat()).document()["layers"].clone();
    let names: Vec<_> = layers.as_array().unwrap().iter().map(|layer| layer["layer"].as_str().unwrap()).collect();
    assert_eq!(names, ["features.0", "features.4"]);
    assert_eq!(document["target"]["class"], 2);
    let layers = document["layers"].as_array().unwrap();
    let concepts = layers[0]["concepts"].as_array().unwrap();
    assert_eq!((layers.len(), concepts.len()), (1, 2));
    assert!(concepts.iter().all(|concept| concept["by_activation"].as_array().unwrap().len() == 3));
}
