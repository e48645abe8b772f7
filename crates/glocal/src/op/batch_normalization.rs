//! Batch normalisation at inference (ONNX `BatchNormalization`): a fixed scale and shift per channel.
//!
//! `Mul` and `Add` by constants of per-channel shape are the same function and read as this op's halves.

use glocal_compute::backend::Zip;
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{DefaultRule, Op, OpKind, Propagate, Structure, attribute, single};

/// `x · scale + shift`, `[N, C, ...] → [N, C, ...]`.
#[derive(Debug, Clone)]
pub struct BatchNormalization {
    /// `γ / √(σ² + ε)`, `[C]`.
    pub scale: Tensor,
    /// `β − μ·γ / √(σ² + ε)`, `[C]`.
    pub shift: Tensor,
}

impl BatchNormalization {
    /// Folds the four parameters of `BatchNormalization`, each `[C]`, in double precision.
    ///
    /// # Errors
    /// When they differ in length.
    pub fn fold(
        gamma: &[f32],
        beta: &[f32],
        mean: &[f32],
        variance: &[f32],
        epsilon: f32,
    ) -> Result<Self, ComputeError> {
        let channels = gamma.len();
        for parameter in [beta, mean, variance] {
            if parameter.len() != channels {
                return Err(ComputeError::shapes("BatchNormalization", &[channels], &[parameter.len()]));
            }
        }
        let mut scale = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for channel in 0..channels {
            let factor = f64::from(gamma[channel]) / (f64::from(variance[channel]) + f64::from(epsilon)).sqrt();
            scale.push(factor as f32);
            shift.push((f64::from(beta[channel]) - f64::from(mean[channel]) * factor) as f32);
        }
        Ok(Self { scale: Tensor::new([channels], scale)?, shift: Tensor::new([channels], shift)? })
    }
}

impl Op for BatchNormalization {
    fn kind(&self) -> OpKind {
        OpKind::BatchNormalization
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("BatchNormalization", inputs)?;
        if input.first() != Some(&self.scale.len()) {
            let reason = format!("{} channels are normalised, the input of one sample is {input:?}", self.scale.len());
            return Err(attribute("BatchNormalization", "scale", reason));
        }
        Ok(input.to_vec())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let x = single("BatchNormalization", inputs)?;
        let scaled = backend.zip(x, &per_channel(&self.scale, x.rank())?, Zip::Multiply)?;
        backend.zip(&scaled, &per_channel(&self.shift, x.rank())?, Zip::Add)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let rank = single("BatchNormalization", inputs)?.rank();
        Ok(Box::new(Scaled { factor: per_channel(&self.scale, rank)? }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Pass
    }

    fn structure(&self) -> Structure<'_> {
        Structure::ChannelAffine(self)
    }
}

/// `[C]` as `[1, C, 1, ...]` of the given rank.
pub(crate) fn per_channel(parameter: &Tensor, rank: usize) -> Result<Tensor, ComputeError> {
    let mut shape = vec![1; rank.max(2)];
    shape[1] = parameter.len();
    parameter.reshape(shape)
}

/// Multiplies by a constant that broadcasts over the batch.
#[derive(Debug)]
pub(crate) struct Scaled {
    pub(crate) factor: Tensor,
}

impl Propagate for Scaled {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.zip(&relevance, &self.factor, Zip::Multiply)?])
    }
}
