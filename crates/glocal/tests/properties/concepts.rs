//! What concepts are parts of: directions of a basis add up to everything, axes of the channels are the layers' own, and a
//! concept from outside is as good as any.

use std::num::NonZeroUsize;
use std::sync::Arc;

use glocal::attribution::{Attribution, Attributor, Condition, Request, Scope};
use glocal::concept::relevance;
use glocal::concept::{
    Along, Channel, Concept, Direction, Head, Neuron, Normalization, Scoring, Selection, Site, Token,
};
use glocal::model::{Graph, LayerName, Model, Node};
use glocal::op::activation::Activation;
use glocal::op::dense::Dense;
use glocal::op::layout::{Reshape, Transpose};
use glocal::op::{Op, Parameters};
use glocal_compute::{CpuBackend, Tensor};

use crate::custom_concept::{self, UpperHalf};
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

#[test]
fn the_values_of_a_concept_add_up_to_its_mask() {
    let mut random = Random::new(9);
    let shape = [6, 4, 5];
    let (activation, relevance_of) = (random.tensor(&shape), random.tensor(&shape));
    for axis in 0..3 {
        let site = Site::new(&shape).with_channel_axis(axis).with_activation(activation.data());
        let vectors = random.tensor(&[3, site.channels()]);
        let heads = NonZeroUsize::new([3, 2, 5][axis]).unwrap();
        let concepts: [&dyn Concept; 6] =
            [&Channel, &Neuron, &Token, &Along { axis: 1 }, &Head { heads }, &Direction::new(&vectors).unwrap()];
        for concept in concepts {
            assert_eq!(concept.check(&site), Ok(()));
            let sums = relevance(concept, relevance_of.data(), site, None, Normalization::Raw).unwrap();
            let scored = Scoring { normalization: Normalization::Raw, ..Scoring::RELEVANCE };
            let scored = scored.apply(concept, relevance_of.data(), site);
            for (id, sum) in sums.into_iter().enumerate() {
                let mut masked = relevance_of.data().to_vec();
                concept.mask(&mut masked, &site, &[id]);
                let total: f64 = masked.iter().map(|&value| f64::from(value)).sum();
                let size: f64 = masked.iter().map(|&value| f64::from(value.abs())).sum();
                assert!((total - sum).abs() <= 1e-5 * size, "{concept:?} {id}: {total} and {sum}");
                assert!((f64::from(scored[id].score) - sum).abs() <= 1e-5 * size);
                assert!(masked[scored[id].peak] != 0.0, "{concept:?} {id} peaks outside of itself");
            }
        }
    }
}

/// A layer over tokens `[T, C]`, as transformers have them.
fn token_model() -> Attributor {
    let mut random = Random::new(3);
    let mut graph = Graph::new("tokens", vec![5, 4]);
    let mut top = graph.input();
    let mut push = |name: &str, op: Arc<dyn Op>| {
        let node = Node {
            op,
            inputs: vec![top],
            name: name.to_owned(),
            merged_names: Vec::new(),
            is_step: false,
            op_type: "Test".to_owned(),
            values: Vec::new(),
            layers: vec![LayerName::new(name)],
            shape: Vec::new(),
        };
        top = graph.push(node).unwrap();
    };
    let mut dense = |from: usize, to: usize| -> Arc<dyn Op> {
        let weight = random.tensor(&[to, from]);
        Arc::new(Dense { parameters: Parameters::new(weight, None) })
    };
    push("up", dense(4, 6));
    push("relu", Arc::new(Activation::Relu));
    push("swap", Arc::new(Transpose { permutation: vec![0, 2, 1] }));
    push("split", Arc::new(Reshape { shape: vec![6, 5, 1] }));
    push("flat", Arc::new(Reshape { shape: vec![30] }));
    push("head", dense(30, 3));
    attributor(Model::new(graph, top, Arc::new(CpuBackend::new())).unwrap(), "epsilon-plus")
}

#[test]
fn channels_of_tokens_are_their_features() {
    let attributor = token_model();
    let graph = attributor.model().graph();
    for (layer, channels, positions) in [("up", 6, 5), ("relu", 6, 5), ("swap", 6, 5), ("split", 6, 5), ("head", 3, 1)]
    {
        let site = graph.site(attributor.model().layer(layer).unwrap());
        assert_eq!((site.channels(), site.positions()), (channels, positions), "{layer}");
    }
    let x = Random::new(4).tensor(&[2, 5, 4]);
    // A feature before the axes are swapped is the same feature after it, and so are tokens.
    let kinds: [fn(usize) -> Selection; 2] = [|id| Selection::channels([id]), |id| Selection::tokens([id])];
    for of in kinds {
        for id in 0..5 {
            let through = |layer: &str| Condition::class(1).through(layer, of(id));
            let found = run(&attributor, &x, Scope::Isolated, vec![through("relu"), through("swap"), through("split")]);
            for items in found.chunks(3) {
                assert_eq!(difference(&items[0], &items[1]), None);
                assert_eq!(difference(&items[1], &items[2]), None);
            }
        }
    }
    let outside = Condition::class(1).through("relu", Selection::channels([6]));
    let request = Request { conditions: vec![outside], ..Request::default() };
    let error = attributor.attribute(&x, &request).unwrap_err().to_string();
    assert_eq!(error, "layer relu has 6 channels, 0 to 5; 6 was given");
}

#[test]
fn a_concept_from_outside_masks_scores_and_is_refused_where_it_makes_no_sense() {
    let attributor = attributor(merged("vgg_tiny"), "epsilon-plus");
    let x = inputs("vgg_tiny");
    for layer in ["features.3", "features.8"] {
        let site = attributor.model().graph().site(attributor.model().layer(layer).unwrap());
        let upper = site.positions() / 2;
        let neurons = Selection::neurons((0..upper).map(|position| site.element(2, position)));
        let own = Selection::new(Arc::new(UpperHalf), [2]);
        for scope in SCOPES {
            let conditions =
                [own.clone(), neurons.clone()].map(|selection| Condition::class(0).through(layer, selection));
            for pair in run(&attributor, &x, scope, conditions.to_vec()).chunks(2) {
                assert_eq!(difference(&pair[0], &pair[1]), None);
            }
        }
    }
    let trousers = custom_concept::trousers().unwrap();
    let found = custom_concept::explain(&custom_concept::load(&custom_concept::bundled()).unwrap(), "block.conv2", trousers);
    let found = found.unwrap();
    assert_eq!(found.class, 1);
    assert!(found.relevance[found.best] > 0.0 && found.attribution.data().iter().any(|&value| value > 0.0));
    let condition = Condition::class(0).through("classifier.0", Selection::new(Arc::new(UpperHalf), [0]));
    let request = Request { conditions: vec![condition], ..Request::default() };
    let error = attributor.attribute(&x, &request).unwrap_err().to_string();
    assert!(error.starts_with("layer classifier.0 has no such upper halves: "), "{error}");
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
