//! Which patterns are one normalisation or activation, and which only look like one.

use glocal::canonizer::canonize;
use glocal::composite::Composite;
use glocal::model::{Model, NodeId};
use glocal::op::OpKind;
use glocal::op::activation::Activation;
use glocal::op::arithmetic::{AddConstant, MultiplyConstant, Product, Sum};
use glocal::op::batch_normalization::BatchNormalization;
use glocal::op::reduce::{Fold, Reduce};
use glocal_compute::Tensor;

use super::apart;
use crate::network::{Builder, describe, rounding};
use crate::random::Random;
use crate::support;

/// Checks the values, and gives the kinds of the nodes that are left, the input's left out.
fn kinds(what: &str, model: &Model) -> Vec<OpKind> {
    let canonized = canonize(model).unwrap();
    let x = Random::new(3).tensor(&[&[2], model.input_shape()].concat());
    let (before, after) = (model.run(&x).unwrap(), canonized.run(&x).unwrap());
    let (old, new) = (model.output().index(), canonized.output().index());
    let off = apart(&after[new], &before[old], &rounding::bounds(model, &before)[old]);
    assert!(off <= 1.0, "{what}: {off} bounds off\n{}", describe(&canonized));
    canonized.graph().nodes().skip(1).map(|(_, node)| node.op.kind()).collect()
}

/// A model of samples of `shape`, put together by `build` on top of a tanh.
fn model(shape: &[usize], build: impl FnOnce(&mut Builder, NodeId) -> NodeId) -> Model {
    let mut builder = Builder::new(shape.to_vec());
    let input = builder.graph.input();
    let below = builder.add(Activation::Tanh, &[input]).unwrap();
    let top = build(&mut builder, below);
    builder.model(top)
}

/// What a decomposed normalisation consists of.
#[derive(Clone)]
struct Written {
    centred: Vec<usize>,
    squared: Vec<usize>,
    fold: Fold,
    square: Activation,
    roots: Vec<f32>,
    epsilon: f32,
}

impl Written {
    fn over(axes: &[usize]) -> Self {
        Self {
            centred: axes.to_vec(),
            squared: axes.to_vec(),
            fold: Fold::Mean,
            square: Activation::Power { exponent: 2.0 },
            roots: vec![0.5, -1.0],
            epsilon: 1e-2,
        }
    }

    fn on(&self, builder: &mut Builder, below: NodeId) -> NodeId {
        let ones = vec![1; builder.shape(below).len() + 1];
        let mean = |axes: &[usize], fold| Reduce { fold, axes: axes.to_vec(), keep_axes: true };
        let deviation = if self.centred.is_empty() {
            below
        } else {
            let means = builder.add(mean(&self.centred, Fold::Mean), &[below]).unwrap();
            builder.add(Sum { subtracted: vec![false, true] }, &[below, means]).unwrap()
        };
        let square = builder.add(self.square, &[deviation]).unwrap();
        let variance = builder.add(mean(&self.squared, self.fold), &[square]).unwrap();
        let constant = Tensor::full(ones, self.epsilon).unwrap();
        let mut inverse = builder.add(AddConstant { constant }, &[variance]).unwrap();
        for &exponent in &self.roots {
            inverse = builder.add(Activation::Power { exponent }, &[inverse]).unwrap();
        }
        builder.add(Product, &[deviation, inverse]).unwrap()
    }

    /// With a factor and an offset of the given shape of a sample behind it.
    fn scaled(&self, builder: &mut Builder, below: NodeId, shape: &[usize]) -> NodeId {
        let top = self.on(builder, below);
        let mut random = Random::new(5);
        let [factor, offset] = [(); 2].map(|()| random.tensor(&[&[1], shape].concat()));
        let top = builder.add(MultiplyConstant { constant: factor }, &[top]).unwrap();
        builder.add(AddConstant { constant: offset }, &[top]).unwrap()
    }
}

#[test]
fn decomposed_normalisations_are_one_node() {
    use OpKind::{InstanceNormalization, LayerNormalization, RmsNormalization, Tanh};
    let rms = Written { centred: Vec::new(), ..Written::over(&[2]) };
    let reciprocal_root = Written { roots: vec![-0.5], ..Written::over(&[2]) };
    let cases = [
        ("plain", model(&[3, 5], |b, x| Written::over(&[2]).on(b, x)), LayerNormalization),
        ("scaled", model(&[3, 5], |b, x| Written::over(&[2]).scaled(b, x, &[1, 5])), LayerNormalization),
        ("over two axes", model(&[3, 5], |b, x| Written::over(&[1, 2]).scaled(b, x, &[3, 5])), LayerNormalization),
        ("over channels", model(&[3, 4, 2], |b, x| Written::over(&[1]).scaled(b, x, &[3, 1, 1])), LayerNormalization),
        ("reciprocal root", model(&[3, 5], |b, x| reciprocal_root.scaled(b, x, &[1, 5])), LayerNormalization),
        ("RMS", model(&[3, 5], |b, x| rms.scaled(b, x, &[1, 5])), RmsNormalization),
        (
            "of each channel",
            model(&[3, 4, 2], |b, x| Written::over(&[2, 3]).scaled(b, x, &[3, 1, 1])),
            InstanceNormalization,
        ),
    ];
    for (what, model, expected) in cases {
        assert_eq!(kinds(what, &model), [Tanh, expected], "{what}");
    }
    let per_channel = model(&[3, 4], |b, x| {
        let top = Written::over(&[2]).on(b, x);
        let [scale, shift] = [0.5, -1.0].map(|value| Tensor::full([3], value).unwrap());
        b.add(BatchNormalization { scale, shift }, &[top]).unwrap()
    });
    assert_eq!(kinds("scale and shift at once", &per_channel), [Tanh, InstanceNormalization]);
}

/// Its layer's name is that of the last op, and the parts' names are gone with their values.
#[test]
fn a_recognised_normalisation_has_the_last_name() {
    let model = model(&[3, 5], |b, x| Written::over(&[2]).scaled(b, x, &[1, 5]));
    let canonized = canonize(&model).unwrap();
    let output = canonized.graph().node(canonized.output());
    assert_eq!(output.layers, model.graph().node(model.output()).layers);
    assert!(canonized.layer("reduce-mean.2").is_err());
    assert!(canonized.layer("tanh.1").is_ok());
}

#[test]
fn what_only_looks_like_a_normalisation_stays() {
    let layer = || Written::over(&[2]);
    let cases = [
        ("other axes", Written { squared: vec![1], ..layer() }),
        ("a sum of squares", Written { fold: Fold::Sum, ..layer() }),
        ("a third power", Written { square: Activation::Power { exponent: 3.0 }, epsilon: 9.0, ..layer() }),
        ("no square", Written { square: Activation::Absolute, ..layer() }),
        ("no root", Written { roots: vec![-1.0], ..layer() }),
        ("the root itself", Written { roots: vec![0.5], ..layer() }),
        ("a negative epsilon", Written { epsilon: -1e-9, ..layer() }),
    ];
    for (what, written) in cases {
        let kinds = kinds(what, &model(&[3, 5], |b, x| written.on(b, x)));
        let normalizations = [OpKind::LayerNormalization, OpKind::RmsNormalization];
        // What is centred over other axes may still be an RMS normalisation of that.
        let rms = what == "other axes";
        assert_eq!(kinds.iter().any(|kind| normalizations.contains(kind)), rms, "{what}: {kinds:?}");
        assert!(!kinds.contains(&OpKind::LayerNormalization), "{what}: {kinds:?}");
    }
    let position = model(&[3, 5], |b, x| Written::over(&[2]).scaled(b, x, &[3, 5]));
    let expected = [OpKind::Tanh, OpKind::LayerNormalization, OpKind::MultiplyConstant, OpKind::AddConstant];
    assert_eq!(kinds("constants of each position", &position), expected);
    let needed = model(&[3, 5], |b, x| {
        let top = Written::over(&[2]).on(b, x);
        let scaled = b.add(MultiplyConstant { constant: Tensor::full([1, 1, 1], 2.0).unwrap() }, &[top]).unwrap();
        b.add(Sum { subtracted: vec![false; 2] }, &[top, scaled]).unwrap()
    });
    let expected = [OpKind::Tanh, OpKind::LayerNormalization, OpKind::MultiplyConstant, OpKind::Sum];
    assert_eq!(kinds("a value that something else needs", &needed), expected);
}

/// As a real file has it: exported without an op of its own, and with one.
#[test]
fn files_without_the_op_become_the_same_as_files_with_it() {
    for opset in [9, 13] {
        let path = format!("{}/tests/import_goldens/layer_normalization_{opset}.onnx", env!("CARGO_MANIFEST_DIR"));
        let model = support::load_model(path.as_ref());
        assert_eq!(kinds("a file", &model), [OpKind::LayerNormalization], "opset {opset}");
    }
}

/// `x + offset`, clipped to `0..max`.
fn shifted_clip(b: &mut Builder, x: NodeId, offset: f32, max: f32) -> NodeId {
    let constant = Tensor::full(vec![1; b.shape(x).len() + 1], offset).unwrap();
    let shifted = b.add(AddConstant { constant }, &[x]).unwrap();
    b.add(Activation::Clip { min: 0.0, max }, &[shifted]).unwrap()
}

fn times(b: &mut Builder, x: NodeId, factor: f32) -> NodeId {
    let constant = Tensor::full(vec![1; b.shape(x).len() + 1], factor).unwrap();
    b.add(MultiplyConstant { constant }, &[x]).unwrap()
}

#[test]
fn decomposed_activations_are_one_node() {
    use OpKind::{AddConstant, Clip, HardSigmoid, HardSwish, Mish, MultiplyConstant, Product, Silu, Softplus, Tanh};
    let product = |b: &mut Builder, a: NodeId, c: NodeId| b.add(glocal::op::arithmetic::Product, &[a, c]).unwrap();
    let activation = |b: &mut Builder, x: NodeId, op: Activation| b.add(op, &[x]).unwrap();
    let cases = [
        (
            "SiLU",
            model(&[4], |b, x| {
                let gate = activation(b, x, Activation::Sigmoid);
                product(b, gate, x)
            }),
            vec![Tanh, Silu],
        ),
        (
            "Mish",
            model(&[4], |b, x| {
                let softplus = activation(b, x, Activation::Softplus);
                let gate = activation(b, softplus, Activation::Tanh);
                product(b, x, gate)
            }),
            vec![Tanh, Mish],
        ),
        (
            "tanh of the softplus of something else",
            model(&[4], |b, x| {
                let softplus = activation(b, x, Activation::Softplus);
                let gate = activation(b, softplus, Activation::Tanh);
                product(b, softplus, gate)
            }),
            vec![Tanh, Softplus, Tanh, Product],
        ),
        (
            "hard sigmoid",
            model(&[4], |b, x| {
                let gate = shifted_clip(b, x, 3.0, 6.0);
                times(b, gate, 1.0 / 6.0)
            }),
            vec![Tanh, HardSigmoid],
        ),
        (
            "not to 1",
            model(&[4], |b, x| {
                let gate = shifted_clip(b, x, 3.0, 6.0);
                times(b, gate, 0.2)
            }),
            vec![Tanh, AddConstant, Clip, MultiplyConstant],
        ),
        (
            "HardSwish by its gate",
            model(&[4], |b, x| {
                let gate = shifted_clip(b, x, 3.0, 6.0);
                let gate = times(b, gate, 1.0 / 6.0);
                product(b, x, gate)
            }),
            vec![Tanh, HardSwish],
        ),
        (
            "HardSwish divided last",
            model(&[4], |b, x| {
                let gate = shifted_clip(b, x, 3.0, 6.0);
                let product = product(b, gate, x);
                times(b, product, 1.0 / 6.0)
            }),
            vec![Tanh, HardSwish],
        ),
    ];
    for (what, model, expected) in cases {
        assert_eq!(kinds(what, &model), expected, "{what}");
    }
}

/// Squeeze and excitation with a hard sigmoid, however it is written: all relevance goes to the signal. The offset must not
/// disappear in the bias of the layer below it.
#[test]
fn hard_gates_are_seen_behind_affine_ops() {
    for divided_last in [false, true] {
        let model = model(&[4], |b, x| {
            let mut random = Random::new(2);
            let squeezed = b.add(crate::network::dense(&mut random, 4, 4), &[x]).unwrap();
            let clipped = shifted_clip(b, squeezed, 3.0, 6.0);
            let gate = if divided_last { clipped } else { times(b, clipped, 1.0 / 6.0) };
            let product = b.add(Product, &[x, gate]).unwrap();
            if divided_last { times(b, product, 1.0 / 6.0) } else { product }
        });
        let canonized = canonize(&model).unwrap();
        let composite: Composite = "epsilon-plus".parse().unwrap();
        let resolved = composite.resolve(&canonized).unwrap();
        let (product, _) = canonized.graph().nodes().find(|(_, node)| node.op.kind() == OpKind::Product).unwrap();
        let rule = resolved.get(product).unwrap().rule.describe();
        assert!(rule.starts_with("SignalTakesAll"), "{rule}\n{}", describe(&canonized));
    }
}
