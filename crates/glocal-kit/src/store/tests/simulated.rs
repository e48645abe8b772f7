//! A scan of a large data set without its model: what is found comes from a random sequence, in the sizes of VGG16.
//!
//! `GLOCAL_SIMULATED_SAMPLES=50000 cargo test --release -p glocal-kit --lib simulated -- --nocapture` is the whole of it; it
//! takes minutes and prints what it took.

use std::time::Instant;

use glocal::search::Observation;

use super::*;

/// The channels and positions of VGG16's convolutions.
const LAYERS: [(&str, usize, u64); 13] = [
    ("features.0", 64, 224 * 224),
    ("features.2", 64, 224 * 224),
    ("features.5", 128, 112 * 112),
    ("features.7", 128, 112 * 112),
    ("features.10", 256, 56 * 56),
    ("features.12", 256, 56 * 56),
    ("features.14", 256, 56 * 56),
    ("features.17", 512, 28 * 28),
    ("features.19", 512, 28 * 28),
    ("features.21", 512, 28 * 28),
    ("features.24", 512, 14 * 14),
    ("features.26", 512, 14 * 14),
    ("features.28", 512, 14 * 14),
];

const CLASSES: u64 = 1_000;
const LARGE_TOP_K: usize = 40;
const BATCH: u64 = 32;

/// What may be held in memory.
const MEMORY: usize = 1 << 30;

/// In which order the classes of the samples come.
#[derive(Debug, Clone, Copy)]
enum Classes {
    /// One after the other, as in class folders.
    Sorted,
    /// All of them all the time.
    Mixed,
}

/// The scores of a sample: half of the channels are not active, the others spread over several orders of magnitude.
fn observe(sample: u64, samples: u64, classes: Classes) -> impl Iterator<Item = Observation> {
    let mut numbers = Numbers(sample.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d);
    LAYERS.into_iter().enumerate().map(move |(layer, (_, channels, positions))| {
        let mut score = || match numbers.next() {
            number if number % 8 < 4 => (0.0, 0),
            number => {
                let size = 2f32.powi(-(numbers.below(12) as i32));
                let fine = 1.0 + numbers.below(1 << 23) as f32 / (1 << 23) as f32;
                let sign = if number % 8 == 4 { -1.0 } else { 1.0 };
                (sign * size * fine / channels as f32, numbers.below(positions) as u32)
            }
        };
        let relevance: Vec<(f32, u32)> = (0..channels).map(|_| score()).collect();
        let activation: Vec<(f32, u32)> =
            (0..channels).map(|_| score()).map(|(score, peak)| (score.abs(), peak)).collect();
        let active = activation.iter().map(|(score, _)| *score > 0.0).collect();
        let target = match classes {
            Classes::Sorted => sample * CLASSES / samples,
            Classes::Mixed => sample * 7919 % CLASSES,
        } as u32;
        Observation { sample: SampleId(sample), target, first: true, layer, relevance, activation, active }
    })
}

/// The greatest memory that this process had, in bytes, where the system says it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// The bytes that this process has written to files, where the system says it.
fn written() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar:"))?.trim().parse().ok()
}

#[test]
fn simulated_scan_of_a_large_data_set() {
    simulate(Classes::Sorted);
}

#[test]
fn simulated_scan_of_a_large_data_set_in_random_order() {
    simulate(Classes::Mixed);
}

fn simulate(classes: Classes) {
    let samples: u64 = std::env::var("GLOCAL_SIMULATED_SAMPLES").map_or(200, |text| text.parse().unwrap());
    let layers = LAYERS.map(|(name, channels, _)| (name, channels));
    let manifest = || {
        let mut manifest = manifest(&layers);
        (manifest.data.samples, manifest.covered) = (samples, vec![[0, samples]]);
        manifest.options.top_k = LARGE_TOP_K;
        manifest
    };
    let empty = layers.iter().map(|(name, channels)| LayerReferences {
        layer: (*name).to_owned(),
        concepts: vec![ConceptReferences::new(LARGE_TOP_K); *channels],
    });
    let (folder, data_folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let Begun { mut writer, .. } =
        StoreWriter::prepare(folder.path(), manifest(), 0..samples, &sources()).unwrap().unwrap();
    let mut held = held(References::from_parts(LARGE_TOP_K, empty.collect(), 0));
    let (begun, mut collecting, mut saving, mut parts) = (Instant::now(), 0.0, 0.0, 0);
    // A few parts even where little is held.
    let limit = MEMORY.min(samples as usize * 50_000);
    for first in (0..samples).step_by(BATCH as usize) {
        let observed: Vec<Observation> =
            (first..samples.min(first + BATCH)).flat_map(|sample| observe(sample, samples, classes)).collect();
        let started = Instant::now();
        held.collect(&observed);
        collecting += started.elapsed().as_secs_f64();
        if held.held() > limit {
            let started = Instant::now();
            writer.save(&mut held, samples.min(first + BATCH)).unwrap();
            saving += started.elapsed().as_secs_f64();
            parts += 1;
        }
    }
    assert!(parts > 0);
    let started = Instant::now();
    writer.finish(&held, data(data_folder.path()).as_ref()).unwrap();
    let finishing = started.elapsed().as_secs_f64();
    let bytes: u64 = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    let store = Store::open(folder.path()).unwrap();
    let rows = store.manifest().tables["references.parquet"].rows;
    println!(
        "{samples} samples, {classes:?}, in {:.0} s: collecting {collecting:.1} s, {parts} parts in {saving:.1} s, finishing {finishing:.1} s\n\
         {rows} entries, {bytes} bytes ({:.2} an entry), peak memory {:?}, written {:?}",
        begun.elapsed().as_secs_f64(),
        bytes as f64 / rows as f64,
        peak_memory(),
        written(),
    );
    // A channel's rankings are those of a search that holds everything.
    for (layer, id) in [(0, 7), (12, 511)] {
        let (name, ..) = LAYERS[layer];
        let mut expected = [(); 2].map(|()| TopK::new(LARGE_TOP_K));
        for sample in 0..samples {
            let observed = observe(sample, samples, classes).nth(layer).unwrap();
            for (ranking, scores) in expected.iter_mut().zip([&observed.relevance, &observed.activation]) {
                let (score, peak) = scores[id];
                ranking.insert(Entry { sample: observed.sample, target: observed.target, score, other: 0.0, peak });
            }
        }
        let found = store.concept(name, id).unwrap();
        let entries = |ranking: &TopK| -> Vec<(SampleId, f32, u32)> {
            ranking.entries().iter().map(|entry| (entry.sample, entry.score, entry.peak)).collect()
        };
        assert_eq!(entries(&found.relevance), entries(&expected[0]));
        assert_eq!(entries(&found.activation), entries(&expected[1]));
        assert_eq!(found.statistics.relevance.count, samples);
        assert_eq!(found.relevance_by_class.len() as u64, samples.min(CLASSES));
    }
    if samples >= 50_000 {
        assert!(bytes < 3_000_000_000, "{bytes} bytes");
        assert!(peak_memory().is_none_or(|peak| peak < 4_000_000_000), "{:?}", peak_memory());
    }
}
