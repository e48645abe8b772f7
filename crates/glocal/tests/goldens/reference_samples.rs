//! Reference samples, statistics of classes and conditional heatmaps of references (the suite `fv`).
//!
//! What the peer does otherwise, and how it is met here:
//! - It scores relevance and activation in one way, and so does this test; ours may differ.
//! - Its peaks are positions within the channel; ours are positions in the layer.
//! - It starts the heatmaps of references with the whole activation of the concept, negative values among them, whichever
//!   ranking or class the sample was chosen by. [`Initial::Value`] is that start.
//! - It sums vectors of features away in heatmaps; ours keep them.
//! - A merged batch normalisation divides by √(1 + ε): see `support.rs`.

use std::collections::BTreeSet;

use glocal::attribution::{Attributor, Cancel, Condition, Initial, Pairing, Request, Scope, Target};
use glocal::concept::{Normalization, Score, Scoring, Selection};
use glocal::search::{Measure, References, SampleId, Scan, ScanOptions};
use glocal_compute::Tensor;
use serde_json::Value;

use crate::MODELS;
use crate::support::{Oracle, composite, differ, tolerance};

/// The batch of the peer; the result does not depend on it.
const BATCH: usize = 32;

/// Means are rounded to nine digits in the file, and summed in single precision there.
const MEAN_TOLERANCE: f64 = 1e-6;

/// What a case is compared by.
struct Case<'a> {
    oracle: &'a Oracle,
    case: &'a Value,
    images: Tensor,
    found: References,
    tolerance: f32,
    failures: Vec<String>,
    /// How many scores were compared, and how many samples stand at another rank than the peer's.
    scores: usize,
    swapped: usize,
}

#[test]
fn reference_samples_equal_the_reference() {
    let (mut failures, mut ids) = (Vec::new(), BTreeSet::new());
    let (mut scores, mut swapped, mut means, mut heatmaps) = (0, 0, 0, 0);
    for name in MODELS {
        let oracle = Oracle::load(name);
        for case in oracle.cases("fv") {
            assert!(ids.insert(format!("{name} {}", case["id"])));
            let mut case = Case::search(&oracle, case);
            case.rankings();
            means += case.means();
            heatmaps += case.heatmaps();
            failures.append(&mut case.failures);
            scores += case.scores;
            swapped += case.swapped;
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!((ids.len(), means, heatmaps), (9, 96, 72), "cases, statistics and heatmaps of the oracle");
    // A swap needs two scores closer than what the computation is off by: such pairs are rare.
    assert!(swapped * 1000 <= scores, "{swapped} of {scores}");
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

impl<'a> Case<'a> {
    /// The search over the data set, in two halves that are merged.
    fn search(oracle: &'a Oracle, case: &'a Value) -> Self {
        let dataset = &case["dataset"];
        let tensor = |name: &Value| oracle.tensor(dataset["file"].as_str().unwrap(), name.as_str().unwrap());
        let (shape, data) = tensor(&dataset["images"]);
        let images = Tensor::new(shape, data).unwrap();
        let labels: Vec<u32> = tensor(&dataset["labels"]).1.iter().map(|label| *label as u32).collect();
        let scoring = Scoring {
            score: if case["max_target"] == "max" { Score::Max } else { Score::Sum },
            normalization: if case["abs_norm"] == true { Normalization::Share } else { Normalization::Raw },
        };
        let options = ScanOptions { top_k: number(&case["sample_size"]), relevance: scoring, activation: scoring };
        let layers: Vec<String> = texts(&case["layers"]).into_iter().map(|layer| oracle.node_of(layer)).collect();
        let scan = Scan::new(oracle.attributor(case).unwrap(), &layers, options).unwrap();
        let mut halves = [References::for_scan(&scan), References::for_scan(&scan)];
        let rows: Vec<usize> = (0..labels.len()).collect();
        for (index, rows) in rows.chunks(BATCH).enumerate() {
            let samples: Vec<SampleId> = rows.iter().map(|row| SampleId(*row as u64)).collect();
            let targets: Vec<Vec<u32>> = rows.iter().map(|row| vec![labels[*row]]).collect();
            let inputs = crate::support::rows(&images, rows);
            let observed = scan.observe(&inputs, &samples, &targets, &Cancel::default()).unwrap();
            halves[index % 2].collect(&observed);
        }
        let [mut found, other] = halves;
        found.merge(&other);
        let tolerance = tolerance(case, oracle.merged_batch_norms(case));
        Self { oracle, case, images, found, tolerance, failures: Vec::new(), scores: 0, swapped: 0 }
    }

    fn golden(&self, name: &Value) -> (Vec<usize>, Vec<f32>) {
        self.oracle.tensor(self.case["file"].as_str().unwrap(), name.as_str().unwrap())
    }

    fn fail(&mut self, what: &str, failure: &str) {
        self.failures.push(format!("{} {} {what}: {failure}", self.oracle.name, self.case["id"]));
    }

    fn rankings(&mut self) {
        let expected = &self.case["expected"];
        for (name, measure, by_class) in [
            ("RelMax", Measure::Relevance, false),
            ("ActMax", Measure::Activation, false),
            ("RelStats", Measure::Relevance, true),
            ("ActStats", Measure::Activation, true),
        ] {
            for (layer, tables) in expected[name].as_object().into_iter().flatten() {
                if !by_class {
                    self.ranking(&format!("{name} {layer}"), layer, measure, None, tables);
                    continue;
                }
                let counts = self.case["dataset"]["class_counts"].as_array().unwrap();
                let seen = counts.iter().filter(|count| count.as_u64() != Some(0)).count();
                assert_eq!(tables.as_object().unwrap().len(), seen);
                for (class, table) in tables.as_object().unwrap() {
                    let what = format!("{name} {layer} class {class}");
                    self.ranking(&what, layer, measure, Some(class.parse().unwrap()), table);
                }
            }
        }
    }

    /// One table `[ranks, channels]` of samples, scores and peaks.
    fn ranking(&mut self, what: &str, layer: &str, measure: Measure, class: Option<u32>, table: &Value) {
        let (shape, samples) = self.golden(&table["data"]);
        let scores = self.golden(&table["rel"]).1;
        let peaks = (!table["rf"].is_null()).then(|| self.golden(&table["rf"]).1);
        let &[ranks, channels] = shape.as_slice() else { panic!("{shape:?}") };
        let node = self.oracle.node_of(layer);
        let plane: usize = {
            let model = &self.oracle.merged;
            model.graph().node(model.layer(&node).unwrap()).shape[1..].iter().product()
        };
        let found = self.found.layer(&node).unwrap();
        assert_eq!(found.concepts.len(), channels);
        let mut failures = Vec::new();
        for (channel, concept) in found.concepts.iter().enumerate() {
            let column =
                |values: &[f32]| -> Vec<f32> { values.iter().skip(channel).step_by(channels).copied().collect() };
            let (samples, scores) = (column(&samples), column(&scores));
            let entries = concept.ranking(measure, class).unwrap().entries();
            let ours: Vec<f32> = entries.iter().map(|entry| entry.score).collect();
            self.scores += ranks;
            if let Some(failure) = differ(&ours, &scores, self.tolerance) {
                failures.push(format!("channel {channel}, scores: {failure}"));
                continue;
            }
            // What this computation is off by: two scores closer than twice that may change places, no others.
            let off = ours.iter().zip(&scores).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            for (rank, entry) in entries.iter().enumerate() {
                let sample = entry.sample.0 as f32;
                if sample == samples[rank] {
                    let peak = peaks.as_deref().map(|peaks| column(peaks)[rank] as usize);
                    if peak.is_some_and(|peak| channel * plane + peak != entry.peak as usize) {
                        failures.push(format!("channel {channel}, rank {rank}: peak {} not {peak:?}", entry.peak));
                    }
                    continue;
                }
                self.swapped += 1;
                // A sample that the peer's table lacks lost its place to the last one there.
                let theirs = samples.iter().position(|known| *known == sample).unwrap_or(ranks - 1);
                if (scores[theirs] - scores[rank]).abs() > 2.0 * off {
                    let expected = samples[rank];
                    failures.push(format!("channel {channel}, rank {rank}: sample {sample} not {expected}"));
                }
            }
        }
        failures.iter().for_each(|failure| self.fail(what, failure));
    }

    /// The classes that a concept matters most for, by the mean of their best scores.
    fn means(&mut self) -> usize {
        let cases = self.case["compute_stats"].as_array().map_or(&[][..], Vec::as_slice);
        for golden in cases {
            let layer = self.oracle.node_of(golden["layer"].as_str().unwrap());
            let concept = &self.found.layer(&layer).unwrap().concepts[number(&golden["concept_id"])];
            let by_class = match golden["mode"].as_str().unwrap() {
                "relevance" => &concept.relevance_by_class,
                _ => &concept.activation_by_class,
            };
            let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
            let mut means: Vec<(f64, u32)> = by_class
                .iter()
                .map(|(class, ranking)| {
                    let best = ranking.entries().iter().take(number(&golden["mean_N"]));
                    (mean(&best.map(|entry| f64::from(entry.score)).collect::<Vec<_>>()), class)
                })
                .collect();
            means.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            means.truncate(number(&golden["top_N"]));
            let largest = if golden["norm"] == true { means[0].0 } else { 1.0 };
            let allowed = f64::from(self.tolerance) + MEAN_TOLERANCE;
            let targets = golden["targets"].as_array().unwrap().iter();
            let values = golden["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
            assert_eq!(values.len(), means.len());
            let agree = targets.zip(values).zip(&means).all(|((target, value), (mean, class))| {
                number(target) == *class as usize && (mean / largest - value).abs() <= allowed * value.abs()
            });
            if !agree {
                self.fail("compute_stats", &format!("{golden}, ours {means:?}"));
            }
        }
        cases.len()
    }

    /// The heatmaps of reference samples: of the best of all and of the best of a class.
    fn heatmaps(&mut self) -> usize {
        let mut count = 0;
        for suite in ["get_max_reference", "get_stats_reference"] {
            for golden in self.case[suite].as_array().map_or(&[][..], Vec::as_slice) {
                count += 1;
                if let Some(failure) = self.heatmap(golden) {
                    self.fail(suite, &format!("{golden}: {failure}"));
                }
            }
        }
        count
    }

    fn heatmap(&self, golden: &Value) -> Option<String> {
        let (layer, concept) = (self.oracle.node_of(golden["layer"].as_str().unwrap()), number(&golden["concept_id"]));
        let measure = if golden["mode"] == "activation" { Measure::Activation } else { Measure::Relevance };
        let class = golden["target"].as_u64().map(|class| class as u32);
        let ranking = self.found.layer(&layer).unwrap().concepts[concept].ranking(measure, class).unwrap();
        let (from, to) = (number(&golden["r_range"][0]), number(&golden["r_range"][1]));
        let entries = &ranking.entries()[from..to];
        let samples: Vec<usize> = entries.iter().map(|entry| entry.sample.0 as usize).collect();
        let theirs: Vec<usize> = golden["data_indices"].as_array().unwrap().iter().map(number).collect();
        if samples != theirs {
            return Some(format!("samples {samples:?}"));
        }
        let selection = |peak: u32| match golden["rf"] == true {
            true => Selection::neurons([peak as usize]),
            false => Selection::channels([concept]),
        };
        let condition = |peak| Condition { target: Target::Some(selection(peak)), layers: Vec::new() };
        let request = Request {
            conditions: entries.iter().map(|entry| condition(entry.peak)).collect(),
            pairing: Pairing::Zip,
            scope: Scope::Whole,
            start: Some(layer),
            initial: Initial::Value,
            ..Request::default()
        };
        let attributor = {
            let composite = composite(&self.case["reference_composite"], &self.oracle.layers).unwrap();
            Attributor::new(self.oracle.merged.clone(), composite).unwrap()
        };
        let inputs = crate::support::rows(&self.images, &samples);
        let items = attributor.attribute(&inputs, &request).unwrap().items;
        let features = inputs.sample_shape().len() == 1;
        let heatmap = |item: &glocal::attribution::Attribution| {
            let heatmap = item.heatmap().unwrap().into_data();
            if features { vec![heatmap.iter().sum()] } else { heatmap }
        };
        let ours: Vec<f32> = items.iter().flat_map(heatmap).collect();
        differ(&ours, &self.golden(&golden["heatmap"]).1, self.tolerance)
    }
}
