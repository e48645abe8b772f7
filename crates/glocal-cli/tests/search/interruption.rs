//! A store ends in the same bytes, however its analysis was run, stopped and killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::samples::{noise, path};
use crate::support::{glocal, model};

/// What a complete store holds, but for the paths of its sources.
const TABLES: [&str; 6] =
    ["manifest.json", "references.parquet", "concepts.parquet", "sums.parquet", "samples.parquet", "vectors.parquet"];

/// Long before this a first checkpoint is there.
const PATIENCE: Duration = Duration::from_secs(120);

fn tables(store: &str) -> [Vec<u8>; 6] {
    TABLES.map(|table| std::fs::read(Path::new(store).join(table)).unwrap())
}

/// Starts an analysis that saves after every batch.
fn start(data: &str, store: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_glocal"))
        .args(["analyze", &model(), data, "--vectors", "f16", "-o", store, "--batch", "7", "--save-every", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the analysis has saved something.
fn wait_for_checkpoint(child: &mut Child, store: &str) {
    let begun = Instant::now();
    let saved = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with("part-") && !name.ends_with(".partial")
    };
    let has_checkpoint =
        || std::fs::read_dir(store).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(saved)));
    while !has_checkpoint() {
        assert!(child.try_wait().unwrap().is_none(), "the analysis ended before it was stopped");
        assert!(begun.elapsed() < PATIENCE, "no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn tables_do_not_depend_on_threads_batches_or_sudden_death() {
    let folder = tempfile::tempdir().unwrap();
    let data = noise(folder.path(), 600);
    let whole = path(folder.path(), "whole");
    let document = glocal(&["analyze", &model(), &data, "--vectors", "f16", "-o", &whole, "--json"]).document();
    assert_eq!((document["samples"].as_u64(), document["resumed"].as_u64()), (Some(600), Some(0)));
    let expected = tables(&whole);
    for (threads, batch) in [("1", "32"), ("2", "1"), ("2", "7"), ("1", "600")] {
        let store = path(folder.path(), &format!("{threads}-{batch}"));
        glocal(&["analyze", &model(), &data, "--vectors", "f16", "-o", &store, "--threads", threads, "--batch", batch])
            .succeeded();
        assert!(tables(&store) == expected, "{threads} threads, batches of {batch}");
    }

    let shards: Vec<String> = ["2/3", "1/3", "3/3"]
        .map(|shard| {
            let store = path(folder.path(), &shard.replace('/', "-of-"));
            let arguments = ["--shard", shard, "--memory", "100kB", "--batch", "5"];
            let call = ["analyze", &model(), &data, "--vectors", "f16", "-o", &store];
            glocal(&[&call[..], &arguments].concat()).succeeded();
            store
        })
        .into();
    let merged = path(folder.path(), "merged");
    let document = glocal(&["merge", &shards[0], &shards[1], &shards[2], "-o", &merged, "--json"]).document();
    assert_eq!((&document["covered"], &document["samples"]), (&600.into(), &600.into()));
    assert!(tables(&merged) == expected, "merged");
    let twice = ["merge", &shards[0], &shards[0], "-o", &path(folder.path(), "twice")];
    glocal(&twice).was_wrong(&["samples in common", "200 to 399", "merge each sample once"]);

    let store = path(folder.path(), "killed");
    let mut child = start(&data, &store);
    wait_for_checkpoint(&mut child, &store);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "the analysis ended before it was killed");
    glocal(&["classes", &store, "--layer", "features.0", "--concept", "0"]).was_wrong(&["is not complete"]);
    let document = glocal(&["analyze", &model(), &data, "--vectors", "f16", "-o", &store, "--json"]).document();
    assert!(document["resumed"].as_u64().unwrap() >= 7, "{document}");
    assert!(tables(&store) == expected, "after SIGKILL");
    let again = glocal(&["analyze", &model(), &data, "--vectors", "f16", "-o", &store, "--json"]).document();
    assert_eq!(again["already_complete"], true);
    assert!(tables(&store) == expected, "after a run that had nothing to do");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = (noise(folder.path(), 600), path(folder.path(), "store"));
    let mut child = start(&data, &store);
    wait_for_checkpoint(&mut child, &store);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted") && stderr.contains("are done and saved"), "{stderr}");
    let text = glocal(&["analyze", &model(), &data, "--vectors", "f16", "-o", &store]).succeeded();
    assert!(text.contains("samples were done before"), "{text}");
}
