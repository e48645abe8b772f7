//! Directions in the space of channels: what they keep is what a layer of coefficients would hand down, and it adds up.

use std::sync::Arc;

use glocal::attribution::method::SmoothGrad;
use glocal::attribution::{Attribution, Attributor, Condition, Method, Request, Scope};
use glocal::concept::{Concept, Direction, Normalization, Selection, Site, relevance};
use glocal::conservation;
use glocal::model::Model;
use glocal::op::dense::Dense;
use glocal::op::layout::Reshape;
use glocal::op::{Op, Parameters};
use glocal_compute::Tensor;

use crate::network::chain::chain;
use crate::random::Random;
use crate::{attributor, difference, inputs, merged};

const SCOPES: [Scope; 2] = [Scope::Isolated, Scope::Whole];

/// Sums of single-precision parts, each rounded, against the whole, relative to the sum of its sizes.
const TOLERANCE: f64 = 1e-4;

fn run(attributor: &Attributor, x: &Tensor, scope: Scope, conditions: Vec<Condition>) -> Vec<Attribution> {
    attributor.attribute(x, &Request { conditions, scope, ..Request::default() }).unwrap().items
}

/// Rows that are orthogonal and of length one.
fn basis(random: &mut Random, size: usize) -> Tensor {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    while rows.len() < size {
        let mut row: Vec<f64> = random.tensor(&[size]).data().iter().map(|&value| f64::from(value)).collect();
        // Twice, so that rounding leaves nothing of the others.
        for other in rows.iter().chain(&rows) {
            let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length > 1e-3 {
            rows.push(row.into_iter().map(|value| value / length).collect());
        }
    }
    Tensor::new([size, size], rows.concat().into_iter().map(|value| value as f32).collect()).unwrap()
}

fn assert_adds_up(parts: &[Attribution], whole: &Attribution, what: &str) {
    let whole = whole.input.as_ref().unwrap();
    let size: f64 = whole.data().iter().map(|value| f64::from(value.abs())).sum();
    for (index, expected) in whole.data().iter().enumerate() {
        let sum: f64 = parts.iter().map(|part| f64::from(part.input.as_ref().unwrap().data()[index])).sum();
        let off = (sum - f64::from(*expected)).abs();
        assert!(off <= TOLERANCE * size, "{what}: {sum} instead of {expected} at {index}");
    }
}

#[test]
fn heatmaps_of_an_orthonormal_basis_add_up_to_the_whole() {
    let mut random = Random::new(5);
    // Before and after a rectifier: activations of both signs, and zeros among them.
    for layer in ["features.3", "features.4", "features.7"] {
        let attributor = attributor(merged("vgg_tiny"), "epsilon-plus-flat");
        let x = inputs("vgg_tiny");
        let channels = attributor.model().graph().site(attributor.model().layer(layer).unwrap()).channels();
        let directions: Arc<dyn Concept> = Arc::new(Direction::new(&basis(&mut random, channels)).unwrap());
        let part = |id| Condition::class(1).through(layer, Selection::new(Arc::clone(&directions), [id]));
        for scope in SCOPES {
            let whole = run(&attributor, &x, scope, vec![Condition::class(1)]);
            let all = Condition::class(1).through(layer, Selection::new(Arc::clone(&directions), 0..channels));
            let at_once = run(&attributor, &x, scope, vec![all]);
            let parts = run(&attributor, &x, scope, (0..channels).map(part).collect());
            for (sample, whole) in whole.iter().enumerate() {
                let parts = &parts[sample * channels..][..channels];
                assert!(parts.iter().any(|part| part.input != whole.input));
                assert_adds_up(parts, whole, layer);
                assert_adds_up(&at_once[sample..=sample], whole, layer);
            }
        }
    }
}

#[test]
fn directions_along_axes_are_the_channels_to_the_bit() {
    let attributor = attributor(merged("resnet_tiny"), "epsilon-plus");
    let (x, layer) = (inputs("resnet_tiny"), "layer2.0.conv2");
    let site = attributor.model().graph().site(attributor.model().layer(layer).unwrap());
    let channels = site.channels();
    let identity = (0..channels * channels).map(|index| if index % (channels + 1) == 0 { 3.0 } else { 0.0 }).collect();
    let axes: Arc<dyn Concept> =
        Arc::new(Direction::new(&Tensor::new([channels, channels], identity).unwrap()).unwrap());
    let ids = [0, 2, 3];
    for scope in SCOPES {
        for ids in [&ids[..1], &ids[1..2], &ids] {
            let through = |selection| Condition::class(2).through(layer, selection);
            let direction = through(Selection::new(Arc::clone(&axes), ids.iter().copied()));
            let channel = through(Selection::channels(ids.iter().copied()));
            let found = run(&attributor, &x, scope, vec![direction, channel]);
            for pair in found.chunks(2) {
                assert_eq!(difference(&pair[0], &pair[1]), None);
            }
        }
    }
}

/// Vectors or tokens, with the activations written in terms of `basis` in between where it is given.
fn with_coefficients(tokens: usize, basis: Option<&Tensor>) -> Model {
    let mut random = Random::new(21);
    let mut dense = |from: usize, to: usize| random.tensor(&[to, from]);
    let layer = |weight| -> Arc<dyn Op> { Arc::new(Dense { parameters: Parameters::new(weight, None) }) };
    let (up, head) = (dense(4, 6), dense(6 * tokens, 3));
    let mut ops: Vec<(&str, Arc<dyn Op>)> = vec![("up", layer(up))];
    if let Some(basis) = basis {
        let transposed = (0..36).map(|index| basis.data()[index % 6 * 6 + index / 6]).collect();
        ops.push(("coefficients", layer(basis.clone())));
        ops.push(("back", layer(Tensor::new([6, 6], transposed).unwrap())));
    }
    ops.push(("flat", Arc::new(Reshape { shape: vec![6 * tokens] })));
    ops.push(("head", layer(head)));
    let shape = [tokens, 4];
    chain(if tokens == 1 { &shape[1..] } else { &shape }, ops)
}

/// The definition: relevance of a coefficient of the activation, handed on by the rules themselves. All channels are active, and
/// the stabilizers of the two more layers are next to nothing.
#[test]
fn directions_are_channels_of_a_layer_of_coefficients() {
    for tokens in [1, 5] {
        let basis = basis(&mut Random::new(8), 6);
        let composite = "epsilon-plus:epsilon=1e-10";
        let without = attributor(with_coefficients(tokens, None), composite);
        let with = attributor(with_coefficients(tokens, Some(&basis)), composite);
        let x = Random::new(9).tensor(&[&[3], without.model().input_shape()].concat());
        let directions: Arc<dyn Concept> = Arc::new(Direction::new(&basis).unwrap());
        for scope in SCOPES {
            let through = |layer, of: &dyn Fn(usize) -> Selection| {
                let condition = |id| Condition::class(2).through(layer, of(id));
                (0..6).map(condition).collect::<Vec<_>>()
            };
            let found = run(&without, &x, scope, through("up", &|id| Selection::new(Arc::clone(&directions), [id])));
            let expected = run(&with, &x, scope, through("coefficients", &|id| Selection::channels([id])));
            for (found, expected) in found.iter().zip(&expected) {
                assert_adds_up(std::slice::from_ref(found), expected, "a direction");
            }
            assert!(found.iter().any(|found| found.input.as_ref().unwrap().data().iter().any(|value| *value != 0.0)));
        }
    }
}

#[test]
fn a_direction_keeps_its_projection_of_the_context() {
    let mut random = Random::new(30);
    let shape = [3, 2, 4];
    let (mut activation, relevance_of) = (random.tensor(&shape), random.tensor(&shape));
    // A position with one channel that is not active, and one without any activation.
    for element in [1, 2, 10, 18] {
        activation.data_mut()[element] = 0.0;
    }
    let vectors = random.tensor(&[2, 3]);
    let directions = Direction::new(&vectors).unwrap();
    let site = Site::new(&shape).with_activation(activation.data());
    for id in 0..2 {
        let v: Vec<f64> = directions.vector(id).iter().map(|&value| f64::from(value)).collect();
        let mut masked = relevance_of.data().to_vec();
        directions.mask(&mut masked, &site, &[id]);
        for position in 0..8 {
            let at = |values: &[f32], channel: usize| f64::from(values[channel * 8 + position]);
            let (a, r) = (|c| at(activation.data(), c), |c| at(relevance_of.data(), c));
            let along: f64 = (0..3).filter(|&c| a(c) != 0.0).map(|c| v[c] * r(c) / a(c)).sum();
            for (channel, v) in v.iter().enumerate() {
                let expected = if a(channel) == 0.0 { v * v * r(channel) } else { a(channel) * v * along };
                let found = at(&masked, channel);
                assert!((found - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{found} instead of {expected}");
            }
        }
        let activations: Vec<f32> = directions.activation(&site, id).into_owned();
        for (position, found) in activations.into_iter().enumerate() {
            let expected: f64 = (0..3).map(|c| v[c] * f64::from(activation.data()[c * 8 + position])).sum();
            assert!((f64::from(found) - expected).abs() <= 1e-6);
        }
    }
    // Where all channels are active, once is enough.
    let active = Tensor::new(shape, (0..24u8).map(|value| f32::from(value) - 30.5).collect()).unwrap();
    let site = Site::new(&shape).with_activation(active.data());
    let mut once = relevance_of.data().to_vec();
    directions.mask(&mut once, &site, &[0]);
    let mut twice = once.clone();
    directions.mask(&mut twice, &site, &[0]);
    for (once, twice) in once.iter().zip(&twice) {
        assert!((once - twice).abs() <= 1e-5 * (1.0 + once.abs()), "{once} became {twice}");
    }
}

#[test]
fn relevance_of_directions_is_accounted_for_and_follows_perturbed_copies() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let (x, layer) = (inputs("vgg_tiny"), "features.7");
    let channels = attributor.model().graph().site(attributor.model().layer(layer).unwrap()).channels();
    let directions: Arc<dyn Concept> = Arc::new(Direction::new(&Random::new(6).tensor(&[2, channels])).unwrap());
    let part =
        |ids: &[usize]| Condition::class(1).through(layer, Selection::new(Arc::clone(&directions), ids.to_vec()));
    let conditions = vec![part(&[0]), part(&[1]), part(&[0, 1])];
    for scope in SCOPES {
        let request = Request { conditions: conditions.clone(), scope, ..Request::default() };
        for balance in conservation::report(&attributor.trace(&x).unwrap(), &request).unwrap() {
            let magnitude: f64 = balance.accounts.iter().map(|account| account.magnitude).sum();
            assert!(balance.unexplained().abs() <= 1e-6 * magnitude, "{scope:?}: {}", balance.unexplained());
            assert!(balance.accounts.iter().any(|account| account.masked != 0.0));
        }
        // Several directions are the sum of each.
        let items = attributor.attribute(&x, &request).unwrap().items;
        items.chunks(3).for_each(|items| assert_adds_up(&items[..2], &items[2], "two directions"));
    }
    // Each copy has activations of its own: those of other samples of the batch must not be mixed in.
    let method = Method::SmoothGrad(SmoothGrad { noise_level: 0.0, passes: 3, ..SmoothGrad::default() });
    let smooth = Request { conditions: conditions.clone(), method, ..Request::default() };
    let smooth = attributor.attribute(&x, &smooth).unwrap().items;
    let plain = run(&attributor, &x, Scope::Isolated, conditions);
    for (smooth, plain) in smooth.iter().zip(&plain) {
        assert_adds_up(std::slice::from_ref(smooth), plain, "copies without noise");
    }
}

#[test]
fn directions_that_are_none_are_refused() {
    for (shape, data, reason) in [
        (vec![2, 2], vec![1.0, 0.0, 0.0, 0.0], "the vector 1 is zero"),
        (vec![1, 2], vec![f32::NAN, 0.0], "the vector 0 is not finite"),
        (vec![1, 2], vec![1.0, f32::INFINITY], "the vector 0 is not finite"),
        (vec![2], vec![1.0, 0.0], "they must have shape [K, C], not [2]"),
    ] {
        let error = Direction::new(&Tensor::new(shape, data).unwrap()).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
    let directions = Direction::new(&Tensor::full([2, 3], 1.0).unwrap()).unwrap();
    let error = relevance(&directions, &[0.0; 8], &vec![8], None, Normalization::Raw).unwrap_err().to_string();
    assert_eq!(
        error,
        "the layer has no such directions: directions of length 3 do not lie in the space of its 8 channels"
    );
    let error = relevance(&directions, &[0.0; 3], &vec![3], None, Normalization::Raw).unwrap_err().to_string();
    assert!(error.contains("give a site that has it"), "{error}");
}
