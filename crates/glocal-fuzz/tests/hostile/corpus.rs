//! Every file of the corpus ends in an error that says what is wrong with it.

use std::collections::BTreeSet;
use std::fs;

use glocal_fuzz::attempt::{Outcome, Source, attempt};
use glocal_fuzz::{hostile, originals};

/// The corpus is read by people and kept in the repository.
const LARGEST_CORPUS: u64 = 200_000;

#[test]
fn every_file_is_an_error_that_names_the_problem() {
    let _turn = crate::alone();
    let mut wrong = Vec::new();
    for file in hostile::corpus() {
        let path = originals::corpus().join(file.name).with_extension("onnx");
        let text = match attempt(Source::File(&path), 0).outcome {
            Outcome::Unreadable(text) | Outcome::NotImported(text) => text,
            other => format!("{other:?}"),
        };
        if !text.contains(file.says) {
            wrong.push(format!("{}: expected {:?} in {text:.300}", file.name, file.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_is_what_its_generator_makes() {
    let _turn = crate::alone();
    let folder = originals::corpus();
    let corpus = hostile::corpus();
    if std::env::var_os("GLOCAL_REGENERATE_GOLDENS").is_some() {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir_all(&folder).unwrap();
        for file in &corpus {
            fs::write(folder.join(file.name).with_extension("onnx"), &file.bytes).unwrap();
        }
    }
    let names: BTreeSet<String> = corpus.iter().map(|file| format!("{}.onnx", file.name)).collect();
    assert_eq!(names.len(), corpus.len(), "two files have one name");
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), names, "run with GLOCAL_REGENERATE_GOLDENS=1 to write the corpus anew");
    let mut size = 0;
    for file in &corpus {
        let bytes = fs::read(folder.join(file.name).with_extension("onnx")).unwrap();
        assert!(bytes == file.bytes, "{}: run with GLOCAL_REGENERATE_GOLDENS=1 to write the corpus anew", file.name);
        size += bytes.len() as u64;
    }
    assert!(size < LARGEST_CORPUS, "{size} bytes");
}
