//! The portable backend: kernels written once for vectors of any width and dispatched at run time (AVX-512, AVX2 with FMA,
//! NEON, plain loops), on all cores.

mod axis;
mod broadcast;
mod check;
mod convolution;
mod dense;
mod elementwise;
mod gemm;
mod layout;
#[cfg(test)]
mod machines;
mod matrix_product;
mod parallel;
mod pool;
mod reduce;
mod resample;
mod rows;
mod scratch;
mod selection;

use super::{Backend, Map, PackedWeight, PadMode, Reduction, WeightChange, Winners, Zip};
use crate::{ComputeError, ConvolutionGeometry, PoolGeometry, Resampling, Rows, SliceRange, Tensor};

/// Computes on the CPU, with the vector instructions that it has and the threads of the current rayon pool.
///
/// Making one costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuBackend {
    /// Whether what is packed in little time is packed for each use.
    packs_anew: bool,
}

impl CpuBackend {
    /// The CPU backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// One for models that are run once: what products take of weights is packed into memory that the next layer uses again,
    /// while to keep it is to have the system make five times as many pages as the weights have. Results are the same.
    pub fn for_one_pass() -> Self {
        Self { packs_anew: true }
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "CPU"
    }

    fn pack_convolution(
        &self,
        weight: &Tensor,
        change: WeightChange,
        geometry: &ConvolutionGeometry,
    ) -> Result<PackedWeight, ComputeError> {
        convolution::pack(weight, change, geometry, self.packs_anew)
    }

    fn convolution(&self, x: &Tensor, weight: &PackedWeight, bias: Option<&Tensor>) -> Result<Tensor, ComputeError> {
        convolution::forward(x, weight, bias)
    }

    fn convolution_input_gradient(
        &self,
        r: &Tensor,
        weight: &PackedWeight,
        input_spatial: &[usize],
    ) -> Result<Tensor, ComputeError> {
        convolution::input_gradient(r, weight, input_spatial)
    }

    fn pack_dense(&self, weight: &Tensor) -> Result<PackedWeight, ComputeError> {
        dense::pack(weight)
    }

    fn dense(&self, x: &Tensor, weight: &PackedWeight, bias: Option<&Tensor>) -> Result<Tensor, ComputeError> {
        dense::forward(x, weight, bias)
    }

    fn dense_input_gradient(&self, r: &Tensor, weight: &PackedWeight) -> Result<Tensor, ComputeError> {
        dense::input_gradient(r, weight)
    }

    fn matrix_product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, ComputeError> {
        matrix_product::matrix_product(a, b)
    }

    fn max_pool(&self, x: &Tensor, geometry: &PoolGeometry) -> Result<(Tensor, Winners), ComputeError> {
        pool::maximum::max_pool(x, geometry)
    }

    fn max_pool_input_gradient(&self, r: &Tensor, rows: &Rows, winners: &Winners) -> Result<Tensor, ComputeError> {
        pool::maximum::max_pool_input_gradient(r, rows, winners)
    }

    fn average_pool(
        &self,
        x: &Tensor,
        geometry: &PoolGeometry,
        count_include_pad: bool,
    ) -> Result<Tensor, ComputeError> {
        pool::average::average_pool(x, geometry, count_include_pad)
    }

    fn average_pool_input_gradient(
        &self,
        r: &Tensor,
        geometry: &PoolGeometry,
        count_include_pad: bool,
        input_spatial: &[usize],
    ) -> Result<Tensor, ComputeError> {
        pool::average::average_pool_input_gradient(r, geometry, count_include_pad, input_spatial)
    }

    fn map(&self, x: &Tensor, map: Map) -> Result<Tensor, ComputeError> {
        elementwise::map(x, map)
    }

    fn map_owned(&self, x: Tensor, map: Map) -> Result<Tensor, ComputeError> {
        elementwise::map_owned(x, map)
    }

    fn map_gradient(&self, r: &Tensor, rows: &Rows, x: &Tensor, map: Map) -> Result<Tensor, ComputeError> {
        elementwise::map_gradient(r, rows, x, map)
    }

    fn zip(&self, a: &Tensor, b: &Tensor, zip: Zip) -> Result<Tensor, ComputeError> {
        broadcast::zip(a, b, zip)
    }

    fn sum_to(&self, x: &Tensor, sample_shape: &[usize]) -> Result<Tensor, ComputeError> {
        broadcast::sum_to(x, sample_shape)
    }

    fn multiply_rows(&self, r: Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError> {
        rows::multiply(r, rows, x)
    }

    fn divide_rows(&self, r: Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError> {
        rows::divide(r, rows, x)
    }

    fn add_multiplied_rows(&self, total: Tensor, r: &Tensor, rows: &Rows, x: &Tensor) -> Result<Tensor, ComputeError> {
        rows::add_multiplied(total, r, rows, x)
    }

    fn gather_rows(&self, x: &Tensor, rows: &Rows) -> Result<Tensor, ComputeError> {
        rows::gather(x, rows)
    }

    fn reduce(&self, x: &Tensor, axes: &[usize], reduction: Reduction) -> Result<Tensor, ComputeError> {
        reduce::reduce(x, axes, reduction)
    }

    fn softmax(&self, x: &Tensor, axis: usize) -> Result<Tensor, ComputeError> {
        reduce::softmax(x, axis)
    }

    fn transpose(&self, x: &Tensor, permutation: &[usize]) -> Result<Tensor, ComputeError> {
        layout::transpose(x, permutation)
    }

    fn resample(&self, x: &Tensor, axis: usize, resampling: &Resampling) -> Result<Tensor, ComputeError> {
        resample::resample(x, axis, resampling)
    }

    fn concat(&self, parts: &[&Tensor], axis: usize) -> Result<Tensor, ComputeError> {
        layout::concat(parts, axis)
    }

    fn slice(&self, x: &Tensor, ranges: &[SliceRange]) -> Result<Tensor, ComputeError> {
        selection::slice(x, ranges)
    }

    fn slice_input_gradient(
        &self,
        r: &Tensor,
        ranges: &[SliceRange],
        sample_shape: &[usize],
    ) -> Result<Tensor, ComputeError> {
        selection::slice_input_gradient(r, ranges, sample_shape)
    }

    fn pad(&self, x: &Tensor, pads: &[(isize, isize)], mode: PadMode) -> Result<Tensor, ComputeError> {
        selection::pad(x, pads, mode)
    }

    fn pad_input_gradient(
        &self,
        r: &Tensor,
        pads: &[(isize, isize)],
        mode: PadMode,
        sample_shape: &[usize],
    ) -> Result<Tensor, ComputeError> {
        selection::pad_input_gradient(r, pads, mode, sample_shape)
    }
}
