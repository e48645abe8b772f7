//! Sharing work between conditions changes no number: a request equals its conditions one by one, and those equal masks
//! applied by hand, layer by layer.

use glocal::attribution::{Attributor, Condition, Initial, Request, Scope, Target};
use glocal::concept::Selection;
use glocal::model::{Model, NodeId};
use glocal_compute::Tensor;

use crate::random::Random;
use crate::{MODELS, attributor, difference, inputs, merged, name_of, names, support};

/// Up to three layers on one path below `start`, from top to bottom, each with some concepts.
pub fn layers(random: &mut Random, model: &Model, start: NodeId) -> Vec<(NodeId, Selection)> {
    let graph = model.graph();
    let mut below = start;
    let mut layers = Vec::new();
    for _ in 0..random.within(0, 3) {
        let reached = graph.ancestors(below);
        let candidates: Vec<NodeId> = graph
            .nodes()
            .map(|(id, _)| id)
            .filter(|&id| reached[id.index()] && id != below && id != graph.input())
            .collect();
        if candidates.is_empty() {
            break;
        }
        below = random.pick(&candidates);
        let (channels, neurons) = (graph.site(below).channels(), graph.site(below).len());
        let count = random.within(1, 3);
        let selection = match random.within(0, 3) {
            0 => Selection::neurons((0..count).map(|_| random.within(0, neurons - 1))),
            _ => Selection::channels((0..count).map(|_| random.within(0, channels - 1))),
        };
        layers.push((below, selection));
    }
    layers
}

fn condition(random: &mut Random, model: &Model) -> Condition {
    let classes = model.output_shape()[0];
    let target = match random.within(0, 4) {
        0 => Target::Everything,
        1 => Target::Predicted,
        2 => Target::Some(Selection::channels([0, classes - 1])),
        _ => Target::Some(Selection::channels([random.within(0, classes - 1)])),
    };
    let mut layers: Vec<(String, Selection)> = layers(random, model, model.explained())
        .into_iter()
        .map(|(id, selection)| (name_of(model, id), selection))
        .collect();
    // The order in which a condition names its layers does not matter.
    if random.flip() {
        layers.reverse();
    }
    Condition { target, layers }
}

#[test]
fn requests_equal_their_conditions_one_by_one() {
    let mut compared = 0;
    for (index, name) in MODELS.iter().enumerate() {
        let attributor = attributor(merged(name), "epsilon-plus-flat");
        let x = inputs(name);
        for round in 0..4 {
            let mut random = Random::new(100 * index as u64 + round);
            let mut conditions: Vec<Condition> = (0..12).map(|_| condition(&mut random, attributor.model())).collect();
            // Some share their target and upper layers with others, some are the same.
            for copy in 0..4 {
                let mut more = conditions[copy].clone();
                if copy > 0 {
                    more.layers.truncate(1);
                }
                conditions.push(more);
            }
            let initial = random_initial(&mut random, &attributor, &x);
            for scope in [Scope::Isolated, Scope::Whole] {
                let of = |conditions: &[Condition], rows_at_once| Request {
                    conditions: conditions.to_vec(),
                    scope,
                    initial: initial.clone(),
                    record: names(attributor.model()),
                    rows_at_once,
                    ..Request::default()
                };
                let alone: Vec<_> = conditions
                    .iter()
                    .map(|condition| attributor.attribute(&x, &of(std::slice::from_ref(condition), 1)).unwrap().items)
                    .collect();
                for rows_at_once in [1, 2, 7, 100] {
                    let together = attributor.attribute(&x, &of(&conditions, rows_at_once)).unwrap();
                    assert_eq!(together.items.len(), x.batch() * conditions.len());
                    for (row, item) in together.items.iter().enumerate() {
                        assert_eq!((item.sample, item.condition), (row / conditions.len(), row % conditions.len()));
                        let what = difference(item, &alone[item.condition][item.sample]);
                        let condition = &conditions[item.condition];
                        assert_eq!(what, None, "{name}, {rows_at_once} rows at once, {scope:?}, {condition:?}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 5_000, "only {compared} results");
}

fn random_initial(random: &mut Random, attributor: &Attributor, x: &Tensor) -> Initial {
    let shape = [&[x.batch()], attributor.model().output_shape()].concat();
    match random.within(0, 3) {
        0 => Initial::One,
        1 => Initial::Constant(-0.5),
        2 => Initial::Given(random.tensor(&shape)),
        _ => Initial::Value,
    }
}

/// What arrives at `record` when `relevance` starts at `start`, and what arrives at the input.
fn descend(
    attributor: &Attributor,
    x: &Tensor,
    start: &str,
    relevance: Tensor,
    record: Option<&str>,
) -> Option<Tensor> {
    let request = Request {
        conditions: vec![Condition::everything()],
        start: Some(start.to_owned()),
        initial: Initial::Given(relevance),
        record: record.map(str::to_owned).into_iter().collect(),
        ..Request::default()
    };
    let items = attributor.attribute(x, &request).unwrap().items;
    let rows: Option<Vec<Tensor>> = items
        .into_iter()
        .map(|mut item| match record {
            Some(layer) => item.layers.remove(layer),
            None => item.input,
        })
        .collect();
    let rows = rows?;
    let shape = [&[rows.len()], rows[0].shape()].concat();
    Some(Tensor::new(shape, rows.into_iter().flat_map(Tensor::into_data).collect()).unwrap())
}

/// Relevance outside of the selection set to zero, as plainly as it can be said.
fn masked(relevance: &Tensor, selection: &Selection) -> Tensor {
    let mut masked = relevance.clone();
    let len = relevance.row_len();
    let plane: usize = relevance.sample_shape()[1..].iter().product();
    let unit = if selection.concept().unit() == "channels" { plane } else { 1 };
    for (index, value) in masked.data_mut().iter_mut().enumerate() {
        if !selection.ids().contains(&(index % len / unit)) {
            *value = 0.0;
        }
    }
    masked
}

#[test]
fn isolated_scope_is_one_masked_descent_after_the_other() {
    let mut compared = 0;
    for (index, name) in MODELS.iter().enumerate() {
        let attributor = attributor(merged(name), "epsilon-plus");
        let model = attributor.model();
        let x = inputs(name);
        for round in 0..12 {
            let layers = layers(&mut Random::new(7_000 + 100 * index as u64 + round), model, model.explained());
            let target = Selection::channels([round as usize % model.output_shape()[0]]);
            let mut request = Condition { target: Target::Some(target.clone()), layers: Vec::new() };
            let mut at = name_of(model, model.explained());
            let mut relevance = masked(attributor.trace(&x).unwrap().prediction(), &target);
            for (layer, selection) in &layers {
                let layer = name_of(model, *layer);
                relevance = masked(&descend(&attributor, &x, &at, relevance, Some(&layer)).unwrap(), selection);
                request = request.through(&layer, selection.clone());
                at = layer;
            }
            let by_hand = descend(&attributor, &x, &at, relevance, None).unwrap();
            let request = Request { conditions: vec![request], ..Request::default() };
            for item in attributor.attribute(&x, &request).unwrap().items {
                assert_eq!(item.input.unwrap().data(), by_hand.row(item.sample), "{name}, {layers:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "only {compared} results");
}

#[test]
fn the_predicted_target_is_each_samples_own_class() {
    for name in MODELS {
        let attributor = attributor(merged(name), "epsilon-plus");
        let x = inputs(name);
        let predicted = attributor.attribute(&x, &Request::default()).unwrap();
        for sample in 0..x.batch() {
            let logits = predicted.prediction.row(sample);
            let class = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            let request = Request { conditions: vec![Condition::class(class)], ..Request::default() };
            let alone = attributor.attribute(&support::rows(&x, &[sample]), &request).unwrap();
            assert_eq!(difference(&predicted.items[sample], &alone.items[0]), None, "{name}, sample {sample}");
        }
    }
}
