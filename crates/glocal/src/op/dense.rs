//! The dense layer (ONNX `Gemm`, and `MatMul` with a constant matrix).

use std::sync::Arc;

use glocal_compute::backend::PackedWeight;
use glocal_compute::{Backend, ComputeError, Tensor};

use crate::op::affine::broadcast_bias;
use crate::op::convolution::Transposed;
use crate::op::sparse::transpose_rows;
use crate::op::{Affine, DefaultRule, Op, OpKind, Parameters, Part, Propagate, Structure, attribute, elements, single};

/// `[N, ..., C] → [N, ..., K]` with weights `[K, C]` and a bias `[K]`; `alpha`, `beta` and `transB` of `Gemm` are
/// folded into them.
#[derive(Debug, Clone)]
pub struct Dense {
    /// Weights and bias.
    pub parameters: Arc<Parameters>,
}

impl Dense {
    fn packed(&self, backend: &dyn Backend, part: Part) -> Result<PackedWeight, ComputeError> {
        self.parameters.packed(backend, part, |weight| backend.pack_dense(weight))
    }
}

impl Op for Dense {
    fn kind(&self) -> OpKind {
        OpKind::Dense
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        let input = single("Gemm", inputs)?;
        let (&[units, features], Some((&given, outer))) = (self.parameters.weight().shape(), input.split_last()) else {
            return Err(ComputeError::shapes("Gemm", self.parameters.weight().shape(), input));
        };
        if given != features {
            return Err(attribute(
                "Gemm",
                "input",
                format!("the weights take {features} features, the input has {given}"),
            ));
        }
        Ok([outer, &[units]].concat())
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        self.forward_part(backend, single("Gemm", inputs)?, Part::Whole, Some(Part::Whole))
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let input_shape = single("Gemm", inputs)?.sample_shape().to_vec();
        Ok(Box::new(Transposed { op: self.clone(), input_shape }))
    }

    fn multiply_adds(&self, _: &[&[usize]], output: &[usize]) -> u64 {
        elements(output) * self.parameters.weight().row_len() as u64
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Required
    }

    fn affine(&self) -> Option<&dyn Affine> {
        Some(self)
    }

    fn structure(&self) -> Structure<'_> {
        Structure::Dense(self)
    }
}

impl Affine for Dense {
    fn forward_part(
        &self,
        backend: &dyn Backend,
        x: &Tensor,
        weight: Part,
        bias: Option<Part>,
    ) -> Result<Tensor, ComputeError> {
        let bias = self.parameters.bias_part(backend, bias)?;
        backend.dense(x, &self.packed(backend, weight)?, bias.as_ref())
    }

    fn transpose_part(
        &self,
        backend: &dyn Backend,
        r: &Tensor,
        weight: Part,
        _: &[usize],
    ) -> Result<Tensor, ComputeError> {
        let dense = |r: &Tensor| backend.dense_input_gradient(r, &self.packed(backend, weight)?);
        transpose_rows(backend, r, r.rank().saturating_sub(2), dense, |r, units| {
            let weights = self.parameters.of_outputs(backend, weight, units)?;
            backend.dense_input_gradient(r, &backend.pack_dense(&weights)?)
        })
    }

    fn parameter_count(&self) -> usize {
        self.parameters.count()
    }

    fn shared(&self) -> Box<dyn Affine> {
        Box::new(self.clone())
    }

    fn bias_part(&self, backend: &dyn Backend, part: Part, output_shape: &[usize]) -> Result<Tensor, ComputeError> {
        let channel_axis = output_shape.len().saturating_sub(1);
        broadcast_bias(backend, self.parameters.bias_part(backend, Some(part))?.as_ref(), output_shape, channel_axis)
    }
}
