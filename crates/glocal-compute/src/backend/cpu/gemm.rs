//! Matrix multiplication: that of `rten-gemm`, for operands that are both activations and for dense layers, and our own
//! parts (`left`, `right`, `tile`), of which convolutions are made.
//!
//! Every product of `rten-gemm` here sums over the depth in the same order (blocks of 256, each from first to last, fused), so an
//! element of a result depends on its row of `A` and its column of `B` alone: not on where in the matrix it stands, how
//! large the matrix is, or how many threads there are. The one exception, a shortcut of `rten-gemm` for an unpacked `A`
//! with a single row, is never taken, because a single row is always packed. Our own do the same, in blocks of
//! [`DEPTH`](left::DEPTH), or shorter ones where the packed left operand says so.

pub(super) mod left;
pub(super) mod right;
pub(super) mod tile;

use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedAMatrix, PackedBMatrix};
use rten_tensor::{Matrix, NdTensorView};

use crate::{ComputeError, ComputeErrorKind};

/// What to add to each column of a product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bias<'a> {
    /// Nothing.
    None,
    /// One number for each column of the product.
    Columns(&'a [f32]),
}

impl<'a> Bias<'a> {
    /// One number for each column of the product, where given.
    pub(super) fn columns(bias: Option<&'a [f32]>) -> Self {
        bias.map_or(Self::None, Self::Columns)
    }
}

/// The machine's kernel. Cheap to make, and not `Send`, so that it is made for each operation.
pub(super) fn executor() -> GemmExecutor<f32> {
    GemmExecutor::new()
}

/// The elements as a row-major matrix. `data` must hold exactly `rows · columns` of them.
pub(super) fn matrix(data: &[f32], rows: usize, columns: usize) -> Matrix<'_, f32> {
    NdTensorView::from_data([rows, columns], data)
}

/// Packs a left operand.
pub(super) fn pack_left(a: Matrix<'_, f32>) -> PackedAMatrix<f32> {
    executor().prepack_a(a)
}

/// Packs a right operand.
pub(super) fn pack_right(b: Matrix<'_, f32>) -> PackedBMatrix<f32> {
    executor().prepack_b(b)
}

/// `out = a · b + bias`.
pub(super) fn multiply(
    operation: &'static str,
    out: &mut [f32],
    a: GemmInputA<'_, f32>,
    b: GemmInputB<'_, f32>,
    bias: Bias<'_>,
) -> Result<(), ComputeError> {
    debug_assert!(a.rows() > 1 || matches!(a, GemmInputA::Packed(_)), "a single row must be packed");
    let bias = match bias {
        Bias::None => None,
        Bias::Columns(bias) => Some(BiasVector::Row(bias)),
    };
    let options = GemmOptions { bias, ..GemmOptions::default() };
    executor().gemm(out, a, b, options).map_err(|error| {
        ComputeError::new(operation, ComputeErrorKind::Attribute { name: "operands", reason: error.to_string() })
    })
}

#[cfg(test)]
mod tests;
