//! The transform of kernels.

/// The matrix `G` of the weights' transform `G · g · Gᵀ`.
const OF_WEIGHTS: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// One point of a kernel's transform, rounded once.
pub(super) fn transformed(kernel: &[f32; 9], point: usize) -> f32 {
    let (vertical, horizontal) = (OF_WEIGHTS[point / 4], OF_WEIGHTS[point % 4]);
    let mut sum = 0.0;
    for (row, factor) in kernel.chunks_exact(3).zip(vertical) {
        let row: f64 = row.iter().zip(horizontal).map(|(&element, factor)| f64::from(element) * factor).sum();
        sum += factor * row;
    }
    sum as f32
}

/// The point at which a kernel has what it has at `point` when it is turned by half.
pub(super) fn turned(point: usize) -> usize {
    const TURNED: [usize; 4] = [3, 1, 2, 0];
    TURNED[point / 4] * 4 + TURNED[point % 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_kernel_has_the_same_points_in_another_order() {
        // sums that are exact in any order
        let kernel = [1.0, -2.0, 4.0, 8.0, 16.0, -32.0, 64.0, 128.0, 256.0];
        let mut half_turned = kernel;
        half_turned.reverse();
        for point in 0..16 {
            assert_eq!(transformed(&half_turned, point), transformed(&kernel, turned(point)), "point {point}");
        }
    }
}
