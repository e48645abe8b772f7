//! Element-wise non-linear functions (ONNX `Relu`, `LeakyRelu`, `Clip`, `Sigmoid`, `Tanh`) and the identity.

use glocal_compute::backend::Map;
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Budget, DefaultRule, Op, OpKind, Propagate, Structure, single};

/// A function of one number, applied to every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `alpha · x`
    LeakyRelu {
        /// The factor of negative inputs.
        alpha: f32,
    },
    /// `min(max(x, min), max)`; ReLU6 is `Clip { min: 0, max: 6 }`
    Clip {
        /// The lower bound, possibly −∞.
        min: f32,
        /// The upper bound, possibly ∞.
        max: f32,
    },
    /// `1 / (1 + exp(−x))`
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    fn map(self) -> Map {
        match self {
            Self::Relu => Map::Positive,
            Self::LeakyRelu { alpha } => Map::LeakyRelu { slope: alpha },
            Self::Clip { min, max } => Map::Clip { low: min, high: max },
            Self::Sigmoid => Map::Sigmoid,
            Self::Tanh => Map::Tanh,
        }
    }
}

impl Op for Activation {
    fn kind(&self) -> OpKind {
        match self {
            Self::Relu => OpKind::Relu,
            Self::LeakyRelu { .. } => OpKind::LeakyRelu,
            Self::Clip { .. } => OpKind::Clip,
            Self::Sigmoid => OpKind::Sigmoid,
            Self::Tanh => OpKind::Tanh,
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        Ok(single("activation", inputs)?.to_vec())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.map(single("activation", inputs)?, self.map())
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Derivative { map: self.map(), x: single("activation", inputs)?.clone() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Pass
    }

    fn structure(&self) -> Structure<'_> {
        if *self == Self::Sigmoid { Structure::Probability } else { Structure::Other }
    }
}

#[derive(Debug)]
struct Derivative {
    map: Map,
    x: Tensor,
}

impl Propagate for Derivative {
    fn propagate(&self, backend: &dyn Backend, relevance: &Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.map_gradient(relevance, rows, &self.x, self.map)?])
    }
}

/// The output is the input (ONNX `Identity`, `Dropout` at inference, `Cast` between float types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity;

impl Op for Identity {
    fn kind(&self) -> OpKind {
        OpKind::Identity
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        Ok(single("Identity", inputs)?.to_vec())
    }

    fn forward(&self, _: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        Ok(single("Identity", inputs)?.clone())
    }

    fn linearize(&self, _: &dyn Backend, _: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Unchanged))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Identity
    }
}

/// Hands everything down as it is.
#[derive(Debug)]
pub(crate) struct Unchanged;

impl Propagate for Unchanged {
    fn propagate(&self, _: &dyn Backend, relevance: &Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![relevance.clone()])
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}
