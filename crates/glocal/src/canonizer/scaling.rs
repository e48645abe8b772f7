//! Scales and shifts by constants: batch normalisations, and products and sums with constants.

use glocal_compute::backend::Zip;
use glocal_compute::{Backend, ComputeError, Tensor};

use crate::model::Node;
use crate::op::{Op, Structure};

/// `x · scale + shift`, element by element; both broadcast over a sample, with a batch of 1.
#[derive(Debug, Clone)]
pub(super) struct Scaling {
    pub(super) scale: Tensor,
    pub(super) shift: Tensor,
}

/// `x · scale + shift` for each channel, in double precision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PerChannel {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Scaling {
    /// What a node does to its input, if it scales and shifts it by finite constants.
    pub(super) fn of(node: &Node) -> Result<Option<Self>, ComputeError> {
        let rank = node.shape.len() + 1;
        let number = |value| Tensor::full(vec![1; rank], value);
        let scaling = match node.op.structure() {
            Structure::ChannelAffine(op) => {
                let mut shape = vec![1; rank.max(2)];
                shape[1] = op.scale.len();
                Self { scale: op.scale.reshape(shape.as_slice())?, shift: op.shift.reshape(shape)? }
            }
            Structure::MultiplyConstant(factor) => Self { scale: aligned(factor, rank)?, shift: number(0.0)? },
            Structure::AddConstant(offset) => Self { scale: number(1.0)?, shift: aligned(offset, rank)? },
            _ => return Ok(None),
        };
        let finite = scaling.scale.data().iter().chain(scaling.shift.data()).all(|value| value.is_finite());
        Ok(finite.then_some(scaling))
    }

    /// The scale and shift of what `op`, which only moves elements, makes of the scaled value: for a value of samples
    /// of `shape`, `op(x · scale + shift) = op(x) · op(scale) + op(shift)`.
    pub(super) fn moved(&self, backend: &dyn Backend, op: &dyn Op, shape: &[usize]) -> Result<Self, ComputeError> {
        let zeros = Tensor::zeros([&[1], shape].concat())?;
        let moved = |constant: &Tensor| op.forward(backend, &[&backend.zip(&zeros, constant, Zip::Add)?]);
        Ok(Self { scale: moved(&self.scale)?, shift: moved(&self.shift)? })
    }

    /// Whether it scales any element.
    pub(super) fn scales(&self) -> bool {
        self.scale.data().iter().any(|&scale| scale != 1.0)
    }

    /// Whether it shifts any element.
    pub(super) fn shifts(&self) -> bool {
        self.shift.data().iter().any(|&shift| shift != 0.0)
    }

    /// The axes of a sample along which the constants may differ.
    pub(super) fn axes(&self) -> Vec<usize> {
        let [scale, shift] = [self.scale.sample_shape(), self.shift.sample_shape()];
        let long = |axis: &usize| [scale, shift].iter().any(|shape| shape.get(*axis).is_some_and(|&size| size > 1));
        (0..scale.len().max(shift.len())).filter(long).collect()
    }

    /// The scale and shift of each of the `channels` along an axis of a sample; `None` when they differ inside of one.
    pub(super) fn along(&self, axis: usize, channels: usize) -> Option<PerChannel> {
        Some(PerChannel { scale: along(&self.scale, axis, channels)?, shift: along(&self.shift, axis, channels)? })
    }
}

impl PerChannel {
    /// What leaves every channel as it is.
    pub(super) fn unchanged(channels: usize) -> Self {
        Self { scale: vec![1.0; channels], shift: vec![0.0; channels] }
    }

    /// This one, then `next`.
    pub(super) fn then(&self, next: &Self) -> Self {
        let scale = self.scale.iter().zip(&next.scale).map(|(first, second)| first * second).collect();
        let shift = self.shift.iter().zip(next.channels()).map(|(shift, (scale, offset))| shift * scale + offset);
        Self { scale, shift: shift.collect() }
    }

    /// Whether it shifts any channel.
    pub(super) fn shifts(&self) -> bool {
        self.shift.iter().any(|&shift| shift != 0.0)
    }

    /// The scale and the shift of each channel.
    pub(super) fn channels(&self) -> impl Iterator<Item = (f64, f64)> {
        self.scale.iter().copied().zip(self.shift.iter().copied())
    }

    /// The scale of a channel; 1 when there is no such channel.
    pub(super) fn scale(&self, channel: usize) -> f64 {
        self.scale.get(channel).copied().unwrap_or(1.0)
    }

    /// The shift of a channel; 0 when there is no such channel.
    pub(super) fn shift(&self, channel: usize) -> f64 {
        self.shift.get(channel).copied().unwrap_or(0.0)
    }
}

/// A constant with as many axes as the values it meets, batch included.
fn aligned(constant: &Tensor, rank: usize) -> Result<Tensor, ComputeError> {
    let missing = rank.saturating_sub(constant.rank());
    constant.reshape([vec![1; missing].as_slice(), constant.shape()].concat())
}

/// The value of each channel along an axis of a sample, if it is the same all over the channel.
fn along(constant: &Tensor, axis: usize, channels: usize) -> Option<Vec<f64>> {
    let size = constant.sample_shape().get(axis).copied()?;
    if size != 1 && size != channels {
        return None;
    }
    let stride: usize = constant.sample_shape()[axis + 1..].iter().product();
    let mut values: Vec<Option<f32>> = vec![None; size];
    for (index, &value) in constant.data().iter().enumerate() {
        if *values[index / stride % size].get_or_insert(value) != value {
            return None;
        }
    }
    let values = values.into_iter().map(|value| value.map(f64::from)).collect::<Option<Vec<_>>>()?;
    Some(if size == channels { values } else { vec![values[0]; channels] })
}
