//! Choices of sizes, attributes and numbers: the same on every run of a seed, or drawn by proptest, which then finds the
//! simplest case that fails.

use glocal_compute::Tensor;

/// Where choices come from.
pub struct Random(Source);

enum Source {
    Seeded(SplitMix),
    /// One number a choice; 0, the simplest, when they have run out.
    Chosen(std::vec::IntoIter<u64>),
}

/// A SplitMix64 generator.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Source::Seeded(SplitMix(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF0)))
    }

    /// Makes the given choices, each the remainder of a number.
    pub fn chosen(choices: Vec<u64>) -> Self {
        Self(Source::Chosen(choices.into_iter()))
    }

    fn next(&mut self) -> u64 {
        match &mut self.0 {
            Source::Seeded(generator) => generator.next(),
            Source::Chosen(choices) => choices.next().unwrap_or(0),
        }
    }

    /// A number in `low..=high`.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    /// One of `choices`, the first of them the simplest.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.within(0, choices.len() - 1)]
    }

    /// `count` numbers in `low..=high`.
    pub fn several(&mut self, count: usize, low: usize, high: usize) -> Vec<usize> {
        (0..count).map(|_| self.within(low, high)).collect()
    }

    pub fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A number in −1..1.
    pub fn number(&mut self) -> f32 {
        unit(self.next())
    }

    /// A tensor with elements in −1..1. It is one choice.
    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let mut generator = SplitMix(self.next());
        let data = (0..shape.iter().product()).map(|_| unit(generator.next())).collect();
        Tensor::new(shape, data).unwrap()
    }
}

/// A number in −1..1 of the upper bits of `bits`.
fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}
