//! The ReLU with a learned slope (ONNX `PRelu`).

use glocal_compute::backend::{Map, Zip};
use glocal_compute::{Backend, ComputeError, Rows, Tensor};

use crate::op::arithmetic::constant_shape;
use crate::op::{DefaultRule, Op, OpKind, Propagate, single};

/// `x` where positive, else `slope · x`.
#[derive(Debug, Clone)]
pub struct PRelu {
    /// The factors of negative inputs, with a batch of 1, broadcast over the sample.
    pub slope: Tensor,
}

impl Op for PRelu {
    fn kind(&self) -> OpKind {
        OpKind::PRelu
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        constant_shape("PRelu", single("PRelu", inputs)?, &self.slope)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        let x = single("PRelu", inputs)?;
        let negative = backend.zip(&backend.map(x, Map::Negative)?, &self.slope, Zip::Multiply)?;
        backend.zip(&backend.map(x, Map::Positive)?, &negative, Zip::Add)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        Ok(Box::new(Slopes { x: single("PRelu", inputs)?.clone(), slope: self.slope.clone() }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Pass
    }
}

#[derive(Debug)]
struct Slopes {
    x: Tensor,
    slope: Tensor,
}

impl Propagate for Slopes {
    fn propagate(&self, backend: &dyn Backend, relevance: Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let negative = backend.map_gradient(&relevance, rows, &self.x, Map::Negative)?;
        let negative = backend.zip(&negative, &self.slope, Zip::Multiply)?;
        Ok(vec![backend.zip(&backend.map_gradient(&relevance, rows, &self.x, Map::Positive)?, &negative, Zip::Add)?])
    }
}
