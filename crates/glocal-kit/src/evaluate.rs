//! The evaluation: how faithful an explanation is, over a data set.
//!
//! For each chosen sample the parts of a layer (its channels: *concepts*) or of the input (its pixels, or patches of them) are
//! replaced, or put back, in the orders that relevance, activation, gradient and chance give, and the target's logit is followed
//! ([`glocal::faithfulness`]). [`Findings`] has the curves as means over samples, the areas under them and their differences
//! between orders, all with bootstrap intervals that are paired by sample.
//!
//! Results depend on the model, the composite, the data and what was asked for; not on the size of batches, the memory or the number
//! of threads.

mod error;
mod findings;
mod measure;
mod options;
mod samples;
mod subject;

use std::sync::atomic::{AtomicUsize, Ordering};

use glocal::attribution::{Attributor, Cancel};
use glocal::composite::{Preset, PresetParameters};
use glocal::faithfulness::Order;

pub use error::{EvaluateError, EvaluateErrorKind};
pub use findings::{AreaDifference, Curves, Findings, OrderCurve};
pub use options::{EvaluateOptions, Explained, Replacement};
pub use subject::Subject;

use crate::data::DataSet;
use crate::preprocess::Preprocess;
use crate::scan::targets;
use crate::store::SkippedSample;
use measure::{Measured, Work};
use samples::Samples;
use subject::{ChannelMeans, Place};

/// Room for the activations of the samples that are traced together; more bring no speed.
const ACTIVATION_BYTES: usize = 64 << 20;

/// The most samples that are traced, and variants of a sample that are run, together.
const MOST_ROWS: usize = 32;

/// An evaluation to be run.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The model, and the rules that relevance is made by.
    pub attributor: &'a Attributor,
    /// The samples.
    pub data: &'a dyn DataSet,
    /// How images become inputs.
    pub preprocess: &'a Preprocess,
    /// What is evaluated, and how.
    pub options: &'a EvaluateOptions,
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of samples done.
    pub done: usize,
    /// The number of samples.
    pub total: usize,
}

/// Runs the evaluation. `progress` is called, from any thread, when a sample is done.
///
/// # Errors
/// When nothing is asked for, or what the model does not have; when the data has no samples, or no labels that fit; when a sample
/// cannot be used, unless such samples are passed over, and then when no other is left; when the model fails; when cancelled.
pub fn run(
    evaluation: &Evaluation<'_>,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &Cancel,
) -> Result<Findings, EvaluateError> {
    let Evaluation { attributor, data, options, .. } = *evaluation;
    options.check()?;
    let model = attributor.model();
    targets::check(model.output_shape(), data, options.explained.into())?;
    let places =
        options.subjects.iter().map(|subject| Place::of(subject, model)).collect::<Result<Vec<_>, EvaluateError>>()?;
    let gradient = match options.orders.contains(&Order::Gradient) {
        true => {
            let rules = Preset::Gradient.composite(&PresetParameters::default());
            let made = rules.and_then(|rules| attributor.with_composite(rules));
            Some(made.map_err(EvaluateErrorKind::Request)?)
        }
        false => None,
    };
    let samples = Samples::chosen(evaluation);
    let mut skipped: Vec<SkippedSample> = Vec::new();

    let mut means = ChannelMeans::of(&places);
    if options.replacements.contains(&Replacement::Mean) && means.are_needed() {
        for batch in samples.batches(batch_size(attributor, options)) {
            cancelled(cancel, 0, samples.len())?;
            // What is passed over is listed below.
            let batch = samples.load(batch, &mut Vec::new())?;
            if batch.samples.is_empty() {
                continue;
            }
            let trace = attributor.trace_until(&batch.inputs, cancel);
            let trace = trace.map_err(|cause| EvaluateError::from(cause).after(0, samples.len()))?;
            means.add(&places, &trace);
        }
    }

    let rows_at_once = attributor.samples_within(options.memory / 2) / rayon::current_num_threads().max(1);
    let work = Work {
        attributor,
        gradient: gradient.as_ref(),
        options,
        data,
        places: &places,
        means: &means,
        rows_at_once: rows_at_once.clamp(1, MOST_ROWS),
        cancel,
    };
    let done = AtomicUsize::new(0);
    let advance = |by| {
        let done = done.fetch_add(by, Ordering::Relaxed) + by;
        progress(Progress { done, total: samples.len() });
    };
    let mut measured: Vec<Measured> = Vec::with_capacity(samples.len());
    for batch in samples.batches(batch_size(attributor, options)) {
        cancelled(cancel, done.load(Ordering::Relaxed), samples.len())?;
        let asked = batch.len();
        let batch = samples.load(batch, &mut skipped)?;
        advance(asked - batch.samples.len());
        let found = work.measure(&batch, &|| advance(1));
        for found in found.map_err(|error| error.after(done.load(Ordering::Relaxed), samples.len()))? {
            match found {
                Ok(sample) => measured.push(sample),
                Err(error) => match error.skippable().filter(|_| options.keep_going) {
                    Some(sample) => skipped.push(sample),
                    None => return Err(error),
                },
            }
        }
    }
    if measured.is_empty() {
        return Err(EvaluateErrorKind::NothingUsable { skipped: skipped.len() }.into());
    }
    skipped.sort_by_key(|skipped| skipped.sample);
    findings::gather(&work, &measured, skipped)
}

/// How many samples are traced together.
fn batch_size(attributor: &Attributor, options: &EvaluateOptions) -> usize {
    let values: usize = attributor.model().graph().nodes().map(|(_, node)| node.shape.iter().product::<usize>()).sum();
    let fitting = ACTIVATION_BYTES / values.saturating_mul(size_of::<f32>()).max(1);
    let batch = options.batch.map_or(MOST_ROWS.min(fitting), usize::from);
    batch.min(attributor.samples_within(options.memory / 2)).max(1)
}

fn cancelled(cancel: &Cancel, done: usize, total: usize) -> Result<(), EvaluateError> {
    if cancel.is_cancelled() { Err(EvaluateErrorKind::Cancelled { done, total }.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
