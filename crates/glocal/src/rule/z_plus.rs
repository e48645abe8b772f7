//! ZPlus: only what raised the output counts.

use glocal_compute::{ComputeError, Tensor};

use crate::op::Part;
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate, InputPart, Term};

/// `R_in = x⁺·fᵀ(R/s(z₊); W⁺) + x⁻·fᵀ(R/s(z₊); W⁻)`, `z₊ = f(x⁺; W⁺, b⁺) + f(x⁻; W⁻, 0)`.
///
/// Domain: any input. Conserves relevance but for what a positive bias and the stabilizer take.
/// Source: Bach et al. 2015 (α = 1, β = 0) and Montavon et al. 2017, doi 10.1016/j.patcog.2016.11.008, the z⁺-rule.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ZPlus {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
    /// Whether the bias is left out of the denominator. Default: false.
    pub zero_bias: bool,
}

impl AffineRule for ZPlus {
    fn name(&self) -> &'static str {
        "ZPlus"
    }

    fn stabilizer(&self) -> &Stabilizer {
        &self.stabilizer
    }

    fn zero_bias(&self) -> bool {
        self.zero_bias
    }

    fn reads_output(&self) -> bool {
        false
    }

    fn branches(&self, _: &Tensor) -> Result<Vec<Branch>, ComputeError> {
        let terms = contributions(Part::Positive, Part::Negative, self.bias(Part::Positive));
        Ok(vec![Branch { coefficient: 1.0, gate: Gate::All, terms }])
    }
}

/// `f(x⁺; with_positive, bias) + f(x⁻; with_negative, 0)`
pub(super) fn contributions(with_positive: Part, with_negative: Part, bias: Option<Part>) -> Vec<Term> {
    let term = |input, weight, bias| Term { sign: 1.0, input, weight, bias };
    vec![term(InputPart::Positive, with_positive, bias), term(InputPart::Negative, with_negative, None)]
}
