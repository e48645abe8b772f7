//! Keeps denominators away from zero.

use glocal_compute::backend::{Map, Reduction, Zip};
use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::Patch;

/// `s(z) = z + ε·sign(z)`, or `sign(z)·max(|z|, ε)` with `clip`, where `sign(0) = +1`; with `norm_scale`, ε is multiplied
/// by the root mean square of the sample's `z`, unless that is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stabilizer {
    /// ε; positive. Default: 1e-6.
    pub epsilon: f32,
    /// Whether small values are lifted to ε instead of all being moved by it. Default: false.
    pub clip: bool,
    /// Whether ε is relative to the root mean square of `z` over all axes but the batch. Default: false.
    pub norm_scale: bool,
}

impl Default for Stabilizer {
    fn default() -> Self {
        Self::from(1e-6)
    }
}

impl From<f32> for Stabilizer {
    fn from(epsilon: f32) -> Self {
        Self { epsilon, clip: false, norm_scale: false }
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
        self.apply_owned(backend, z.clone())
    }

    /// The same, in place where `z` is not shared and has no scale of its own.
    fn apply_owned(&self, backend: &dyn Backend, z: Tensor) -> Result<Tensor, ComputeError> {
        let epsilon = self.epsilon;
        if self.norm_scale {
            return self.apply_scaled(backend, &z);
        }
        backend.map_owned(z, if self.clip { Map::StabilizeClip { epsilon } } else { Map::Stabilize { epsilon } })
    }

    /// `s(z)` with an ε of each sample's own.
    fn apply_scaled(&self, backend: &dyn Backend, z: &Tensor) -> Result<Tensor, ComputeError> {
        let axes: Vec<usize> = (1..z.rank()).collect();
        let mean_square = backend.reduce(&backend.map(z, Map::Square)?, &axes, Reduction::Mean)?;
        let root = backend.map(&mean_square, Map::SquareRoot)?;
        // A sample whose denominators are all zero has no scale: ε itself keeps them from zero then.
        let nothing = Map::Affine { factor: -1.0, offset: 1.0 };
        let root = backend.zip(&root, &backend.map(&backend.map(&root, Map::IsPositive)?, nothing)?, Zip::Add)?;
        let epsilon = backend.map(&root, Map::Affine { factor: self.epsilon, offset: 0.0 })?;
        let sign =
            backend.map(&backend.map(z, Map::StabilizeClip { epsilon: 1.0 })?, Map::Clip { low: -1.0, high: 1.0 })?;
        if self.clip {
            let size = backend.zip(&backend.map(z, Map::Absolute)?, &epsilon, Zip::Maximum)?;
            return backend.zip(&sign, &size, Zip::Multiply);
        }
        backend.zip(z, &backend.zip(&sign, &epsilon, Zip::Multiply)?, Zip::Add)
    }

    /// `s(z)` with what accounts for it.
    pub(crate) fn denominator(&self, backend: &dyn Backend, z: Tensor) -> Result<Denominator, ComputeError> {
        if self.clip || self.norm_scale {
            let stabilized = self.apply(backend, &z)?;
            let excess = Excess::Known(backend.zip(&stabilized, &z, Zip::Subtract)?);
            return Ok(Denominator { stabilized, excess });
        }
        Ok(Denominator { stabilized: self.apply_owned(backend, z)?, excess: Excess::Signed(self.epsilon) })
    }

    /// How the stabilizer is written in a rule's description.
    pub(crate) fn describe(&self) -> String {
        let flag = |set, name| if set { name } else { "" };
        format!("epsilon={:e}{}{}", self.epsilon, flag(self.clip, ",clip"), flag(self.norm_scale, ",norm_scale"))
    }
}

impl Denominator {
    /// A patch of the denominators of a sample, whose excess is not known: only to be divided by.
    pub(crate) fn within(&self, backend: &dyn Backend, patch: &Patch, sample: usize) -> Result<Self, ComputeError> {
        Ok(Self { stabilized: patch.cut(backend, &self.stabilized, sample)?, excess: Excess::Signed(0.0) })
    }

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
