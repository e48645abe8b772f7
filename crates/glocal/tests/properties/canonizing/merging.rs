//! Where batch normalisations are merged, and where they must stay, case by case.

use glocal::canonizer::canonize;
use glocal::model::{Model, NodeId};
use glocal::op::activation::{Activation, Identity};
use glocal::op::arithmetic::{AddConstant, MultiplyConstant, Sum};
use glocal::op::batch_normalization;
use glocal::op::convolution::Convolution;
use glocal::op::convolution_transpose::ConvolutionTranspose;
use glocal::op::layout::{Reshape, Transpose};
use glocal::op::{OpKind, Parameters};
use glocal_compute::{ConvolutionGeometry, Tensor};

use super::apart;
use crate::network::{Builder, dense, describe, normalization, rounding};
use crate::random::Random;

/// What is put together in a case.
struct Under {
    builder: Builder,
    random: Random,
    top: NodeId,
}

impl Under {
    fn input(shape: &[usize]) -> Self {
        let builder = Builder::new(shape.to_vec());
        let top = builder.graph.input();
        Self { builder, random: Random::new(shape.iter().sum::<usize>() as u64), top }
    }

    fn then(mut self, op: impl glocal::op::Op + 'static) -> Self {
        self.top = self.builder.add(op, &[self.top]).unwrap();
        self
    }

    fn shape(&self) -> Vec<usize> {
        self.builder.shape(self.top)
    }

    /// A convolution with a kernel of 3 to 4 channels, or one for each group.
    fn convolution(mut self, group: usize, pads: [usize; 2], stride: usize) -> Self {
        let (channels, axes) = (self.shape()[0], self.shape().len() - 1);
        let shape = [&[4 * group, channels / group], vec![3; axes].as_slice()].concat();
        let parameters = Parameters::new(self.random.tensor(&shape), Some(self.random.tensor(&[4 * group])));
        self.then(Convolution { parameters, geometry: geometry(axes, group, pads, stride) })
    }

    fn transposed(mut self, group: usize, kernel: usize, pads: [usize; 2], stride: usize) -> Self {
        let (channels, axes) = (self.shape()[0], self.shape().len() - 1);
        let shape = [&[channels, 2], vec![kernel; axes].as_slice()].concat();
        let parameters = Parameters::new(self.random.tensor(&shape), Some(self.random.tensor(&[2 * group])));
        let geometry = geometry(axes, group, pads, stride);
        self.then(ConvolutionTranspose { parameters, geometry, output_padding: vec![0; axes] })
    }

    fn dense(mut self, units: usize) -> Self {
        let features = *self.shape().last().unwrap();
        let op = dense(&mut self.random, features, units);
        self.then(op)
    }

    /// A batch normalisation with shifts.
    fn normalized(mut self) -> Self {
        let channels = self.shape()[0];
        let shift = self.random.tensor(&[channels]);
        let op = batch_normalization::BatchNormalization { shift, ..normalization(&mut self.random, channels) };
        self.then(op)
    }

    /// One without.
    fn scaled(mut self) -> Self {
        let channels = self.shape()[0];
        let scale = self.random.tensor(&[channels]);
        self.then(batch_normalization::BatchNormalization { scale, shift: Tensor::zeros([channels]).unwrap() })
    }

    /// Products and sums with constants of the given shape of a sample.
    fn multiplied_and_added(mut self, shape: &[usize]) -> Self {
        let [factor, offset] = [(); 2].map(|()| self.random.tensor(&[&[1], shape].concat()));
        self.then(MultiplyConstant { constant: factor }).then(AddConstant { constant: offset })
    }

    fn relu(self) -> Self {
        self.then(Activation::Relu)
    }

    fn dropout(self) -> Self {
        self.then(Identity)
    }

    fn flat(self) -> Self {
        let count = self.shape().iter().product();
        self.then(Reshape { shape: vec![count] })
    }

    /// `f(x) + x`
    fn residual(mut self, branch: impl FnOnce(Self) -> Self) -> Self {
        let below = self.top;
        self = branch(self);
        self.top = self.builder.add(Sum { subtracted: vec![false; 2] }, &[self.top, below]).unwrap();
        self
    }
}

fn geometry(axes: usize, group: usize, pads: [usize; 2], stride: usize) -> ConvolutionGeometry {
    ConvolutionGeometry {
        strides: vec![stride; axes],
        dilations: vec![1; axes],
        pads_begin: vec![pads[0]; axes],
        pads_end: vec![pads[1]; axes],
        group,
    }
}

/// Checks the values, and gives the kinds of the nodes that are left, the input's left out.
fn kinds(what: &str, case: Under) -> Vec<OpKind> {
    let model = case.builder.model(case.top);
    let canonized = canonize(&model).unwrap();
    let mut random = Random::new(7);
    let x = random.tensor(&[&[2], model.input_shape()].concat());
    let (before, after) = (model.run(&x).unwrap(), canonized.run(&x).unwrap());
    let (old, new) = (model.output().index(), canonized.output().index());
    let off = apart(&after[new], &before[old], &rounding::bounds(&model, &before)[old]);
    assert!(off <= 1.0, "{what}: {off} bounds off\n{}", describe(&canonized));
    canonized.graph().nodes().skip(1).map(|(_, node)| node.op.kind()).collect()
}

#[test]
fn normalisations_merge_into_the_op_before() {
    use OpKind::{Convolution, ConvolutionTranspose, Dense, MultiplyConstant, Relu};
    let cases = [
        ("1-D", Under::input(&[2, 9]).convolution(1, [1, 1], 1).normalized(), vec![Convolution]),
        ("2-D", Under::input(&[2, 5, 5]).convolution(1, [1, 1], 2).normalized(), vec![Convolution]),
        ("3-D", Under::input(&[2, 4, 4, 3]).convolution(2, [0, 1], 1).normalized(), vec![Convolution]),
        ("1-D transposed", Under::input(&[4, 5]).transposed(2, 3, [0, 0], 2).normalized(), vec![ConvolutionTranspose]),
        (
            "3-D transposed",
            Under::input(&[4, 2, 2, 2]).transposed(1, 2, [0, 0], 2).normalized(),
            vec![ConvolutionTranspose],
        ),
        ("dense", Under::input(&[5]).dense(4).normalized(), vec![Dense]),
        ("through dropout", Under::input(&[5]).dense(4).dropout().dropout().normalized().dropout(), vec![Dense]),
        ("two of them", Under::input(&[2, 9]).convolution(1, [0, 0], 1).normalized().scaled(), vec![Convolution]),
        (
            "constants for each channel",
            Under::input(&[2, 5, 5]).convolution(1, [1, 1], 1).multiplied_and_added(&[4, 1, 1]),
            vec![Convolution],
        ),
        (
            "one constant",
            Under::input(&[2, 9]).convolution(1, [1, 1], 1).multiplied_and_added(&[1, 1]),
            vec![Convolution],
        ),
        ("features of tokens", Under::input(&[3, 5]).dense(4).multiplied_and_added(&[1, 4]), vec![Dense]),
        (
            "between two, into the one before",
            Under::input(&[2, 9]).convolution(1, [0, 0], 1).normalized().convolution(1, [1, 1], 1),
            vec![Convolution, Convolution],
        ),
        (
            "not behind an activation",
            Under::input(&[2, 9]).convolution(1, [0, 0], 1).relu().multiplied_and_added(&[4, 1]),
            vec![Convolution, Relu, MultiplyConstant, OpKind::AddConstant],
        ),
    ];
    for (what, case, expected) in cases {
        assert_eq!(kinds(what, case), expected, "{what}");
    }
}

#[test]
fn normalisations_merge_into_the_op_after() {
    use OpKind::{Convolution, ConvolutionTranspose, Dense, Relu};
    let relu = |shape: &[usize]| Under::input(shape).relu();
    let cases = [
        ("1-D", relu(&[2, 9]).normalized().convolution(1, [0, 0], 1), vec![Relu, Convolution]),
        ("2-D, groups", relu(&[4, 5, 5]).normalized().convolution(2, [0, 0], 2), vec![Relu, Convolution]),
        ("3-D", relu(&[2, 4, 4, 3]).normalized().convolution(1, [0, 0], 1), vec![Relu, Convolution]),
        (
            "padding that no window reaches",
            relu(&[2, 7]).normalized().convolution(1, [0, 1], 2),
            vec![Relu, Convolution],
        ),
        ("no shift, padding", relu(&[2, 5, 5]).scaled().convolution(1, [1, 1], 1), vec![Relu, Convolution]),
        ("no shift, transposed", relu(&[4, 5]).scaled().transposed(2, 3, [1, 0], 2), vec![Relu, ConvolutionTranspose]),
        (
            "a transposed convolution cropped to where it sees all",
            relu(&[4, 5]).normalized().transposed(1, 3, [2, 2], 1),
            vec![Relu, ConvolutionTranspose],
        ),
        (
            "a pointwise transposed convolution",
            relu(&[4, 3, 3]).normalized().transposed(2, 1, [0, 0], 1),
            vec![Relu, ConvolutionTranspose],
        ),
        ("dense", relu(&[5]).normalized().dense(4), vec![Relu, Dense]),
        ("through dropout", relu(&[5]).dropout().normalized().dropout().dense(4), vec![Relu, Dense]),
        ("constants", relu(&[2, 7]).multiplied_and_added(&[2, 1]).convolution(1, [0, 0], 1), vec![Relu, Convolution]),
        ("one constant", relu(&[3, 5]).multiplied_and_added(&[1, 1]).dense(2), vec![Relu, Dense]),
        ("features of tokens", relu(&[3, 5]).multiplied_and_added(&[1, 5]).dense(2), vec![Relu, Dense]),
        ("through a flattening", relu(&[3, 2, 2]).normalized().flat().dense(2), vec![Relu, OpKind::Reshape, Dense]),
        (
            "around a flattening",
            relu(&[3, 2, 2]).normalized().flat().normalized().dense(2),
            vec![Relu, OpKind::Reshape, Dense],
        ),
        (
            "channels last",
            relu(&[3, 4]).normalized().then(Transpose { permutation: vec![0, 2, 1] }).dense(2),
            vec![Relu, OpKind::Transpose, Dense],
        ),
        (
            "in a branch",
            relu(&[4, 6]).residual(|branch| branch.normalized().convolution(1, [0, 0], 1).transposed(2, 3, [0, 0], 1)),
            vec![Relu, Convolution, ConvolutionTranspose, OpKind::Sum],
        ),
    ];
    for (what, case, expected) in cases {
        assert_eq!(kinds(what, case), expected, "{what}");
    }
}

#[test]
fn normalisations_stay_where_merging_would_change_the_function() {
    use OpKind::{BatchNormalization, Convolution, ConvolutionTranspose, Dense, Relu};
    let relu = |shape: &[usize]| Under::input(shape).relu();
    let cases = [
        (
            "at the input",
            Under::input(&[2, 7]).normalized().convolution(1, [0, 0], 1),
            vec![BatchNormalization, Convolution],
        ),
        (
            "in steps at the input, which padding would part",
            Under::input(&[2, 7])
                .then(AddConstant { constant: Tensor::full([1, 1, 1], -0.5).unwrap() })
                .then(MultiplyConstant { constant: Tensor::full([1, 1, 1], 4.0).unwrap() })
                .convolution(1, [1, 1], 1),
            vec![OpKind::AddConstant, OpKind::MultiplyConstant, Convolution],
        ),
        (
            "turned round at the input",
            Under::input(&[3, 5])
                .then(Transpose { permutation: vec![0, 2, 1] })
                .then(MultiplyConstant { constant: Tensor::full([1, 1, 1], 4.0).unwrap() })
                .convolution(1, [0, 0], 1),
            vec![OpKind::Transpose, OpKind::MultiplyConstant, Convolution],
        ),
        (
            "a shift that padding does not have",
            relu(&[2, 9]).normalized().convolution(1, [1, 0], 1),
            vec![Relu, BatchNormalization, Convolution],
        ),
        (
            "a shift that borders see less of",
            relu(&[4, 5]).normalized().transposed(1, 3, [1, 1], 1),
            vec![Relu, BatchNormalization, ConvolutionTranspose],
        ),
        (
            "a shift that positions see different weights of",
            relu(&[4, 5]).normalized().transposed(1, 2, [0, 0], 2),
            vec![Relu, BatchNormalization, ConvolutionTranspose],
        ),
        (
            "tokens with a scale of their own",
            relu(&[3, 5]).normalized().dense(2),
            vec![Relu, BatchNormalization, Dense],
        ),
        (
            "tokens with a scale of their own, behind",
            Under::input(&[3, 5]).dense(2).normalized(),
            vec![Dense, BatchNormalization],
        ),
        (
            "features that differ inside of a channel",
            relu(&[2, 3]).flat().normalized().then(Reshape { shape: vec![2, 3] }).convolution(1, [0, 0], 1),
            vec![Relu, OpKind::Reshape, BatchNormalization, OpKind::Reshape, Convolution],
        ),
        (
            "a value that something else needs",
            relu(&[3, 5]).scaled().residual(|branch| branch.dense(5)),
            vec![Relu, BatchNormalization, Dense, OpKind::Sum],
        ),
        (
            "an affine value that something else needs",
            Under::input(&[5]).dense(4).residual(Under::normalized),
            vec![Dense, BatchNormalization, OpKind::Sum],
        ),
        ("nothing to merge into", Under::input(&[3, 5]).normalized().relu(), vec![BatchNormalization, Relu]),
    ];
    for (what, case, expected) in cases {
        assert_eq!(kinds(what, case), expected, "{what}");
    }
}

/// Two scales of the largest number there is: their product is none.
#[test]
fn normalisations_stay_where_merged_weights_would_not_be_finite() {
    let largest = |case: Under| case.then(MultiplyConstant { constant: Tensor::full([1, 1], f32::MAX).unwrap() });
    let case = largest(largest(Under::input(&[5]).dense(4)));
    let canonized = canonize(&case.builder.model(case.top)).unwrap();
    let kinds: Vec<OpKind> = canonized.graph().nodes().skip(1).map(|(_, node)| node.op.kind()).collect();
    assert_eq!(kinds, [OpKind::Dense, OpKind::MultiplyConstant, OpKind::MultiplyConstant]);
}

/// Names of what was merged into the op before mean the merged op; names of what was merged into the op after are gone,
/// with those of the values between.
#[test]
fn names_mean_the_value_that_they_had_or_nothing() {
    let model = |case: Under| -> Model { canonize(&case.builder.model(case.top)).unwrap() };
    let before = model(Under::input(&[2, 9]).convolution(1, [0, 0], 1).dropout().normalized().relu());
    let merged = before.layer("convolution.1").unwrap();
    assert_eq!(before.graph().node(merged).display_name(), "convolution.1");
    for name in ["identity.2", "batch-normalization.3", "/batch-normalization.3", "batch-normalization.3_output"] {
        assert_eq!(before.layer(name).unwrap(), merged, "{name}");
    }
    // The layer is known by what it has become; the ONNX value before the normalisation is gone.
    assert!(before.layer("convolution.1_output").is_err());

    let after = model(Under::input(&[3, 2, 2]).relu().normalized().dropout().flat().dense(2));
    for name in ["batch-normalization.2", "/batch-normalization.2", "identity.3", "reshape.4", "reshape.4_output"] {
        let error = after.layer(name).unwrap_err();
        assert_eq!(error.name(), name);
    }
    for name in ["relu.1", "dense.5", "dense.5_output"] {
        assert!(after.layer(name).is_ok(), "{name}");
    }
}

/// Where there are no biases and nothing shifts, none are made.
#[test]
fn scales_alone_make_no_bias() {
    let parameters = Parameters::new(Tensor::full([3, 5], 0.5).unwrap(), None);
    let case = Under::input(&[5]).relu().scaled().then(glocal::op::dense::Dense { parameters }).scaled();
    let canonized = canonize(&case.builder.model(case.top)).unwrap();
    let glocal::op::Structure::Dense(op) = canonized.graph().node(canonized.output()).op.structure() else {
        panic!("not merged: {}", describe(&canonized))
    };
    assert!(op.parameters.bias().is_none());
}

/// Transposing moves the channel; what follows it there is no dense layer's feature.
#[test]
fn channels_are_followed_through_transpositions() {
    let case = Under::input(&[3, 4, 2]).relu().normalized().then(Transpose { permutation: vec![0, 3, 2, 1] }).dense(2);
    assert_eq!(kinds("to the last axis", case), [OpKind::Relu, OpKind::Transpose, OpKind::Dense]);
    let case = Under::input(&[3, 4, 2]).relu().normalized().then(Transpose { permutation: vec![0, 2, 1, 3] }).dense(2);
    let expected = [OpKind::Relu, OpKind::BatchNormalization, OpKind::Transpose, OpKind::Dense];
    assert_eq!(kinds("to the middle", case), expected);
}
