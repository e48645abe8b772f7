//! Attribution graphs: every edge is a conditioned request, shares add up, and depth is no burden.

use glocal::attribution::{Attributor, Condition, Request};
use glocal::concept::{Channel, Normalization, Selection, relevance};
use glocal::error::RequestErrorKind;
use glocal::flow::{AttributionGraph, Edge, FlowRequest, Order, Origin, Path, Root};
use glocal::op::Parameters;
use glocal::op::activation::Activation;
use glocal::op::arithmetic::Sum;
use glocal::op::dense::Dense;
use glocal_compute::Tensor;

use crate::network::Builder;
use crate::{MODELS, attributor, inputs, merged, support};

/// Requests that start again at a layer round differently than those that go through it.
const TOLERANCE: f64 = 1e-5;

/// More than any layer of the oracle's models has.
const ALL: usize = 1000;

fn traced(name: &str) -> (Attributor, Tensor) {
    (attributor(merged(name), "epsilon-plus-flat"), support::rows(&inputs(name), &[1]))
}

/// The relevance of each concept of `layer` under a condition.
fn sums(attributor: &Attributor, input: &Tensor, condition: Condition, layer: &str) -> Vec<f64> {
    let request = Request { conditions: vec![condition], record: vec![layer.to_owned()], ..Request::default() };
    let items = attributor.attribute(input, &request).unwrap().items;
    let arrived = &items[0].layers[layer];
    relevance(&Channel, arrived.data(), arrived.shape(), None, Normalization::Raw).unwrap()
}

#[track_caller]
fn close(edge: &Edge, expected: &[f64], concept: usize) {
    let size: f64 = expected.iter().map(|sum| sum.abs()).sum();
    let allowed = TOLERANCE * size;
    assert!((edge.relevance - expected[concept]).abs() <= allowed, "{edge:?} instead of {}", expected[concept]);
    assert!((edge.share - expected[concept] / size).abs() <= TOLERANCE, "{edge:?}");
}

/// The graph's nodes that have edges into node `to` at the step that reaches it.
fn parents(graph: &AttributionGraph, to: usize) -> Vec<usize> {
    let earlier = |from: usize| graph.nodes[from].step + 1 == graph.nodes[to].step;
    graph.edges.iter().filter(|edge| edge.to == to && earlier(edge.from)).map(|edge| edge.from).collect()
}

#[test]
fn whole_paths_equal_requests_made_by_hand() {
    let (attributor, input) = traced("vgg_tiny");
    let trace = attributor.trace(&input).unwrap();
    let request =
        FlowRequest { root: Root::Class(2), widths: vec![2, 3, 2, 2], order: Order::Size, ..FlowRequest::default() };
    let graph = AttributionGraph::of(&trace, &request).unwrap();
    assert_eq!(graph.layers.len(), 5, "{:?}", graph.layers);
    assert!(graph.nodes.iter().any(|node| node.step == 4));
    for edge in &graph.edges {
        // On a chain each step is one layer: through all concepts that led to the upper end, and so on up.
        let mut condition = Condition::class(2);
        let mut ends = vec![edge.from];
        while graph.nodes[ends[0]].step > 0 {
            let ids = ends.iter().map(|&end| graph.nodes[end].concept);
            condition = condition.through(graph.nodes[ends[0]].layer.clone(), Selection::channels(ids));
            ends = ends.iter().flat_map(|&end| parents(&graph, end)).collect();
        }
        let to = &graph.nodes[edge.to];
        if graph.nodes[edge.from].step <= 2 {
            close(edge, &sums(&attributor, &input, condition, &to.layer), to.concept);
        }
    }
}

#[test]
fn one_path_equals_its_condition_and_root_and_current_their_definition() {
    let (attributor, input) = traced("resnet_tiny");
    let trace = attributor.trace(&input).unwrap();
    let origin = Condition::class(1);
    for path in [Path::Whole, Path::RootAndCurrent] {
        let root =
            Root::Concept { layer: "layer3.0.conv3".to_owned(), id: 1, origin: Origin::Condition(origin.clone()) };
        let request = FlowRequest { root, widths: vec![1], depth: Some(4), path, ..FlowRequest::default() };
        let graph = AttributionGraph::of(&trace, &request).unwrap();
        let mut deep = 0;
        for edge in &graph.edges {
            let mut through = vec![edge.from];
            if path == Path::Whole {
                // Only where one way led there, which is then the path.
                while let [only] = parents(&graph, through[through.len() - 1])[..] {
                    through.push(only);
                }
            } else {
                through.push(0);
            }
            if *through.last().unwrap() != 0 {
                continue;
            }
            deep += usize::from(through.len() > 2);
            through.dedup();
            let condition = through.iter().fold(origin.clone(), |condition, &node| {
                let node = &graph.nodes[node];
                condition.through(node.layer.clone(), Selection::channels([node.concept]))
            });
            let to = &graph.nodes[edge.to];
            close(edge, &sums(&attributor, &input, condition, &to.layer), to.concept);
        }
        assert_eq!(path == Path::Whole, deep > 0, "{path:?} has {deep} edges below two steps");
    }
}

#[test]
fn shares_of_all_concepts_add_up_and_nodes_have_what_the_root_gives_them() {
    for name in MODELS {
        let (attributor, input) = traced(name);
        let trace = attributor.trace(&input).unwrap();
        let request = FlowRequest { widths: vec![ALL], depth: Some(2), ..FlowRequest::default() };
        let graph = AttributionGraph::of(&trace, &request).unwrap();
        assert!(!graph.edges.is_empty(), "{name}");
        for (from, node) in graph.nodes.iter().enumerate() {
            for layer in &graph.layers {
                let into = |edge: &&Edge| edge.from == from && graph.nodes[edge.to].layer == layer.name;
                let shares: Vec<f64> = graph.edges.iter().filter(into).map(|edge| edge.share.abs()).collect();
                let total: f64 = shares.iter().sum();
                assert!(shares.is_empty() || (total - 1.0).abs() < TOLERANCE, "{name}: {node:?} gives {total}");
            }
            let expected = sums(&attributor, &input, Condition::predicted(), &node.layer);
            let size: f64 = expected.iter().map(|sum| sum.abs()).sum();
            assert!((node.relevance - expected[node.concept]).abs() <= TOLERANCE * size, "{name}: {node:?}");
        }
        // What arrives along all edges of the first step is what arrives for the root.
        for edge in graph.edges.iter().filter(|edge| edge.from == 0) {
            assert!((edge.share - graph.nodes[edge.to].share).abs() < TOLERANCE, "{name}: {edge:?}");
        }
    }
}

#[test]
fn two_thousand_layers_are_followed_to_the_end() {
    const LAYERS: usize = 2_000;
    let mut builder = Builder::new(vec![3]);
    let mut top = builder.graph.input();
    let dense = |builder: &mut Builder, below| {
        // A little of each feature goes to the others, and nothing grows.
        let weight = Tensor::new([3, 3], vec![0.9, 0.05, 0.05, 0.05, 0.9, 0.05, 0.05, 0.05, 0.9]).unwrap();
        builder.add(Dense { parameters: Parameters::new(weight, None) }, &[below]).unwrap()
    };
    for layer in 0..LAYERS {
        let below = top;
        top = dense(&mut builder, below);
        top = builder.add(Activation::Relu, &[top]).unwrap();
        if layer % 500 == 7 {
            top = builder.add(Sum { subtracted: vec![false; 2] }, &[top, below]).unwrap();
        }
    }
    top = dense(&mut builder, top);
    let attributor = attributor(builder.model(top), "epsilon-plus");
    let trace = attributor.trace(&Tensor::new([1, 3], vec![3.0, 1.0, 2.0]).unwrap()).unwrap();
    for path in [Path::Whole, Path::RootAndCurrent] {
        let request = FlowRequest { widths: vec![1], depth: Some(LAYERS), path, ..FlowRequest::default() };
        let graph = AttributionGraph::of(&trace, &request).unwrap();
        assert_eq!(graph.layers.len(), LAYERS + 1);
        assert!(graph.nodes.len() > LAYERS && graph.nodes.iter().all(|node| node.relevance > 0.0));
    }
}

#[test]
fn what_cannot_be_followed_is_told() {
    let (attributor, input) = traced("vgg_tiny");
    let trace = attributor.trace(&input).unwrap();
    let kind = |request: FlowRequest| AttributionGraph::of(&trace, &request).unwrap_err().kind().clone();
    let default = FlowRequest::default;
    let layers = vec!["features.99".to_owned()];
    assert!(matches!(kind(FlowRequest { layers, ..default() }), RequestErrorKind::Layer(_)));
    let root = Root::concept("features.8", 999);
    assert!(matches!(kind(FlowRequest { root, ..default() }), RequestErrorKind::Concept { id: 999, .. }));
    let root = Root::Class(5);
    assert!(matches!(kind(FlowRequest { root, ..default() }), RequestErrorKind::Concept { id: 5, .. }));
    for (widths, depth) in [(vec![], None), (vec![2, 0], None), (vec![2], Some(0))] {
        assert!(matches!(kind(FlowRequest { widths, depth, ..default() }), RequestErrorKind::Parameter { .. }));
    }
    let (root, layers) = (Root::concept("features.4", 0), vec!["features.8".to_owned()]);
    assert!(matches!(kind(FlowRequest { root, layers, ..default() }), RequestErrorKind::NotExplained { .. }));
    let several = attributor.trace(&inputs("vgg_tiny")).unwrap();
    let error = AttributionGraph::of(&several, &default()).unwrap_err();
    assert!(error.to_string().contains("one sample"), "{error}");
}
