//! Data sets of every kind that lists images, and samples that cannot be used.

use std::fs;

use crate::samples::{CLASSES, noise, path};
use crate::support::{glocal, model, picture};

#[test]
fn unusable_samples_end_the_run_or_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("photos")).unwrap();
    let mut list = "file,label\n".to_owned();
    for index in 0..12 {
        picture(here, &format!("photos/{index}.png"), 16, 16);
        list += &format!("{index}.png,{}\n", index % CLASSES);
    }
    fs::write(here.join("photos/labels.csv"), &list).unwrap();
    for broken in [0, 7] {
        fs::write(here.join(format!("photos/{broken}.png")), "no image").unwrap();
    }
    let preprocess = path(here, "preprocess.toml");
    fs::write(&preprocess, "color = \"rgb\"\n").unwrap();
    let (photos, store) = (path(here, "photos"), path(here, "store"));
    let analyze = ["analyze", &model(), &photos, "--preprocess", &preprocess, "-o", &store];
    assert!(glocal(&analyze).stderr.contains("--keep-going"));
    glocal(&analyze).was_wrong(&["0.png", "cannot be decoded"]);
    let text = glocal(&[&analyze[..], &["--keep-going"]].concat()).succeeded();
    for expected in ["12 listed images with labels", "2 samples could not be used", "7 7.png: cannot be decoded"] {
        assert!(text.contains(expected), "{text}");
    }
    // A complete store says so again.
    let document = glocal(&[&analyze[..], &["--keep-going", "--json"]].concat()).document();
    let skipped = document["skipped"].as_array().unwrap();
    assert_eq!(skipped.iter().map(|sample| sample["sample"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 7]);
    assert_eq!((document["already_complete"].as_bool(), document["samples"].as_u64()), (Some(true), Some(12)));

    // What is found in the middle of a run names the way on.
    fs::write(here.join("photos/0.png"), fs::read(here.join("photos/1.png")).unwrap()).unwrap();
    let other = path(here, "other");
    let analyze = ["analyze", &model(), &photos, "--preprocess", &preprocess, "-o", &other];
    assert!(glocal(&analyze).stderr.contains("--keep-going"));
    glocal(&analyze).was_wrong(&["sample 7 (7.png)"]);
    assert!(glocal(&[&analyze[..], &["--keep-going"]].concat()).succeeded().contains("1 sample could not be used"));
}

#[test]
fn lists_that_cannot_be_right_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    picture(here, "a.png", 16, 16);
    let (list, store) = (path(here, "labels.csv"), path(here, "store"));
    let refused = |text: &str, words: &[&str]| {
        fs::write(&list, text).unwrap();
        glocal(&["analyze", &model(), &list, "-o", &store]).was_wrong(words);
    };
    refused("file,label\n../a.png,1\n", &["labels.csv", "line 2", "stays in it"]);
    refused("file,label\na.png,1\na.png,2\n", &["lines 2 and 3", "a.png"]);
    refused("file,label\na.png,1\nb.png,2\n", &["line 3", "b.png", "no such file"]);
    refused("one,two,three\n", &["one, two, three", "file_name"]);
    fs::write(here.join("a.tar.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    glocal(&["analyze", &model(), &path(here, "a.tar.gz"), "-o", &store]).was_wrong(&["compressed", "unpack"]);
    fs::write(here.join("a.parquet"), "PAR1").unwrap();
    glocal(&["analyze", &model(), &path(here, "a.parquet"), "-o", &store]).was_wrong(&["no Parquet file"]);
    assert!(!fs::exists(&store).unwrap());
}

#[test]
fn labels_of_a_table_take_the_place_of_those_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (data, store, table) = (noise(here, 10), path(here, "store"), path(here, "targets.csv"));
    fs::write(&table, "sample,label\n3,4\n3,0\n7,2\n").unwrap();
    let analyze = ["analyze", &model(), &data, "--labels", &table, "--targets", "all-labels", "-o", &store];
    glocal(&analyze).succeeded();
    let list = ["references", &store, "--layer", "features.0", "--concept", "0", "--by", "relevance", "--json"];
    let document = glocal(&list).document();
    let mut seen: Vec<(u64, u64)> = document["relevance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["sample"].as_u64().unwrap(), entry["target"].as_u64().unwrap()))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [(3, 0), (3, 4), (7, 2)]);
    // Another table makes another store.
    fs::write(&table, "sample,label\n3,4\n").unwrap();
    glocal(&analyze).was_wrong(&["labels: made with"]);
    fs::write(&table, "sample,label\nx,4\n").unwrap();
    glocal(&analyze).was_wrong(&["line 2", "\"x\"", "\"0\", for example"]);
}
