//! What concepts are parts of: axes of the channels are the layers' own, values add up to masks, requests share work between
//! concepts of any kind, and a concept from outside is as good as any.

use std::num::NonZeroUsize;
use std::sync::Arc;

use glocal::attribution::{Attribution, Attributor, Condition, Request, Scope};
use glocal::concept::relevance;
use glocal::concept::{
    Along, Channel, Concept, Direction, Head, Neuron, Normalization, Scoring, Selection, Site, Token,
};
use glocal::model::Model;
use glocal::op::activation::Activation;
use glocal::op::dense::Dense;
use glocal::op::layout::{Reshape, Transpose};
use glocal::op::{Op, Parameters};
use glocal_compute::Tensor;

use crate::custom_concept::{self, UpperHalf};
use crate::network::chain::chain;
use crate::random::Random;
use crate::{attributor, difference, inputs, merged};

const SCOPES: [Scope; 2] = [Scope::Isolated, Scope::Whole];

/// How far a sum in single precision may be from the same in double precision, relative to the sum of the sizes.
const TOLERANCE: f64 = 1e-5;

fn run(attributor: &Attributor, x: &Tensor, scope: Scope, conditions: Vec<Condition>) -> Vec<Attribution> {
    attributor.attribute(x, &Request { conditions, scope, ..Request::default() }).unwrap().items
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
                assert!((total - sum).abs() <= TOLERANCE * size, "{concept:?} {id}: {total} and {sum}");
                assert!((f64::from(scored[id].score) - sum).abs() <= TOLERANCE * size);
                assert!(masked[scored[id].peak] != 0.0, "{concept:?} {id} peaks outside of itself");
            }
        }
    }
}

/// Concepts, a layer, which of them, and the values that they keep.
type Case<'a> = (&'a dyn Concept, Site<'a>, &'a [usize], &'a [f32]);

/// What a concept of each kind keeps, as plainly as it can be said, of feature maps `[3, 2, 2]` and of tokens `[2, 6]`.
#[test]
fn masks_keep_what_they_say() {
    let values: Vec<f32> = (1..=12u8).map(f32::from).collect();
    let (maps, tokens) = (Site::new(&[3, 2, 2]), Site::new(&[2, 6]).with_channel_axis(1));
    let heads = Head { heads: NonZeroUsize::new(3).unwrap() };
    let cases: [Case<'_>; 9] = [
        (&Channel, maps, &[1], &[5.0, 6.0, 7.0, 8.0]),
        (&Channel, tokens, &[1, 4], &[2.0, 5.0, 8.0, 11.0]),
        (&Neuron, maps, &[0, 7], &[1.0, 8.0]),
        (&Neuron, tokens, &[7], &[8.0]),
        (&Token, maps, &[3], &[4.0, 8.0, 12.0]),
        (&Token, tokens, &[1], &[7.0, 8.0, 9.0, 10.0, 11.0, 12.0]),
        (&heads, tokens, &[1], &[3.0, 4.0, 9.0, 10.0]),
        (&Along { axis: 1 }, maps, &[0], &[1.0, 2.0, 5.0, 6.0, 9.0, 10.0]),
        (&Along { axis: 0 }, tokens, &[0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ];
    for (concept, site, ids, kept) in cases {
        let mut masked = values.clone();
        concept.mask(&mut masked, &site, ids);
        let expected: Vec<f32> = values.iter().map(|value| if kept.contains(value) { *value } else { 0.0 }).collect();
        assert_eq!(masked, expected, "{concept:?} {ids:?} of {site:?}");
        let scored = Scoring::ACTIVATION.apply(concept, &values, site);
        let sum: f32 = ids.iter().map(|id| scored[*id].score).sum();
        assert_eq!(sum, kept.iter().sum::<f32>(), "{concept:?} {ids:?}");
        // Values ascend, so that the last one is the peak.
        assert_eq!(values[scored[ids[ids.len() - 1]].peak], kept[kept.len() - 1], "{concept:?} {ids:?}");
    }
}

/// A layer over tokens `[T, C]`, as transformers have them.
fn token_model() -> Model {
    let mut random = Random::new(3);
    let mut dense = |from: usize, to: usize| -> Arc<dyn Op> {
        let weight = random.tensor(&[to, from]);
        Arc::new(Dense { parameters: Parameters::new(weight, None) })
    };
    let (up, head) = (dense(4, 6), dense(30, 3));
    let ops: Vec<(&str, Arc<dyn Op>)> = vec![
        ("up", up),
        ("relu", Arc::new(Activation::Relu)),
        ("swap", Arc::new(Transpose { permutation: vec![0, 2, 1] })),
        ("split", Arc::new(Reshape { shape: vec![6, 5, 1] })),
        ("flat", Arc::new(Reshape { shape: vec![30] })),
        ("head", head),
    ];
    chain(&[5, 4], ops)
}

/// Selections of every kind at a layer, and at a layer above.
fn selections(site: &Site<'_>, random: &mut Random) -> Vec<Selection> {
    let channels = site.channels();
    let directions: Arc<dyn Concept> = Arc::new(Direction::new(&random.tensor(&[4, channels])).unwrap());
    let heads: Arc<dyn Concept> = Arc::new(Head { heads: NonZeroUsize::new(2).unwrap() });
    vec![
        Selection::channels([0]),
        Selection::new(Arc::clone(&directions), [1]),
        Selection::new(Arc::clone(&directions), [1]),
        Selection::new(directions, [0, 3]),
        Selection::tokens([0, site.positions() - 1]),
        Selection::neurons([site.element(channels - 1, 0)]),
        Selection::new(heads, [1]),
        Selection::new(Arc::new(Along { axis: site.channel_axis() }), [1]),
    ]
}

#[test]
fn requests_of_any_concepts_equal_their_conditions_one_by_one() {
    let tokens = Random::new(4).tensor(&[2, 5, 4]);
    let cases = [
        (token_model(), "up", "split", tokens),
        (merged("vgg_tiny"), "features.3", "features.8", inputs("vgg_tiny")),
        (merged("resnet_tiny"), "layer1.0.conv1", "layer2.0.conv2", inputs("resnet_tiny")),
    ];
    for (model, lower, upper, x) in cases {
        let attributor = attributor(model, "epsilon-plus-flat");
        let graph = attributor.model().graph();
        let site = |layer: &str| graph.site(attributor.model().layer(layer).unwrap());
        let mut random = Random::new(11);
        let (above, below) = (selections(&site(upper), &mut random), selections(&site(lower), &mut random));
        let mut conditions = Vec::new();
        for (index, upper_selection) in above.into_iter().enumerate() {
            let condition = Condition::class(1).through(upper, upper_selection);
            conditions.push(condition.clone());
            for step in [0, 3] {
                conditions.push(condition.clone().through(lower, below[(index + step) % below.len()].clone()));
            }
        }
        for scope in SCOPES {
            let record = vec![lower.to_owned(), upper.to_owned()];
            let of = |conditions: &[Condition], rows_at_once| {
                let (conditions, record) = (conditions.to_vec(), record.clone());
                Request { conditions, record, scope, rows_at_once, ..Request::default() }
            };
            let alone: Vec<_> = conditions
                .iter()
                .map(|condition| attributor.attribute(&x, &of(std::slice::from_ref(condition), 1)).unwrap().items)
                .collect();
            for rows_at_once in [1, 5, 100] {
                for item in attributor.attribute(&x, &of(&conditions, rows_at_once)).unwrap().items {
                    let what = difference(&item, &alone[item.condition][item.sample]);
                    assert_eq!(what, None, "{rows_at_once} rows, {scope:?}, {:?}", conditions[item.condition]);
                }
            }
        }
    }
}

#[test]
fn channels_of_tokens_are_their_features() {
    let attributor = attributor(token_model(), "epsilon-plus");
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
    let found =
        custom_concept::explain(&custom_concept::load(&custom_concept::bundled()).unwrap(), "block.conv2", trousers);
    let found = found.unwrap();
    assert_eq!(found.class, 1);
    assert!(found.relevance[found.best] > 0.0 && found.attribution.data().iter().any(|&value| value > 0.0));
    let condition = Condition::class(0).through("classifier.0", Selection::new(Arc::new(UpperHalf), [0]));
    let request = Request { conditions: vec![condition], ..Request::default() };
    let error = attributor.attribute(&x, &request).unwrap_err().to_string();
    assert!(error.starts_with("layer classifier.0 has no such upper halves: "), "{error}");
}
