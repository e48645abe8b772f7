//! Shards, and what is held in memory, change no byte.

use super::*;
use crate::store::{ConceptVector, StoreError, merge};

/// Scans each of `count` shards into a store of its own.
fn scan_shards(setting: &mut Setting, count: u64) -> Vec<PathBuf> {
    let scan = |index| {
        setting.options.shard = Shard::new(index, count).unwrap();
        let name = format!("shard {index} of {count}");
        setting.run(&name).unwrap();
        setting.store(&name)
    };
    (1..=count).map(scan).collect()
}

#[test]
fn shards_merge_to_the_bytes_of_one_scan_in_any_order() {
    let mut setting = Setting::new();
    setting.options.vectors = Some(VectorFormat::F16);
    setting.run("whole").unwrap();
    let expected = files(&setting.store("whole"));
    for count in [1, 3, 7, 61] {
        let mut shards = scan_shards(&mut setting, count);
        shards.sort_by_key(|path| blake3::hash(path.as_os_str().as_encoded_bytes()).to_string());
        let output = setting.store(&format!("merged {count}"));
        let merged = merge(&shards, &output).unwrap();
        assert_eq!((merged.covered, merged.total, merged.already_complete), (61, 61, false));
        assert!(files(&output) == expected, "{count} shards");
        assert!(merge(&shards, &output).unwrap().already_complete);
        assert!(files(&output) == expected, "{count} shards, merged again");
    }
}

#[test]
fn what_covers_a_part_can_be_read_and_merged_again() {
    let mut setting = Setting::new();
    setting.run("whole").unwrap();
    let expected = files(&setting.store("whole"));
    let shards = scan_shards(&mut setting, 5);
    let (some, rest, all) = (setting.store("some"), setting.store("rest"), setting.store("all"));
    merge(&[shards[4].clone(), shards[1].clone()], &some).unwrap();
    let store = Store::open(&some).unwrap();
    assert_eq!(store.manifest().covered, [[12, 24], [48, 61]]);
    assert_eq!((store.manifest().scored, store.manifest().covers_all()), (25, false));
    let seen: Vec<u64> =
        store.concept("features.4", 0).unwrap().activation.entries().iter().map(|entry| entry.sample.0).collect();
    assert!(seen.iter().all(|sample| (12..24).contains(sample) || (48..61).contains(sample)), "{seen:?}");
    merge(&[shards[2].clone(), shards[0].clone(), shards[3].clone()], &rest).unwrap();
    merge(&[rest, some], &all).unwrap();
    assert!(files(&all) == expected);
}

#[test]
fn what_is_held_in_memory_changes_nothing() {
    let mut setting = Setting::new();
    setting.options.vectors = Some(VectorFormat::F32);
    setting.options.checkpoint_every = Duration::from_secs(1_000);
    setting.run("whole").unwrap();
    let expected = files(&setting.store("whole"));
    for memory in [0, 40_000, 200_000] {
        setting.options.memory = memory;
        let name = format!("memory {memory}");
        setting.run(&name).unwrap();
        assert!(files(&setting.store(&name)) == expected, "{memory} bytes");
    }
}

#[test]
fn vectors_are_the_scores_of_every_sample() {
    /// Half of the last bit of 16-bit floats, of values up to 1, and as much below which they lose bits.
    const HALF: f32 = 1.0 / 2048.0;
    let mut setting = Setting::new();
    setting.options.targets = Targets::Predicted;
    let read = |name: &str| -> Vec<ConceptVector> {
        let mut vectors = Vec::new();
        let store = Store::open(setting.store(name)).unwrap();
        let visited = store.vectors::<StoreError>("features.4", |vector| {
            vectors.push(vector);
            Ok(())
        });
        let visited = visited.unwrap();
        assert_eq!(visited.is_some(), name != "none");
        vectors
    };
    setting.run("none").unwrap();
    assert!(read("none").is_empty());
    let mut options = setting.options.clone();
    for (name, format) in [("single", VectorFormat::F32), ("half", VectorFormat::F16)] {
        options.vectors = Some(format);
        let analysis = Analysis { options: &options, ..setting.analysis() };
        run(&analysis, &setting.store(name), &|_| (), &Cancel::default()).unwrap();
    }
    let (single, half) = (read("single"), read("half"));
    let expected = Store::open(setting.store("single")).unwrap();
    assert_eq!(single.len(), SAMPLES);
    for (index, (vector, half)) in single.iter().zip(&half).enumerate() {
        assert_eq!((vector.sample, half.sample, vector.target), (index as u64, index as u64, half.target));
        let close = |(one, other): (&f32, &f32)| (one - other).abs() <= HALF * one.abs() + HALF * HALF;
        assert!(vector.relevance.iter().zip(&half.relevance).all(close), "{vector:?} {half:?}");
    }
    for concept in 0..single[0].relevance.len() {
        for entry in expected.concept("features.4", concept).unwrap().relevance.entries() {
            let vector = &single[entry.sample.0 as usize];
            assert_eq!((vector.relevance[concept], vector.target), (entry.score, entry.target));
        }
    }
}

#[test]
fn statistics_are_those_of_all_samples() {
    /// Sums of 61 values in double precision, divided by small differences.
    const OFF: f64 = 1e-9;
    let mut setting = Setting::new();
    setting.options.vectors = Some(VectorFormat::F32);
    setting.run("store").unwrap();
    let store = Store::open(setting.store("store")).unwrap();
    let mut relevance = Vec::new();
    let read = store.vectors::<StoreError>("features.4", |vector| {
        relevance.push(vector.relevance[1]);
        Ok(())
    });
    assert_eq!(read.unwrap(), Some(()));
    let statistics = &store.layers()[1].concepts[1].statistics;
    let mean = relevance.iter().map(|value| f64::from(*value)).sum::<f64>() / SAMPLES as f64;
    let variance = relevance.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / SAMPLES as f64;
    assert_eq!((statistics.relevance.count, statistics.activation.count), (SAMPLES as u64, SAMPLES as u64));
    assert!((statistics.relevance.mean().unwrap() - mean).abs() < OFF);
    assert!((statistics.relevance.variance().unwrap() / variance - 1.0).abs() < OFF);
    assert!(statistics.correlation().is_some_and(|correlation| correlation.abs() <= 1.0));
}

#[test]
fn stores_that_do_not_belong_together_are_refused() {
    let mut setting = Setting::new();
    let shards = scan_shards(&mut setting, 3);
    let output = setting.store("merged");
    let kind = |stores: &[&PathBuf]| {
        let stores: Vec<PathBuf> = stores.iter().map(|store| (*store).clone()).collect();
        merge(&stores, &output).unwrap_err().kind().clone()
    };
    assert_eq!(kind(&[]), StoreErrorKind::NothingToMerge);
    let overlap = StoreErrorKind::Overlap { other: shards[1].clone(), samples: "20 to 39".to_owned() };
    assert_eq!(kind(&[&shards[1], &shards[1]]), overlap);
    assert_eq!(merge(&shards, &shards[0]).unwrap_err().kind(), &StoreErrorKind::MergedIntoItself);
    setting.options.targets = Targets::Predicted;
    setting.options.shard = Shard::new(2, 3).unwrap();
    setting.run("other targets").unwrap();
    let StoreErrorKind::Mismatch { differences } = kind(&[&shards[0], &setting.store("other targets")]) else {
        panic!()
    };
    assert_eq!(differences.iter().map(|difference| difference.field).collect::<Vec<_>>(), ["targets"]);
    assert!(!output.exists() || fs::read_dir(&output).unwrap().count() == 0);

    // A scan of another shard does not go on with the store of this one.
    setting.options.targets = Targets::Label;
    setting.options.shard = Shard::new(1, 3).unwrap();
    let StoreErrorKind::Mismatch { differences } = store_kind(&setting.run("shard 2 of 3").unwrap_err()) else {
        panic!()
    };
    assert_eq!(differences[0].to_string(), "samples of the shard: made with 20 to 39, now given 0 to 19");
}

#[test]
fn a_merge_that_was_killed_is_gone_on_with() {
    let mut setting = Setting::new();
    setting.run("whole").unwrap();
    let shards = scan_shards(&mut setting, 3);
    let merged = setting.store("merged");
    merge(&shards, &merged).unwrap();
    let whole = files(&setting.store("whole"));
    // As after a kill between the renames of tables: some are there, and the manifest says that the store is not complete.
    let partial =
        fs::read_to_string(merged.join("manifest.json")).unwrap().replace("\"complete\": true", "\"complete\": false");
    fs::write(merged.join("manifest.json"), partial).unwrap();
    fs::remove_file(merged.join("samples.parquet")).unwrap();
    fs::write(merged.join("sums.parquet.partial"), "PAR1").unwrap();
    fs::write(merged.join(".glocal.7.partial"), "").unwrap();
    assert!(!merge(&shards, &merged).unwrap().already_complete);
    assert!(files(&merged) == whole);
}

#[test]
fn what_is_named_otherwise_is_not_merged() {
    let mut setting = Setting::new();
    let shards = scan_shards(&mut setting, 2);
    setting.source.class_names = Some((0..CLASSES).map(|class| format!("kind {class}")).collect());
    setting.options.shard = Shard::new(2, 2).unwrap();
    setting.run("named").unwrap();
    let error = merge(&[shards[0].clone(), setting.store("named")], &setting.store("merged")).unwrap_err();
    let StoreErrorKind::Mismatch { differences } = error.kind() else { panic!("{error}") };
    assert_eq!(differences.iter().map(|difference| difference.field).collect::<Vec<_>>(), ["class names"]);
}

#[test]
fn raw_relevance_is_not_kept_in_half_precision() {
    let mut setting = Setting::new();
    let raw = glocal::concept::Scoring {
        normalization: glocal::concept::Normalization::Raw,
        ..glocal::concept::Scoring::RELEVANCE
    };
    let layers: Vec<String> = setting.scan.layers().map(|(name, _)| name.to_owned()).collect();
    let options = ScanOptions { relevance: raw, ..*setting.scan.options() };
    setting.scan = Scan::new(setting.scan.attributor().clone(), &layers, options).unwrap();
    setting.options.vectors = Some(VectorFormat::F16);
    assert_eq!(setting.run("half").unwrap_err().kind(), &ScanErrorKind::HalfPrecision);
    setting.options.vectors = Some(VectorFormat::F32);
    setting.run("single").unwrap();
}
