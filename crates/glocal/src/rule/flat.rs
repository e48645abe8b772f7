//! Flat: relevance spreads evenly over the receptive field.

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Part, Propagate};
use crate::rule::terms::{self, Branch, Gate, InputPart, Term};
use crate::rule::{Rule, Stabilizer, needs_affine};

/// `R_in = fᵀ(R / s(f(1; 1, 0)); 1)`: padding counts as missing inputs, so borders differ.
///
/// Domain: any input, usually the first layer. Conserves relevance but for what the stabilizer takes.
/// Source: Lapuschkin et al. 2017, arXiv 1708.02000, sec. 2.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flat {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
}

impl Rule for Flat {
    fn describe(&self) -> String {
        format!("Flat({})", self.stabilizer.describe())
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
        let terms = vec![Term { sign: 1.0, input: InputPart::Ones, weight: Part::Ones, bias: None }];
        let branch = Branch { coefficient: 1.0, gate: Gate::All, terms };
        terms::prepare(&[branch], &self.stabilizer, backend, op, inputs, output)
    }
}
