//! Random numbers from a counter: the same whatever was drawn before, on any thread.
//!
//! Philox4x32-10. Source: Salmon et al. 2011, doi 10.1145/2063384.2063405.

/// Ten rounds of Philox4x32.
pub(crate) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
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

/// A sequence of random numbers: another one for every seed, stream and number of a stream.
pub(crate) struct Sequence {
    key: [u32; 2],
    stream: [u32; 2],
    block: u64,
    left: Vec<u32>,
}

impl Sequence {
    /// The `number`-th sequence of a stream. Streams keep apart what is drawn for different ends with one seed.
    pub(crate) fn new(seed: u64, stream: u32, number: u32) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], stream: [stream, number], block: 0, left: Vec::new() }
    }

    /// A number below `end`, which is not 0; all are as likely as each other, but for one part in 2³²/`end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 32) as usize
    }

    /// A number between 0 and 1, without both.
    pub(crate) fn fraction(&mut self) -> f64 {
        (f64::from(self.next()) + 0.5) / 4_294_967_296.0
    }

    fn next(&mut self) -> u32 {
        if self.left.is_empty() {
            let counter = [self.block as u32, (self.block >> 32) as u32, self.stream[1], self.stream[0]];
            self.left = philox(counter, self.key).to_vec();
            self.block += 1;
        }
        self.left.pop().unwrap_or(0)
    }
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
    fn sequences_are_even_and_differ_by_seed_stream_and_number() {
        const DRAWS: usize = 60_000;
        /// Five standard deviations of how often one of six is drawn.
        const WITHIN: f64 = 457.0;
        let draw = |seed, stream, number, count| {
            let mut sequence = Sequence::new(seed, stream, number);
            (0..count).map(|_| sequence.below(6)).collect::<Vec<_>>()
        };
        let drawn = draw(1, 2, 3, DRAWS);
        for face in 0..6 {
            let count = drawn.iter().filter(|&&other| other == face).count();
            assert!((count as f64 - DRAWS as f64 / 6.0).abs() < WITHIN, "{face} was drawn {count} times");
        }
        assert_eq!(drawn[..20], draw(1, 2, 3, 20));
        for (seed, stream, number) in [(0, 2, 3), (1, 1, 3), (1, 2, 4), (1 << 32, 2, 3)] {
            assert_ne!(drawn[..20], draw(seed, stream, number, 20));
        }
    }
}
