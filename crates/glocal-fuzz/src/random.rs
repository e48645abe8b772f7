//! Well-mixed numbers from a seed, so that every failure repeats.

/// A generator of pseudo-random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Integers at which readers go wrong: zero, signs, powers of two, limits of types.
const EDGES: [i64; 24] = [
    0,
    1,
    -1,
    2,
    3,
    -2,
    7,
    8,
    64,
    127,
    255,
    256,
    1000,
    65_535,
    65_536,
    1 << 24,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    1 << 40,
    1 << 59,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
];

/// Floats at which arithmetic goes wrong.
const FLOAT_EDGES: [f32; 10] =
    [0.0, -0.0, 1.0, -1.0, 1e-40, 1e30, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];

impl Random {
    /// The generator for one case of a run.
    #[must_use]
    pub fn for_case(seed: u64, case: u64) -> Self {
        let mut random = Self(seed ^ 0x6a09_e667_f3bc_c908);
        let start = random.draw().wrapping_add(case.wrapping_mul(0xd134_2543_de82_ef95));
        Self(start)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.draw() % limit as u64) as usize }
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several, if there are any.
    pub fn one_of<'a, T>(&mut self, several: &'a [T]) -> Option<&'a T> {
        several.get(self.below(several.len()))
    }

    /// An integer at which readers go wrong, or a small one.
    pub fn edge(&mut self) -> i64 {
        if self.once_in(3) { self.below(6) as i64 - 1 } else { EDGES[self.below(EDGES.len())] }
    }

    /// A change of `value`: a neighbour, its negative, a multiple, or something else altogether.
    pub fn near(&mut self, value: i64) -> i64 {
        match self.below(8) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => value.wrapping_neg(),
            3 => value.wrapping_mul(2),
            4 => value / 2,
            _ => self.edge(),
        }
    }

    /// A float at which arithmetic goes wrong, or an ordinary one.
    pub fn float(&mut self) -> f32 {
        if self.once_in(2) { FLOAT_EDGES[self.below(FLOAT_EDGES.len())] } else { self.below(2001) as f32 / 500.0 - 2.0 }
    }
}
