//! Prototypes of the classes of a store, and predictions judged by them.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use glocal::attribution::{Attributor, Cancel};
use glocal::search::{Scan, ScanOptions};
use glocal_compute::CpuBackend;
use glocal_kit::data::{self, load_image};
use glocal_kit::loading;
use glocal_kit::preprocess::Preprocess;
use glocal_kit::scan::{self, Analysis, RunOptions, Source, VectorFormat};

use crate::samples::{CLASSES, analyzed, noise, path};
use crate::support::{glocal, model, names, rows_of};

const LAYER: &str = "features.4";

/// A store of noise with vectors.
fn with_vectors(folder: &Path, count: usize) -> (String, String) {
    let (data_path, store) = (noise(folder, count), path(folder, "store"));
    let loaded = loading::load_model(Path::new(&model()), &Default::default(), Arc::new(CpuBackend::new())).unwrap();
    let attributor = Attributor::new(Arc::clone(&loaded.model), "epsilon-plus-flat".parse().unwrap()).unwrap();
    let layers = [LAYER.to_owned(), "features.8".to_owned()];
    let scan = Scan::new(attributor, &layers, ScanOptions { top_k: 4, ..ScanOptions::default() }).unwrap();
    let data = data::open(Path::new(&data_path)).unwrap();
    let source = Source {
        model: model().into(),
        model_hash: loaded.hash.to_string(),
        canonized: true,
        composite: "epsilon-plus-flat".to_owned(),
        data: data_path.clone().into(),
        class_names: None,
    };
    let batch = NonZeroUsize::new(8).unwrap();
    let options = RunOptions { vectors: Some(VectorFormat::F32), batch, ..RunOptions::default() };
    let preprocess = Preprocess::default();
    let analysis =
        Analysis { scan: &scan, data: data.as_ref(), preprocess: &preprocess, source: &source, options: &options };
    scan::run(&analysis, Path::new(&store), &|_| (), &Cancel::default()).unwrap();
    (data_path, store)
}

/// Whether a picture has more than its background.
fn has_content(path: &str) -> bool {
    let image = load_image(path.as_ref()).unwrap().to_rgb8();
    let colors: std::collections::BTreeSet<[u8; 3]> = image.pixels().map(|pixel| pixel.0).collect();
    image.width() > 300 && colors.len() > 50
}

#[test]
fn prototypes_are_listed_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = with_vectors(folder.path(), 60);
    let out = path(folder.path(), "out");
    let call = ["prototypes", &store, "--layer", LAYER, "--clusters", "2"];
    let document = glocal(&[&call[..], &["--json", "-o", &out]].concat()).document();
    let classes = document["classes"].as_array().unwrap();
    assert_eq!(classes.len(), CLASSES);
    for (index, class) in classes.iter().enumerate() {
        assert_eq!((class["class"].as_u64(), class["samples"].as_u64()), (Some(index as u64), Some(12)));
        let prototypes = class["prototypes"].as_array().unwrap();
        assert!((1..=2).contains(&prototypes.len()), "{class}");
        let shares: Vec<f64> = prototypes.iter().map(|prototype| prototype["share"].as_f64().unwrap()).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{shares:?}");
        let members: u64 = prototypes.iter().map(|prototype| prototype["samples"].as_u64().unwrap()).sum();
        assert_eq!(members, 12);
        for prototype in prototypes {
            // Labels are the samples' numbers, counted in a circle.
            assert_eq!(prototype["sample"].as_u64().unwrap() % CLASSES as u64, index as u64);
            let means = prototype["most_relevant"].as_array().unwrap();
            let means: Vec<f64> = means.iter().map(|concept| concept["mean"].as_f64().unwrap()).collect();
            assert!(!means.is_empty() && means.len() <= 5 && means.is_sorted_by(|a, b| a >= b), "{means:?}");
        }
        assert!(has_content(class["picture"].as_str().unwrap()));
    }
    assert_eq!(names(Path::new(&out)).len(), CLASSES);
    let text = glocal(&[&call[..], &["--class", "3"]].concat()).succeeded();
    assert!(text.contains("class 3: 12 samples") && !text.contains("class 2"), "{text}");
    assert!(text.contains("too few samples to tell outliers"), "{text}");
    // The same again, and on another number of threads.
    let again = glocal(&[&call[..], &["--json", "-o", &out, "--threads", "1"]].concat()).document();
    assert_eq!(again, document);
}

#[test]
fn inputs_are_judged_by_the_class_that_is_predicted_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = with_vectors(folder.path(), 400);
    let out = path(folder.path(), "judged");
    // The samples themselves, which all belong to their classes.
    let call = ["prototypes", &store, "--layer", LAYER, "--clusters", "1", "--input", &data, "--json"];
    let document = glocal(&call).document();
    let inputs = document["inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 400);
    let judged: Vec<&serde_json::Value> = inputs.iter().map(|input| &input["judgement"]).collect();
    for (input, judgement) in inputs.iter().zip(&judged) {
        let p_value = judgement["p_value"].as_f64().unwrap();
        assert!(p_value > 0.0 && p_value <= 1.0, "{input}");
        assert_eq!(judgement["outlier"].as_bool(), Some(p_value <= 0.05));
        let differences = judgement["differences"].as_array().unwrap().iter();
        let sizes: Vec<f64> = differences.map(|entry| entry["difference"].as_f64().unwrap().abs()).collect();
        assert!(sizes.len() == 5 && sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    }
    // Some of so many are unlike the others of the class that they are taken for; alone, such a one is judged in the same way.
    let outlier = judged.iter().position(|judgement| judgement["outlier"] == true).unwrap();
    let alone = rows_of(&data, folder.path(), &[outlier]);
    let alone = alone.to_str().unwrap();
    let call = ["prototypes", &store, "--layer", LAYER, "--clusters", "1", "--input", alone, "-o", &out];
    let document = glocal(&[&call[..], &["--json"]].concat()).document();
    let input = &document["inputs"][0];
    assert_eq!(&input["judgement"], judged[outlier]);
    assert!(has_content(input["picture"].as_str().unwrap()));
    assert_eq!(names(Path::new(&out)), ["rows.png"]);
    let text = glocal(&call).succeeded();
    assert!(text.contains("outlier") && text.contains("picture: "), "{text}");
}

#[test]
fn calls_that_cannot_be_answered_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = with_vectors(folder.path(), 20);
    let out = path(folder.path(), "out");
    let call = ["prototypes", &store, "--layer"];
    let run = |more: &[&str]| glocal(&[&call[..], more].concat());
    run(&["features.5", "-o", &out]).was_wrong(&["features.5", LAYER]);
    run(&[LAYER, "--class", "7", "-o", &out]).was_wrong(&["no sample", "class 7"]);
    run(&[LAYER, "--class", "cat"]).was_wrong(&["cat"]);
    run(&[LAYER, "--input", "absent.png"]).was_wrong(&["absent.png"]);
    run(&[LAYER, "-o", &store.replace("store", "noise.safetensors")]).was_wrong(&["is no folder"]);
    let wrong = run(&[LAYER, "--clusters", "0"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("expected a number from 1, or auto"), "{}", wrong.stderr);
    assert!(!Path::new(&out).exists());

    let plain = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(plain.path(), 10);
    for more in [&[][..], &["--input", data.as_str()], &["-o", &out]] {
        let run = glocal(&[&["prototypes", &store, "--layer", LAYER], more].concat());
        assert!(run.stderr.contains("--vectors f32"), "{}", run.stderr);
        run.was_wrong(&["keeps no concept relevance vectors", LAYER]);
    }
    assert!(!Path::new(&out).exists());
}
