//! Decodes and preprocesses samples ahead of the computation.

use std::ops::Range;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use glocal::search::SampleId;
use glocal_compute::Tensor;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::{Analysis, ScanError, ScanErrorKind, targets};
use crate::data::{Content, DataSet};
use crate::preprocess::Preprocess;
use crate::store::SkippedSample;

/// How long a thread should have something to load: far longer than it takes to wake it.
const TASK: Duration = Duration::from_micros(100);

/// Samples that are ready to be computed.
pub(super) struct Batch {
    /// `[N, ...]`
    pub(super) inputs: Tensor,
    pub(super) samples: Vec<SampleId>,
    /// The targets of each sample; empty for the predicted classes.
    pub(super) targets: Vec<Vec<u32>>,
    /// The number of samples that are done with this batch, those without targets and those skipped included.
    pub(super) done: u64,
    /// The samples that cannot be used and are passed over.
    pub(super) skipped: Vec<SkippedSample>,
}

/// Loads batches in order.
pub(super) struct Loader<'a> {
    analysis: &'a Analysis<'a>,
    pool: Option<&'a ThreadPool>,
    samples: Range<usize>,
}

/// Runs `work` with the threads of `pool`, or else with those of the current pool, which is the global one outside of any.
pub(super) fn within<T: Send>(pool: Option<&ThreadPool>, work: impl FnOnce() -> T + Send) -> T {
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

impl<'a> Loader<'a> {
    /// Loads `samples`.
    pub(super) fn new(analysis: &'a Analysis<'a>, pool: Option<&'a ThreadPool>, samples: Range<usize>) -> Self {
        Self { analysis, pool, samples }
    }

    /// Sends batches until all samples are loaded, one fails, or nobody takes them any more.
    pub(super) fn run(&self, batches: &SyncSender<Result<Batch, ScanError>>) {
        let Range { start, end } = self.samples;
        // How many samples one thread loads at once, which those before tell.
        let mut at_once = 1;
        for first in (start..end).step_by(self.analysis.options.batch.get()) {
            let batch = first..end.min(first.saturating_add(self.analysis.options.batch.get()));
            let batch = self.batch(batch, &mut at_once);
            let failed = batch.is_err();
            if batches.send(batch).is_err() || failed {
                return;
            }
        }
    }

    fn batch(&self, range: Range<usize>, at_once: &mut usize) -> Result<Batch, ScanError> {
        let of = |sample| targets::of(self.analysis.options.targets, self.analysis.data, sample);
        let done = range.len() as u64;
        let (samples, targets): (Vec<usize>, Vec<Option<Vec<u32>>>) = range
            .map(|sample| (sample, of(sample)))
            .filter(|(_, targets)| targets.as_ref().is_none_or(|targets| !targets.is_empty()))
            .unzip();
        let expected = self.analysis.scan.attributor().model().input_shape();
        let Analysis { data: from, preprocess, .. } = *self.analysis;
        let load = |sample: &usize| {
            let begun = Instant::now();
            (input(from, *sample, preprocess, expected), begun.elapsed())
        };
        let rows: Vec<(Result<Tensor, ScanError>, Duration)> = match *at_once {
            // The threads that compute are not disturbed.
            at_once if samples.len() <= at_once => samples.iter().map(load).collect(),
            at_once => within(self.pool, || samples.par_iter().with_min_len(at_once).map(load).collect()),
        };
        let mut data = Vec::with_capacity(samples.len() * expected.iter().product::<usize>());
        let (mut used, mut used_targets, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        // One that cannot be used, a missing file for one, says nothing of what others take.
        let mut took = Duration::ZERO;
        // Of several samples that fail, the first is named, whichever failed first.
        for ((sample, targets), (row, time)) in samples.into_iter().zip(targets).zip(rows) {
            match row {
                Ok(row) => {
                    took += time;
                    data.extend_from_slice(row.data());
                    used.push(SampleId(sample as u64));
                    used_targets.extend(targets);
                }
                Err(error) => match error.skippable().filter(|_| self.analysis.options.keep_going) {
                    Some(sample) => skipped.push(sample),
                    None => return Err(error),
                },
            }
        }
        if let Some(nanoseconds) = took.as_nanos().checked_div(used.len() as u128) {
            *at_once = ((TASK.as_nanos() / nanoseconds.max(1)) as usize).max(1);
        }
        let mut shape = vec![used.len()];
        shape.extend_from_slice(expected);
        let inputs = Tensor::new(shape, data).map_err(|error| ScanError::caused(ScanErrorKind::Run, error))?;
        Ok(Batch { inputs, samples: used, targets: used_targets, done, skipped })
    }
}

/// Sample `sample` of a data set as the input of a model that takes samples of shape `expected`.
pub(crate) fn input(
    data: &dyn DataSet,
    sample: usize,
    preprocess: &Preprocess,
    expected: &[usize],
) -> Result<Tensor, ScanError> {
    let failed = || ScanErrorKind::Sample { sample, key: data.key(sample) };
    let input = match data.load(sample).map_err(|error| ScanError::caused(failed(), error))? {
        Content::Array(array) => array,
        Content::Image(image) => preprocess.apply(&image).map_err(|error| ScanError::caused(failed(), error))?.input,
    };
    if input.shape() != expected {
        let (given, expected) = (input.shape().to_vec(), expected.to_vec());
        return Err(ScanErrorKind::Shape { sample, key: data.key(sample), given, expected }.into());
    }
    Ok(input)
}
