//! ZPlus: only what raised the output counts.

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Part, Propagate};
use crate::rule::epsilon::{bias, zero_bias};
use crate::rule::terms::{self, Branch, Gate, InputPart, Term};
use crate::rule::{Rule, Stabilizer, needs_affine};

/// `R_in = x⁺·fᵀ(R/s(z₊); W⁺) + x⁻·fᵀ(R/s(z₊); W⁻)`, `z₊ = f(x⁺; W⁺, b⁺) + f(x⁻; W⁻, 0)`.
///
/// Domain: any input. Conserves relevance but for what a positive bias and the stabilizer take.
/// Source: Bach et al. 2015 (α = 1, β = 0) and Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008, eq. 21.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ZPlus {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

impl Rule for ZPlus {
    fn describe(&self) -> String {
        format!("ZPlus({}{})", self.stabilizer.describe(), zero_bias(self.zero_bias))
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
        let branch = Branch { coefficient: 1.0, gate: Gate::All, terms: positive_contributions(self.zero_bias) };
        terms::prepare(&[branch], &self.stabilizer, backend, op, inputs, output)
    }
}

/// `f(x⁺; W⁺, b⁺) + f(x⁻; W⁻, 0)`
pub(crate) fn positive_contributions(zero_bias: bool) -> Vec<Term> {
    let term = |input, weight, bias| Term { sign: 1.0, input, weight, bias };
    vec![
        term(InputPart::Positive, Part::Positive, bias(zero_bias, Part::Positive)),
        term(InputPart::Negative, Part::Negative, None),
    ]
}

/// `f(x⁺; W⁻, b⁻) + f(x⁻; W⁺, 0)`
pub(crate) fn negative_contributions(zero_bias: bool) -> Vec<Term> {
    let term = |input, weight, bias| Term { sign: 1.0, input, weight, bias };
    vec![
        term(InputPart::Positive, Part::Negative, bias(zero_bias, Part::Negative)),
        term(InputPart::Negative, Part::Positive, None),
    ]
}
