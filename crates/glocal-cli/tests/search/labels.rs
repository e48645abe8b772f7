//! Labels that are names, found among the names of the model's outputs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::samples::path;
use crate::support::{glocal, model, picture};

/// The outputs of the model; nobody has pictures of elks.
const OUTPUTS: [&str; 5] = ["dog", "ant", "elk", "cow", "bee"];

/// Folders of classes, with their outputs: the order of the names is not that of the outputs.
const FOLDERS: [(&str, u32); 4] = [("ant", 1), ("bee", 4), ("cow", 3), ("dog", 0)];

/// Images of class folders; a list of the same with labels that are indices of outputs, for the folders too; and what else
/// calls need.
struct Photos {
    folders: String,
    listed: String,
    classes: String,
    preprocess: String,
}

fn photos(here: &Path) -> Photos {
    let mut listed = "file,label\n".to_owned();
    for (class, output) in FOLDERS {
        fs::create_dir_all(here.join("photos").join(class)).unwrap();
        for image in 0..2 {
            // Other sizes are other pictures, once they are resized.
            picture(here, &format!("photos/{class}/{image}.png"), 16 + output * 5 + image, 16 + image * 9);
            listed += &format!("{class}/{image}.png,{output}\n");
        }
    }
    let write = |name: &str, text: &str| {
        fs::write(here.join(name), text).unwrap();
        path(here, name)
    };
    Photos {
        folders: path(here, "photos"),
        listed: write("photos/list.csv", &listed),
        classes: write("classes.txt", &OUTPUTS.join("\n")),
        preprocess: write("preprocess.toml", "resize = { width = 16, height = 16 }\n"),
    }
}

/// The tables that tell which samples were found for which classes.
fn tables(store: &str) -> [Vec<u8>; 3] {
    ["references.parquet", "concepts.parquet", "samples.parquet"]
        .map(|name| fs::read(Path::new(store).join(name)).unwrap())
}

/// The names of classes that the store keeps.
fn names(store: &str) -> Value {
    let manifest: Value = serde_json::from_slice(&fs::read(Path::new(store).join("manifest.json")).unwrap()).unwrap();
    manifest["data"]["classes"].clone()
}

#[test]
fn class_folders_in_any_order_are_explained_for_the_outputs_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let Photos { folders, listed, classes, preprocess } = photos(here);
    let [by_index, by_name] = ["index", "name"].map(|store| path(here, store));
    let analyze = |data: &str, store: &str, rest: &[&str]| {
        let call = ["analyze", &model(), data, "--preprocess", &preprocess, "--layers", "features.8", "-o", store];
        glocal(&[&call[..], rest].concat())
    };
    analyze(&listed, &by_index, &[]).succeeded();
    // Four folders, five outputs.
    analyze(&folders, &by_name, &["--classes", &classes]).succeeded();
    assert!(tables(&by_index) == tables(&by_name));
    assert_eq!(names(&by_name), json!(OUTPUTS));
    let list = ["references", &by_name, "--layer", "features.8", "--concept", "0", "--class", "cow", "--json"];
    let document = glocal(&list).document();
    let of_cow: Vec<u64> =
        document["relevance"].as_array().unwrap().iter().map(|entry| entry["sample"].as_u64().unwrap()).collect();
    assert!(!of_cow.is_empty() && of_cow.iter().all(|sample| [4, 5].contains(sample)), "{of_cow:?}");

    // Names in another order are other labels.
    let other = path(here, "other.txt");
    fs::write(&other, "dog\nant\ncow\nelk\nbee\n").unwrap();
    analyze(&folders, &by_name, &["--classes", &other]).was_wrong(&["labels: made with"]);
    // The data set of indices has no names that could say otherwise.
    analyze(&listed, &by_index, &["--classes", &classes]).succeeded();
    // The data set's second class is the bee, the model's the ant.
    let labelled = ["--classes", &classes, "--labels", &listed];
    analyze(&folders, &path(here, "labelled"), &labelled).was_wrong(&["ant/0.png", "label 1", "\"ant\"", "\"bee\""]);
    let by_table = path(here, "table");
    analyze(&folders, &by_table, &["--labels", &listed]).succeeded();
    assert!(tables(&by_index) == tables(&by_table));
    // Four folders' names are not those of five outputs.
    assert!(names(&by_table).is_null());
}

#[test]
fn names_that_do_not_fit_are_refused_or_labels_are_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let Photos { folders, classes, preprocess, .. } = photos(here);
    let store = path(here, "store");
    let analyze = |rest: &[&str]| {
        let call = ["analyze", &model(), &folders, "--preprocess", &preprocess, "--layers", "features.8", "-o", &store];
        glocal(&[&call[..], rest].concat())
    };
    let without = analyze(&[]);
    assert!(without.stderr.contains("hint: `--classes FILE` names all outputs"), "{}", without.stderr);
    without.was_wrong(&["4 class folders", "5 outputs"]);
    fs::write(&classes, "dog\nAnt\nelk\nbee\ncat\n").unwrap();
    let call = ["--classes", &classes];
    analyze(&call).was_wrong(&["classes.txt", "\"ant\"", "ant/0.png", "nor 1 other class", "nearest are \"Ant\""]);
    fs::write(&classes, "dog\nant\ndog\nbee\ncow\n").unwrap();
    analyze(&call).was_wrong(&["outputs 0 and 2", "\"dog\""]);
    assert!(!fs::exists(&store).unwrap());
    fs::write(&classes, "dog\nAnt\nelk\nbee\ncat\n").unwrap();
    analyze(&[&call[..], &["--targets", "predicted"]].concat()).succeeded();
}

#[test]
fn evaluations_follow_the_logits_of_the_same_labels() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let Photos { folders, listed, classes, preprocess } = photos(here);
    let evaluate = |data: &str, rest: &[&str]| {
        let call = ["evaluate", &model(), data, "--preprocess", &preprocess, "--patch", "8", "--resamples", "20"];
        glocal(&[&call[..], rest].concat())
    };
    let expected = evaluate(&listed, &["--json"]).document();
    let by_name = evaluate(&folders, &["--classes", &classes, "--json"]).document();
    assert_eq!(by_name["curves"], expected["curves"]);
    let by_table = evaluate(&folders, &["--labels", &listed, "--json"]).document();
    assert_eq!(by_table["curves"], expected["curves"]);
    assert!(expected["labels_fingerprint"].is_null() && by_name["labels_fingerprint"].is_string());
    // Labels matter here.
    let swapped = path(here, "swapped.txt");
    fs::write(&swapped, "ant\ndog\nbee\ncow\nelk\n").unwrap();
    let other = evaluate(&folders, &["--classes", &swapped, "--json"]).document();
    assert_ne!(other["curves"], expected["curves"]);
    evaluate(&folders, &[]).was_wrong(&["4 class folders", "5 outputs"]);
}
