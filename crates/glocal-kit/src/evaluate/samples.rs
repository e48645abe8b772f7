//! The chosen samples, loaded a batch at a time.

use glocal::error::RunError;
use glocal_compute::Tensor;
use rayon::prelude::*;

use super::{EvaluateError, Evaluation};
use crate::scan::load::input;
use crate::store::SkippedSample;

/// The samples that are evaluated.
pub(super) struct Samples<'a> {
    evaluation: &'a Evaluation<'a>,
    /// Ascending.
    chosen: Vec<usize>,
}

/// Some of them.
pub(super) struct Batch {
    /// `[N, ...]`
    pub(super) inputs: Tensor,
    /// The number of each in the data set.
    pub(super) samples: Vec<usize>,
}

impl<'a> Samples<'a> {
    pub(super) fn chosen(evaluation: &'a Evaluation<'a>) -> Self {
        let len = evaluation.data.len();
        let count = evaluation.options.samples.map_or(len, |count| count.get().min(len));
        Self { evaluation, chosen: evenly_spaced(len, count) }
    }

    pub(super) fn len(&self) -> usize {
        self.chosen.len()
    }

    pub(super) fn batches(&self, size: usize) -> impl Iterator<Item = &[usize]> {
        self.chosen.chunks(size)
    }

    /// Those of a batch that can be used; others are an error, or put into `skipped`.
    pub(super) fn load(&self, batch: &[usize], skipped: &mut Vec<SkippedSample>) -> Result<Batch, EvaluateError> {
        let Evaluation { attributor, data, preprocess, options } = *self.evaluation;
        let expected = attributor.model().input_shape();
        let load = |&sample: &usize| (sample, input(data, sample, preprocess, expected));
        let loaded: Vec<_> = batch.par_iter().map(load).collect();
        let (mut values, mut samples) = (Vec::new(), Vec::new());
        // Of several samples that fail, the first is named.
        for (sample, loaded) in loaded {
            match loaded {
                Ok(row) => {
                    values.extend_from_slice(row.data());
                    samples.push(sample);
                }
                Err(error) => match error.skippable().filter(|_| options.keep_going) {
                    Some(fault) => skipped.push(fault),
                    None => return Err(error.into()),
                },
            }
        }
        let inputs = Tensor::new([&[samples.len()], expected].concat(), values).map_err(RunError::from)?;
        Ok(Batch { inputs, samples })
    }
}

/// `count` of `len` numbers, from the first on, equally far from each other but for rounding.
fn evenly_spaced(len: usize, count: usize) -> Vec<usize> {
    let at = |index: usize| (index as u128 * len as u128 / count.max(1) as u128) as usize;
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::evenly_spaced;

    #[test]
    fn samples_are_evenly_spaced() {
        assert_eq!(evenly_spaced(10, 4), [0, 2, 5, 7]);
        assert_eq!(evenly_spaced(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(evenly_spaced(0, 0), [0; 0]);
    }
}
