//! The demo's model over all of its images: killed at random moments, in shards, with one thread and two, on a disk that is full.
//!
//! `GLOCAL_ENDURANCE=DIR cargo test --release -p glocal-cli --test search endurance -- --nocapture` does the same with another data set
//! for that model, such as the folder of all of Fashion-MNIST.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::samples::path;
use crate::support::glocal;

/// How often a scan is killed.
const KILLS: usize = 10;

/// All files of a store but those that tell where it was made.
fn tables(store: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("sources.json") && !path.ends_with("glocal.lock"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/demo")
}

/// What is analyzed, and how, but for the store.
fn arguments() -> Vec<String> {
    let data = std::env::var("GLOCAL_ENDURANCE").unwrap_or_else(|_| path(&demo(), ""));
    let (model, preprocess) = (path(&demo(), "model.onnx"), path(&demo(), "preprocess.toml"));
    let fixed = ["--preprocess", &preprocess, "--composite", "epsilon-plus", "--vectors", "f16"].map(str::to_owned);
    [vec!["analyze".to_owned(), model, data], fixed.into()].concat()
}

fn call<'a>(arguments: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

#[test]
fn kills_shards_and_threads_end_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = arguments();
    let whole = path(folder.path(), "whole");
    let begun = Instant::now();
    glocal(&call(&arguments, &["-o", &whole, "--threads", "2"])).succeeded();
    let took = begun.elapsed();
    let expected = tables(&whole);
    assert_eq!(expected.len(), 6);

    // Each run gets a random part of what the whole takes, and the next one goes on.
    let killed = path(folder.path(), "killed");
    let (mut state, mut resumed) = (begun.elapsed().subsec_nanos(), Vec::new());
    let mut random = || {
        // The constants of Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    };
    for kill in 0..KILLS {
        let threads = if kill % 2 == 0 { "1" } else { "2" };
        let mut child = Command::new(env!("CARGO_BIN_EXE_glocal"))
            .args(call(&arguments, &["-o", &killed, "--threads", threads, "--save-every", "0"]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(took.mul_f64(random() / 4.0).max(Duration::from_millis(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        let parts = std::fs::read_dir(&killed).map_or(0, |entries| {
            entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count()
        });
        resumed.push(parts);
    }
    let document = glocal(&call(&arguments, &["-o", &killed, "--json"])).document();
    println!(
        "{} samples in {took:?}; parts after each kill: {resumed:?}; {} done then",
        document["samples"], document["resumed"]
    );
    assert!(tables(&killed) == expected, "after {KILLS} kills");

    let mut shards: Vec<String> = Vec::new();
    for shard in 1..=7 {
        let (store, part) = (path(folder.path(), &format!("shard-{shard}")), format!("{shard}/7"));
        let threads = if shard % 2 == 0 { "1" } else { "2" };
        glocal(&call(&arguments, &["-o", &store, "--shard", &part, "--threads", threads])).succeeded();
        let at = (random() * (shards.len() + 1) as f64) as usize;
        shards.insert(at, store);
    }
    let merged = path(folder.path(), "merged");
    let order: Vec<&str> = shards.iter().map(String::as_str).collect();
    glocal(&[&["merge"], order.as_slice(), &["-o", &merged]].concat()).succeeded();
    assert!(tables(&merged) == expected, "merged as {order:?}");

    let single = path(folder.path(), "single");
    glocal(&call(&arguments, &["-o", &single, "--threads", "1", "--memory", "1MB", "--batch", "13"])).succeeded();
    assert!(tables(&single) == expected, "with one thread and little memory");
}

/// A limit on the size of files stands for a full disk: writing fails in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_in_an_error_and_a_store_that_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = arguments();
    let (whole, store) = (path(folder.path(), "whole"), path(folder.path(), "store"));
    glocal(&call(&arguments, &["-o", &whole])).succeeded();
    // In units of 512 bytes; the process is told of the limit by an error instead of a signal.
    for blocks in ["40", "200"] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_glocal")])
            .args(call(&arguments, &["-o", &store, "--save-every", "0"]))
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("cannot be written") && stderr.contains("File too large"), "{stderr}");
        let left = |path: &Path| path.to_string_lossy().ends_with(".partial");
        let names = std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
        assert!(!names.into_iter().any(|path| left(&path)), "something half written is left");
    }
    glocal(&call(&arguments, &["-o", &store])).succeeded();
    assert!(tables(&store) == tables(&whole));
}
