//! Reading and importing takes at most four times the file, and a constant.

use std::fs;
use std::time::Duration;

use glocal_fuzz::attempt::{Outcome, Source, attempt};
use glocal_fuzz::{hostile, memory, originals};

/// Far more than any of these files takes, also without optimisation.
const LONGEST_IMPORT: Duration = Duration::from_secs(20);

#[test]
fn large_hostile_files_take_little_memory_and_time() {
    let _turn = crate::alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut wrong = Vec::new();
    for (name, bytes) in hostile::large() {
        fs::write(&path, &bytes).unwrap();
        let size = bytes.len();
        drop(bytes);
        let done = attempt(Source::File(&path), 0);
        let fails = matches!(done.outcome, Outcome::Failed(_));
        if fails || done.peak > memory::limit(size) || done.import > LONGEST_IMPORT {
            wrong.push(format!("{name}: {} bytes for {size}, {:.1?}: {:.200?}", done.peak, done.import, done.outcome));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn models_take_less_than_four_times_their_size() {
    let _turn = crate::alone();
    for path in originals::paths().unwrap() {
        let size = fs::metadata(&path).unwrap().len() as usize;
        let done = attempt(Source::File(&path), 0);
        assert!(done.peak <= memory::limit(size), "{}: {} bytes for {size}", path.display(), done.peak);
    }
}
