//! What a request is said to cost is what it takes: rows that have their beginning in common are one.

use glocal::attribution::{Attributor, Condition, Explanation, Pairing, Request, Scope};
use glocal::concept::Selection;

use crate::{attributor, difference, inputs, merged};

/// The rows that a layer hands down, as planned and alone.
fn rows(explanation: &Explanation, layer: &str) -> (u64, u64) {
    let found = explanation.layers.iter().find(|work| work.layer == layer).unwrap();
    (found.rows, found.rows_alone)
}

fn model() -> Attributor {
    attributor(merged("vgg_tiny"), "epsilon-plus")
}

fn on_channels(classes: usize, channels: usize) -> Vec<Condition> {
    let condition = |index: usize| {
        Condition::class(index / channels).through("features.8", Selection::channels([index % channels]))
    };
    (0..classes * channels).map(condition).collect()
}

#[test]
fn a_beginning_in_common_is_one_row_whatever_the_runs() {
    let attributor = model();
    for scope in [Scope::Isolated, Scope::Whole] {
        for rows_at_once in [1, 3, 64] {
            let request = Request { conditions: on_channels(2, 5), scope, rows_at_once, ..Request::default() };
            let explanation = attributor.explain(&request, 3).unwrap();
            assert_eq!(explanation.results, 30);
            // Two classes for each of three samples.
            assert_eq!(rows(&explanation, "classifier.2"), (6, 30), "{scope:?}, {rows_at_once}\n{explanation}");
            assert_eq!(rows(&explanation, "features.8"), (30, 30), "{scope:?}, {rows_at_once}\n{explanation}");
            assert_eq!(rows(&explanation, "features.0"), (30, 30), "{scope:?}, {rows_at_once}\n{explanation}");
            assert!(explanation.multiply_adds() < explanation.multiply_adds_alone());
            assert!(explanation.to_string().starts_with("30 results, "), "{explanation}");
        }
    }
}

#[test]
fn conditions_need_not_stand_beside_each_other_to_share() {
    let attributor = model();
    let mut conditions = on_channels(2, 5);
    // Class 0 and class 1 by turns, and every condition once more.
    conditions.sort_by_key(|condition| condition.layers[0].1.ids()[0]);
    conditions.extend(conditions.clone());
    for scope in [Scope::Isolated, Scope::Whole] {
        let request = Request { conditions: conditions.clone(), scope, rows_at_once: 2, ..Request::default() };
        let explanation = attributor.explain(&request, 1).unwrap();
        assert_eq!(rows(&explanation, "classifier.2"), (2, 20), "{scope:?}\n{explanation}");
    }
    let request = Request { conditions, rows_at_once: 2, ..Request::default() };
    assert_eq!(rows(&attributor.explain(&request, 1).unwrap(), "features.0"), (10, 20));
}

#[test]
fn little_memory_makes_runs_smaller_and_changes_nothing() {
    let attributor = model();
    let x = inputs("vgg_tiny");
    let plenty = Request { conditions: on_channels(1, 5), ..Request::default() };
    let (most, few) = (attributor.explain(&plenty, 3).unwrap(), Request { memory: Some(1), ..plenty.clone() });
    let least = attributor.explain(&few, 3).unwrap();
    assert!(least.bytes < most.bytes && least.layers == most.layers, "{least}\n{most}");
    let just_enough = Request { memory: Some(most.bytes), ..plenty.clone() };
    assert_eq!(attributor.explain(&just_enough, 3).unwrap(), most);
    let (plenty, few) = (attributor.attribute(&x, &plenty).unwrap(), attributor.attribute(&x, &few).unwrap());
    for (plenty, few) in plenty.items.iter().zip(&few.items) {
        assert_eq!(difference(plenty, few), None);
    }
    assert_eq!(attributor.samples_within(1), 1);
    assert!(attributor.samples_within(1 << 30) > 10);
}

#[test]
fn pairs_have_nothing_in_common() {
    let request = Request { conditions: on_channels(1, 4), pairing: Pairing::Zip, ..Request::default() };
    assert_eq!(rows(&model().explain(&request, 4).unwrap(), "classifier.2"), (4, 4));
    assert!(model().explain(&request, 3).is_err());
}
