//! Some seconds of what the program of this crate does for half an hour.

use std::fs;
use std::time::{Duration, Instant};

use glocal_fuzz::attempt::{Outcome, Source, attempt, keep_panics_quiet};
use glocal_fuzz::{Mutator, memory, originals};

/// The test's own cases; other runs have other seeds.
const SEED: u64 = 20_240_229;

/// The files are the same in every run. Some machines and profiles are slow: the time ends the test as well.
const CASES: u64 = 3000;
const TIME: Duration = Duration::from_secs(20);

#[test]
fn damaged_files_are_errors_or_models() {
    let _turn = crate::alone();
    keep_panics_quiet();
    let mutator = Mutator::new(SEED, originals::files().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let (mut tried, mut refused, mut explained) = (0, 0, 0);
    let start = Instant::now();
    for case in (0..CASES).take_while(|_| start.elapsed() < TIME) {
        let bytes = mutator.case(case);
        assert_eq!(bytes, mutator.case(case), "case {case} does not repeat");
        let done = if case % 16 == 0 {
            fs::write(&path, &bytes).unwrap();
            attempt(Source::File(&path), case)
        } else {
            attempt(Source::Bytes(&bytes), case)
        };
        tried += 1;
        match done.outcome {
            Outcome::Unreadable(_) | Outcome::NotImported(_) => refused += 1,
            Outcome::Explained => explained += 1,
            Outcome::Imported => {}
            Outcome::Failed(fault) => {
                fs::write(std::env::temp_dir().join(format!("glocal_case_{case}.onnx")), &bytes).unwrap();
                panic!("seed {SEED}, case {case}: {fault}");
            }
        }
        assert!(done.peak <= memory::limit(bytes.len()), "case {case}: {} bytes of memory", done.peak);
    }
    // Damage of every depth: much is refused, much goes all the way.
    assert!(refused > tried / 4 && explained > tried / 20, "{tried} tried, {refused} refused, {explained} explained");
}

#[test]
fn noise_is_an_error() {
    let _turn = crate::alone();
    let mut random = glocal_fuzz::Random::for_case(SEED, 0);
    for _ in 0..2000 {
        let length = 1 + random.below(300);
        let noise: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        assert!(matches!(attempt(Source::Bytes(&noise), 0).outcome, Outcome::Unreadable(_)), "{noise:?}");
        let like_a_model = [vec![8, 8, 0x3a], noise].concat();
        let outcome = attempt(Source::Bytes(&like_a_model), 0).outcome;
        assert!(!matches!(outcome, Outcome::Failed(_)), "{like_a_model:?}: {outcome:?}");
    }
}
