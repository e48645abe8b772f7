//! SignalTakesAll: a gate decides how much passes, and is given nothing for it.

use std::borrow::Cow;

use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Budget, Op, OpKind, Propagate};
use crate::rule::{Reads, Rule};

/// `R_signal = R`, `R_gate = 0`.
///
/// Domain: products of two activations, element by element. Conserves relevance exactly.
/// Source: Arras et al. 2017, doi 10.18653/v1/W17-5221, sec. 2.2 (products with gates).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalTakesAll {
    /// Which of the two factors is the signal: 0 or 1.
    pub signal: usize,
}

impl Rule for SignalTakesAll {
    fn describe(&self) -> String {
        format!("SignalTakesAll(signal={})", self.signal)
    }

    fn accepts(&self, op: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        if op.kind() != OpKind::Product {
            return Err("a product of two activations, element by element".into());
        }
        if self.signal < 2 { Ok(()) } else { Err("a signal that is factor 0 or 1".into()) }
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn prepare(
        &self,
        _: &dyn Backend,
        _: &dyn Op,
        inputs: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let shapes = inputs.iter().map(|x| x.sample_shape().to_vec()).collect();
        Ok(Box::new(ToSignal { signal: self.signal, shapes }))
    }
}

#[derive(Debug)]
struct ToSignal {
    signal: usize,
    /// The shapes of one sample of the factors.
    shapes: Vec<Vec<usize>>,
}

impl Propagate for ToSignal {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let share = |(factor, shape): (usize, &Vec<usize>)| {
            if factor == self.signal {
                backend.sum_to(&relevance, shape)
            } else {
                Tensor::zeros([&[relevance.batch()], shape.as_slice()].concat())
            }
        };
        self.shapes.iter().enumerate().map(share).collect()
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}
