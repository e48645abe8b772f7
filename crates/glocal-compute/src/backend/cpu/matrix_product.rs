//! Products of two stacks of matrices, both of them activations.

use rten_gemm::{GemmInputA, GemmInputB};

use crate::{ComputeError, ComputeErrorKind, Tensor};

use super::gemm::{self, Bias};
use super::{check, parallel};

/// See [`Backend::matrix_product`](crate::Backend::matrix_product).
pub(super) fn matrix_product(a: &Tensor, b: &Tensor) -> Result<Tensor, ComputeError> {
    const OPERATION: &str = "matrix_product";
    let rank = a.rank();
    if rank < 3 || b.rank() != rank {
        let given = if rank < 3 { a } else { b }.shape().to_vec();
        let expected = "two stacks of matrices [N, ..., M, K] and [N, ..., K, P]";
        return Err(ComputeError::new(OPERATION, ComputeErrorKind::Rank { expected, given }));
    }
    let (outer_a, outer_b) = (&a.shape()[..rank - 2], &b.shape()[..rank - 2]);
    let [rows, depth] = [a.shape()[rank - 2], a.shape()[rank - 1]];
    let columns = b.shape()[rank - 1];
    let mismatch = || ComputeError::shapes(OPERATION, a.shape(), b.shape());
    if b.shape()[rank - 2] != depth {
        return Err(mismatch());
    }
    let mut shape = Vec::with_capacity(rank);
    for (&of_a, &of_b) in outer_a.iter().zip(outer_b) {
        shape.push(match (of_a, of_b) {
            (1, size) | (size, 1) => size,
            (first, second) if first == second => first,
            _ => return Err(mismatch()),
        });
    }
    let outer = shape.clone();
    shape.extend([rows, columns]);
    check::elements(OPERATION, &shape)?;
    let mut out = Tensor::zeros(shape)?;
    if out.is_empty() || depth == 0 {
        return Ok(out);
    }
    let (a, b) = (a.data(), b.data());
    let steps = rows.saturating_mul(columns).saturating_mul(depth);
    parallel::for_tasks(
        out.data_mut(),
        rows * columns,
        steps,
        || (),
        |(), index, out| {
            let [at_a, at_b] = [outer_a, outer_b].map(|operand| matrix_of(operand, &outer, index));
            let left = gemm::pack_left(gemm::matrix(&a[at_a * rows * depth..][..rows * depth], rows, depth));
            let right = gemm::matrix(&b[at_b * depth * columns..][..depth * columns], depth, columns);
            gemm::multiply(OPERATION, out, GemmInputA::Packed(&left), GemmInputB::Unpacked(right), Bias::None)
        },
    )?;
    Ok(out)
}

/// The matrix of an operand with outer axes `operand` that meets matrix `index` of a result with outer axes `outer`.
fn matrix_of(operand: &[usize], outer: &[usize], mut index: usize) -> usize {
    let (mut matrix, mut stride) = (0, 1);
    for (&size, &of_result) in operand.iter().zip(outer).rev() {
        if size != 1 {
            matrix += index % of_result * stride;
        }
        stride *= size;
        index /= of_result;
    }
    matrix
}
