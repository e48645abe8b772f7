//! Max and average pooling over windows (ONNX `MaxPool`, `AveragePool`).

use glocal_compute::backend::Winners;
use glocal_compute::{Backend, ComputeError, PoolGeometry, Rows, Tensor};

use crate::op::{Budget, DefaultRule, Op, OpKind, Propagate, attribute, single};

/// The largest element of each window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxPool {
    /// The window.
    pub geometry: PoolGeometry,
}

/// The mean of each window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AveragePool {
    /// The window.
    pub geometry: PoolGeometry,
    /// Whether padding counts in the divisor.
    pub count_include_pad: bool,
}

impl Op for MaxPool {
    fn kind(&self) -> OpKind {
        OpKind::MaxPool
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        pooled_shape("MaxPool", single("MaxPool", inputs)?, &self.geometry)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        Ok(backend.max_pool(single("MaxPool", inputs)?, &self.geometry)?.0)
    }

    fn linearize(
        &self,
        backend: &dyn Backend,
        inputs: &[&Tensor],
        _: &Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        // Found again rather than kept by `forward`: a forward pass alone needs no winners, and pools are cheap.
        let (_, winners) = backend.max_pool(single("MaxPool", inputs)?, &self.geometry)?;
        Ok(Box::new(ToWinners(winners)))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

/// All to the winner of each window, the first on ties.
#[derive(Debug)]
struct ToWinners(Winners);

impl Propagate for ToWinners {
    fn propagate(&self, backend: &dyn Backend, relevance: &Tensor, rows: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        Ok(vec![backend.max_pool_input_gradient(relevance, rows, &self.0)?])
    }

    fn account(&self, _: &dyn Backend, _: &Tensor, _: &Rows) -> Result<Budget, ComputeError> {
        Ok(Budget::Kept)
    }
}

impl Op for AveragePool {
    fn kind(&self) -> OpKind {
        OpKind::AveragePool
    }

    fn infer_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        pooled_shape("AveragePool", single("AveragePool", inputs)?, &self.geometry)
    }

    fn forward(&self, backend: &dyn Backend, inputs: &[&Tensor]) -> Result<Tensor, ComputeError> {
        backend.average_pool(single("AveragePool", inputs)?, &self.geometry, self.count_include_pad)
    }

    fn linearize(&self, _: &dyn Backend, inputs: &[&Tensor], _: &Tensor) -> Result<Box<dyn Propagate>, ComputeError> {
        let spatial = single("AveragePool", inputs)?.sample_shape().get(1..).unwrap_or(&[]).to_vec();
        Ok(Box::new(Averaged { op: self.clone(), spatial }))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Norm
    }
}

#[derive(Debug)]
struct Averaged {
    op: AveragePool,
    spatial: Vec<usize>,
}

impl Propagate for Averaged {
    fn propagate(&self, backend: &dyn Backend, relevance: &Tensor, _: &Rows) -> Result<Vec<Tensor>, ComputeError> {
        let AveragePool { geometry, count_include_pad } = &self.op;
        Ok(vec![backend.average_pool_input_gradient(relevance, geometry, *count_include_pad, &self.spatial)?])
    }
}

fn pooled_shape(operation: &'static str, input: &[usize], geometry: &PoolGeometry) -> Result<Vec<usize>, ComputeError> {
    let [channels, spatial @ ..] = input else { return Err(ComputeError::shapes(operation, &[0, 0], input)) };
    let out = geometry.output_spatial(spatial).ok_or_else(|| {
        attribute(operation, "kernel_shape", format!("{geometry:?} does not fit into an input of {spatial:?}"))
    })?;
    Ok([&[*channels], out.as_slice()].concat())
}
