//! Integrated gradients: the mean along a straight path to the input.

use glocal_compute::Tensor;

use crate::attribution::method::average;
use crate::attribution::{Attributions, Request, Trace};
use crate::error::{RequestError, RequestErrorKind};

/// The mean of what the composite propagates along the straight path from a baseline to the sample, times their
/// difference.
///
/// `(x − x₀) · 1/n · Σₖ R(x₀ + k/n · (x − x₀))`, `k = 1..n`: the right Riemann sum. With the preset `gradient` and an
/// initial relevance of one it adds up, in the limit of many steps, to the target's score at the sample less that at the
/// baseline (completeness).
///
/// Source: Sundararajan et al. 2017, arXiv 1703.01365, eq. 3.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// The number of steps `n`; at least 1. Default: 20.
    pub steps: usize,
    /// Where the path starts. Default: 0.
    pub baseline: Baseline,
}

/// Where the path of [`IntegratedGradients`] starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Baseline {
    /// Every element is the same number.
    Constant(f32),
    /// Given: `[N, ...]`, or `[1, ...]` for all samples.
    Given(Tensor),
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 20, baseline: Baseline::Constant(0.0) }
    }
}

impl IntegratedGradients {
    pub(super) fn attribute(&self, trace: &Trace<'_>, request: &Request) -> Result<Attributions, RequestError> {
        let inputs = trace.inputs();
        let baseline = self.baseline(inputs)?;
        let from = |sample: usize| baseline.row(if baseline.batch() == 1 { 0 } else { sample });
        // The last step is the sample itself.
        let perturb = |copy: usize, copies: &mut Vec<f32>| {
            let part = (copy + 1) as f32 / self.steps as f32;
            for sample in 0..inputs.batch() {
                let ends = inputs.row(sample).iter().zip(from(sample));
                copies.extend(ends.map(|(x, start)| start + part * (x - start)));
            }
        };
        let mut found = average::mean(trace, request, self.steps - 1, &perturb)?;
        for item in &mut found.items {
            let Some(attribution) = &mut item.input else { continue };
            let ends = inputs.row(item.sample).iter().zip(from(item.sample));
            attribution.data_mut().iter_mut().zip(ends).for_each(|(value, (x, start))| *value *= x - start);
        }
        Ok(found)
    }

    /// The baseline, `[1, ...]` or `[N, ...]`, checked with the steps.
    fn baseline(&self, inputs: &Tensor) -> Result<Tensor, RequestError> {
        if self.steps == 0 {
            return Err(RequestErrorKind::Parameter { name: "steps", expected: "a whole number of at least 1" }.into());
        }
        match &self.baseline {
            Baseline::Constant(value) if !value.is_finite() => {
                Err(RequestErrorKind::Parameter { name: "baseline", expected: "a finite number" }.into())
            }
            Baseline::Constant(value) => Ok(Tensor::full([&[1], inputs.sample_shape()].concat(), *value)?),
            Baseline::Given(given) => {
                let fits = given.sample_shape() == inputs.sample_shape() && given.rank() > 0;
                if !fits || ![1, inputs.batch()].contains(&given.batch()) {
                    let (expected, given) = (inputs.shape().to_vec(), given.shape().to_vec());
                    return Err(RequestErrorKind::PerturbationShape { what: "baseline", expected, given }.into());
                }
                Ok(given.clone())
            }
        }
    }
}
