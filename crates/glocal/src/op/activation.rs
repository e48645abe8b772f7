//! Element-wise non-linear functions (ONNX `Relu`, `Clip`, `Sigmoid`, `HardSwish`, ...) and the identity.

use glocal_compute::backend::Map;
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::{Budget, DefaultRule, Op, OpKind, Patch, Propagate, Structure, Within, input_count, single};

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
    /// `x` where positive, else `alpha · (exp(x) − 1)`
    Elu {
        /// The limit of negative inputs, negated.
        alpha: f32,
    },
    /// `x` where positive, else `alpha · (exp(x / alpha) − 1)`
    Celu {
        /// The limit of negative inputs, negated; not 0.
        alpha: f32,
    },
    /// SELU with the constants of its paper.
    Selu,
    /// `min(max(alpha · x + beta, 0), 1)`
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at 0.
        beta: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`
    HardSwish,
    /// `x · sigmoid(x)`
    Silu,
    /// The error function.
    Erf,
    /// `x · Φ(x)`, Φ being the standard normal distribution.
    Gelu,
    /// The tanh form of GELU.
    GeluTanh,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `x · tanh(softplus(x))`
    Mish,
    /// `x` to the power of a constant: a square root at ½, the reciprocal at −1.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `exp(x)`
    Exp,
    /// The natural logarithm.
    Logarithm,
    /// `|x|`
    Absolute,
}

impl Activation {
    fn map(self) -> Map {
        match self {
            Self::Relu => Map::Positive,
            Self::LeakyRelu { alpha } => Map::LeakyRelu { slope: alpha },
            Self::Clip { min, max } => Map::Clip { low: min, high: max },
            Self::Sigmoid => Map::Sigmoid,
            Self::Tanh => Map::Tanh,
            Self::Elu { alpha } => Map::Elu { alpha, width: 1.0 },
            Self::Celu { alpha } => Map::Elu { alpha, width: alpha },
            Self::Selu => Map::Selu,
            Self::HardSigmoid { alpha, beta } => Map::HardSigmoid { slope: alpha, offset: beta },
            Self::HardSwish => Map::HardSwish,
            Self::Silu => Map::Silu,
            Self::Erf => Map::Erf,
            Self::Gelu => Map::Gelu,
            Self::GeluTanh => Map::GeluTanh,
            Self::Softplus => Map::Softplus,
            Self::Softsign => Map::Softsign,
            Self::Mish => Map::Mish,
            Self::Power { exponent } => Map::Power { exponent },
            Self::Exp => Map::Exp,
            Self::Logarithm => Map::Logarithm,
            Self::Absolute => Map::Absolute,
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
            Self::Elu { .. } => OpKind::Elu,
            Self::Celu { .. } => OpKind::Celu,
            Self::Selu => OpKind::Selu,
            Self::HardSigmoid { .. } => OpKind::HardSigmoid,
            Self::HardSwish => OpKind::HardSwish,
            Self::Silu => OpKind::Silu,
            Self::Erf => OpKind::Erf,
            Self::Gelu | Self::GeluTanh => OpKind::Gelu,
            Self::Softplus => OpKind::Softplus,
            Self::Softsign => OpKind::Softsign,
            Self::Mish => OpKind::Mish,
            Self::Power { .. } => OpKind::Power,
            Self::Exp => OpKind::Exp,
            Self::Logarithm => OpKind::Logarithm,
            Self::Absolute => OpKind::Absolute,
        }
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        Ok(single("activation", inputs)?.to_vec())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.map(single("activation", inputs)?, self.map())
    }

    fn forward_owned(&self, backend: &dyn Backend, mut inputs: Vec<Tensor>) -> Result<Tensor, ComputeError> {
        match inputs.pop() {
            Some(x) if inputs.is_empty() => backend.map_owned(x, self.map()),
            last => Err(input_count("activation", "1", inputs.len() + last.iter().len())),
        }
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Derivative { map: self.map(), x: single("activation", inputs)?.clone() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Pass
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Activation(*self)
    }
}

#[derive(Debug)]
struct Derivative {
    map: Map,
    x: Tensor,
}

impl Propagate for Derivative {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.map_gradient(&relevance, rows, &self.x, self.map)?])
    }

    fn within(&self, backend: &dyn Backend, patch: &Patch, sample: usize) -> Result<Option<Within>, ComputeError> {
        let rule = Box::new(Self { map: self.map, x: patch.cut(backend, &self.x, sample)? });
        Ok(Some(Within { rule, inputs: vec![patch.clone()] }))
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
    fn propagate(&self, _: &dyn Backend, relevance: Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![relevance])
    }

    fn within(&self, _: &dyn Backend, patch: &Patch, _: usize) -> Result<Option<Within>, ComputeError> {
        Ok(Some(Within { rule: Box::new(Self), inputs: vec![patch.clone()] }))
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}
