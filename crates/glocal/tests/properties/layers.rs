//! Which layers feed which, in any graph.

use std::sync::Arc;

use glocal::model::{Graph, LayerName, Node, NodeId};
use glocal::op::activation::Identity;
use glocal::op::arithmetic::Sum;

use crate::random::Random;

/// Adds a node that takes `inputs`.
fn push(graph: &mut Graph, inputs: &[NodeId]) -> NodeId {
    let node = Node {
        op: match inputs {
            [_] => Arc::new(Identity),
            _ => Arc::new(Sum { subtracted: vec![false; inputs.len()] }),
        },
        inputs: inputs.to_vec(),
        name: format!("node {}", graph.len()),
        is_step: false,
        merged_names: Vec::new(),
        op_type: String::new(),
        values: Vec::new(),
        layers: Vec::<LayerName>::new(),
        shape: Vec::new(),
    };
    graph.push(node).unwrap()
}

/// The same by recursion, which is how one would say it.
fn walk(graph: &Graph, id: NodeId, among: &[NodeId], found: &mut Vec<NodeId>) {
    for &input in &graph.node(id).inputs {
        match among.contains(&input) {
            true if found.contains(&input) => {}
            true => found.push(input),
            false => walk(graph, input, among, found),
        }
    }
}

#[test]
fn layers_below_are_the_nearest_on_every_path() {
    let mut several = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut graph = Graph::new("x", vec![2]);
        let mut ids = vec![graph.input()];
        for _ in 0..random.within(3, 25) {
            let count = random.within(1, 3);
            // Mostly what came last, so that graphs get deep; sometimes the same node twice.
            let mut input = || ids[ids.len() - 1 - random.within(0, ids.len() - 1).min(random.within(0, 4))];
            let inputs: Vec<NodeId> = (0..count).map(|_| input()).collect();
            ids.push(push(&mut graph, &inputs));
        }
        let among: Vec<NodeId> = ids.iter().copied().filter(|_| random.within(0, 2) == 0).collect();
        for &layer in &ids {
            let mut expected = Vec::new();
            walk(&graph, layer, &among, &mut expected);
            assert_eq!(graph.layers_below(layer, &among), expected, "seed {seed}, {layer} among {among:?}");
            several += usize::from(expected.len() > 1);
        }
    }
    assert!(several > 300, "only {several} layers with several below");
}

#[test]
fn two_thousand_layers_are_no_burden() {
    const LAYERS: usize = 2_000;
    let mut graph = Graph::new("x", vec![2]);
    let (mut chain, mut residual) = (Vec::new(), Vec::new());
    let mut stream = graph.input();
    // Two nodes a layer, one after the other; then residual blocks, whose layers see all layers before them.
    for _ in 0..LAYERS {
        let layer = push(&mut graph, &[stream]);
        chain.push(layer);
        stream = push(&mut graph, &[layer]);
    }
    for _ in 0..LAYERS {
        let layer = push(&mut graph, &[stream]);
        residual.push(layer);
        stream = push(&mut graph, &[layer, stream]);
    }
    for (index, &layer) in chain.iter().enumerate() {
        let expected: Vec<NodeId> = chain[..index].last().copied().into_iter().collect();
        assert_eq!(graph.layers_below(layer, &chain), expected);
    }
    for (index, &layer) in residual.iter().enumerate() {
        let expected: Vec<NodeId> = residual[..index].iter().rev().copied().collect();
        assert_eq!(graph.layers_below(layer, &residual), expected);
    }
    // Layers that are far apart: everything between is walked.
    assert_eq!(graph.layers_below(stream, &chain[..1]), [chain[0]]);
    assert!(graph.layers_below(graph.input(), &chain).is_empty());
}
