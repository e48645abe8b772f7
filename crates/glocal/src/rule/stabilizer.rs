//! Keeps denominators away from zero.

use glocal_compute::backend::{Map, Zip};
use glocal_compute::{Backend, ComputeError, Tensor};

/// `s(z) = z + ε·sign(z)`, or `sign(z)·max(|z|, ε)` with `clip`, where `sign(0) = +1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stabilizer {
    /// ε; positive. Default: 1e-6.
    pub epsilon: f32,
    /// Whether small values are lifted to ε instead of all being moved by it. Default: false.
    pub clip: bool,
}

impl Default for Stabilizer {
    fn default() -> Self {
        Self { epsilon: 1e-6, clip: false }
    }
}

impl From<f32> for Stabilizer {
    fn from(epsilon: f32) -> Self {
        Self { epsilon, clip: false }
    }
}

/// A stabilized denominator, and what the stabilizer added to it.
#[derive(Debug)]
pub(crate) struct Denominator {
    /// `s(z)`
    pub(crate) stabilized: Tensor,
    excess: Excess,
}

/// `s(z) − z`: kept only where it cannot be had from `s(z)`.
#[derive(Debug)]
enum Excess {
    Signed(f32),
    Known(Tensor),
}

impl Stabilizer {
    /// `s(z)`
    ///
    /// # Errors
    /// Only when the result cannot be allocated.
    pub fn apply(&self, backend: &dyn Backend, z: &Tensor) -> Result<Tensor, ComputeError> {
        let epsilon = self.epsilon;
        backend.map(z, if self.clip { Map::StabilizeClip { epsilon } } else { Map::Stabilize { epsilon } })
    }

    /// `s(z)` with what accounts for it.
    pub(crate) fn denominator(&self, backend: &dyn Backend, z: &Tensor) -> Result<Denominator, ComputeError> {
        let stabilized = self.apply(backend, z)?;
        let excess = if self.clip {
            Excess::Known(backend.zip(&stabilized, z, Zip::Subtract)?)
        } else {
            Excess::Signed(self.epsilon)
        };
        Ok(Denominator { stabilized, excess })
    }

    /// How the stabilizer is written in a rule's description.
    pub(crate) fn describe(&self) -> String {
        format!("epsilon={:e}{}", self.epsilon, if self.clip { ",clip" } else { "" })
    }
}

impl Denominator {
    /// `s(z) − z`
    pub(crate) fn excess(&self, backend: &dyn Backend) -> Result<Tensor, ComputeError> {
        match &self.excess {
            Excess::Known(excess) => Ok(excess.clone()),
            // s(z) is never smaller than ε in size and has the sign of z.
            Excess::Signed(epsilon) => {
                let sign = backend.zip(
                    &backend.map(&self.stabilized, Map::IsPositive)?,
                    &backend.map(&self.stabilized, Map::IsNegative)?,
                    Zip::Subtract,
                )?;
                backend.map(&sign, Map::Affine { factor: *epsilon, offset: 0.0 })
            }
        }
    }
}
