//! Random small networks, built through the public interface of graphs.

pub mod chain;
mod decomposed;
pub mod rounding;

use std::sync::Arc;

use glocal::model::{Graph, LayerName, Model, Node, NodeId};
use glocal::op::activation::{Activation, Identity};
use glocal::op::arithmetic::{AddConstant, MultiplyConstant, Sum};
use glocal::op::batch_normalization::BatchNormalization;
use glocal::op::convolution::Convolution;
use glocal::op::convolution_transpose::ConvolutionTranspose;
use glocal::op::dense::Dense;
use glocal::op::layout::{Concat, Reshape, Transpose};
use glocal::op::pool::{AveragePool, MaxPool};
use glocal::op::{Op, Parameters};
use glocal_compute::{ConvolutionGeometry, CpuBackend, PoolGeometry, Tensor};
use proptest::prelude::*;

use crate::random::Random;

/// The choices that make a network; fewer of them make a simpler one.
pub fn choices() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(any::<u64>(), 0..120)
}

/// A network with three samples.
pub struct Network {
    pub model: Model,
    /// `[3, C, ...]`
    pub x: Tensor,
}

impl Network {
    /// A network over vectors, or over 1 to 3 spatial axes, that ends in a row of logits.
    pub fn drawn(choices: Vec<u64>) -> Self {
        let mut random = Random::chosen(choices);
        let axes = random.within(0, 3);
        let channels = random.within(1, 4);
        let sizes = random.several(axes, 2, [0, 9, 6, 4][axes]);
        let shape = [&[channels], sizes.as_slice()].concat();
        let mut builder = Builder::new(shape.clone());
        let mut top = builder.graph.input();
        for _ in 0..random.within(1, 8) {
            top = builder.block(&mut random, top, 2);
        }
        top = builder.head(&mut random, top);
        let x = random.tensor(&[&[3], shape.as_slice()].concat());
        Self { model: builder.model(top), x }
    }

    /// The nodes, a line each, for people.
    pub fn describe(&self) -> String {
        describe(&self.model)
    }
}

/// The nodes of a model, a line each, for people.
pub fn describe(model: &Model) -> String {
    let line = |(id, node): (NodeId, &Node)| {
        let layers: Vec<&str> = node.layers.iter().map(LayerName::as_str).collect();
        let inputs: Vec<usize> = node.inputs.iter().map(|input| input.index()).collect();
        format!("#{} {} of {inputs:?}: {:?} {layers:?} {:?}\n", id.index(), node.op.kind(), node.shape, node.op)
    };
    model.graph().nodes().map(line).collect()
}

/// Puts a graph together node by node. Every node is a layer, `kind.index`.
pub struct Builder {
    pub graph: Graph,
}

impl Builder {
    pub fn new(shape: Vec<usize>) -> Self {
        Self { graph: Graph::new("input", shape) }
    }

    /// Adds a node, if it fits its inputs.
    pub fn add(&mut self, op: impl Op + 'static, inputs: &[NodeId]) -> Option<NodeId> {
        let name = format!("{}.{}", op.kind(), self.graph.len());
        let node = Node {
            op: Arc::new(op),
            inputs: inputs.to_vec(),
            name: format!("/{name}"),
            is_step: false,
            merged_names: Vec::new(),
            op_type: "Op".to_owned(),
            values: vec![format!("{name}_output")],
            layers: vec![LayerName::new(name)],
            shape: Vec::new(),
        };
        self.graph.push(node).ok()
    }

    pub fn shape(&self, id: NodeId) -> Vec<usize> {
        self.graph.node(id).shape.clone()
    }

    pub fn model(self, output: NodeId) -> Model {
        Model::new(self.graph, output, Arc::new(CpuBackend::new())).unwrap()
    }

    /// `below` itself where what was drawn does not fit.
    fn block(&mut self, random: &mut Random, below: NodeId, depth: usize) -> NodeId {
        let shape = self.shape(below);
        let added = match random.within(0, 14) {
            0 => self.add(Activation::Relu, &[below]),
            1 | 2 => self.convolution(random, below),
            3 | 4 => self.add(normalization(random, shape[0]), &[below]),
            5 => self.add(Identity, &[below]),
            6 => self.transposed(random, below),
            7 => self.constant(random, below),
            8 => self.add(smooth(random), &[below]),
            9 if depth > 0 => self.branches(random, below, depth - 1),
            10 => self.pool(random, below),
            11 => {
                let units = random.within(1, 4);
                self.add(dense(random, shape[shape.len() - 1], units), &[below])
            }
            12 => self.transpose(random, below),
            13 => self.decomposed_normalization(random, below),
            14 => self.decomposed_activation(random, below),
            _ => None,
        };
        added.unwrap_or(below)
    }

    /// Flattens to features and ends in a dense layer, with what may stand between.
    fn head(&mut self, random: &mut Random, mut top: NodeId) -> NodeId {
        let shape = self.shape(top);
        if shape.len() > 1 {
            let count = shape.iter().product();
            top = self.add(Reshape { shape: vec![count] }, &[top]).unwrap();
        }
        for _ in 0..random.within(0, 2) {
            let features = self.shape(top)[0];
            let added = match random.within(0, 3) {
                0 => self.add(Identity, &[top]),
                1 => self.add(normalization(random, features), &[top]),
                2 => self.constant(random, top),
                _ => {
                    let units = random.within(1, 5);
                    let hidden = self.add(dense(random, features, units), &[top]).unwrap();
                    self.add(Activation::Relu, &[hidden])
                }
            };
            top = added.unwrap_or(top);
        }
        let (features, classes) = (self.shape(top)[0], random.within(2, 4));
        self.add(dense(random, features, classes), &[top]).unwrap()
    }

    /// Two ways from one value that meet again: a sum where their shapes are the same, else a concatenation.
    fn branches(&mut self, random: &mut Random, below: NodeId, depth: usize) -> Option<NodeId> {
        let mut ways = [below; 2];
        for way in &mut ways {
            for _ in 0..random.within(0, 2) {
                *way = self.block(random, *way, depth);
            }
        }
        let subtracted = vec![false, random.within(0, 3) == 3];
        let joined = random.flip().then(|| self.add(Concat { axis: 1 }, &ways)).flatten();
        joined.or_else(|| self.add(Sum { subtracted }, &ways)).or_else(|| self.add(Concat { axis: 1 }, &ways))
    }

    fn convolution(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let shape = self.shape(below);
        let (channels, axes) = (shape[0], shape.len() - 1);
        if axes == 0 {
            return None;
        }
        let group = if random.flip() { channels } else { 1 };
        let kernel = random.several(axes, 1, 3);
        let geometry = geometry(random, axes, group);
        let outputs = group * outputs(random);
        let weight = weights(random, &[&[outputs, channels / group], kernel.as_slice()].concat());
        let bias = random.flip().then(|| random.tensor(&[weight.batch()]));
        self.add(Convolution { parameters: Parameters::new(weight, bias), geometry }, &[below])
    }

    fn transposed(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let shape = self.shape(below);
        let (channels, axes) = (shape[0], shape.len() - 1);
        if axes == 0 {
            return None;
        }
        let group = if random.flip() { channels } else { 1 };
        let kernel = random.several(axes, 1, 3);
        let geometry = geometry(random, axes, group);
        let outputs = outputs(random);
        let weight = weights(random, &[&[channels, outputs], kernel.as_slice()].concat());
        let bias = random.flip().then(|| random.tensor(&[outputs * group]));
        let output_padding = geometry.strides.iter().map(|stride| random.within(0, stride - 1)).collect();
        // Upsampling must not run away.
        let small = shape.iter().product::<usize>() <= 150;
        let op = ConvolutionTranspose { parameters: Parameters::new(weight, bias), geometry, output_padding };
        small.then(|| self.add(op, &[below])).flatten()
    }

    /// A constant factor or offset: one number, one for each channel or feature, or one for each element.
    fn constant(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let shape = self.shape(below);
        let mut sizes = vec![1; shape.len()];
        match random.within(0, 3) {
            0 => {}
            1 => sizes[0] = shape[0],
            2 => sizes[shape.len() - 1] = shape[shape.len() - 1],
            _ => sizes.clone_from(&shape),
        }
        let constant = random.tensor(&[&[1], sizes.as_slice()].concat());
        if random.flip() {
            self.add(AddConstant { constant }, &[below])
        } else {
            self.add(MultiplyConstant { constant }, &[below])
        }
    }

    fn pool(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let axes = self.shape(below).len() - 1;
        let geometry = PoolGeometry {
            kernel: vec![2; axes],
            strides: random.several(axes, 1, 2),
            dilations: vec![1; axes],
            pads_begin: vec![0; axes],
            pads_end: vec![0; axes],
            ceil_mode: false,
        };
        match axes {
            0 => None,
            _ if random.flip() => self.add(MaxPool { geometry }, &[below]),
            _ => self.add(AveragePool { geometry, count_include_pad: true }, &[below]),
        }
    }

    fn transpose(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let rank = self.shape(below).len();
        // A rotation of the sample's axes.
        let by = random.within(0, rank - 1);
        let permutation = std::iter::once(0).chain((0..rank).map(|axis| 1 + (axis + by) % rank)).collect();
        self.add(Transpose { permutation }, &[below])
    }
}

fn geometry(random: &mut Random, axes: usize, group: usize) -> ConvolutionGeometry {
    let padded = random.flip();
    let pads = |random: &mut Random| if padded { random.several(axes, 0, 1) } else { vec![0; axes] };
    ConvolutionGeometry {
        strides: random.several(axes, 1, 2),
        dilations: random.several(axes, 1, 2),
        pads_begin: pads(random),
        pads_end: pads(random),
        group,
    }
}

/// The output channels of a group.
fn outputs(random: &mut Random) -> usize {
    random.within(1, 3)
}

/// Weights that keep the size of values about the same.
fn weights(random: &mut Random, shape: &[usize]) -> Tensor {
    let mut weight = random.tensor(shape);
    let scale = 1.7 / (weight.row_len() as f32).sqrt();
    weight.data_mut().iter_mut().for_each(|value| *value *= scale);
    weight
}

pub fn dense(random: &mut Random, features: usize, units: usize) -> Dense {
    let weight = weights(random, &[units, features]);
    let bias = random.flip().then(|| random.tensor(&[units]));
    Dense { parameters: Parameters::new(weight, bias) }
}

pub fn normalization(random: &mut Random, channels: usize) -> BatchNormalization {
    let scale = random.tensor(&[channels]);
    let shift = if random.flip() { random.tensor(&[channels]) } else { Tensor::zeros([channels]).unwrap() };
    BatchNormalization { scale, shift }
}

fn smooth(random: &mut Random) -> Activation {
    random.pick(&[
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Clip { min: 0.0, max: 6.0 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Gelu,
        Activation::HardSwish,
    ])
}
