//! `glocal concepts`: ranking, regions and pictures.

use serde_json::Value;

use crate::support::{array, glocal, model, names, picture, preprocess, rows};

/// Sums of single-precision numbers in another order.
const TOLERANCE: f64 = 1e-4;

/// The concepts of the first layer, in its only region if it has any.
fn concepts(document: &Value) -> Vec<(u64, f64, f64)> {
    let layer = &document["samples"][0]["layers"][0];
    listed(if layer["regions"].is_null() { layer } else { &layer["regions"][0] })
}

fn listed(place: &Value) -> Vec<(u64, f64, f64)> {
    let list = place["concepts"].as_array().unwrap();
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
fn regions_and_masks_are_analysed_one_by_one_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[1]);
    let mask = folder.path().join("mask.png");
    let inside = |_, y| image::Rgb([if y >= 9 { 255 } else { 0 }; 3]);
    let png = glocal_kit::picture::encode_png(&image::RgbImage::from_fn(16, 16, inside)).unwrap();
    std::fs::write(&mask, png).unwrap();
    let mask = mask.to_str().unwrap();
    let of = |regions: &[&str]| {
        let call = ["concepts", &model(), inputs.to_str().unwrap(), "--layer", "features.4", "--top", "3", "--json"];
        glocal(&[&call[..], regions].concat()).document()["samples"][0]["layers"][0].clone()
    };
    let given = [["--region", "0,0,16,9"], ["--mask", mask], ["--region", "4,2,3,20"]];
    let together = of(&given.concat());
    assert!(together["concepts"].is_null());
    let regions = together["regions"].as_array().unwrap();
    let names: Vec<&str> = regions.iter().map(|region| region["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["I1", "I2", "I3"]);
    assert_eq!((&regions[0]["rectangle"], &regions[1]["mask"]), (&serde_json::json!([0, 0, 16, 9]), &mask.into()));
    for (region, given) in regions.iter().zip(given) {
        let alone = &of(&given)["regions"][0];
        assert_eq!((&region["concepts"], &region["held"]), (&alone["concepts"], &alone["held"]), "{given:?}");
        assert_eq!(listed(region).len(), 3);
        for concept in region["concepts"].as_array().unwrap() {
            let inside = concept["of_channel"].as_f64().unwrap();
            assert!(inside > 0.0 && inside <= 1.0, "{concept}");
        }
    }
    let held = |index: usize| regions[index]["held"].as_f64().unwrap();
    assert!((held(0) + held(1) - 1.0).abs() < TOLERANCE, "the two halves hold all");
    let text = glocal(
        &[&["concepts", &model(), inputs.to_str().unwrap(), "--layer", "features.4"], &given.concat()[..]].concat(),
    );
    let text = text.succeeded();
    let places =
        ["I1 (0,0,16,9) holds", &format!("I2 ({mask}) holds"), "I3 (4,2,3,20) holds"].map(|title| text.find(title));
    assert!(places.is_sorted() && places[0].is_some(), "{text}");
}

#[test]
fn sheets_show_a_row_a_region_and_channels_are_drawn_once() {
    let folder = tempfile::tempdir().unwrap();
    let (image, preprocess) = (picture(folder.path(), "cat.png", 40, 30), preprocess(folder.path()));
    let call = ["concepts", &model(), &image, "--preprocess", &preprocess, "--layer", "features.8", "--top", "100"];
    let of = |name: &str, regions: &[&str]| {
        let out = folder.path().join(name);
        let document = glocal(&[&call[..], regions, &["-o", out.to_str().unwrap(), "--json"]].concat()).document();
        let layer = document["samples"][0]["layers"][0].clone();
        let sheet = layer["sheet"].as_str().unwrap().to_owned();
        assert_eq!(sheet, out.join("cat__features.8__concepts.png").to_str().unwrap());
        (names(&out), image::open(sheet).unwrap().into_rgb8(), layer)
    };
    let (_, whole, layer) = of("whole", &[]);
    assert!(layer["regions"].is_null() && layer["concepts"].as_array().unwrap().len() > 1);
    let regions = ["--region", "0,0,8,8", "--region", "3,3,9,9"];
    let (files, two, layer) = of("two", &regions);
    let channels = layer["channels"].as_u64().unwrap() as usize;
    assert_eq!(files.len(), 2 + 1 + 2 * channels, "target, sheet, and every channel once");
    assert!(two.height() > whole.height() && two.width() == whole.width());
    // Each region has its color in the sample, the target's heatmap, its row's title and every heatmap of its row.
    for index in 0..2 {
        let color = glocal_kit::picture::Outline::color(index);
        let count = |sheet: &image::RgbImage| sheet.pixels().filter(|pixel| pixel.0 == color).count();
        assert!(count(&two) > 200 * (2 + channels.min(16)) && count(&whole) < 100, "{}", count(&two));
    }
    let (_, again, _) = of("again", &regions);
    assert!(two == again, "the same call drew another picture");
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
        expected.push(format!("cat__{}__concepts.png", layer["layer"].as_str().unwrap()));
        for concept in layer["concepts"].as_array().unwrap() {
            for kind in ["heatmap", "overlay"] {
                let layer = layer["layer"].as_str().unwrap();
                expected.push(format!("cat__{layer}__channel-{}__{kind}.png", concept["id"]));
            }
        }
    }
    expected.sort();
    assert_eq!(expected.len(), 12);
    assert_eq!(names(&out), expected);
}
