//! The inner loop for AVX2, whose sixteen registers hold the sums of a tile of 4 × 24, three vectors of the right operand, one
//! element of the left one, and nothing else. A compiler that unrolls it moves sums to memory, and where it does not, the loop
//! takes up to a tenth longer where it happens to start between two lines of the cache of instructions.

use std::arch::asm;
use std::arch::x86_64::{__m256, _mm256_setzero_ps, _mm256_storeu_ps};

pub(super) const ROWS: usize = 4;
pub(super) const VECTORS: usize = 3;
pub(super) const LANES: usize = 8;

/// The elements of the depth between two looks at whether there are more.
pub(super) const STEPS: usize = 4;

/// So much of a left panel, and of a right one, is read between them.
pub(super) type Columns = [f32; STEPS * ROWS];
pub(super) type Rows = [f32; STEPS * VECTORS * LANES];

/// The sums of a tile, row by row.
pub(super) type Sums = [f32; ROWS * VECTORS * LANES];

/// A machine that has these instructions.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[inline(always)]
    pub(super) fn of_this_machine() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// The sums over some of the depth, each in its order. The next tile reads what lies `ahead` elements further on.
    #[inline(always)]
    pub(super) fn sums(self, left: &[Columns], right: &[Rows], ahead: usize) -> Sums {
        // SAFETY: `self` is there only where the machine has AVX2 and FMA.
        unsafe { sums(left, right, ahead) }
    }
}

/// One element of the depth: where its column of the left operand and its row of the right one start.
macro_rules! step {
    ($column:literal, $row:literal) => {
        concat!(
            "vmovups {r0}, ymmword ptr [{right} + ",
            $row,
            "]\n",
            "vmovups {r1}, ymmword ptr [{right} + ",
            $row,
            " + 32]\n",
            "vmovups {r2}, ymmword ptr [{right} + ",
            $row,
            " + 64]\n",
            "vbroadcastss {l}, dword ptr [{left} + ",
            $column,
            "]\n",
            "vfmadd231ps {s0}, {r0}, {l}\n",
            "vfmadd231ps {s1}, {r1}, {l}\n",
            "vfmadd231ps {s2}, {r2}, {l}\n",
            "vbroadcastss {l}, dword ptr [{left} + ",
            $column,
            " + 4]\n",
            "vfmadd231ps {s3}, {r0}, {l}\n",
            "vfmadd231ps {s4}, {r1}, {l}\n",
            "vfmadd231ps {s5}, {r2}, {l}\n",
            "vbroadcastss {l}, dword ptr [{left} + ",
            $column,
            " + 8]\n",
            "vfmadd231ps {s6}, {r0}, {l}\n",
            "vfmadd231ps {s7}, {r1}, {l}\n",
            "vfmadd231ps {s8}, {r2}, {l}\n",
            "vbroadcastss {l}, dword ptr [{left} + ",
            $column,
            " + 12]\n",
            "vfmadd231ps {s9}, {r0}, {l}\n",
            "vfmadd231ps {s10}, {r1}, {l}\n",
            "vfmadd231ps {s11}, {r2}, {l}\n",
        )
    };
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sums(left: &[Columns], right: &[Rows], ahead: usize) -> Sums {
    let turns = left.len().min(right.len());
    let zero = _mm256_setzero_ps();
    let (mut s0, mut s1, mut s2, mut s3, mut s4, mut s5) = (zero, zero, zero, zero, zero, zero);
    let (mut s6, mut s7, mut s8, mut s9, mut s10, mut s11) = (zero, zero, zero, zero, zero, zero);
    if turns > 0 {
        let left = left.as_ptr().cast::<f32>();
        // SAFETY: each of the turns, of which there is one at least, reads one element of `left` and one of `right`, which have
        // as many or more. To ask the caches for an address reads nothing, and nothing is written but the registers named.
        unsafe {
            asm!(
                ".p2align 6",
                "2:",
                "prefetcht0 byte ptr [{next}]",
                step!("0", "0"),
                step!("16", "96"),
                step!("32", "192"),
                step!("48", "288"),
                "add {left}, 64",
                "add {next}, 64",
                "add {right}, 384",
                "dec {turns}",
                "jnz 2b",
                left = inout(reg) left => _,
                next = inout(reg) left.wrapping_add(ahead) => _,
                right = inout(reg) right.as_ptr() => _,
                turns = inout(reg) turns => _,
                s0 = inout(ymm_reg) s0, s1 = inout(ymm_reg) s1, s2 = inout(ymm_reg) s2,
                s3 = inout(ymm_reg) s3, s4 = inout(ymm_reg) s4, s5 = inout(ymm_reg) s5,
                s6 = inout(ymm_reg) s6, s7 = inout(ymm_reg) s7, s8 = inout(ymm_reg) s8,
                s9 = inout(ymm_reg) s9, s10 = inout(ymm_reg) s10, s11 = inout(ymm_reg) s11,
                r0 = out(ymm_reg) _, r1 = out(ymm_reg) _, r2 = out(ymm_reg) _, l = out(ymm_reg) _,
                options(readonly, nostack),
            );
        }
    }
    let vectors: [__m256; ROWS * VECTORS] = [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11];
    let mut out = [0.0; ROWS * VECTORS * LANES];
    for (vector, out) in vectors.into_iter().zip(out.as_chunks_mut::<LANES>().0) {
        // SAFETY: `out` has room for a vector.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), vector) };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, whose sums are exact, and neighbours that would show in them.
    #[test]
    fn as_much_is_read_as_both_operands_have() {
        let Some(avx2) = Avx2::of_this_machine() else { return };
        let number = |index: usize| (index % 31) as f32 - 15.0;
        for (left_len, right_len) in [(0, 0), (0, 2), (3, 0), (1, 1), (2, 2), (5, 3), (3, 5)] {
            let mut left: Vec<f32> = (0..left_len * STEPS * ROWS).map(number).collect();
            let mut right: Vec<f32> = (0..right_len * STEPS * VECTORS * LANES).map(number).collect();
            left.push(f32::NAN);
            right.push(f32::NAN);
            let given = avx2.sums(left.as_chunks().0, right.as_chunks().0, 7);
            for (index, given) in given.into_iter().enumerate() {
                let (row, column, depth) = (index / 24, index % 24, left_len.min(right_len) * STEPS);
                let expected: f32 = (0..depth).map(|k| left[k * ROWS + row] * right[k * 24 + column]).sum();
                assert_eq!(given, expected, "({row}, {column}) of {depth}");
            }
        }
    }
}
