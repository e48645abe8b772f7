//! Known mixtures, the values of scikit-learn, and vectors that no mixture was made for.

use std::num::NonZeroUsize;

use toml::Value;

use super::fit::{criterion, fit_count};
use super::mixture::{Mixture, Prior};
use super::*;
use crate::attribution::Cancel;
use crate::error::RunErrorKind;
use crate::random::Sequence;
use crate::search::SampleId;

/// A sum of twelve even numbers is near enough to a normal one, with mean 0 and deviation 1.
fn normal(sequence: &mut Sequence) -> f64 {
    (0..12).map(|_| sequence.fraction()).sum::<f64>() - 6.0
}

/// `count` vectors around each of the `means`, in turns, all with the same deviation.
fn around(means: &[&[f64]], deviation: f64, count: usize, seed: u64) -> ClassVectors {
    let mut sequence = Sequence::new(seed, 99, 0);
    let mut vectors = ClassVectors::new(3, means[0].len());
    for number in 0..count * means.len() {
        let mean = means[number % means.len()];
        let row: Vec<f32> = mean.iter().map(|mean| (mean + deviation * normal(&mut sequence)) as f32).collect();
        vectors.push(SampleId(number as u64), &row);
    }
    vectors
}

fn fitted(vectors: &ClassVectors, options: &PrototypeOptions) -> ClassPrototypes {
    vectors.fit(options, &Cancel::default()).unwrap().unwrap()
}

fn exactly(count: usize) -> PrototypeOptions {
    PrototypeOptions { clusters: Clusters::Count(NonZeroUsize::new(count).unwrap()), seed: 0 }
}

const MEANS: [&[f64]; 3] = [&[0.5, 0.1, 0.0, 0.1], &[0.1, 0.5, 0.1, 0.0], &[0.0, 0.1, 0.5, 0.2]];

#[test]
fn mixtures_are_those_of_scikit_learn() {
    /// Where scikit-learn ends: a step gains less than 1e-12, so that parameters are about its square root from their place.
    const RELATIVE: f64 = 2e-5;
    /// In nats; a row far from the means sees some times that.
    const LOG_LIKELIHOOD: f64 = 2e-4;
    /// Steps after the usual end of a fit, until they change nothing.
    const MORE_STEPS: usize = 3000;
    let text = include_str!("../../../../tests/prototypes/scikit_learn.toml");
    let goldens: toml::Table = text.parse().unwrap();
    let cases = goldens["case"].as_array().unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_float().unwrap()).collect()
    };
    assert_eq!(cases.len(), 3);
    for case in cases {
        let rows: Vec<Vec<f32>> = case["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| numbers(row).iter().map(|v| *v as f32).collect())
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let weights = numbers(&case["weights"]);
        let none = Prior { samples: 0.0, variance: vec![0.0; rows[0].len()], floor: 1e-30 };
        let mut found = fit_count(&rows, weights.len(), &none, 0, &Cancel::default()).unwrap();
        for _ in 0..MORE_STEPS {
            let (parts, _) = found.expectation(&rows);
            found = Mixture::maximization(&rows, &parts, weights.len(), &none);
        }
        found.components.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        for (index, component) in found.components.iter().enumerate() {
            let near = |given: f64, expected: f64| (given - expected).abs() <= RELATIVE * expected.abs().max(0.1);
            let all_near = |given: &[f64], key: &str| {
                given.iter().zip(numbers(&case[key][index])).all(|(given, expected)| near(*given, expected))
            };
            assert!(near(component.weight, weights[index]), "{}: {found:?}", case["name"]);
            assert!(all_near(&component.mean, "means") && all_near(&component.variance, "variances"), "{found:?}");
        }
        for (row, expected) in rows.iter().zip(numbers(&case["log_likelihoods"])) {
            let given = found.log_likelihood(row);
            assert!((given - expected).abs() <= LOG_LIKELIHOOD, "{}: {given} {expected}", case["name"]);
        }
        let (given, expected) = (criterion(&found, &rows), case["criterion"].as_float().unwrap());
        assert!((given - expected).abs() <= LOG_LIKELIHOOD * rows.len() as f64, "{given} {expected}");
    }
}

#[test]
fn clusters_are_found_with_their_centres_shares_and_contrasts() {
    /// Five standard deviations of the mean of 60.
    const NEAR: f64 = 5.0 * 0.02 / 7.7;
    let vectors = around(&MEANS, 0.02, 60, 1);
    for options in [PrototypeOptions::default(), exactly(3)] {
        let found = fitted(&vectors, &options);
        assert_eq!((found.class(), found.samples(), found.prototypes().len()), (3, 180, 3), "{options:?}");
        for prototype in found.prototypes() {
            let of = prototype.sample.0 as usize % 3;
            assert!(prototype.mean.iter().zip(MEANS[of]).all(|(given, mean)| (given - mean).abs() < NEAR));
            assert!(prototype.members == 60 && (prototype.weight - 1.0 / 3.0).abs() < 1e-6, "{prototype:?}");
            // Each cluster's own concept is what it has more of than the others.
            assert_eq!(largest(&prototype.contrast, 1), [of]);
            let others = (0..3).filter(|other| *other != of).map(|other| MEANS[other][of]).sum::<f64>() / 2.0;
            assert!((prototype.contrast[of] - (MEANS[of][of] - others)).abs() < 2.0 * NEAR);
        }
    }
}

#[test]
fn the_sample_of_a_prototype_is_nearest_to_its_centre() {
    let mut vectors = around(&MEANS[..1], 0.05, 30, 4);
    let found = fitted(&vectors, &exactly(1));
    let centre: Vec<f32> = found.prototypes()[0].mean.iter().map(|mean| *mean as f32).collect();
    // Twice the centre itself: the mean stays, and of the two the one with the smaller number is taken, though it comes later.
    vectors.push(SampleId(2000), &centre);
    vectors.push(SampleId(1000), &centre);
    let found = fitted(&vectors, &exactly(1));
    let prototype = &found.prototypes()[0];
    assert_eq!((prototype.sample, prototype.members, prototype.weight), (SampleId(1000), 32, 1.0));
    assert_eq!(prototype.contrast, [0.0; 4]);
}

#[test]
fn the_criterion_sees_one_cluster_where_there_is_one() {
    let found = fitted(&around(&MEANS[..1], 0.05, 200, 5), &PrototypeOptions::default());
    assert_eq!(found.prototypes().len(), 1);
    // At least ten samples a cluster, whatever they look like.
    let few = fitted(&around(&MEANS, 0.001, 6, 5), &PrototypeOptions::default());
    assert_eq!(few.prototypes().len(), 1);
}

#[test]
fn p_values_of_the_same_kind_are_even_and_of_another_kind_small() {
    let found = fitted(&around(&MEANS, 0.05, 50, 6), &exactly(3));
    let values = |vectors: &ClassVectors| -> Vec<f64> {
        vectors.rows().iter().map(|row| found.judge(row).unwrap().p_value.unwrap()).collect()
    };
    let same = values(&around(&MEANS, 0.05, 667, 7));
    for part in [0.05, 0.25, 0.5, 0.75] {
        let below = same.iter().filter(|value| **value <= part).count() as f64 / same.len() as f64;
        // Four standard deviations of a part of 2,000 numbers, and of the 150 that they are measured against.
        let within = 4.0 * (part * (1.0 - part) * (1.0 / 2000.0 + 1.0 / 150.0)).sqrt();
        assert!((below - part).abs() < within, "{below} of the values are below {part}");
    }
    let other = values(&around(&[&[0.1, 0.1, 0.1, 0.7]], 0.05, 50, 8));
    assert!(other.iter().all(|value| *value == 1.0 / 151.0), "{other:?}");
}

#[test]
fn judgements_tell_the_nearest_prototype_and_what_differs() {
    let found = fitted(&around(&MEANS, 0.02, 40, 9), &exactly(3));
    let judgement = found.judge(&[0.1, 0.5, 0.4, 0.0]).unwrap();
    let prototype = &found.prototypes()[judgement.nearest];
    assert_eq!(prototype.sample.0 % 3, 1);
    assert!(judgement.membership > 0.999);
    assert_eq!(largest(&judgement.difference, 1), [2]);
    assert!((judgement.difference[2] - (f64::from(0.4_f32) - prototype.mean[2])).abs() < 1e-12);
    let deviations = judgement.difference[2] / prototype.deviation[2];
    assert!((judgement.deviations[2] - deviations).abs() <= 1e-9 * deviations);
}

#[test]
fn steps_never_lower_what_they_raise() {
    let vectors = around(&MEANS, 0.15, 30, 10);
    let rows = vectors.rows();
    let prior = Prior::of(&rows);
    let parts: Vec<f64> =
        (0..rows.len()).flat_map(|row| (0..3).map(move |k| f64::from(u8::from(row % 7 % 3 == k)))).collect();
    let mut mixture = Mixture::maximization(&rows, &parts, 3, &prior);
    let mut before = f64::NEG_INFINITY;
    for _ in 0..50 {
        let (parts, log_likelihood) = mixture.expectation(&rows);
        let now = log_likelihood + mixture.log_prior(&prior);
        // Rounding of a sum of some hundred numbers of the order of one.
        assert!(now >= before - 1e-9, "{now} after {before}");
        before = now;
        mixture = Mixture::maximization(&rows, &parts, 3, &prior);
    }
}

#[test]
fn results_depend_on_the_seed_and_not_on_threads() {
    let vectors = around(&MEANS, 0.2, 40, 11);
    let with = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&vectors, &PrototypeOptions { seed, ..exactly(5) }))
    };
    assert_eq!(with(1, 0), with(3, 0));
    assert_ne!(with(1, 0), with(1, 1));
}

#[test]
fn a_cancelled_fit_is_an_error() {
    let cancel = Cancel::default();
    cancel.cancel();
    let vectors = around(&MEANS, 0.1, 5, 12);
    assert!(vectors.fit(&PrototypeOptions::default(), &cancel).is_err());
    // Where it starts takes as long as the fit itself.
    assert!(start::clusters(&vectors.rows(), 1, 0, &cancel).is_err());
}

#[test]
fn more_clusters_than_there_is_memory_for_are_refused() {
    let mut vectors = ClassVectors::new(0, 1);
    (0..12_000).for_each(|sample| vectors.push(SampleId(sample), &[sample as f32]));
    let error = vectors.fit(&exactly(1 << 40), &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), &RunErrorKind::Clusters { clusters: 12_000, vectors: 12_000, most: 11_184 });
    let most = Clusters::Criterion { most: NonZeroUsize::MAX };
    let few = around(&MEANS, 0.1, 5, 12);
    assert!(few.fit(&PrototypeOptions { clusters: most, seed: 0 }, &Cancel::default()).is_ok());
}

/// All numbers of the result, and of judgements of some vectors.
fn all_finite(found: &ClassPrototypes, concepts: usize) {
    for prototype in found.prototypes() {
        let numbers = [&prototype.mean, &prototype.deviation, &prototype.contrast];
        assert!(numbers.iter().flat_map(|numbers| numbers.iter()).all(|number| number.is_finite()), "{prototype:?}");
        assert!(prototype.members > 0 && prototype.deviation.iter().all(|deviation| *deviation > 0.0));
    }
    let weights: f64 = found.prototypes().iter().map(|prototype| prototype.weight).sum();
    assert!((weights - 1.0).abs() < 1e-9, "{weights}");
    for value in [0.0, 1.0, -1.0, 1e-30, f32::MAX, f32::MIN] {
        let judgement = found.judge(&vec![value; concepts]).unwrap();
        let numbers = judgement.difference.iter().chain(&judgement.deviations);
        assert!(numbers.chain([&judgement.log_likelihood, &judgement.membership]).all(|number| number.is_finite()));
        assert!(judgement.p_value.is_none_or(|p| p > 0.0 && p <= 1.0), "{judgement:?}");
    }
}

#[test]
fn nothing_that_vectors_can_be_makes_numbers_that_are_none() {
    let rows = |rows: &[&[f32]]| {
        let mut vectors = ClassVectors::new(0, rows[0].len());
        rows.iter().enumerate().for_each(|(sample, row)| vectors.push(SampleId(sample as u64), row));
        vectors
    };
    let equal = vec![[0.5_f32, 0.25, 0.0].as_slice(); 30];
    let zero = vec![[0.0_f32; 3].as_slice(); 30];
    let cases: [(&str, ClassVectors, usize); 8] = [
        ("one sample", rows(&[&[0.2, 0.8]]), 1),
        ("two samples, many clusters", rows(&[&[0.2, 0.8], &[0.8, 0.2]]), 2),
        ("equal vectors", rows(&equal), 1),
        ("zeros", rows(&zero), 1),
        ("two vectors, many times", rows(&[&equal[..], &zero[..]].concat()), 2),
        ("a concept that never varies", rows(&[&[0.5, 0.0], &[0.4, 0.0], &[0.1, 0.0]]), 3),
        ("the largest numbers", rows(&[&[f32::MAX, f32::MIN], &[f32::MIN, 1.0], &[0.0, f32::MAX]]), 3),
        ("the smallest numbers", rows(&[&[f32::MIN_POSITIVE, 1e-45], &[1e-45, 0.0], &[0.0, -1e-45]]), 3),
    ];
    for (name, vectors, most) in cases {
        for options in [exactly(8), exactly(2), PrototypeOptions::default()] {
            let found = fitted(&vectors, &options);
            assert!(found.prototypes().len() <= most, "{name}: {}", found.prototypes().len());
            all_finite(&found, vectors.concepts());
        }
    }
    assert_eq!(fitted(&rows(&[&[0.2, 0.8]]), &exactly(1)).judge(&[0.2, 0.8]).unwrap().p_value, None);
}

#[test]
fn what_is_no_vector_is_counted_and_not_judged() {
    let mut vectors = ClassVectors::new(0, 2);
    let unusable: [&[f32]; 5] = [&[], &[1.0], &[1.0, 2.0, 3.0], &[f32::NAN, 0.0], &[0.0, f32::INFINITY]];
    unusable.iter().for_each(|row| vectors.push(SampleId(0), row));
    assert_eq!((vectors.len(), vectors.unusable()), (0, 5));
    assert_eq!(vectors.fit(&PrototypeOptions::default(), &Cancel::default()), Ok(None));
    vectors.push(SampleId(7), &[0.5, 0.5]);
    let found = fitted(&vectors, &PrototypeOptions::default());
    assert_eq!((found.samples(), found.unusable(), found.prototypes()[0].sample), (1, 5, SampleId(7)));
    assert!(unusable.iter().all(|row| found.judge(row).is_none()));
}
