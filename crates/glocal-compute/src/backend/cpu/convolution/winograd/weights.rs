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
