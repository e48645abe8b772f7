//! The built binary, run as users run it: results against golden values, every message of a wrong call, nothing left
//! behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod attribute;
mod concepts;
mod conditions;
mod errors;
mod graph;
mod inspect;
mod methods;
mod support;

use support::{glocal, model};

/// The commands, each of whose help has an example.
const COMMANDS: [&str; 4] = ["inspect", "attribute", "concepts", "graph"];

#[test]
fn every_help_has_an_example_and_the_common_options() {
    let overview = glocal(&["--help"]).succeeded();
    for command in COMMANDS {
        assert!(overview.contains(&format!("  {command} ")), "{command} is not in the overview");
        let help = glocal(&[command, "--help"]).succeeded();
        assert!(help.contains("Example"), "{command} has no example");
        assert!(help.contains(&format!("\n  glocal {command} ")), "the example is not of {command}");
        for option in ["--json", "--threads"] {
            assert!(help.contains(option), "{command} lacks {option}");
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_batches() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = support::oracle("inputs.safetensors");
    let files = [("1", "3"), ("2", "3"), ("2", "1"), ("3", "2")].map(|(threads, batch)| {
        let file = folder.path().join(format!("{threads}-{batch}.safetensors"));
        let out = file.to_str().unwrap();
        let call = ["attribute", &model(), &inputs, "--record", "all", "-o", out, "--threads", threads];
        glocal(&[&call[..], &["--batch", batch]].concat()).succeeded();
        std::fs::read(&file).unwrap()
    });
    assert!(files.iter().all(|bytes| *bytes == files[0]));
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_glocal"))
        .args(["inspect", &model()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
