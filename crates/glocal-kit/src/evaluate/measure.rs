//! The curves of single samples.

use std::ops::ControlFlow;

use glocal::attribution::{Attributor, Cancel, Condition, Initial, Pairing, Request, Trace};
use glocal::error::RequestError;
use glocal::faithfulness::{Direction, Flipping, Order, Parts, Ranking, steps};
use rayon::prelude::*;

use super::samples::Batch;
use super::subject::{ChannelMeans, Place};
use super::{EvaluateError, EvaluateErrorKind, EvaluateOptions, Explained, Replacement};
use crate::data::DataSet;
use crate::explain::argmax;

/// What all samples share.
pub(super) struct Work<'a> {
    pub(super) attributor: &'a Attributor,
    /// The same model with gradients, where their order is asked for.
    pub(super) gradient: Option<&'a Attributor>,
    pub(super) options: &'a EvaluateOptions,
    pub(super) data: &'a dyn DataSet,
    pub(super) places: &'a [Place],
    pub(super) means: &'a ChannelMeans,
    /// How many variants of a sample run together.
    pub(super) rows_at_once: usize,
    pub(super) cancel: &'a Cancel,
}

/// One panel of curves: what is replaced, by what, and in which direction.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) place: &'a Place,
    pub(super) replacement: Replacement,
    pub(super) direction: Direction,
}

/// The curves of a sample.
pub(super) struct Measured {
    /// The target's logit of the unmodified model.
    pub(super) original: f32,
    /// The target's logits of each panel: one order's steps after the other's.
    pub(super) panels: Vec<Vec<f32>>,
}

/// For each place, for each row, the score of each part.
type Scores = Vec<Vec<Vec<f64>>>;

impl Work<'_> {
    /// All panels, in the order of their curves in [`Measured::panels`].
    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let options = self.options;
        let of_place = move |place| {
            let of_replacement = move |&replacement: &Replacement| {
                let panel = move |&direction: &Direction| Panel { place, replacement, direction };
                options.directions.iter().map(panel)
            };
            options.replacements.iter().flat_map(of_replacement)
        };
        self.places.iter().flat_map(of_place)
    }

    /// At how many replaced parts the curves of a place are taken.
    pub(super) fn counts(&self, place: &Place) -> Vec<usize> {
        steps(place.parts.count(), self.options.steps.get())
    }

    /// The curves of a batch's samples, in their order, or why one has none where others may well have; `done` is called after
    /// each.
    pub(super) fn measure(
        &self,
        batch: &Batch,
        done: &(dyn Fn() + Sync),
    ) -> Result<Vec<Result<Measured, EvaluateError>>, EvaluateError> {
        if batch.samples.is_empty() {
            return Ok(Vec::new());
        }
        let trace = self.attributor.trace_until(&batch.inputs, self.cancel)?;
        let targets: Vec<usize> = (0..trace.batch()).map(|row| self.target(&trace, row, batch.samples[row])).collect();
        let relevant = self.options.orders.iter().any(|order| matches!(order, Order::Relevance | Order::Ascending));
        let relevance = if relevant { self.scores(&trace, &targets, Initial::Value)? } else { Vec::new() };
        let gradient = match self.gradient {
            Some(gradient) => {
                let trace = gradient.trace_until(&batch.inputs, self.cancel)?;
                self.scores(&trace, &targets, Initial::One)?
            }
            None => Vec::new(),
        };
        let of_row = |row: usize| {
            let sample = Sample { work: self, trace: &trace, row, number: batch.samples[row], target: targets[row] };
            let measured = sample.measure(&relevance, &gradient);
            done();
            measured
        };
        (0..trace.batch()).into_par_iter().map(of_row).collect()
    }

    fn target(&self, trace: &Trace<'_>, row: usize, sample: usize) -> usize {
        match self.options.explained {
            Explained::Class(class) => class as usize,
            // Checked before: there is exactly one.
            Explained::Label => self.data.labels(sample).first().map_or(0, |&label| label as usize),
            Explained::Predicted => argmax(trace.prediction().row(row)),
        }
    }

    /// The sum of what arrives at each part, under gradients times the activation.
    fn scores(&self, trace: &Trace<'_>, targets: &[usize], initial: Initial) -> Result<Scores, EvaluateError> {
        let times_value = matches!(initial, Initial::One);
        let request = Request {
            conditions: targets.iter().map(|&target| Condition::class(target)).collect(),
            pairing: Pairing::Zip,
            initial,
            record: self.places.iter().filter_map(Place::recorded).map(str::to_owned).collect(),
            memory: Some(self.options.memory / 2),
            cancel: self.cancel.clone(),
            ..Request::default()
        };
        let mut scores: Scores = vec![Vec::with_capacity(trace.batch()); self.places.len()];
        let mut unreached = None;
        let ended: Result<ControlFlow<()>, RequestError> = trace.for_each(&request, |found, _| {
            for (place, scores) in self.places.iter().zip(&mut scores) {
                let arrived = match place.recorded() {
                    Some(layer) => found.layers.get(layer),
                    None => found.input.as_ref(),
                };
                let Some(arrived) = arrived else {
                    unreached = Some(place.subject.to_string());
                    return ControlFlow::Break(());
                };
                let value = trace.value(place.node).row(found.sample);
                let element = |(&arrived, &value): (&f32, &f32)| {
                    f64::from(arrived) * if times_value { f64::from(value) } else { 1.0 }
                };
                scores.push(place.parts.sums(arrived.data().iter().zip(value).map(element)));
            }
            ControlFlow::Continue(())
        });
        match (ended?, unreached) {
            (ControlFlow::Break(()), Some(subject)) => Err(EvaluateErrorKind::Unreached { subject }.into()),
            _ => Ok(scores),
        }
    }
}

/// One sample of a trace.
struct Sample<'a> {
    work: &'a Work<'a>,
    trace: &'a Trace<'a>,
    row: usize,
    /// Its number in the data set.
    number: usize,
    target: usize,
}

impl Sample<'_> {
    fn measure(&self, relevance: &Scores, gradient: &Scores) -> Result<Result<Measured, EvaluateError>, EvaluateError> {
        let options = self.work.options;
        let original = self.trace.prediction().row(self.row).get(self.target).copied().unwrap_or(f32::NAN);
        if !self.trace.prediction().row(self.row).iter().all(|output| output.is_finite()) {
            return Ok(Err(self.not_finite(None)));
        }
        let mut panels = Vec::new();
        for (index, place) in self.work.places.iter().enumerate() {
            let value = self.trace.value(place.node).row(self.row);
            let scores = |of: &Scores| of.get(index).and_then(|rows| rows.get(self.row)).cloned().unwrap_or_default();
            let rankings = |&order: &Order| match order {
                Order::Relevance => vec![Ranking::descending(&scores(relevance))],
                Order::Ascending => vec![Ranking::ascending(&scores(relevance))],
                Order::Activation => vec![Ranking::descending(&activation(&place.parts, value))],
                Order::Gradient => vec![Ranking::descending(&scores(gradient))],
                Order::Random => self.shuffled(&place.parts),
            };
            let rankings: Vec<Vec<Ranking>> = options.orders.iter().map(rankings).collect();
            let counts = self.work.counts(place);
            for &by in &options.replacements {
                let replacement = self.work.means.replacement((index, place), by, value);
                let flipping = Flipping::new(
                    self.trace,
                    self.row,
                    place.node,
                    &place.parts,
                    &replacement,
                    self.work.rows_at_once,
                    self.work.cancel,
                )?;
                for &direction in &options.directions {
                    let mut panel = Vec::with_capacity(rankings.len() * counts.len());
                    for rankings in &rankings {
                        panel.extend(self.curve(&flipping, rankings, &counts, direction)?);
                    }
                    if !panel.iter().all(|logit| logit.is_finite()) {
                        return Ok(Err(self.not_finite(Some(place.subject.to_string()))));
                    }
                    panels.push(panel);
                }
            }
        }
        Ok(Ok(Measured { original, panels }))
    }

    /// The mean of the target's logits over some rankings.
    fn curve(
        &self,
        flipping: &Flipping<'_>,
        rankings: &[Ranking],
        counts: &[usize],
        direction: Direction,
    ) -> Result<Vec<f32>, EvaluateError> {
        let mut sums = vec![0.0; counts.len()];
        for ranking in rankings {
            let outputs = flipping.outputs(ranking, counts, direction)?;
            let logits = outputs.iter().map(|output| output.get(self.target).map_or(f64::NAN, |&logit| logit.into()));
            sums.iter_mut().zip(logits).for_each(|(sum, logit): (&mut f64, f64)| *sum += logit);
        }
        Ok(sums.into_iter().map(|sum| (sum / rankings.len() as f64) as f32).collect())
    }

    /// Rankings that depend on the seed and the sample's number in the data set alone.
    fn shuffled(&self, parts: &Parts) -> Vec<Ranking> {
        let draws = self.work.options.draws.get();
        let first = self.number.wrapping_mul(draws);
        let seed = self.work.options.bootstrap.seed;
        // Numbers that begin again after 2³² of them do no harm.
        (0..draws).map(|draw| Ranking::shuffled(parts.count(), seed, first.wrapping_add(draw) as u32)).collect()
    }

    fn not_finite(&self, subject: Option<String>) -> EvaluateError {
        let (sample, key) = (self.number, self.work.data.key(self.number));
        EvaluateErrorKind::NotFinite { sample, key, subject }.into()
    }
}

/// The sum of each part's positive values.
fn activation(parts: &Parts, value: &[f32]) -> Vec<f64> {
    parts.sums(value.iter().map(|&value| f64::from(value.max(0.0))))
}
