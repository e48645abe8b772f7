//! A sample's result is the same, bit for bit, whatever stands beside it in the batch.

use std::collections::BTreeSet;

use glocal::attribution::{Attributor, Cancel, Condition, Pairing, Request, Scope};
use glocal::canonizer::canonize;
use glocal::composite::{Preset, PresetParameters};
use glocal::concept::{Channel, Selection};
use glocal::search::{Observation, SampleId, Scan, ScanOptions};
use glocal_compute::Tensor;
use proptest::prelude::*;

use crate::network::{self, Network};

use crate::{MODELS, attributor, difference, inputs, merged, names, support};

#[test]
fn attributions_do_not_depend_on_the_batch() {
    for name in MODELS {
        for composite in ["epsilon-plus-flat", "epsilon-alpha2-beta1", "epsilon-gamma-box:low=-3,high=3", "gradient"] {
            let attributor = attributor(merged(name), composite);
            let request = Request {
                conditions: vec![Condition::predicted(), Condition::class(1)],
                record: names(attributor.model()),
                ..Request::default()
            };
            let x = inputs(name);
            let together = attributor.attribute(&x, &request).unwrap();
            for sample in 0..x.batch() {
                let alone = attributor.attribute(&support::rows(&x, &[sample]), &request).unwrap();
                assert_eq!(together.prediction.row(sample), alone.prediction.row(0), "{name}, {composite}");
                for (layer, activation) in &alone.activations {
                    assert_eq!(together.activations[layer].row(sample), activation.row(0), "{name}, {layer}");
                }
                for condition in 0..2 {
                    let item = &together.items[2 * sample + condition];
                    assert_eq!((item.sample, item.condition), (sample, condition));
                    let difference = difference(item, &alone.items[condition]);
                    assert_eq!(difference, None, "{name}, {composite}, sample {sample}, condition {condition}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::config(64))]

    /// On random networks: alone, or in any order beside the others and itself.
    #[test]
    fn attributions_of_random_networks_do_not_depend_on_the_batch(
        choices in network::choices(),
        crowd in proptest::collection::vec(0usize..3, 1..6),
    ) {
        let Network { model, x } = Network::drawn(choices);
        let model = canonize(&model).unwrap();
        let named = model.graph().nodes().filter_map(|(_, node)| node.layers.first());
        let record: Vec<String> = named.map(ToString::to_string).collect();
        for composite in ["epsilon-plus-flat", "epsilon-alpha2-beta1", "epsilon-gamma-box:low=-3,high=3", "gradient"] {
            let attributor = attributor(model.clone(), composite);
            let request = Request {
                conditions: vec![Condition::predicted(), Condition::class(1)],
                record: record.clone(),
                ..Request::default()
            };
            let together = attributor.attribute(&support::rows(&x, &crowd), &request).unwrap();
            for (row, &sample) in crowd.iter().enumerate() {
                let alone = attributor.attribute(&support::rows(&x, &[sample]), &request).unwrap();
                for condition in 0..2 {
                    let (beside, alone) = (&together.items[2 * row + condition], &alone.items[condition]);
                    let difference = difference(beside, alone);
                    prop_assert_eq!(difference, None, "{}, sample {}\n{}", composite, sample, network::describe(&model));
                }
            }
        }
    }
}

/// The rules skip what is zero in the whole batch: that a neighbour has negative inputs must not show.
#[test]
fn signs_of_neighbours_change_nothing() {
    for name in MODELS {
        let x = inputs(name);
        let mut positive = x.clone();
        let len = positive.row_len();
        positive.data_mut()[..len].iter_mut().for_each(|value| *value = value.abs());
        for composite in ["epsilon-plus", "epsilon-alpha2-beta1", "epsilon-gamma-box:low=-3,high=3"] {
            let attributor = attributor(merged(name), composite);
            let request = Request { record: names(attributor.model()), ..Request::default() };
            let together = attributor.attribute(&positive, &request).unwrap();
            let alone = attributor.attribute(&support::rows(&positive, &[0]), &request).unwrap();
            assert_eq!(difference(&together.items[0], &alone.items[0]), None, "{name}, {composite}");
        }
    }
}

/// A sample beside which another one has inputs that no rule likes: zeros, and very large numbers.
#[test]
fn extreme_neighbours_change_nothing() {
    for name in ["vgg_tiny", "resnet_tiny"] {
        let x = inputs(name);
        let mut crowd = support::rows(&x, &[0, 1, 1]);
        let len = crowd.row_len();
        crowd.data_mut()[len..2 * len].fill(0.0);
        crowd.data_mut()[2 * len..].iter_mut().for_each(|value| *value *= 1e18);
        let attributor = attributor(merged(name), "epsilon-plus-flat");
        let request = Request { record: names(attributor.model()), ..Request::default() };
        let together = attributor.attribute(&crowd, &request).unwrap();
        let alone = attributor.attribute(&support::rows(&x, &[0]), &request).unwrap();
        assert_eq!(difference(&together.items[0], &alone.items[0]), None, "{name}");
    }
}

fn observed(scan: &Scan, x: &Tensor, samples: &[usize], targets: &[Vec<u32>]) -> Vec<Observation> {
    let ids: Vec<SampleId> = samples.iter().map(|&sample| SampleId(sample as u64)).collect();
    let targets: Vec<Vec<u32>> = samples.iter().filter_map(|&sample| targets.get(sample).cloned()).collect();
    let mut observations = scan.observe(&support::rows(x, samples), &ids, &targets, &Cancel::default()).unwrap();
    observations.sort_by_key(|seen| (seen.layer, seen.sample, seen.target));
    observations
}

/// Together in a pool of one thread, which takes all of a batch at once; and as attributions are, which keep what a scan drops.
#[test]
fn observations_do_not_depend_on_the_batch() {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let parameters = PresetParameters { low: Some(-3.0), high: Some(3.0), ..PresetParameters::default() };
    let names_of_models = ["vgg_tiny", "resnet_tiny", "inception_tiny", "conv1d_tiny"];
    for (name, preset) in names_of_models.into_iter().flat_map(|name| Preset::ALL.map(|preset| (name, preset))) {
        let attributor = Attributor::new(merged(name), preset.composite(&parameters).unwrap()).unwrap();
        let layers: Vec<String> = names(attributor.model()).into_iter().skip(1).collect();
        let scan = Scan::new(attributor, &layers, ScanOptions::default()).unwrap();
        let x = inputs(name);
        for targets in [Vec::new(), vec![vec![0], vec![2, 1], vec![3]]] {
            let together = one_thread.install(|| observed(&scan, &x, &[0, 1, 2], &targets));
            let mut apart: Vec<Observation> =
                [[2], [0], [1]].iter().flat_map(|sample| observed(&scan, &x, sample, &targets)).collect();
            apart.sort_by_key(|seen| (seen.layer, seen.sample, seen.target));
            assert!(!together.is_empty());
            assert_eq!(together, apart, "{name}, {preset:?}");
            assert_as_attributed(&scan, &x, &layers, &together);
        }
    }
}

/// Compares the scores of relevance with those of attributions.
fn assert_as_attributed(scan: &Scan, x: &Tensor, layers: &[String], observations: &[Observation]) {
    for sample in 0..x.batch() {
        let of_sample = || observations.iter().filter(|seen| seen.sample == SampleId(sample as u64));
        let targets: BTreeSet<u32> = of_sample().map(|seen| seen.target).collect();
        let conditions = targets.iter().map(|target| Condition::class(*target as usize)).collect();
        let request = Request { conditions, record: layers.to_vec(), ..Request::default() };
        let attributed = scan.attributor().attribute(&support::rows(x, &[sample]), &request).unwrap();
        for (target, item) in targets.iter().zip(&attributed.items) {
            for seen in of_sample().filter(|seen| seen.target == *target) {
                let relevance = item.layers[&layers[seen.layer]].data();
                let scored = scan.options().relevance.apply(&Channel, relevance, scan.sites().nth(seen.layer).unwrap());
                let scored: Vec<(f32, u32)> = scored.iter().map(|scored| (scored.score, scored.peak as u32)).collect();
                assert_eq!(seen.relevance, scored, "sample {sample}, target {target}, {}", layers[seen.layer]);
            }
        }
    }
}

/// Rows of one request do not know each other either.
#[test]
fn zipped_rows_equal_their_own_requests() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let x = inputs("resnet_tiny");
    let conditions = vec![
        Condition::class(0).through("layer2.0.conv1", Selection::channels([1])),
        Condition::class(2),
        Condition::predicted().through("layer3.0.conv2", Selection::channels([0, 3])),
    ];
    for scope in [Scope::Isolated, Scope::Whole] {
        let of = |conditions: &[Condition]| Request {
            conditions: conditions.to_vec(),
            pairing: Pairing::Zip,
            scope,
            record: vec!["conv1".to_owned(), "layer2.0.conv1".to_owned()],
            ..Request::default()
        };
        let together = attributor.attribute(&x, &of(&conditions)).unwrap();
        for (sample, condition) in conditions.iter().enumerate() {
            let alone =
                attributor.attribute(&support::rows(&x, &[sample]), &of(std::slice::from_ref(condition))).unwrap();
            assert_eq!(difference(&together.items[sample], &alone.items[0]), None, "{scope:?}, sample {sample}");
        }
    }
}
