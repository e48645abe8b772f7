//! Pictures of reference samples as they are chosen, and the cache behind them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use glocal_kit::data::load_image;

use crate::samples::{analyzed, path};
use crate::support::{Run, glocal, names};

/// A convolution of vgg_tiny, with 8 channels.
const LAYER: &str = "features.4";
const CHANNELS: u64 = 8;

fn references<'a>(store: &'a str, options: &[&'a str]) -> Run {
    glocal(&[&["references", store, "--layer", LAYER], options].concat())
}

fn entries(cache: &str) -> Vec<PathBuf> {
    let mut entries = Vec::new();
    for folder in std::fs::read_dir(cache).unwrap() {
        entries.extend(std::fs::read_dir(folder.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    entries.sort();
    entries
}

#[test]
fn views_follow_their_options() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 20);
    let draw = |name: &str, options: &[&str]| {
        let picture = path(folder.path(), name);
        references(&store, &[&["--concept", "1", "--by", "relevance", "-o", &picture], options].concat()).succeeded();
        load_image(picture.as_ref()).unwrap()
    };
    let masked = draw("masked.png", &["--view", "masked"]);
    for (index, options) in [
        &["--view", "image"][..],
        &["--view", "masked", "--from", "concept"],
        &["--view", "masked", "--threshold", "0.7"],
        &["--view", "masked", "--alpha", "0.9"],
        &["--view", "masked", "--blur", "1"],
        &["--view", "overlay"],
        &["--view", "heatmap"],
        &["--view", "peak"],
    ]
    .iter()
    .enumerate()
    {
        assert!(draw(&format!("{index}.png"), options) != masked, "{options:?} changes nothing");
    }
    // What a ranking suggests is what can be named.
    assert!(draw("class.png", &["--view", "masked", "--from", "class"]) == masked);
    let both = draw("both.png", &["--view", "image,masked"]);
    // A second row, of cells of 112 pixels.
    assert!(both.height() >= masked.height() + 112 && both.width() > masked.width());
    let twice = draw("twice.png", &["--view", "masked,masked"]);
    assert!(twice == masked);
}

#[test]
fn several_concepts_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 20);
    let (one, three) = (path(folder.path(), "one.png"), path(folder.path(), "three.png"));
    let single = references(&store, &["--concept", "3", "-o", &one, "--json"]).document();
    let several = references(&store, &["--concept", "5,3,0", "-o", &three, "--json"]).document();
    let ids: Vec<_> = several["concepts"].as_array().unwrap().iter().map(|concept| &concept["concept"]).collect();
    assert_eq!(ids, [5, 3, 0]);
    for measure in ["relevance", "activation"] {
        assert_eq!(several["concepts"][1][measure], single[measure]);
    }
    let [one, three] = [one, three].map(|picture| load_image(picture.as_ref()).unwrap());
    assert!(three.height() > 2 * one.height(), "{} {}", three.height(), one.height());
    references(&store, &["--concept", "0,999"]).was_wrong(&["999", LAYER]);
}

#[test]
fn classes_are_drawn_with_their_best_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 40);
    let draw = |name: &str, options: &[&str]| {
        let picture = path(folder.path(), name);
        let call = ["classes", &store, "--layer", LAYER, "--concept", "1", "-o", &picture];
        let text = glocal(&[&call[..], options].concat()).succeeded();
        assert!(text.contains(&format!("picture: {picture}")), "{text}");
        load_image(picture.as_ref()).unwrap()
    };
    let [two, four] = ["2", "4"].map(|top| draw(&format!("{top}.png"), &["--top", top, "--ranks", "0..3"]));
    assert!(four.height() > two.height() * 3 / 2 && four.width() == two.width());
    assert!(draw("activation.png", &["--top", "2", "--ranks", "0..3", "--by", "activation"]) != two);
    assert!(draw("masked.png", &["--top", "2", "--ranks", "0..3", "--view", "masked"]) != two);
    let nothing = path(folder.path(), "nothing.png");
    let call = ["classes", &store, "--layer", LAYER, "--concept", "1", "--ranks", "90..95", "-o", &nothing];
    glocal(&call).was_wrong(&["no reference samples"]);
    assert!(!std::fs::exists(&nothing).unwrap());
}

#[test]
fn precomputed_views_are_found_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 20);
    let cache = path(folder.path(), "cache");
    let precompute = |options: &[&str]| {
        let call = ["precompute", &store, "--layer", LAYER, "--ranks", "0..3", "--cache", &cache, "--json"];
        let document = glocal(&[&call[..], options].concat()).document();
        ["concepts", "made", "found"].map(|key| document[key].as_u64().unwrap())
    };
    let [concepts, made, found] = precompute(&["--concepts", "2..4"]);
    // Three ranks of two rankings; a sample of both counts once where relevance is looked at from one origin only.
    assert_eq!((concepts, made, found), (2, 2 * 6, 0));
    assert_eq!(entries(&cache).len() as u64, made);
    let [concepts, rest, found] = precompute(&[]);
    assert_eq!((concepts, rest, found), (CHANNELS, (CHANNELS - 2) * 6, made));
    assert_eq!(precompute(&[]), [CHANNELS, 0, CHANNELS * 6]);
    let [_, peaks, found] = precompute(&["--view", "heatmap,peak"]);
    assert!(peaks > 0 && found == CHANNELS * 6, "{peaks} {found}");

    // Pictures use them, whatever their colors, and with the same result as without.
    let before = entries(&cache);
    let (cached, fresh) = (path(folder.path(), "cached.png"), path(folder.path(), "fresh.png"));
    let view = ["--concept", "2", "--ranks", "0..3", "--view", "heatmap,peak", "--colormap", "coldnhot", "-o"];
    references(&store, &[&view[..], &[&cached, "--cache", &cache]].concat()).succeeded();
    references(&store, &[&view[..], &[&fresh, "--no-cache"]].concat()).succeeded();
    assert_eq!(entries(&cache), before);
    let [cached, fresh] = [cached, fresh].map(|picture| load_image(picture.as_ref()).unwrap().to_rgb8());
    let difference = cached.iter().zip(fresh.iter()).map(|(a, b)| a.abs_diff(*b)).max();
    // Rounding may move a value over the edge of a color.
    assert!(cached.dimensions() == fresh.dimensions() && difference <= Some(8), "{difference:?}");
}

#[test]
fn damaged_entries_change_no_picture_and_room_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 20);
    let (cache, picture) = (path(folder.path(), "cache"), path(folder.path(), "picture.png"));
    let draw = || {
        references(&store, &["--concept", "2", "--view", "heatmap", "-o", &picture, "--cache", &cache]).succeeded();
        std::fs::read(&picture).unwrap()
    };
    let whole = draw();
    for (index, entry) in entries(&cache).iter().enumerate() {
        let mut bytes = std::fs::read(entry).unwrap();
        let middle = bytes.len() / 2;
        if index % 2 == 0 {
            bytes.truncate(middle)
        } else {
            bytes[middle] ^= 1
        }
        std::fs::write(entry, bytes).unwrap();
    }
    assert!(draw() == whole);

    let small = path(folder.path(), "small");
    let call = ["precompute", &store, "--layer", LAYER, "--cache", &small, "--cache-size", "20kB", "--json"];
    let run = glocal(&call);
    assert!(
        run.code == Some(0) && run.stderr.contains("warning") && run.stderr.contains("--cache-size"),
        "{}",
        run.stderr
    );
    let bytes: u64 = entries(&small).iter().map(|entry| std::fs::metadata(entry).unwrap().len()).sum();
    assert!((1..=20_000).contains(&bytes), "{bytes}");
}

/// Killed at some moment, and started again.
#[test]
fn precomputing_goes_on_after_sudden_death() {
    let folder = tempfile::tempdir().unwrap();
    let (_, store) = analyzed(folder.path(), 20);
    let cache = path(folder.path(), "cache");
    let call = ["precompute", &store, "--layer", LAYER, "--ranks", "0..20", "--cache", &cache, "--json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_glocal"))
        .args(call)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !Path::new(&cache).exists() || names(Path::new(&cache)).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let whole =
        entries(&cache).iter().filter(|path| path.extension().is_some_and(|name| name == "entry")).count() as u64;
    let document = glocal(&call).document();
    assert_eq!(document["found"].as_u64(), Some(whole));
    let again = glocal(&call).document();
    assert_eq!((&again["made"], &again["found"]), (&0.into(), &(CHANNELS * 40).into()));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (data, store) = analyzed(folder.path(), 8);
    let picture = path(folder.path(), "picture.png");
    for (options, word) in [
        (["--blur", "4"], "odd"),
        (["--threshold", "1.5"], "from 0 to 1"),
        (["--alpha", "nan"], "from 0 to 1"),
        (["--from", "above"], "above"),
        (["--view", "image,nothing"], "nothing"),
        (["--cache-size", "much"], "2GB"),
    ] {
        let run = references(&store, &[&["--concept", "0", "-o", &picture], &options[..]].concat());
        assert!(run.code == Some(2) && run.stderr.contains(word), "{options:?}: {}", run.stderr);
    }
    let without = references(&store, &["--concept", "0", "--view", "masked"]);
    assert!(without.code == Some(2) && without.stderr.contains("--out"), "{}", without.stderr);
    let file = format!("{data}/cache");
    references(&store, &["--concept", "0", "-o", &picture, "--cache", &file])
        .was_wrong(&["cannot be used as the cache"]);
    assert!(!std::fs::exists(&picture).unwrap());
    let precompute = |options: &[&str]| glocal(&[&["precompute", &store, "--layer", LAYER], options].concat());
    precompute(&["--view", "image"]).was_wrong(&["no computation"]);
    precompute(&["--no-cache"]).was_wrong(&["no cache"]);
    precompute(&["--concepts", "0..999"]).was_wrong(&["998", LAYER]);
    glocal(&["precompute", &store, "--layer", "features.99"]).was_wrong(&["features.99", LAYER]);
}
