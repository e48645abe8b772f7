//! Standard normal numbers from a counter: the same whatever was drawn before, on any thread.

use std::f64::consts::TAU;

/// The `pass`-th array of `len` independent standard normal numbers of a seed.
///
/// Philox4x32-10 with the seed as its key and (position, pass) as its counter, turned normal by the Box-Muller transform
/// in double precision. Source: Salmon et al. 2011, doi 10.1145/2063384.2063405.
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

/// Ten rounds of Philox4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let products = [MULTIPLIERS[0] * u64::from(counter[0]), MULTIPLIERS[1] * u64::from(counter[2])];
        let [(high_0, low_0), (high_1, low_1)] = products.map(|product| ((product >> 32) as u32, product as u32));
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that come with the generator's reference implementation.
    #[test]
    fn the_generator_gives_its_known_answers() {
        let all = u32::MAX;
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([all; 4], [all; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox(counter, key), expected);
        }
    }

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
