//! Affine ops as canonizers change them: which channels each weight connects, and when a shift of the input is a bias.

use std::sync::Arc;

use glocal_compute::{ComputeError, ConvolutionGeometry, Tensor};

use crate::canonizer::scaling::PerChannel;
use crate::model::Node;
use crate::op::convolution::Convolution;
use crate::op::convolution_transpose::ConvolutionTranspose;
use crate::op::dense::Dense;
use crate::op::{Op, Parameters, Structure};

/// An affine op that the scales and shifts of its neighbours can be merged into.
#[derive(Debug, Clone, Copy)]
pub(super) enum AffineOp<'a> {
    Convolution(&'a Convolution),
    ConvolutionTranspose(&'a ConvolutionTranspose),
    Dense(&'a Dense),
}

impl<'a> AffineOp<'a> {
    /// The affine op of a node, if it is one.
    pub(super) fn of(node: &'a Node) -> Option<Self> {
        match node.op.structure() {
            Structure::Convolution(op) => Some(Self::Convolution(op)),
            Structure::ConvolutionTranspose(op) => Some(Self::ConvolutionTranspose(op)),
            Structure::Dense(op) => Some(Self::Dense(op)),
            _ => None,
        }
    }

    /// The axis of a sample of `rank` axes that holds the channels of the op's input and output: a dense layer's
    /// features are the last.
    pub(super) fn channel_axis(self, rank: usize) -> usize {
        match self {
            Self::Convolution(_) | Self::ConvolutionTranspose(_) => 0,
            Self::Dense(_) => rank.saturating_sub(1),
        }
    }

    /// The op followed by a scale and a shift of its output channels: `s·(W·x + b) + t = (s·W)·x + (s·b + t)`. `None`
    /// when the weights would not be finite.
    pub(super) fn followed_by(self, next: &PerChannel) -> Result<Option<Arc<dyn Op>>, ComputeError> {
        let connections = self.connections();
        let mut bias = self.bias(connections.outputs());
        for (bias, (scale, shift)) in bias.iter_mut().zip(next.channels()) {
            *bias = *bias * scale + shift;
        }
        self.rebuilt(|index, weight| weight * next.scale(connections.of(index).1), bias)
    }

    /// The op on an input that is scaled and shifted by channel: `W·(s·x + t) + b = (W·s)·x + (W·t + b)`, if the shift
    /// [adds the same everywhere](Self::shift_is_uniform) or is none. `None` when the weights would not be finite.
    pub(super) fn preceded_by(self, previous: &PerChannel) -> Result<Option<Arc<dyn Op>>, ComputeError> {
        let connections = self.connections();
        let mut bias = self.bias(connections.outputs());
        for (index, &weight) in self.parameters().weight().data().iter().enumerate() {
            let (input, output) = connections.of(index);
            if let Some(bias) = bias.get_mut(output) {
                *bias += f64::from(weight) * previous.shift(input);
            }
        }
        self.rebuilt(|index, weight| weight * previous.scale(connections.of(index).0), bias)
    }

    /// Whether a constant in each channel of the input adds the same to all positions of an output channel: not where
    /// some windows lie partly in the padding, nor where outputs of a transposed convolution see different weights.
    pub(super) fn shift_is_uniform(self, input: &[usize], output: &[usize]) -> bool {
        let (geometry, kernel) = match self {
            Self::Dense(_) => return true,
            Self::Convolution(op) => (&op.geometry, op.parameters.weight().shape()),
            Self::ConvolutionTranspose(op) => (&op.geometry, op.parameters.weight().shape()),
        };
        let ConvolutionGeometry { strides, dilations, pads_begin, .. } = geometry;
        let axes = input.iter().zip(output).skip(1).zip(kernel.iter().skip(2)).enumerate();
        axes.into_iter().all(|(axis, ((&inputs, &outputs), &taps))| {
            let (stride, dilation, pad) = (strides[axis], dilations[axis], pads_begin[axis]);
            let sees = |output: usize, tap: usize| match self {
                Self::ConvolutionTranspose(_) => (output + pad)
                    .checked_sub(tap * dilation)
                    .is_some_and(|reached| reached % stride == 0 && reached / stride < inputs),
                _ => (output * stride + tap * dilation).checked_sub(pad).is_some_and(|position| position < inputs),
            };
            (0..outputs).all(|output| (0..taps).all(|tap| sees(output, tap)))
        })
    }

    fn parameters(self) -> &'a Parameters {
        match self {
            Self::Convolution(op) => &op.parameters,
            Self::ConvolutionTranspose(op) => &op.parameters,
            Self::Dense(op) => &op.parameters,
        }
    }

    fn connections(self) -> Connections {
        let (group, transposed) = match self {
            Self::Convolution(op) => (op.geometry.group, false),
            Self::ConvolutionTranspose(op) => (op.geometry.group, true),
            Self::Dense(_) => (1, false),
        };
        let shape = self.parameters().weight().shape();
        let size = |axis: usize| shape.get(axis).copied().unwrap_or(1).max(1);
        let taps = shape.iter().skip(2).product::<usize>().max(1);
        Connections { rows: size(0), columns: size(1), taps, group: group.max(1), transposed }
    }

    fn bias(self, outputs: usize) -> Vec<f64> {
        match self.parameters().bias() {
            Some(bias) => bias.data().iter().map(|&value| f64::from(value)).collect(),
            None => vec![0.0; outputs],
        }
    }

    /// The op with changed weights, computed in double precision; `None` when one of them is not finite.
    fn rebuilt(
        self,
        weight_of: impl Fn(usize, f64) -> f64,
        bias: Vec<f64>,
    ) -> Result<Option<Arc<dyn Op>>, ComputeError> {
        let weight = self.parameters().weight();
        let changed = weight.data().iter().enumerate();
        let changed: Vec<f32> = changed.map(|(index, &value)| weight_of(index, f64::from(value)) as f32).collect();
        let bias: Vec<f32> = bias.into_iter().map(|value| value as f32).collect();
        if !changed.iter().chain(&bias).all(|value| value.is_finite()) {
            return Ok(None);
        }
        let needed = self.parameters().bias().is_some() || bias.iter().any(|&value| value != 0.0);
        let bias = if needed { Some(Tensor::new([bias.len()], bias)?) } else { None };
        let parameters = Parameters::new(Tensor::new(weight.shape(), changed)?, bias);
        Ok(Some(match self {
            Self::Convolution(op) => Arc::new(Convolution { parameters, ..op.clone() }),
            Self::ConvolutionTranspose(op) => Arc::new(ConvolutionTranspose { parameters, ..op.clone() }),
            Self::Dense(_) => Arc::new(Dense { parameters }),
        }))
    }
}

/// Which input and output channel each weight of `[rows, columns, kernel...]` connects. Rows are the output channels of
/// all groups and columns the input channels of one, or the other way round when transposed.
#[derive(Debug, Clone, Copy)]
struct Connections {
    rows: usize,
    columns: usize,
    taps: usize,
    group: usize,
    transposed: bool,
}

impl Connections {
    /// The input and the output channel of the weight at `index`.
    fn of(self, index: usize) -> (usize, usize) {
        let (row, column) = (index / self.taps / self.columns, index / self.taps % self.columns);
        let of_group = (self.rows / self.group).max(1);
        let other = row / of_group * self.columns + column;
        if self.transposed { (row, other) } else { (other, row) }
    }

    fn outputs(self) -> usize {
        if self.transposed { self.columns * self.group } else { self.rows }
    }
}
