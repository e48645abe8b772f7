//! Gradient: the vector-Jacobian product of the op itself.

use std::borrow::Cow;

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Propagate};
use crate::rule::Rule;

/// `R_in = fᵀ(R)`.
///
/// Domain: any op. Does not conserve relevance, except for ops that only move, copy or choose elements.
/// Source: Simonyan et al. 2014, arXiv 1312.6034.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gradient;

impl Rule for Gradient {
    fn describe(&self) -> String {
        "Gradient".to_owned()
    }

    fn accepts(&self, _: &dyn Op, _: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        Ok(())
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        op.linearize(backend, inputs, output)
    }
}
