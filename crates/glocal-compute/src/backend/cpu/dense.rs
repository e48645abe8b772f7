//! Matrices applied to the last axis, and their input gradients.

mod dots;
mod sums;

use std::fmt;
use std::sync::OnceLock;

use rten_gemm::{GemmInputA, GemmInputB, PackedBMatrix};

use crate::backend::{Packed, PackedWeight};
use crate::{ComputeError, ComputeErrorKind, Tensor};

use super::gemm::{self, Bias};
use super::{check, parallel};

/// Weights of at most this many elements are packed once for each direction; larger ones are read where they are, so
/// that they stand in memory once.
const PACKED_ELEMENTS: usize = 1 << 20;

/// A layer's `[K, C]` and what is packed of it.
struct PackedDense {
    weight: Tensor,
    outputs: usize,
    inputs: usize,
    forward: OnceLock<PackedBMatrix<f32>>,
    gradient: OnceLock<PackedBMatrix<f32>>,
}

impl Packed for PackedDense {}

impl fmt::Debug for PackedDense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedDense").field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// See [`Backend::pack_dense`](crate::Backend::pack_dense).
pub(super) fn pack(weight: &Tensor) -> Result<PackedWeight, ComputeError> {
    const OPERATION: &str = "pack_dense";
    let &[outputs, inputs] = weight.shape() else {
        let given = weight.shape().to_vec();
        return Err(ComputeError::new(OPERATION, ComputeErrorKind::Rank { expected: "a matrix [K, C]", given }));
    };
    if weight.is_empty() {
        return Err(check::attribute(OPERATION, "weight", format!("has no elements (shape {:?})", weight.shape())));
    }
    let (forward, gradient) = (OnceLock::new(), OnceLock::new());
    Ok(PackedWeight::new(PackedDense { weight: weight.clone(), outputs, inputs, forward, gradient }))
}

/// See [`Backend::dense`](crate::Backend::dense).
pub(super) fn forward(x: &Tensor, weight: &PackedWeight, bias: Option<&Tensor>) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "dense";
    let layer = check::packed::<PackedDense>(OPERATION, weight)?;
    let (rows, mut out) = prepare(OPERATION, x, layer.inputs, layer.outputs)?;
    let bias = bias.map(|bias| check::shape(OPERATION, bias, &[layer.outputs])).transpose()?;
    if rows == 0 {
        return Ok(out);
    }
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    if layer.weight.len() <= PACKED_ELEMENTS {
        let pack = || gemm::pack_right(gemm::matrix(layer.weight.data(), outputs, inputs).transposed());
        let packed = parallel::made_once(&layer.forward, pack);
        let x = gemm::pack_left(gemm::matrix(x.data(), rows, inputs));
        let (a, b) = (GemmInputA::Packed(&x), GemmInputB::Packed(packed));
        gemm::multiply(OPERATION, out.data_mut(), a, b, Bias::columns(bias))?;
    } else {
        let products = dots::dots(layer.weight.data(), x.data(), inputs);
        parallel::for_blocks(out.data_mut(), outputs, outputs, |row, out| {
            let products = products[row..].iter().step_by(rows);
            match bias {
                Some(bias) => {
                    out.iter_mut().zip(products).zip(bias).for_each(|((to, product), bias)| *to = product + bias);
                }
                None => out.iter_mut().zip(products).for_each(|(to, product)| *to = *product),
            }
        });
    }
    Ok(out)
}

/// See [`Backend::dense_input_gradient`](crate::Backend::dense_input_gradient).
pub(super) fn input_gradient(r: &Tensor, weight: &PackedWeight) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "dense_input_gradient";
    let layer = check::packed::<PackedDense>(OPERATION, weight)?;
    let (rows, mut out) = prepare(OPERATION, r, layer.outputs, layer.inputs)?;
    if rows == 0 {
        return Ok(out);
    }
    let weight = gemm::matrix(layer.weight.data(), layer.outputs, layer.inputs);
    // By shape alone, so that how many samples there are makes no difference: many vectors a sample are a product of matrices.
    if layer.weight.len() > PACKED_ELEMENTS && r.rank() == 2 {
        sums::sums(layer.weight.data(), r.data(), layer.inputs, out.data_mut());
        return Ok(out);
    }
    let r = gemm::pack_left(gemm::matrix(r.data(), rows, layer.outputs));
    let b = if layer.weight.len() <= PACKED_ELEMENTS {
        GemmInputB::Packed(parallel::made_once(&layer.gradient, || gemm::pack_right(weight)))
    } else {
        GemmInputB::Unpacked(weight)
    };
    gemm::multiply(OPERATION, out.data_mut(), GemmInputA::Packed(&r), b, Bias::None)?;
    Ok(out)
}

/// The number of vectors in `[N, ..., from]` and `[N, ..., to]` to be written.
fn prepare(operation: &'static str, tensor: &Tensor, from: usize, to: usize) -> Result<(usize, Tensor), ComputeError> {
    let mut shape = tensor.shape().to_vec();
    if shape.len() < 2 {
        return Err(ComputeError::new(operation, ComputeErrorKind::Rank { expected: "[N, ..., C]", given: shape }));
    }
    if let Some(last) = shape.last_mut() {
        let given = std::mem::replace(last, from);
        if given != from {
            return Err(ComputeError::shapes(operation, &shape, tensor.shape()));
        }
    }
    if let Some(last) = shape.last_mut() {
        *last = to;
    }
    Ok((tensor.len() / from, Tensor::unspecified(shape)?))
}
