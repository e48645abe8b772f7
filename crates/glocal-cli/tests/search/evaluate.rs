//! Evaluations: tables, pictures and numbers, and calls that are wrong.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::samples::{CLASSES, noise, path};
use crate::support::{glocal, model, names, oracle, picture};

/// A short evaluation of concepts and patches.
fn call<'a>(model: &'a str, data: &'a str, out: &'a str) -> Vec<&'a str> {
    let rest =
        ["--layer", "features.8", "--patch", "4", "--steps", "5", "--draws", "2", "--resamples", "50", "-o", out];
    [&["evaluate", model, data], &rest[..]].concat()
}

fn curve<'a>(document: &'a Value, index: usize, order: &str) -> &'a Value {
    let orders = document["curves"][index]["orders"].as_array().unwrap();
    orders.iter().find(|curve| curve["order"] == order).unwrap()
}

#[test]
fn an_evaluation_is_told_drawn_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data, out) = (model(), noise(folder.path(), 12), path(folder.path(), "evaluation"));
    let text = glocal(&call(&model, &data, &out)).succeeded();
    for words in [
        "12 samples of",
        "features.8: flipping, replaced by zero",
        "pixels in patches of 4",
        "normalised",
        "95 % interval",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    // Each panel says of the first order how it compares with the others.
    let sentences = text
        .lines()
        .filter(|line| line.starts_with("relevance ") && line.contains(": ") || line.contains("no clear difference"));
    assert_eq!(sentences.count(), 8 * 3, "{text}");
    let files = names(Path::new(&out));
    let pictures = ["concepts__features.8__mean", "concepts__features.8__zero", "pixels__4__mean", "pixels__4__zero"];
    let pictures = pictures.iter().flat_map(|name| ["png", "svg"].map(|form| format!("{name}.{form}")));
    let mut expected: Vec<String> = pictures.chain(["evaluation.json".to_owned()]).collect();
    expected.sort();
    assert_eq!(files, expected);
    for file in files.iter().filter(|file| file.ends_with(".png")) {
        let bytes = fs::read(Path::new(&out).join(file)).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let svg = fs::read_to_string(Path::new(&out).join(file.replace(".png", ".svg"))).unwrap();
        assert!(
            svg.contains(&format!("width=\"{}\" height=\"{}\"", picture.width() / 2, picture.height() / 2)),
            "{file}"
        );
        assert!(svg.contains("replaced by") && svg.contains("Change of the target") && svg.contains("gradient"));
        assert!(!svg.contains("href") && !svg.contains("<script"));
    }

    let document = glocal(&[&call(&model, &data, &out)[..], &["--json"]].concat()).document();
    let written = fs::read_to_string(Path::new(&out).join("evaluation.json")).unwrap();
    assert_eq!(document, serde_json::from_str::<Value>(&written).unwrap());
    assert_eq!((document["curves"].as_array().unwrap().len(), document["samples"].as_u64()), (8, Some(12)));
    for index in 0..8 {
        let curves = &document["curves"][index];
        let points = curves["counts"].as_array().unwrap().len();
        assert!(points == 6 && curves["differences"].as_array().unwrap().len() == 6);
        let relevance = curve(&document, index, "relevance");
        assert!(relevance["change"].as_array().unwrap().len() == points && relevance["area"]["low"].is_f64());
        let ends =
            ["relevance", "random"].map(|order| curve(&document, index, order)["change"][points - 1]["value"].clone());
        assert_eq!(ends[0], ends[1], "all orders end in the same place");
    }
}

#[test]
fn numbers_and_pictures_do_not_depend_on_threads_batches_or_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = (model(), noise(folder.path(), 9));
    let found = [("1", "32", "2GB"), ("2", "1", "2GB"), ("2", "4", "1MB")].map(|(threads, batch, memory)| {
        let out = path(folder.path(), &format!("{threads}-{batch}"));
        let how = ["--json", "--threads", threads, "--batch", batch, "--memory", memory];
        let document = glocal(&[&call(&model, &data, &out)[..], &how].concat()).document();
        let pictures = ["svg", "png"].map(|form| fs::read(format!("{out}/concepts__features.8__mean.{form}")).unwrap());
        (document["curves"].clone(), pictures)
    });
    assert!(found[1] == found[0] && found[2] == found[0]);
}

#[test]
fn time_series_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let model = oracle("model.onnx").replace("vgg_tiny", "conv1d_tiny");
    let data = oracle("inputs.safetensors").replace("vgg_tiny", "conv1d_tiny");
    let out = path(folder.path(), "out");
    let rest = [
        "--layer",
        "all",
        "--patch",
        "6",
        "--targets",
        "predicted",
        "--replace",
        "mean",
        "--orders",
        "relevance,random",
    ];
    let text = glocal(&[&["evaluate", &model, &data, "-o", &out], &rest[..]].concat()).succeeded();
    assert!(text.contains("pixels in patches of 6: insertion, replaced by mean\n8 parts"), "{text}");
    assert!(names(Path::new(&out)).contains(&"pixels__6__mean.svg".to_owned()));
}

#[test]
fn unusable_samples_are_passed_over_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("photos")).unwrap();
    let mut list = "file,label\n".to_owned();
    for index in 0..6 {
        picture(here, &format!("photos/{index}.png"), 16, 16);
        list += &format!("{index}.png,{}\n", index % CLASSES);
    }
    fs::write(here.join("photos/labels.csv"), &list).unwrap();
    fs::write(here.join("photos/4.png"), "no image").unwrap();
    let preprocess = path(here, "preprocess.toml");
    fs::write(&preprocess, "color = \"rgb\"\n").unwrap();
    let (photos, out, model) = (path(here, "photos"), path(here, "out"), model());
    let call = [&call(&model, &photos, &out)[..], &["--preprocess", &preprocess]].concat();
    let stopped = glocal(&call);
    assert!(stopped.stderr.contains("`--keep-going` passes over such samples, and lists them"), "{}", stopped.stderr);
    stopped.was_wrong(&["4.png", "cannot be decoded"]);
    assert!(!fs::exists(&out).unwrap());
    let text = glocal(&[&call[..], &["--keep-going", "--batch", "1"]].concat()).succeeded();
    assert!(text.contains("5 samples of") && text.contains("  4 4.png: cannot be decoded"), "{text}");
    // More labels than one have no one logit.
    fs::write(here.join("photos/labels.csv"), list.replace("1.png,1", "1.png,1;2")).unwrap();
    glocal(&call).was_wrong(&["1.png", "2 labels, expected one"]);
}

#[test]
fn wrong_calls_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data, out) = (model(), noise(folder.path(), 8), path(folder.path(), "out"));
    let before = names(folder.path());
    let base = ["evaluate", &model, &data, "-o", &out];
    let run = |rest: &[&str]| glocal(&[&base[..], rest].concat());
    run(&["--layer", "features.99"]).was_wrong(&["features.99", "nearest"]);
    run(&["--layer", "classifier.2"]).was_wrong(&["classifier.2", "no relevance reaches"]);
    run(&["--pixels", "--targets", "5"]).was_wrong(&["class 5", "0 to 4"]);
    run(&["--pixels", "--confidence", "1"]).was_wrong(&["less than 1"]);
    run(&["--pixels", "--composite", "epsilon-plu"]).was_wrong(&["epsilon-plu"]);
    glocal(&["evaluate", &model, "absent", "--pixels"]).was_wrong(&["absent", "cannot be read"]);
    glocal(&["evaluate", &model, &data, "--pixels", "-o", &data]).was_wrong(&["is no folder"]);
    // What the parser of arguments refuses has no hint.
    for (rest, words) in [
        (&[][..], "--layer"),
        (&["--pixels", "--orders", "chance"], "expected relevance"),
        (&["--pixels", "--samples", "0"], "expected a number of samples"),
        (&["--pixels", "--targets", "all-labels"], "expected label"),
        (&["--patch", "0"], "--patch"),
        (&["--pixels", "--steps", "0"], "--steps"),
        (&["--pixels", "--replace", "noise"], "--replace"),
    ] {
        let refused = run(rest);
        assert!(refused.code == Some(2) && refused.stderr.contains(words), "{rest:?}: {}", refused.stderr);
    }
    assert_eq!(names(folder.path()), before);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_evaluation_and_leaves_nothing() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let folder = tempfile::tempdir().unwrap();
    let (model, data, out) = (model(), noise(folder.path(), 600), path(folder.path(), "out"));
    // Thousands of curves: minutes of work.
    let child = Command::new(env!("CARGO_BIN_EXE_glocal"))
        .args([
            "evaluate",
            &model,
            &data,
            "--pixels",
            "--steps",
            "200",
            "--draws",
            "50",
            "--samples",
            "all",
            "-o",
            &out,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(800));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
        (Some(130), "interrupted\n")
    );
    assert!(!fs::exists(&out).unwrap());
}
