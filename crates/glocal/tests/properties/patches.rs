//! Relevance of neurons, which goes down in patches as large as their receptive fields, equals what goes down in whole layers:
//! the rules applied by hand, one condition at a time.

use glocal::attribution::{Attributor, Condition, Initial, Request};
use glocal::canonizer::canonize;
use glocal::concept::Selection;
use glocal::model::{Model, NodeId};
use glocal_compute::backend::Zip;
use glocal_compute::{Rows, Tensor};
use proptest::prelude::*;

use crate::network::{self, Network};
use crate::random::Random;
use crate::{ALL_MODELS, attributor, inputs, merged, name_of, support};

/// Sums of patches run in another order than those of whole layers: a few roundings of the largest relevance on the way, which
/// small denominators may enlarge.
const TOLERANCE: f32 = 1e-4;

/// Composites that between them take every way that rules have back.
const COMPOSITES: [&str; 6] = [
    "epsilon-plus-flat",
    "epsilon-alpha2-beta1",
    "epsilon-gamma-box:low=-3,high=3",
    "gradient",
    "guided-backprop",
    "excitation-backprop",
];

/// What arrives at `end` of relevance `[1, ...]` at `start`, and the largest relevance on the way.
fn descend(
    attributor: &Attributor,
    values: &[Tensor],
    (start, relevance): (NodeId, Tensor),
    end: NodeId,
) -> (Tensor, f32) {
    let (graph, backend) = (attributor.model().graph(), attributor.model().backend());
    let mut arriving: Vec<Option<Tensor>> = vec![None; graph.len()];
    arriving[start.index()] = Some(relevance);
    let mut largest = 0.0f32;
    for (id, node) in graph.nodes().filter(|(id, _)| *id <= start && *id > end).collect::<Vec<_>>().into_iter().rev() {
        let Some(relevance) = arriving[id.index()].take() else { continue };
        largest = relevance.data().iter().fold(largest, |largest, value| largest.max(value.abs()));
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        let rule = &attributor.resolved().get(id).unwrap().rule;
        let prepared = rule.prepare(backend, node.op.as_ref(), &inputs, &values[id.index()]).unwrap();
        let shares = prepared.propagate(backend, relevance.clone(), &Rows::identity(1)).unwrap();
        for (input, share) in node.inputs.iter().zip(shares) {
            let slot = &mut arriving[input.index()];
            *slot = Some(slot.take().map_or(share.clone(), |sum| backend.zip(&sum, &share, Zip::Add).unwrap()));
        }
    }
    let arrived = arriving[end.index()].take().unwrap();
    let largest = arrived.data().iter().fold(largest, |largest, value| largest.max(value.abs()));
    (arrived, largest)
}

/// A layer that relevance reaches, and one, two or four of its neurons.
fn neurons(random: &mut Random, model: &Model) -> (NodeId, Vec<usize>) {
    let graph = model.graph();
    let reached = graph.ancestors(model.explained());
    let usable = |id: &NodeId| {
        let found = model.layer(graph.node(*id).display_name());
        reached[id.index()] && *id != graph.input() && found.is_ok_and(|found| found == *id)
    };
    let layers: Vec<NodeId> = graph.nodes().map(|(id, _)| id).filter(usable).collect();
    let layer = random.pick(&layers);
    let count: usize = graph.node(layer).shape.iter().product();
    let neurons = (0..1 << random.within(0, 2)).map(|_| random.within(0, count - 1)).collect();
    (layer, neurons)
}

/// Compares one request's conditions with the naive way; the number of comparisons, or what differs.
fn compare(attributor: &Attributor, x: &Tensor, conditions: &[(NodeId, Vec<usize>)]) -> Result<usize, String> {
    let model = attributor.model();
    let (graph, explained) = (model.graph(), model.explained());
    let named = |(layer, neurons): &(NodeId, Vec<usize>)| {
        Condition::everything().through(name_of(model, *layer), Selection::neurons(neurons.iter().copied()))
    };
    let request = Request {
        conditions: conditions.iter().map(named).collect(),
        record: vec![name_of(model, graph.input())],
        rows_at_once: 5,
        initial: Initial::Value,
        ..Request::default()
    };
    let together = attributor.attribute(x, &request).unwrap();
    for item in &together.items {
        let values = model.run(&support::rows(x, &[item.sample])).unwrap();
        let (layer, neurons) = &conditions[item.condition];
        let (mut masked, _) = descend(attributor, &values, (explained, values[explained.index()].clone()), *layer);
        for (index, value) in masked.data_mut().iter_mut().enumerate() {
            *value = if neurons.contains(&index) { *value } else { 0.0 };
        }
        let (naive, largest) = descend(attributor, &values, (*layer, masked), graph.input());
        let planned = item.input.as_ref().unwrap();
        let recorded = &item.layers[&request.record[0]];
        let difference = planned.data().iter().zip(naive.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        if planned != recorded || difference.is_nan() || difference > TOLERANCE * largest {
            let layer = graph.node(*layer).display_name();
            return Err(format!("{layer}, {neurons:?}: {difference:e} apart where the largest is {largest:e}"));
        }
    }
    Ok(together.items.len())
}

#[test]
fn neurons_of_the_models_of_the_oracle() {
    let mut compared = 0;
    for (index, name) in ALL_MODELS.iter().enumerate() {
        for composite in COMPOSITES {
            let attributor = attributor(merged(name), composite);
            let mut random = Random::new(index as u64);
            let conditions: Vec<_> = (0..12).map(|_| neurons(&mut random, attributor.model())).collect();
            match compare(&attributor, &inputs(name), &conditions) {
                Ok(count) => compared += count,
                Err(difference) => panic!("{name}, {composite}: {difference}"),
            }
        }
    }
    assert!(compared > 1_000, "only {compared} results");
}

proptest! {
    #![proptest_config(crate::config(96))]

    #[test]
    fn neurons_of_random_networks(choices in network::choices(), seed in any::<u64>()) {
        let Network { model, x } = Network::drawn(choices);
        let model = canonize(&model).unwrap();
        for composite in COMPOSITES {
            let attributor = attributor(model.clone(), composite);
            let mut random = Random::new(seed);
            let conditions: Vec<_> = (0..6).map(|_| neurons(&mut random, &model)).collect();
            let compared = compare(&attributor, &x, &conditions);
            prop_assert!(compared.is_ok(), "{}: {:?}\n{}", composite, compared, network::describe(&model));
        }
    }
}
