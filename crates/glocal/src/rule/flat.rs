//! Flat: relevance spreads evenly over the receptive field.

use glocal_compute::{ComputeError, Tensor};

use crate::op::Part;
use crate::rule::Stabilizer;
use crate::rule::affine_rule::AffineRule;
use crate::rule::terms::{Branch, Gate, InputPart, Term};

/// `R_in = fᵀ(R / s(f(1; 1, 0)); 1)`: padding counts as missing inputs, so borders differ.
///
/// Domain: any input, usually the first layer. Conserves relevance but for what the stabilizer takes and for outputs that
/// see nothing but padding.
/// Source: Lapuschkin et al. 2019, doi 10.1038/s41467-019-08987-4; it is [`WSquare`](crate::rule::WSquare) for weights that
/// are all the same.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flat {
    /// Keeps the denominator from zero. Default: ε = 1e-6.
    pub stabilizer: Stabilizer,
}

impl AffineRule for Flat {
    fn name(&self) -> &'static str {
        "Flat"
    }

    fn stabilizer(&self) -> &Stabilizer {
        &self.stabilizer
    }

    fn zero_bias(&self) -> bool {
        // The rule has no bias in any case.
        false
    }

    fn reads_output(&self) -> bool {
        false
    }

    fn branches(&self, _: &Tensor) -> Result<Vec<Branch>, ComputeError> {
        let terms = vec![Term { sign: 1.0, input: InputPart::Ones, weight: Part::Ones, bias: None }];
        Ok(vec![Branch { coefficient: 1.0, gate: Gate::All, terms }])
    }
}
