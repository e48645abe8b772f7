//! SmoothGrad: the mean over noisy copies of the input.

use glocal_compute::Tensor;

use crate::attribution::execute::Execution;
use crate::attribution::method::average::Mean;
use crate::attribution::method::normal::standard_normal;
use crate::error::{RequestError, RequestErrorKind};

/// The mean of what the composite propagates for noisy copies of a sample, and for the sample itself.
///
/// `1/n · (Σₖ R(x + σ·εₖ) + R(x))`, `k = 1..n−1`, `εₖ` standard normal, `σ = noise_level · (max x − min x)` over the
/// sample. With LRP composites it is smoothed LRP. Keeps relevance where the composite does.
///
/// Source: Smilkov et al. 2017, arXiv 1706.03825, section 3.1; the last pass without noise is the reference libraries'.
#[derive(Debug, Clone, PartialEq)]
pub struct SmoothGrad {
    /// The standard deviation of the noise as a share of the sample's range; at least 0. Default: 0.1.
    pub noise_level: f32,
    /// The number of passes `n`, the last of which has no noise; at least 1. Default: 20.
    pub passes: usize,
    /// The noise. Default: seed 0.
    pub noise: Noise,
}

/// The noise, before it is scaled.
#[derive(Debug, Clone, PartialEq)]
pub enum Noise {
    /// Standard normal numbers of a seed, of the number of the pass and of the position inside the sample: every sample
    /// gets the same, so that none depends on what stands beside it in the batch.
    Seeded(u64),
    /// Given: `[passes − 1, N, ...]`, or `[passes − 1, 1, ...]` for all samples.
    Given(Tensor),
}

impl Default for SmoothGrad {
    fn default() -> Self {
        Self { noise_level: 0.1, passes: 20, noise: Noise::Seeded(0) }
    }
}

impl SmoothGrad {
    pub(super) fn results<'a>(&'a self, execution: Execution<'a>) -> Result<Mean<'a>, RequestError> {
        let inputs = execution.base().inputs();
        self.check(inputs)?;
        let scales: Vec<f32> = (0..inputs.batch()).map(|row| self.noise_level * range(inputs.row(row))).collect();
        let perturb = move |pass: usize, copies: &mut Vec<f32>| {
            let made = match &self.noise {
                Noise::Seeded(seed) => standard_normal(*seed, pass as u32, inputs.row_len()),
                Noise::Given(given) => given.row(pass).to_vec(),
            };
            // One row of noise for each sample, or one for all.
            let mut noise = made.chunks(inputs.row_len().max(1)).cycle();
            for (row, &scale) in scales.iter().enumerate() {
                let noise = noise.next().unwrap_or_default();
                copies.extend(inputs.row(row).iter().zip(noise).map(|(x, noise)| x + scale * noise));
            }
        };
        Ok(Mean::new(execution, self.passes - 1, Box::new(perturb)))
    }

    fn check(&self, inputs: &Tensor) -> Result<(), RequestError> {
        if !(self.noise_level >= 0.0 && self.noise_level.is_finite()) {
            return Err(RequestErrorKind::Parameter { name: "noise", expected: "a number of at least 0" }.into());
        }
        if !(1..=u32::MAX as usize).contains(&self.passes) {
            return Err(RequestErrorKind::Parameter { name: "passes", expected: "a whole number of at least 1" }.into());
        }
        let Noise::Given(given) = &self.noise else { return Ok(()) };
        let of = |rows| [&[self.passes - 1, rows], inputs.sample_shape()].concat();
        if given.shape() != of(1) && given.shape() != of(inputs.batch()) {
            let (expected, given) = (of(inputs.batch()), given.shape().to_vec());
            return Err(RequestErrorKind::PerturbationShape { what: "noise", expected, given }.into());
        }
        Ok(())
    }
}

/// The difference between the largest and the smallest value.
fn range(sample: &[f32]) -> f32 {
    let (low, high) =
        sample.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    high - low
}
