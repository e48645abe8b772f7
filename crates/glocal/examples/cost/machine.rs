//! What the machine can do at most.

use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

/// Sums that are under way at a time: enough to hide how long one takes, and no more than sixteen registers hold beside a factor.
const SUMS: usize = 12;

const STEPS: usize = 4_000_000;

/// More than the caches hold.
const STREAMED: usize = 1 << 27;

const ROUNDS: usize = 5;

/// The machine's peaks, of all threads together.
pub struct Machine {
    pub threads: usize,
    /// Multiply-adds of 32-bit floats in a second, from registers.
    pub multiply_adds: f64,
    /// Bytes read from memory in a second.
    pub bytes: f64,
}

impl Machine {
    /// The best of several rounds.
    pub fn measure() -> Self {
        let threads = rayon::current_num_threads();
        let lanes = MultiplyAdds { steps: 1 }.dispatch().1;
        let fastest = |work: &(dyn Fn() + Sync)| {
            let times = (0..ROUNDS).map(|_| {
                let begun = Instant::now();
                work();
                begun.elapsed().as_secs_f64()
            });
            times.fold(f64::INFINITY, f64::min)
        };
        let seconds = fastest(&|| {
            black_box(rayon::broadcast(|_| MultiplyAdds { steps: STEPS }.dispatch().0));
        });
        let multiply_adds = (threads * STEPS * SUMS * lanes) as f64 / seconds;
        let streamed = vec![1.0f32; STREAMED];
        let seconds = fastest(&|| {
            let part = STREAMED / (8 * threads);
            black_box(streamed.par_chunks(part).map(|part| Sum { part }.dispatch()).sum::<f32>());
        });
        Self { threads, multiply_adds, bytes: (STREAMED * size_of::<f32>()) as f64 / seconds }
    }
}

/// Multiply-adds that wait for nothing; the sum, and how many numbers a vector has.
struct MultiplyAdds {
    steps: usize,
}

impl SimdOp for MultiplyAdds {
    type Output = (f32, usize);

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> Self::Output {
        let ops = isa.f32();
        let factor = ops.splat(0.999);
        let mut sums = [ops.splat(1.0); SUMS];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = ops.mul_add(*sum, factor, factor);
            }
        }
        let total = sums.into_iter().flat_map(|sum| sum.to_array()).sum();
        (total, ops.len())
    }
}

/// The sum of numbers that are read once.
struct Sum<'a> {
    part: &'a [f32],
}

impl SimdOp for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> f32 {
        let ops = isa.f32();
        let mut sums = [ops.zero(); 4];
        for chunk in self.part.chunks_exact(4 * ops.len()) {
            for (sum, value) in sums.iter_mut().zip(ops.load_many::<4>(chunk)) {
                *sum = ops.add(*sum, value);
            }
        }
        sums.into_iter().flat_map(|sum| sum.to_array()).sum()
    }
}
