//! `glocal concepts`: ranking, regions and pictures.

use serde_json::Value;

use crate::support::{array, glocal, model, names, picture, preprocess, rows};

/// Sums of single-precision numbers in another order.
const TOLERANCE: f64 = 1e-4;

fn concepts(document: &Value) -> Vec<(u64, f64, f64)> {
    let list = document["samples"][0]["layers"][0]["concepts"].as_array().unwrap();
    let concept = |concept: &Value| {
        let number = |key: &str| concept[key].as_f64().unwrap();
        (concept["id"].as_u64().unwrap(), number("relevance"), number("share"))
    };
    list.iter().map(concept).collect()
}

#[test]
fn concepts_are_ranked_by_the_relevance_of_their_channel() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[1]);
    let (inputs, out) = (inputs.to_str().unwrap(), folder.path().join("out.safetensors"));
    let layer = ["--layer", "features.4", "--target", "2", "--top", "8", "--json"];
    let found = concepts(&glocal(&[&["concepts", &model(), inputs], &layer[..]].concat()).document());
    let call = ["attribute", &model(), inputs, "--target", "2", "--record", "features.4", "-o", out.to_str().unwrap()];
    glocal(&call).succeeded();
    let relevance = array(&out, "relevance/features.4");
    assert_eq!(relevance.shape, [1, 8, 8, 8]);
    let sums: Vec<f64> =
        relevance.values.chunks(64).map(|plane| plane.iter().map(|&value| f64::from(value)).sum()).collect();
    let total: f64 = sums.iter().map(|sum| sum.abs()).sum();
    assert_eq!(found.len(), 8);
    assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1), "not in order: {found:?}");
    for (id, relevance, share) in found {
        assert!((relevance - sums[id as usize]).abs() <= TOLERANCE * total);
        assert!((share - sums[id as usize] / total).abs() <= TOLERANCE);
    }
}

#[test]
fn a_region_and_its_mask_give_the_same_and_regions_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[1]);
    let mask = folder.path().join("mask.png");
    let inside = |x, _| image::Rgb([if x < 5 { 255 } else { 0 }; 3]);
    let png = glocal_kit::picture::encode_png(&image::RgbImage::from_fn(16, 16, inside)).unwrap();
    std::fs::write(&mask, png).unwrap();
    let of = |region: &[&str]| {
        let call = ["concepts", &model(), inputs.to_str().unwrap(), "--layer", "features.4", "--top", "8", "--json"];
        let mut found = concepts(&glocal(&[&call[..], region].concat()).document());
        found.sort_by_key(|(id, ..)| *id);
        found
    };
    let (left, right) = (of(&["--region", "0,0,5,16"]), of(&["--region", "5,0,11,16"]));
    let (masked, whole) = (of(&["--mask", mask.to_str().unwrap()]), of(&[]));
    assert_eq!(left, masked);
    let size: f64 = whole.iter().map(|(_, relevance, _)| relevance.abs()).sum();
    for ((left, right), whole) in left.iter().zip(&right).zip(&whole) {
        assert!((left.1 + right.1 - whole.1).abs() <= TOLERANCE * size);
    }
    assert_ne!(left, whole);
}

#[test]
fn every_listed_concept_gets_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let (image, preprocess) = (picture(folder.path(), "cat.png", 40, 30), preprocess(folder.path()));
    let out = folder.path().join("pictures");
    let call = ["concepts", &model(), &image, "--preprocess", &preprocess, "--layer", "features.8"];
    let call = [&call[..], &["--layer", "classifier.0", "--top", "2", "-o", out.to_str().unwrap(), "--json"]].concat();
    let document = glocal(&call).document();
    let mut expected = vec!["cat__target__heatmap.png".to_owned(), "cat__target__overlay.png".to_owned()];
    for layer in document["samples"][0]["layers"].as_array().unwrap() {
        for concept in layer["concepts"].as_array().unwrap() {
            for kind in ["heatmap", "overlay"] {
                let layer = layer["layer"].as_str().unwrap();
                expected.push(format!("cat__{layer}__channel-{}__{kind}.png", concept["id"]));
            }
        }
    }
    expected.sort();
    assert_eq!(expected.len(), 10);
    assert_eq!(names(&out), expected);
}
