//! Epsilon: each input by its share of the output.

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Part, Propagate};
use crate::rule::terms::{self, Branch, Gate, InputPart, Term};
use crate::rule::{Rule, Stabilizer, needs_affine};

/// `R_in = x · fᵀ(R / s(z); W)`, `z = f(x; W, b)`.
///
/// Domain: any input. Conserves relevance but for what the bias and the stabilizer take.
/// Source: Bach et al. 2015, doi 10.1371/journal.pone.0130140, eq. 58.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Epsilon {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

impl Rule for Epsilon {
    fn describe(&self) -> String {
        format!("Epsilon({}{})", self.stabilizer.describe(), zero_bias(self.zero_bias))
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
        let bias = bias(self.zero_bias, Part::Whole);
        let terms = vec![Term { sign: 1.0, input: InputPart::Whole, weight: Part::Whole, bias }];
        let branch = Branch { coefficient: 1.0, gate: Gate::All, terms };
        terms::prepare(&[branch], &self.stabilizer, backend, op, inputs, output)
    }
}

/// The bias of a term, left out when the rule says so.
pub(crate) fn bias(zero_bias: bool, part: Part) -> Option<Part> {
    (!zero_bias).then_some(part)
}

/// How `zero_bias` is written in a rule's description.
pub(crate) fn zero_bias(zero_bias: bool) -> &'static str {
    if zero_bias { ",zero_bias" } else { "" }
}
