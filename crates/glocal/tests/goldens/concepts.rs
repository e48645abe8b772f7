//! Concept relevance and the ordering of samples by it.

use glocal::concept::{Channel, Concept, Normalization, Score, Scoring, relevance};

use crate::MODELS;
use crate::support::{Oracle, differ};

/// These are sums of stored values, done in double precision here and in single precision there.
const TOLERANCE: f32 = 2e-5;

#[test]
fn concept_relevance_equals_the_reference() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("concept") {
            cases += 1;
            let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
            let (shape, values) = oracle.tensor("crp.safetensors", &text(&case["relevance"]["tensor"]).unwrap());
            let sample_shape = &shape[1..];
            let samples: Vec<&[f32]> = values.chunks(sample_shape.iter().product()).collect();
            let normalization = if case["abs_norm"] == true { Normalization::Share } else { Normalization::Raw };
            let mut check = |what: &str, ours: Vec<f32>, name: &serde_json::Value| {
                let golden = oracle.tensor("crp.safetensors", name.as_str().unwrap()).1;
                if let Some(failure) = differ(&ours, &golden, TOLERANCE) {
                    failures.push(format!("{name} {} {what}: {failure}", case["id"]));
                }
            };
            let expected = &case["expected"];
            if case["call"] == "attribute" {
                let mask = text(&case["mask"]["tensor"]).map(|mask| oracle.tensor("crp.safetensors", &mask).1);
                let of = |sample: &&[f32]| {
                    relevance(&Channel, sample, sample_shape, mask.as_deref(), normalization).unwrap()
                };
                let ours = samples.iter().flat_map(of).map(|value| value as f32).collect();
                check("relevance", ours, &expected["tensor"]);
                continue;
            }
            let score = if case["max_target"] == "max" { Score::Max } else { Score::Sum };
            let scored: Vec<_> = samples
                .iter()
                .map(|sample| Scoring { score, normalization }.apply(&Channel, sample, sample_shape))
                .collect();
            let plane: usize = sample_shape[1..].iter().product();
            let count = Channel.count(&sample_shape.into());
            let (mut order, mut scores, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
            for (rank, channel) in (0..samples.len()).flat_map(|rank| (0..count).map(move |channel| (rank, channel))) {
                let mut sorted: Vec<usize> = (0..samples.len()).collect();
                sorted.sort_by(|&a, &b| scored[b][channel].score.total_cmp(&scored[a][channel].score));
                let best = scored[sorted[rank]][channel];
                order.push(sorted[rank] as f32);
                scores.push(best.score);
                peaks.push((best.peak % plane) as f32);
            }
            check("order", order, &expected["d_ch_sorted"]);
            check("scores", scores, &expected["rel_ch_sorted"]);
            check("peaks", peaks, &expected["rf_ch_sorted"]);
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, 76, "the oracle has 76 cases");
}

#[test]
fn a_region_has_one_weight_for_each_position() {
    let values = [1.0; 8];
    for len in [0, 3, 5, 8] {
        let region = vec![1.0; len];
        assert!(relevance(&Channel, &values, &[2, 2, 2], Some(&region), Normalization::Raw).is_err(), "{len}");
    }
    let region = [1.0, 0.0, 0.5, 0.0];
    assert_eq!(relevance(&Channel, &values, &[2, 2, 2], Some(&region), Normalization::Raw).unwrap(), [1.5, 1.5]);
}
