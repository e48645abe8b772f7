//! WSquare: each input by its squared weights.

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Part, Propagate};
use crate::rule::epsilon::{bias, zero_bias};
use crate::rule::terms::{self, Branch, Gate, InputPart, Term};
use crate::rule::{Rule, Stabilizer, needs_affine};

/// `R_in = fᵀ(R / s(f(1; W², b²)); W²)`.
///
/// Domain: unbounded inputs, usually the first layer. Conserves relevance but for the bias and the stabilizer.
/// Source: Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008, eq. 14.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WSquare {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

impl Rule for WSquare {
    fn describe(&self) -> String {
        format!("WSquare({}{})", self.stabilizer.describe(), zero_bias(self.zero_bias))
    }

    fn accepts(&self, op: &dyn Op) -> Result<(), &'static str> {
        needs_affine(op)
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let bias = bias(self.zero_bias, Part::Square);
        let terms = vec![Term { sign: 1.0, input: InputPart::Ones, weight: Part::Square, bias }];
        let branch = Branch { coefficient: 1.0, gate: Gate::All, terms };
        terms::prepare(&[branch], &self.stabilizer, backend, op, inputs, output)
    }
}
