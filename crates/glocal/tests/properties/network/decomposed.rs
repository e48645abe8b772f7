//! What exporters write as several ops.

use glocal::model::NodeId;
use glocal::op::activation::Activation;
use glocal::op::arithmetic::{AddConstant, MultiplyConstant, Product, Sum};
use glocal::op::reduce::{Fold, Reduce};
use glocal_compute::Tensor;

use super::Builder;
use crate::random::Random;

impl Builder {
    /// A layer or RMS normalisation as exporters write it without an op of its own.
    pub(super) fn decomposed_normalization(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let shape = self.shape(below);
        let first = random.within(1, shape.len());
        let axes: Vec<usize> = if random.flip() { vec![first] } else { (first..=shape.len()).collect() };
        let mean = || Reduce { fold: Fold::Mean, axes: axes.clone(), keep_axes: true };
        let ones = vec![1; shape.len() + 1];
        let mut deviation = below;
        let mut squared = below;
        if random.flip() {
            let means = self.add(mean(), &[below])?;
            deviation = self.add(Sum { subtracted: vec![false, true] }, &[below, means])?;
            squared = match random.flip() {
                true => self.add(Sum { subtracted: vec![false, true] }, &[below, means])?,
                false => deviation,
            };
        }
        let square = match random.flip() {
            true => self.add(Activation::Power { exponent: 2.0 }, &[squared])?,
            false => self.add(Product, &[squared, squared])?,
        };
        let variance = self.add(mean(), &[square])?;
        let constant = Tensor::full(ones.as_slice(), random.pick(&[1e-2, 1e-5])).unwrap();
        let mut inverse = self.add(AddConstant { constant }, &[variance])?;
        for exponent in random.pick(&[&[0.5, -1.0][..], &[-0.5]]) {
            inverse = self.add(Activation::Power { exponent: *exponent }, &[inverse])?;
        }
        let factors = if random.flip() { [deviation, inverse] } else { [inverse, deviation] };
        let mut top = self.add(Product, &factors)?;
        let mut along = ones;
        axes.iter().for_each(|&axis| along[axis] = shape[axis - 1]);
        if random.flip() {
            top = self.add(MultiplyConstant { constant: random.tensor(&along) }, &[top])?;
        }
        if random.flip() {
            top = self.add(AddConstant { constant: random.tensor(&along) }, &[top])?;
        }
        Some(top)
    }

    /// SiLU, Mish, HardSwish or a hard sigmoid as exporters write them without an op of their own.
    pub(super) fn decomposed_activation(&mut self, random: &mut Random, below: NodeId) -> Option<NodeId> {
        let ones = vec![1; self.shape(below).len() + 1];
        let number = |value| Tensor::full(ones.as_slice(), value).unwrap();
        let hard_sigmoid = |builder: &mut Self| {
            let shifted = builder.add(AddConstant { constant: number(3.0) }, &[below])?;
            builder.add(Activation::Clip { min: 0.0, max: 6.0 }, &[shifted])
        };
        match random.within(0, 4) {
            0 => {
                let gate = self.add(Activation::Sigmoid, &[below])?;
                self.add(Product, &[below, gate])
            }
            1 => {
                let softplus = self.add(Activation::Softplus, &[below])?;
                let gate = self.add(Activation::Tanh, &[softplus])?;
                self.add(Product, &[gate, below])
            }
            2 => {
                let gate = hard_sigmoid(self)?;
                self.add(MultiplyConstant { constant: number(1.0 / 6.0) }, &[gate])
            }
            3 => {
                let gate = hard_sigmoid(self)?;
                let scaled = self.add(MultiplyConstant { constant: number(1.0 / 6.0) }, &[gate])?;
                self.add(Product, &[scaled, below])
            }
            _ => {
                let gate = hard_sigmoid(self)?;
                let product = self.add(Product, &[below, gate])?;
                self.add(MultiplyConstant { constant: number(1.0 / 6.0) }, &[product])
            }
        }
    }
}
