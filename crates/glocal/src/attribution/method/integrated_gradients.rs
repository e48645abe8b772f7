//! Integrated gradients: the mean along a straight path to the input.

use glocal_compute::Tensor;

use crate::attribution::Attribution;
use crate::attribution::execute::Execution;
use crate::attribution::method::Results;
use crate::attribution::method::average::Mean;
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
    pub(super) fn results<'a>(&'a self, execution: Execution<'a>) -> Result<impl Results + 'a, RequestError> {
        let inputs = execution.base().inputs();
        let baseline = self.baseline(inputs)?;
        let path = Path { inputs, baseline, steps: self.steps };
        let mean = Mean::new(execution, self.steps - 1, Box::new(move |copy, copies| path.step(copy, copies)));
        let path = Path { inputs, baseline: self.baseline(inputs)?, steps: self.steps };
        Ok(Integrated { mean, path })
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

/// The straight paths of some samples.
struct Path<'a> {
    /// Where they end, `[N, ...]`.
    inputs: &'a Tensor,
    /// Where they start, `[1, ...]` or `[N, ...]`.
    baseline: Tensor,
    steps: usize,
}

impl Path<'_> {
    fn ends(&self, sample: usize) -> impl Iterator<Item = (&f32, &f32)> {
        let from = if self.baseline.batch() == 1 { 0 } else { sample };
        self.inputs.row(sample).iter().zip(self.baseline.row(from))
    }

    /// Appends the samples of a step; the last one is the samples themselves.
    fn step(&self, step: usize, copies: &mut Vec<f32>) {
        let part = (step + 1) as f32 / self.steps as f32;
        for sample in 0..self.inputs.batch() {
            copies.extend(self.ends(sample).map(|(x, start)| start + part * (x - start)));
        }
    }
}

struct Integrated<'a> {
    mean: Mean<'a>,
    path: Path<'a>,
}

impl Results for Integrated<'_> {
    fn next(&mut self) -> Result<Vec<Attribution>, RequestError> {
        let mut items = self.mean.next()?;
        for item in &mut items {
            let Some(attribution) = &mut item.input else { continue };
            let values = attribution.data_mut().iter_mut().zip(self.path.ends(item.sample));
            values.for_each(|(value, (x, start))| *value *= x - start);
        }
        Ok(items)
    }
}
