//! Running a model again from a changed layer is running all of it with that layer's value in its place.

use glocal::attribution::{Attributor, Cancel};
use glocal::faithfulness::{Direction, Flipping, Parts, Ranking, steps};
use glocal::model::{Model, NodeId};
use glocal_compute::{Rows, Tensor};

use crate::{MODELS, inputs, merged};

/// The explained output for one input, node by node, with the value of `layer` replaced.
fn naive(model: &Model, input: &Tensor, layer: NodeId, value: &Tensor) -> Vec<f32> {
    let mut values: Vec<Tensor> = Vec::new();
    for (id, node) in model.graph().nodes().take(model.explained().index() + 1) {
        let operands: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        values.push(match id {
            id if id == layer => value.clone(),
            id if id == model.graph().input() => input.clone(),
            _ => node.op.forward(model.backend(), &operands).unwrap(),
        });
    }
    values[model.explained().index()].data().to_vec()
}

/// Row `row` of `x` as a batch of one.
fn alone(x: &Tensor, row: usize) -> Tensor {
    Tensor::new([&[1], x.sample_shape()].concat(), x.row(row).to_vec()).unwrap()
}

#[test]
fn rerunning_from_any_layer_equals_the_whole_model_bit_for_bit() {
    for name in MODELS {
        let model = merged(name);
        let attributor = Attributor::new(model, "epsilon-plus".parse().unwrap()).unwrap();
        let (model, x) = (attributor.model(), inputs(name));
        let trace = attributor.trace(&x).unwrap();
        let rows = [2, 0, 0, 1];
        let reached = model.graph().ancestors(model.explained());
        for (layer, node) in model.graph().nodes().filter(|(id, _)| reached[id.index()]) {
            let value = |(index, &row): (usize, &usize)| {
                let change = |(place, value): (usize, &f32)| if place % 3 == index { 0.0 } else { value * 1.5 };
                trace.value(layer).row(row).iter().enumerate().map(change).collect::<Vec<f32>>()
            };
            let changed: Vec<f32> = rows.iter().enumerate().flat_map(value).collect();
            let changed = Tensor::new([&[rows.len()], node.shape.as_slice()].concat(), changed).unwrap();
            let rerun = trace.rerun(layer, &changed, &Rows::new(rows), &Cancel::default()).unwrap();
            for (row, &sample) in rows.iter().enumerate() {
                let expected = naive(model, &alone(&x, sample), layer, &alone(&changed, row));
                assert_eq!(rerun.row(row), expected, "{name}, {}, row {row}", node.display_name());
            }
        }
    }
}

#[test]
fn values_that_do_not_fit_the_layer_are_refused() {
    let attributor = Attributor::new(merged("vgg_tiny"), "epsilon-plus".parse().unwrap()).unwrap();
    let trace = attributor.trace(&inputs("vgg_tiny")).unwrap();
    let layer = attributor.model().layer("features.0").unwrap();
    let rerun = |values: &Tensor, rows: Vec<usize>| trace.rerun(layer, values, &Rows::new(rows), &Cancel::default());
    let value = trace.value(layer);
    assert!(rerun(value, vec![0, 1]).is_err());
    assert!(rerun(value, vec![0, 1, 3]).is_err());
    assert!(rerun(&Tensor::zeros([3, 1]).unwrap(), vec![0, 1, 2]).is_err());
    let cancel = Cancel::default();
    cancel.cancel();
    assert!(trace.rerun(layer, value, &Rows::identity(3), &cancel).is_err());
}

#[test]
fn flipping_and_insertion_meet_and_do_not_depend_on_what_runs_together() {
    let attributor = Attributor::new(merged("resnet_tiny"), "epsilon-plus".parse().unwrap()).unwrap();
    let (model, x) = (attributor.model(), inputs("resnet_tiny"));
    let trace = attributor.trace(&x).unwrap();
    let cancel = Cancel::default();
    let mut layers = model.graph().nodes().filter(|(_, node)| node.shape.len() == 3 && node.shape[0] > 2);
    let (layer, node) = layers.nth(3).unwrap();
    let parts = Parts::channels(&node.shape);
    let zeros = vec![0.0; parts.elements()];
    let scores: Vec<f64> = (0..parts.count()).map(|part| (part * 7 % 5) as f64).collect();
    // Putting back from the last to the first meets replacing from the first to the last, where so many are left.
    let reversed =
        Ranking::ascending(&Ranking::descending(&scores).ranks().iter().map(|&r| -(r as f64)).collect::<Vec<_>>());
    let counts = steps(parts.count(), parts.count());
    let outputs = |rows_at_once, ranking: &Ranking, direction| {
        let flipping = Flipping::new(&trace, 1, layer, &parts, &zeros, rows_at_once, &cancel).unwrap();
        flipping.outputs(ranking, &counts, direction).unwrap()
    };
    let ranking = Ranking::descending(&scores);
    let flipped = outputs(32, &ranking, Direction::Flipping);
    assert_eq!(flipped[0], trace.prediction().row(1));
    assert_eq!(
        flipped[counts.len() - 1],
        naive(model, &alone(&x, 1), layer, &Tensor::zeros([&[1], node.shape.as_slice()].concat()).unwrap())
    );
    let mut inserted = outputs(32, &reversed, Direction::Insertion);
    inserted.reverse();
    assert_eq!(flipped, inserted);
    for rows_at_once in [1, 2, 5] {
        assert_eq!(flipped, outputs(rows_at_once, &ranking, Direction::Flipping), "{rows_at_once} together");
    }
}
