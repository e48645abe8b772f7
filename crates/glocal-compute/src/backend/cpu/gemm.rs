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
mod tests {
    use rten_simd::SimdOp;

    use super::left::{DEPTH, LeftPanels};
    use super::right::{RightSource, Run, padded_columns};
    use super::tile::{Block, Finish, Left, Panels, Turned};

    /// Columns that lie in runs of these lengths, with gaps; all rows 1 element further apart than they need.
    fn check(rows: usize, depth: usize, runs: &[usize]) {
        let number = |index: usize| (index * 7919 % 2017) as f32 / 1008.0 - 1.0;
        let left: Vec<f32> = (0..rows * depth).map(number).collect();
        let columns: usize = runs.iter().sum();
        let pitch = columns + 3 * runs.len() + 1;
        let source: Vec<f32> = (0..depth * pitch - 1).map(|index| number(index + 11)).collect();
        let starts: Vec<usize> = (0..depth).map(|row| row * pitch).collect();
        let mut at = 0;
        let runs: Vec<Run> = runs
            .iter()
            .map(|&len| {
                let start = at + 3;
                at = start + len;
                Run { start, len }
            })
            .collect();
        let packed = LeftPanels::pack(&left, rows, depth, DEPTH);
        let padded = padded_columns(packed.shape, columns);
        let mut sums = vec![f32::NAN; packed.panels() * packed.shape.rows * padded];
        let mut out = vec![f32::NAN; rows * columns];
        let bias: Vec<f32> = (0..rows).map(|row| number(row + 5)).collect();
        let mut panels = Vec::new();
        for start in (0..depth).step_by(DEPTH) {
            let len = DEPTH.min(depth - start);
            RightSource { elements: &source, rows: &starts }.pack(packed.shape, start..start + len, &runs, &mut panels);
            let mut lines: Vec<&mut [f32]> = out.chunks_exact_mut(columns).collect();
            let finish = (start + len == depth).then_some(Finish { rows: &mut lines, bias: Some(&bias) });
            Block {
                left: Panels(packed.block(start, len, 0, packed.panels())),
                right: &panels[..padded * len],
                gap: 0,
                depth: len,
                sums: &mut sums,
                add: start > 0,
                finish,
            }
            .dispatch();
        }
        let of_columns: Vec<usize> = runs.iter().flat_map(|run| run.start..run.start + run.len).collect();
        for row in 0..rows {
            for (column, from) in of_columns.iter().enumerate() {
                let terms = (0..depth).map(|k| f64::from(left[row * depth + k]) * f64::from(source[starts[k] + from]));
                let (sum, size) =
                    terms.fold((f64::from(bias[row]), 1.0), |(sum, size), term| (sum + term, size + term.abs()));
                // one rounding for each term, and for the bias
                let tolerance = f64::from(f32::EPSILON) * (depth + 1) as f64 * size;
                let given = f64::from(out[row * columns + column]);
                assert!((given - sum).abs() <= tolerance, "{rows} × {depth}: ({row}, {column}) is {given}, not {sum}");
            }
        }
    }

    #[test]
    fn products_of_panels_agree_with_plain_loops() {
        for rows in [1, 3, 4, 8, 9, 17] {
            for depth in [1, 2, DEPTH - 1, DEPTH, DEPTH + 1] {
                for runs in [&[1][..], &[3, 5], &[16], &[48, 1], &[7, 7, 7, 7, 7], &[40, 9, 2]] {
                    check(rows, depth, runs);
                }
            }
        }
    }

    const STEP: usize = 32;

    /// The product of a left operand, `[tall, depth]`, whose block from a start and of a depth `left` gives.
    fn product<L: Left>(depth: usize, tall: usize, right: &[f32], left: impl Fn(usize, usize) -> L) -> Vec<f32> {
        let columns = right.len() / depth;
        let mut sums = vec![f32::NAN; tall * columns];
        for start in (0..depth).step_by(STEP) {
            let len = STEP.min(depth - start);
            let (left, right, add) = (left(start, len), &right[start * columns..][..len * columns], start > 0);
            Block { left, right, gap: 0, depth: len, sums: &mut sums, add, finish: None }.dispatch();
        }
        sums
    }

    #[test]
    fn a_matrix_used_transposed_gives_what_its_transpose_gives() {
        for (rows, depth) in [(8, 8), (8, 40), (64, 32), (72, 136)] {
            let number = |index: usize| (index * 7919 % 2017) as f32 / 1008.0 - 1.0;
            let matrix: Vec<f32> = (0..rows * depth).map(number).collect();
            let transposed: Vec<f32> =
                (0..rows * depth).map(|index| matrix[index % rows * depth + index / rows]).collect();
            let packed = LeftPanels::pack(&matrix, rows, depth, STEP);
            let expected = LeftPanels::pack(&transposed, depth, rows, STEP);
            for columns in [1, 8, 17, 24, 100] {
                let columns = padded_columns(packed.shape, columns);
                let right: Vec<f32> = (0..rows * columns).map(|index| number(index + 11)).collect();
                let turned = product(rows, depth, &right, |start, _| Turned { packed: &packed, start });
                let plain =
                    product(rows, depth, &right, |start, len| Panels(expected.block(start, len, 0, expected.panels())));
                assert!(LeftPanels::turns(rows, depth, STEP) && turned.iter().all(|sum| !sum.is_nan()));
                assert_eq!(turned, plain, "{rows} × {depth}, {columns} columns");
            }
        }
    }
}
