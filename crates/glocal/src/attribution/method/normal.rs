//! Standard normal numbers from a counter: the same whatever was drawn before, on any thread.

use std::f64::consts::TAU;

use crate::random::philox;

/// The `pass`-th array of `len` independent standard normal numbers of a seed.
///
/// Philox4x32-10 with the seed as its key and (position, pass) as its counter, turned normal by the Box-Muller transform
/// in double precision.
pub(super) fn standard_normal(seed: u64, pass: u32, len: usize) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(len + 3);
    for block in 0..len.div_ceil(4) as u64 {
        let [a, b, c, d] = philox([block as u32, (block >> 32) as u32, pass, 0], [seed as u32, (seed >> 32) as u32]);
        numbers.extend(box_muller(a, b));
        numbers.extend(box_muller(c, d));
    }
    numbers.truncate(len);
    numbers
}

/// Two independent standard normal numbers of two uniform ones.
fn box_muller(a: u32, b: u32) -> [f32; 2] {
    const SCALE: f64 = 1.0 / 4_294_967_296.0;
    // In (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * ((f64::from(a) + 1.0) * SCALE).ln()).sqrt();
    let (sine, cosine) = (TAU * f64::from(b) * SCALE).sin_cos();
    [(radius * cosine) as f32, (radius * sine) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_standard_normal() {
        const COUNT: usize = 100_000;
        /// Four standard errors of the mean, the variance and the fourth moment of so many normal numbers.
        const WITHIN: [f64; 3] = [0.0127, 0.0179, 0.124];
        let numbers = standard_normal(7, 3, COUNT);
        let moment = |power| numbers.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / COUNT as f64;
        for ((power, expected), within) in [(1, 0.0), (2, 1.0), (4, 3.0)].into_iter().zip(WITHIN) {
            assert!((moment(power) - expected).abs() < within, "moment {power}: {}", moment(power));
        }
    }

    #[test]
    fn numbers_depend_on_seed_and_pass_alone() {
        let numbers = standard_normal(1, 0, 10);
        assert_eq!(numbers, standard_normal(1, 0, 13)[..10]);
        assert_ne!(numbers, standard_normal(1, 1, 10));
        assert_ne!(numbers, standard_normal(2, 0, 10));
    }
}
