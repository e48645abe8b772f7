//! Relevance rules: how one op hands relevance down.
//!
//! A rule *prepares* what depends on the sample alone (the denominators), once, and the result *propagates* any number
//! of relevances, one for each condition. Rules know nothing of conditions. Those for affine ops are small tables of
//! terms, evaluated by [`terms`]; anyone can write another with [`Rule`], as `examples/custom_rule.rs` does with a table
//! of terms and from the ground up.
//!
//! Symbols: `x` input, `z = f(x; W, b)` output, `R` relevance at the output, `x⁺ = max(x, 0)`, `x⁻ = min(x, 0)`,
//! `fᵀ(r; W)` the vector-Jacobian product, `s(z)` the [`Stabilizer`].

mod affine_rule;
mod alpha_beta;
mod epsilon;
mod flat;
mod gamma;
mod gradient;
mod halves;
mod norm;
mod pass;
mod relu;
mod signal_takes_all;
mod stabilizer;
pub mod terms;
mod w_square;
mod z_box;
mod z_plus;

use std::borrow::Cow;
use std::fmt;

use glocal_compute::{Backend, ComputeError, Tensor};

pub use alpha_beta::AlphaBeta;
pub use epsilon::Epsilon;
pub use flat::Flat;
pub use gamma::Gamma;
pub use gradient::Gradient;
pub use halves::Halves;
pub use norm::Norm;
pub use pass::Pass;
pub use relu::{BetaSmooth, DeconvNet, GuidedBackprop};
pub use signal_takes_all::SignalTakesAll;
pub use stabilizer::Stabilizer;
pub use w_square::WSquare;
pub use z_box::{Bound, ZBox};
pub use z_plus::ZPlus;

use crate::op::{Op, Propagate};

/// Which values a rule reads when it [prepares](Rule::prepare), beyond their shapes without the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// The inputs and the output.
    All,
    /// The inputs alone.
    Inputs,
    /// None.
    Nothing,
}

/// How an op hands relevance down to its inputs.
pub trait Rule: fmt::Debug + Send + Sync {
    /// The rule with all of its parameters, as it is written to manifests and printed: `Gamma(gamma=0.25,
    /// epsilon=1e-6)`. Two rules with the same description do the same.
    fn describe(&self) -> String;

    /// Whether the rule can be applied to `op` with inputs and an output of these shapes (batch left out everywhere);
    /// else what it needs. A composite asks before any work.
    ///
    /// # Errors
    /// A few words that complete "the rule needs ...".
    fn accepts(&self, op: &dyn Op, inputs: &[&[usize]], output: &[usize]) -> Result<(), Cow<'static, str>>;

    /// Which values [`prepare`](Self::prepare) reads; it may be given others without their rows, to save memory: shares that
    /// are made of those are refused for want of rows. Default: all.
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// Computes everything that depends on `inputs` (`[N, ...]` each) and `output` (`[N, ...]`) alone.
    ///
    /// # Errors
    /// When the shapes do not fit the op.
    fn prepare(
        &self,
        backend: &dyn Backend,
        op: &dyn Op,
        inputs: &[&Tensor],
        output: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError>;
}
