//! `glocal attribute --method`: the reference library's values, and calls that make no sense.

use std::path::Path;

use serde_json::Value;

use crate::support::{Array, array, glocal, model, oracle, rows};

/// The oracle's tolerance (see `tests/oracle/README.md`) with its cases' own errors, of at most 5.5e-7, ten times over.
const TOLERANCE: f32 = 2.6e-5;

/// Runs the command on the three samples of vgg_tiny.
fn run(folder: &Path, options: &[&str]) -> (Array, Value) {
    let out = folder.join("out.safetensors");
    let inputs = oracle("inputs.safetensors");
    let call = ["attribute", &model(), &inputs, "-o", out.to_str().unwrap()];
    glocal(&[&call[..], options].concat()).succeeded();
    let bytes = std::fs::read(&out).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let told = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["glocal"]).unwrap();
    (array(&out, "attribution"), told)
}

#[test]
fn methods_equal_the_reference_library() {
    let folder = tempfile::tempdir().unwrap();
    let targets = ["--pairing", "zip", "--condition", "target=1", "--condition", "target=0", "--condition", "target=4"];
    // The classic forms need nothing but the method's name; the reference sees the model as it is in the file.
    for (method, golden, told, init) in [
        ("integrated-gradients:steps=20", "integrated_gradients", "integrated-gradients:steps=20,baseline=0", "one"),
        ("occlusion", "occlusion", "occlusion:window=8,stride=8,fill=0,hide=outside", "value"),
    ] {
        let options = ["--method", method, "--canonize", "none", "--batch", "2"];
        let (ours, metadata) = run(folder.path(), &[&options[..], &targets].concat());
        let golden = array(oracle("attributors.safetensors"), &format!("{golden}/input"));
        assert_eq!(ours.shape, golden.shape);
        let largest = golden.values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        for (a, b) in ours.values.iter().zip(&golden.values) {
            assert!((a - b).abs() <= TOLERANCE * largest, "{method}: {a} instead of {b}");
        }
        assert_eq!(metadata["method"], told);
        assert_eq!(metadata["composite"]["name"], "gradient");
        assert_eq!(metadata["initial"], init);
    }
}

#[test]
fn methods_average_what_the_chosen_rules_send_down() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--composite", "epsilon-plus", "--condition", "target=1; features.4=2"];
    let of = |method: &str| run(folder.path(), &[&options[..], &["--method", method]].concat());
    let (plain, told) = of("plain");
    assert_eq!((&told["method"], &told["initial"]), (&"plain".into(), &"value".into()));
    let (still, _) = of("smooth-grad:noise=0,passes=4");
    assert_eq!(plain, still);
    let (noisy, told) = of("smooth-grad:noise=0.2,passes=4,seed=9");
    assert_ne!(plain, noisy);
    assert_eq!(told["method"], "smooth-grad:noise=0.2,passes=4,seed=9");
    assert_eq!(told["composite"]["name"], "epsilon-plus");
    let (times, _) = of("gradient-times-input");
    let x = array(oracle("inputs.safetensors"), "x");
    let products: Vec<f32> = plain.values.iter().zip(&x.values).map(|(relevance, x)| relevance * x).collect();
    assert_eq!(times.values, products);
}

#[test]
fn results_do_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["smooth-grad:passes=6", "integrated-gradients:steps=6", "occlusion:window=6,stride=4,hide=window"] {
        let of = |threads: &str, batch: &str| {
            run(folder.path(), &["--method", method, "--threads", threads, "--batch", batch]).0
        };
        let one = of("1", "3");
        assert_eq!(one, of("3", "3"), "{method}");
        assert_eq!(one, of("2", "1"), "{method}");
    }
}

#[test]
fn only_what_arrives_is_a_share_of_what_started() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0]);
    for (method, told, is_share) in [
        ("smooth-grad", "smooth-grad:noise=0.1,passes=20,seed=0", true),
        ("gradient-times-input", "gradient-times-input", false),
        ("integrated-gradients", "integrated-gradients:steps=20,baseline=0", false),
        ("occlusion", "occlusion:window=8,stride=8,fill=0,hide=outside", false),
    ] {
        let call = ["attribute", &model(), inputs.to_str().unwrap(), "--method", method, "--json"];
        let document = glocal(&call).document();
        assert_eq!(document["method"], told);
        let row = &document["attributions"][0];
        assert!(row["arrived"].is_number(), "{row}");
        assert_eq!((row["started"].is_number(), row["share"].is_number()), (is_share, is_share), "{row}");
    }
}

#[test]
fn methods_that_make_no_sense_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0]);
    let out = folder.path().join("out.safetensors");
    for (options, words) in [
        (&["--method", "smoothgrad"][..], &["smoothgrad", "smooth-grad"][..]),
        (&["--method", "smooth-grad:step=4"], &["step", "seed"]),
        (&["--method", "smooth-grad:passes=none"], &["passes", "whole number"]),
        (&["--method", "integrated-gradients:steps=0"], &["steps", "at least 1"]),
        (&["--method", "occlusion:window=2x2x2x2"], &["[3, 16, 16]", "window"]),
        (&["--method", "occlusion:stride=9"], &["stride", "at most the window"]),
        (&["--method", "occlusion", "--condition", "features.4=1"], &["occlusion", "conditions on layers"]),
        (&["--method", "occlusion", "--record", "features.4"], &["occlusion", "recorded layers"]),
        (&["--method", "occlusion", "--init", "one"], &["occlusion", "initial relevance"]),
        (&["--method", "smooth-grad", "--conservation"], &["conservation", "smooth-grad"]),
    ] {
        let call = ["attribute", &model(), inputs.to_str().unwrap(), "-o", out.to_str().unwrap()];
        glocal(&[&call[..], options].concat()).was_wrong(words);
        assert!(!out.exists(), "{options:?}");
    }
}
