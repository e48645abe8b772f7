//! Occlusion: the target's score with parts of the input hidden.

use std::ops::Range;

use glocal_compute::Tensor;

use crate::attribution::execute::Execution;
use crate::attribution::method::window::{Extent, Windows};
use crate::attribution::method::{Results, copies_at_once, results_at_once};
use crate::attribution::{Attribution, Initial, Request};
use crate::error::{RequestError, RequestErrorKind};

/// The target's score, for each of the windows over the sample, with the rest or the window itself replaced by a constant.
///
/// Each element gets the mean over the windows that it lies in. The score is the sum of the relevance that would start:
/// the target's output, or that of a start layer. Only forward passes are run, one a window; the rules are not used, and
/// masks of hidden layers and recorded layers have no meaning. Nothing is conserved.
///
/// Source: Zeiler and Fergus 2014, arXiv 1311.2901, section 4.2, for [`Hidden::Window`].
#[derive(Debug, Clone, PartialEq)]
pub struct Occlusion {
    /// The size of the window. Default: 8 along every axis.
    pub window: Extent,
    /// The steps between windows; at most the window. Default: the window, so that windows touch.
    pub stride: Option<Extent>,
    /// What stands in place of what is hidden. Default: 0.
    pub fill: f32,
    /// What is hidden. Default: everything outside of the window.
    pub hidden: Hidden,
}

/// What [`Occlusion`] hides, and what it scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// All but the window; scored is what the target has with the window alone.
    Outside,
    /// The window; scored is what the target loses without it.
    Window,
}

impl Default for Occlusion {
    fn default() -> Self {
        Self { window: Extent::Every(8), stride: None, fill: 0.0, hidden: Hidden::Outside }
    }
}

impl Occlusion {
    pub(super) fn results<'a>(&'a self, execution: Execution<'a>) -> Result<Occluded<'a>, RequestError> {
        self.check(execution.request())?;
        let shape = execution.base().inputs().sample_shape();
        let windows = Windows::new(shape, &self.window, self.stride.as_ref().unwrap_or(&self.window))?;
        Ok(Occluded { method: self, execution, windows, scores: Vec::new(), scored: 0..0 })
    }

    /// Appends a sample of which only what is not hidden is left.
    fn hide(&self, sample: &[f32], window: &[Range<usize>], copies: &mut Vec<f32>) {
        let from = copies.len();
        match self.hidden {
            Hidden::Outside => copies.resize(from + sample.len(), self.fill),
            Hidden::Window => copies.extend_from_slice(sample),
        }
        let copy = &mut copies[from..];
        for range in window {
            match self.hidden {
                Hidden::Outside => copy[range.clone()].copy_from_slice(&sample[range.clone()]),
                Hidden::Window => copy[range.clone()].fill(self.fill),
            }
        }
    }

    fn check(&self, request: &Request) -> Result<(), RequestError> {
        let refused = |what| Err(RequestErrorKind::NoRelevance { what }.into());
        if request.conditions.iter().any(|condition| !condition.layers.is_empty()) {
            return refused("conditions on layers");
        }
        if !request.record.is_empty() {
            return refused("recorded layers");
        }
        if !matches!(request.initial, Initial::Value | Initial::Function(_)) {
            return refused("initial relevance but the value itself or a function of it");
        }
        if !self.fill.is_finite() {
            return Err(RequestErrorKind::Parameter { name: "fill", expected: "a finite number" }.into());
        }
        Ok(())
    }
}

/// Scores some results at all windows at a time, and makes of them a few attributions at a time.
pub(super) struct Occluded<'a> {
    method: &'a Occlusion,
    execution: Execution<'a>,
    windows: Windows,
    /// Window by window, the score of each result of `scored`.
    scores: Vec<f64>,
    /// The results that are scored, but not yet made.
    scored: Range<usize>,
}

impl Occluded<'_> {
    /// Scores `results` at all windows.
    fn score(&mut self, results: Range<usize>) -> Result<(), RequestError> {
        let (execution, base) = (&self.execution, self.execution.base());
        let (inputs, cancel) = (base.inputs(), &execution.request().cancel);
        let whole: Vec<f64> = results.clone().map(|result| execution.started(result)).collect();
        let at_once = copies_at_once(base.attributor().model(), base.batch(), execution.rows_at_once());
        self.scores = Vec::with_capacity(self.windows.len() * results.len());
        for first in (0..self.windows.len()).step_by(at_once) {
            cancel.check()?;
            let some = first..(first + at_once).min(self.windows.len());
            let mut data = Vec::with_capacity(some.len() * inputs.len());
            for elements in some.clone().map(|window| self.windows.elements(window)) {
                for sample in 0..inputs.batch() {
                    self.method.hide(inputs.row(sample), &elements, &mut data);
                }
            }
            let shape = [&[some.len() * inputs.batch()], inputs.sample_shape()].concat();
            let hidden = base.attributor().trace_until(&Tensor::new(shape, data)?, cancel)?;
            let hidden = execution.of_copies(&hidden)?;
            let all = execution.results()?;
            for copy in 0..some.len() {
                for (result, whole) in results.clone().zip(&whole) {
                    let score = hidden.started(copy * all + result);
                    self.scores.push(if self.method.hidden == Hidden::Window { whole - score } else { score });
                }
            }
        }
        Ok(())
    }
}

impl Results for Occluded<'_> {
    fn next(&mut self) -> Result<Vec<Attribution>, RequestError> {
        let total = self.execution.results()?;
        if self.scored.is_empty() {
            let bytes = self.windows.len() * size_of::<f64>();
            let last = (self.scored.end + results_at_once(bytes, self.execution.rows_at_once())).min(total);
            self.scored = self.scored.end..last;
            self.score(self.scored.clone())?;
        }
        let made = self.scored.start..(self.scored.start + self.execution.rows_at_once()).min(self.scored.end);
        let inputs = self.execution.base().inputs();
        let columns = self.scores.len() / self.windows.len().max(1);
        let before = columns - self.scored.len();
        let mut sums = vec![vec![0.0f64; inputs.row_len()]; made.len()];
        let mut counts = vec![0u32; inputs.row_len()];
        for (window, scores) in self.scores.chunks(columns.max(1)).enumerate() {
            let elements = self.windows.elements(window);
            for (sum, score) in sums.iter_mut().zip(&scores[before..]) {
                elements.iter().cloned().flatten().for_each(|element| sum[element] += score);
            }
            elements.into_iter().flatten().for_each(|element| counts[element] += 1);
        }
        self.scored.start = made.end;
        let mean = |(result, sums): (usize, Vec<f64>)| {
            let mean = sums.iter().zip(&counts).map(|(sum, &count)| (sum / f64::from(count)) as f32).collect();
            let input = Some(Tensor::new(inputs.sample_shape(), mean)?);
            Ok(Attribution { input, ..self.execution.unfilled(result) })
        };
        made.zip(sums).map(mean).collect()
    }
}
