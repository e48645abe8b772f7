//! Which rule a product of two activations gets by itself, told by the structure of the graph.

use std::sync::Arc;

use glocal::composite::Composite;
use glocal::model::{Graph, Model, Node, NodeId};
use glocal::op::activation::{Activation, Identity};
use glocal::op::arithmetic::{AddConstant, MultiplyConstant, Product, Sum};
use glocal::op::batch_normalization::BatchNormalization;
use glocal::op::layout::{Concat, Reshape, Slice, Transpose};
use glocal::op::matrix_product::MatrixProduct;
use glocal::op::reduce::{Fold, Reduce};
use glocal::op::softmax::Softmax;
use glocal::op::{Op, OpKind};
use glocal_compute::{CpuBackend, SliceRange, Tensor};

fn push(graph: &mut Graph, op: impl Op + 'static, inputs: &[NodeId]) -> NodeId {
    let name = format!("node {}", graph.len());
    graph
        .push(Node {
            op: Arc::new(op),
            inputs: inputs.to_vec(),
            op_type: "Test".to_owned(),
            values: vec![name.clone()],
            name,
            is_step: false,
            merged_names: Vec::new(),
            layers: Vec::new(),
            shape: Vec::new(),
        })
        .unwrap()
}

fn number(value: f32) -> Tensor {
    Tensor::full([1, 1, 1, 1], value).unwrap()
}

/// The rule of the last node of a graph over an input `[3, 4, 4]` that `build` adds.
fn rule(build: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> String {
    let mut graph = Graph::new("x", vec![3, 4, 4]);
    let x = graph.input();
    let last = build(&mut graph, x);
    // What is explained is not a probability itself.
    let last = push(&mut graph, Reduce { fold: Fold::Mean, axes: vec![2, 3], keep_axes: false }, &[last]);
    let product = graph.node(last).inputs[0];
    let model = Model::new(graph, last, Arc::new(CpuBackend::new())).unwrap();
    let composite =
        Composite::new("nothing").with(glocal::composite::Selector::Kind(OpKind::Softmax), glocal::rule::Pass);
    composite.resolve(&model).unwrap().get(product).unwrap().rule.describe()
}

/// One number a channel between 0 and 1, as squeeze-and-excitation makes it.
fn squeezed(graph: &mut Graph, x: NodeId, gate: Activation) -> NodeId {
    let mean = push(graph, Reduce { fold: Fold::GlobalAveragePool, axes: vec![2, 3], keep_axes: true }, &[x]);
    push(graph, gate, &[mean])
}

/// The same constant is the same addition, however it is written.
#[test]
fn one_number_passes_relevance_as_one_for_each_channel_does() {
    let shifted = rule(|graph, x| push(graph, AddConstant { constant: number(0.5) }, &[x]));
    let scale = Tensor::full([3], 1.0).unwrap();
    let shift = Tensor::full([3], 0.5).unwrap();
    let by_channel = rule(|graph, x| push(graph, BatchNormalization { scale, shift }, &[x]));
    assert_eq!((shifted.as_str(), by_channel.as_str()), ("Pass", "Pass"));
    let elements = Tensor::full([1, 3, 4, 4], 0.5).unwrap();
    assert!(rule(|graph, x| push(graph, AddConstant { constant: elements }, &[x])).starts_with("Norm"));
}

#[test]
fn gates_are_found_by_structure() {
    let sigmoid = Activation::Sigmoid;
    let hard = Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };
    let signal = |index: usize| format!("SignalTakesAll(signal={index})");
    let halves = "Halves(epsilon=1e-6)".to_owned();
    let cases: Vec<(&str, String, String)> = vec![
        (
            "squeeze-and-excitation",
            rule(|graph, x| {
                let gate = squeezed(graph, x, sigmoid);
                push(graph, Product, &[x, gate])
            }),
            signal(0),
        ),
        (
            "the gate first",
            rule(|graph, x| {
                let gate = squeezed(graph, x, hard);
                push(graph, Product, &[gate, x])
            }),
            signal(1),
        ),
        (
            "a gate of full size behind moves",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let gate = push(graph, Transpose { permutation: vec![0, 1, 3, 2] }, &[gate]);
                let gate = push(graph, Reshape { shape: vec![3, 4, 4] }, &[gate]);
                let gate = push(graph, Identity, &[gate]);
                push(graph, Product, &[gate, x])
            }),
            signal(1),
        ),
        (
            "a hard sigmoid written out",
            rule(|graph, x| {
                let gate = push(graph, AddConstant { constant: number(3.0) }, &[x]);
                let gate = push(graph, Activation::Clip { min: 0.0, max: 6.0 }, &[gate]);
                let gate = push(graph, MultiplyConstant { constant: number(1.0 / 6.0) }, &[gate]);
                push(graph, Product, &[x, gate])
            }),
            signal(0),
        ),
        (
            "a map of attention",
            rule(|graph, x| {
                let gate = push(graph, Softmax { axis: 3, log: false }, &[x]);
                push(graph, Product, &[gate, x])
            }),
            signal(1),
        ),
        (
            "a gate of several, split",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let gate = push(graph, Concat { axis: 1 }, &[gate, gate]);
                let whole = |count| SliceRange { start: 0, step: 1, count };
                let ranges = vec![SliceRange { start: 3, step: 1, count: 3 }, whole(4), whole(4)];
                let gate = push(graph, Slice { ranges }, &[gate]);
                push(graph, Product, &[x, gate])
            }),
            signal(0),
        ),
        (
            "what a gate leaves",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let negated = push(graph, Sum { subtracted: vec![true] }, &[gate]);
                let rest = push(graph, AddConstant { constant: number(1.0) }, &[negated]);
                push(graph, Product, &[x, rest])
            }),
            signal(0),
        ),
        (
            "what a gate leaves, written with constants of each channel",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let negated = push(graph, MultiplyConstant { constant: number(-1.0) }, &[gate]);
                let (scale, shift) = (Tensor::full([3], 1.0).unwrap(), Tensor::full([3], 1.0).unwrap());
                let rest = push(graph, BatchNormalization { scale, shift }, &[negated]);
                push(graph, Product, &[x, rest])
            }),
            signal(0),
        ),
        (
            "a gate of a gate",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let both = push(graph, Product, &[gate, gate]);
                push(graph, Product, &[x, both])
            }),
            signal(0),
        ),
        (
            "a sigmoid made a hyperbolic tangent",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let twice = push(graph, MultiplyConstant { constant: number(-2.0) }, &[gate]);
                let tangent = push(graph, AddConstant { constant: number(1.0) }, &[twice]);
                push(graph, Product, &[x, tangent])
            }),
            halves.clone(),
        ),
        (
            "a gate taken from zero",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let negative = push(graph, Sum { subtracted: vec![true] }, &[gate]);
                push(graph, Product, &[x, negative])
            }),
            halves.clone(),
        ),
        (
            "joined with what is no gate",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let both = push(graph, Concat { axis: 1 }, &[gate, x]);
                let twice = push(graph, Concat { axis: 1 }, &[x, x]);
                push(graph, Product, &[twice, both])
            }),
            halves.clone(),
        ),
        ("no gate", rule(|graph, x| push(graph, Product, &[x, x])), halves.clone()),
        (
            "two gates",
            rule(|graph, x| {
                let (a, b) = (push(graph, sigmoid, &[x]), push(graph, hard, &[x]));
                push(graph, Product, &[a, b])
            }),
            halves.clone(),
        ),
        (
            "a gate larger than the signal",
            rule(|graph, x| {
                let gate = push(graph, sigmoid, &[x]);
                let mean = push(graph, Reduce { fold: Fold::Mean, axes: vec![2, 3], keep_axes: true }, &[x]);
                push(graph, Product, &[mean, gate])
            }),
            halves.clone(),
        ),
        (
            "ReLU6, which is an activation",
            rule(|graph, x| {
                let bounded = push(graph, Activation::Clip { min: 0.0, max: 6.0 }, &[x]);
                push(graph, Product, &[x, bounded])
            }),
            halves.clone(),
        ),
        ("a product of matrices", rule(|graph, x| push(graph, MatrixProduct, &[x, x])), halves),
    ];
    for (what, given, expected) in cases {
        assert_eq!(given, expected, "{what}");
    }
}

/// What is joined with itself over and over is looked at once each time.
#[test]
fn gates_that_are_joined_forty_times_are_found_at_once() {
    let begun = std::time::Instant::now();
    let rule = rule(|graph, x| {
        let mut gate = push(graph, Activation::Sigmoid, &[x]);
        for _ in 0..40 {
            let both = push(graph, Concat { axis: 1 }, &[gate, gate]);
            let whole = |count| SliceRange { start: 0, step: 1, count };
            gate = push(graph, Slice { ranges: vec![whole(3), whole(4), whole(4)] }, &[both]);
        }
        push(graph, Product, &[x, gate])
    });
    assert_eq!(rule, "SignalTakesAll(signal=0)");
    assert!(begun.elapsed().as_secs() < 10);
}
