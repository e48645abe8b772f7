//! What the rules for affine ops have in common: each is a table of terms.

use std::borrow::Cow;

use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::{Op, Part, Propagate, single};
use crate::rule::terms::{self, Branch};
use crate::rule::{Reads, Rule, Stabilizer};

/// A rule for convolutions and dense layers that is a table of [terms].
pub(super) trait AffineRule: std::fmt::Debug + Send + Sync {
    /// The rule's name.
    fn name(&self) -> &'static str;

    /// Its parameters but for the stabilizer and `zero_bias`, as they are written in its description.
    fn parameters(&self) -> String {
        String::new()
    }

    /// What keeps the denominators from zero.
    fn stabilizer(&self) -> &Stabilizer;

    /// Whether biases are left out of the denominators.
    fn zero_bias(&self) -> bool;

    /// The table, for an input `x` `[N, ...]`.
    fn branches(&self, x: &Tensor) -> Result<Vec<Branch>, ComputeError>;

    /// Whether it can be applied to samples of this shape; else what it needs. Default: to any.
    fn fits(&self, sample: &[usize]) -> Result<(), Cow<'static, str>> {
        let _ = sample;
        Ok(())
    }

    /// Whether the op's own output is a summand of a denominator, or chooses a branch. Default: it may be.
    fn reads_output(&self) -> bool {
        true
    }

    /// The bias of a term, left out when the rule says so.
    fn bias(&self, part: Part) -> Option<Part> {
        (!self.zero_bias()).then_some(part)
    }
}

impl<R: AffineRule> Rule for R {
    fn describe(&self) -> String {
        let zero_bias = if self.zero_bias() { ",zero_bias" } else { "" };
        format!("{}({}{}{zero_bias})", self.name(), self.parameters(), self.stabilizer().describe())
    }

    fn accepts(&self, op: &dyn Op, inputs: &[&[usize]], _: &[usize]) -> Result<(), Cow<'static, str>> {
        match (op.affine(), inputs) {
            (Some(_), [input]) => self.fits(input),
            _ => Err("a convolution or dense layer".into()),
        }
    }

    fn reads(&self) -> Reads {
        if self.reads_output() { Reads::All } else { Reads::Inputs }
    }

    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        let branches = self.branches(single(self.name(), inputs)?)?;
        terms::prepare(&branches, self.stabilizer(), backend, op, inputs, output)
    }
}
