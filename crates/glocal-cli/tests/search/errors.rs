//! Calls that are wrong: each a clear message, and nothing left behind.

use crate::samples::{analyzed, noise, path};
use crate::support::{glocal, model, names, picture};

#[test]
fn data_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, store) = (path(folder.path(), "empty"), path(folder.path(), "store"));
    std::fs::create_dir(&empty).unwrap();
    glocal(&["analyze", &model(), &empty, "-o", &store]).was_wrong(&["empty", "no image"]);
    std::fs::write(folder.path().join("empty/notes.txt"), "nothing").unwrap();
    glocal(&["analyze", &model(), &empty, "-o", &store]).was_wrong(&["empty", "no image"]);
    glocal(&["analyze", &model(), "absent", "-o", &store]).was_wrong(&["absent", "cannot be read"]);
    picture(folder.path(), "empty/one.png", 16, 16);
    glocal(&["analyze", &model(), &empty, "-o", &store]).was_wrong(&["holds images", "[3, 16, 16]"]);
    assert_eq!(names(folder.path()), ["empty"]);
}

#[test]
fn outputs_that_cannot_be_written_are_found_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 8);
    let before = names(folder.path());
    let (below_a_file, below_a_file_png) = (format!("{data}/out"), format!("{data}/out.png"));
    glocal(&["analyze", &model(), &data, "-o", &below_a_file]).was_wrong(&["cannot be written"]);
    glocal(&["analyze", &model(), &data, "-o", &data]).was_wrong(&["is no folder"]);
    glocal(&["demo", "-o", &below_a_file]).was_wrong(&["cannot be written"]);
    let report = ["report", &model(), &data, "--store", &store, "--row", "0", "-o"];
    glocal(&[&report[..], &[&below_a_file]].concat()).was_wrong(&["cannot be written"]);
    glocal(&[&report[..], &[&store]].concat()).was_wrong(&["is no file"]);
    let references = ["references", &store, "--layer", "features.0", "--concept", "0", "-o", &below_a_file_png];
    glocal(&references).was_wrong(&["cannot be written"]);
    assert_eq!(names(folder.path()), before);
}

#[test]
fn a_store_of_something_else_is_refused_with_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 8);
    let other = model().replace("vgg_tiny", "resnet_tiny");
    let page = path(folder.path(), "page.html");
    glocal(&["report", &other, &data, "--store", &store, "-o", &page]).was_wrong(&["model (BLAKE3)"]);
    glocal(&["analyze", &model(), &data, "-o", &store, "--composite", "epsilon-plus"]).was_wrong(&["composite"]);
    glocal(&["analyze", &model(), &data, "-o", &store, "--top-k", "3"]).was_wrong(&["top k"]);
    noise(folder.path(), 9);
    let sheet = path(folder.path(), "sheet.png");
    let list = ["references", &store, "--layer", "features.0", "--concept", "0", "-o", &sheet];
    glocal(&list).was_wrong(&["data set (fingerprint)", "samples: made with 8, now given 9"]);
    assert!(!std::fs::exists(&page).unwrap());
}

#[test]
fn names_and_numbers_that_do_not_exist_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 8);
    let page = path(folder.path(), "page.html");
    let list = |layer, concept| ["references", &store, "--layer", layer, "--concept", concept].map(str::to_owned);
    let run = |call: &[String]| glocal(&call.iter().map(String::as_str).collect::<Vec<_>>());
    run(&list("feature.0", "0")).was_wrong(&["feature.0", "features.0"]);
    run(&list("features.0", "999")).was_wrong(&["999", "features.0"]);
    run(&[&list("features.0", "0")[..], &["--class".to_owned(), "cat".to_owned()]].concat()).was_wrong(&["cat"]);
    glocal(&["references", &data, "--layer", "features.0", "--concept", "0"]).was_wrong(&["noise.safetensors"]);
    let report = ["report", &model(), &data, "--store", &store, "-o", &page];
    glocal(&report).was_wrong(&["8 samples", "one is explained"]);
    glocal(&[&report[..], &["--row", "8"]].concat()).was_wrong(&["8 samples", "8 was given"]);
    glocal(&[&report[..], &["--row", "0", "--target", "5"]].concat()).was_wrong(&["5 classes", "5 was given"]);
    glocal(&[&report[..], &["--row", "0", "--layers", "classifier.9"]].concat()).was_wrong(&["classifier.9"]);
    let fresh = path(folder.path(), "fresh");
    let analyze = ["analyze", &model(), &data, "-o", &fresh];
    glocal(&[&analyze[..], &["--layers", "features.99"]].concat()).was_wrong(&["features.99", "nearest"]);
    glocal(&[&analyze[..], &["--targets", "5"]].concat()).was_wrong(&["class 5"]);
    let beyond = glocal(&["demo", "-o", &fresh, "--image", "2000"]);
    assert!(beyond.code == Some(2) && beyond.stderr.contains("2000 is not in 0..2000"), "{}", beyond.stderr);
    assert!(!std::fs::exists(&page).unwrap());
}

#[test]
fn what_would_go_wrong_in_silence_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (data, store) = analyzed(here, 8);
    let list = ["references", &store, "--layer", "features.0", "--concept", "0"];
    let sheet = path(here, "sheet.png");
    glocal(&[&list[..], &["-o", &path(here, "sheet.jpg")]].concat()).was_wrong(&["sheet.jpg", "PNG"]);
    glocal(&[&list[..], &["--ranks", "90..95", "-o", &sheet]].concat()).was_wrong(&["no reference samples"]);
    let named = ["--classes", &path(here, "names.txt"), "--class", "7"];
    std::fs::write(path(here, "names.txt"), "a\nb\nc\nd\ne\n").unwrap();
    glocal(&[&list[..], &named].concat()).was_wrong(&["no class \"7\""]);

    // Three folders, five outputs: which folder is which output, nobody can say.
    for class in ["ant", "bee", "cow"] {
        std::fs::create_dir_all(here.join("insects").join(class)).unwrap();
        picture(here, &format!("insects/{class}/one.png"), 16, 16);
    }
    let preprocess = path(here, "preprocess.toml");
    std::fs::write(&preprocess, "color = \"rgb\"\n").unwrap();
    let fresh = path(here, "fresh");
    let insects = path(here, "insects");
    let analyze = ["analyze", &model(), &insects, "--preprocess", &preprocess, "-o", &fresh];
    glocal(&analyze).was_wrong(&["3 class folders", "5 outputs"]);
    assert!(!std::fs::exists(&fresh).unwrap());
    glocal(&[&analyze[..], &["--targets", "predicted"]].concat()).succeeded();

    std::fs::write(path(here, "insects/report.html"), "mine").unwrap();
    glocal(&["demo", "-o", &insects]).was_wrong(&["insects", "nothing is overwritten"]);
    assert_eq!(std::fs::read_to_string(path(here, "insects/report.html")).unwrap(), "mine");

    std::fs::rename(&data, path(here, "moved.safetensors")).unwrap();
    glocal(&[&list[..], &["-o", &sheet]].concat()).was_wrong(&["noise.safetensors", "no longer there"]);
    assert!(!std::fs::exists(&sheet).unwrap());
}
