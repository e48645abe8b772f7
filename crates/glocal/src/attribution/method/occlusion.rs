//! Occlusion: the target's score with parts of the input hidden.

use std::collections::BTreeMap;

use glocal_compute::Tensor;

use crate::attribution::method::copies_at_once;
use crate::attribution::method::window::{Extent, Windows};
use crate::attribution::{Attribution, Attributions, Initial, Request, Trace, execute};
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
    pub(super) fn attribute(&self, trace: &Trace<'_>, request: &Request) -> Result<Attributions, RequestError> {
        self.check(request)?;
        let inputs = trace.inputs();
        let windows = Windows::new(inputs.sample_shape(), &self.window, self.stride.as_ref().unwrap_or(&self.window))?;
        let whole = execute::started(trace, trace, request)?;
        let mut sums = vec![vec![0.0f64; inputs.row_len()]; whole.len()];
        let mut counts = vec![0u32; inputs.row_len()];
        let at_once = copies_at_once(trace.attributor().model(), trace.batch(), request.rows_at_once);
        for first in (0..windows.len()).step_by(at_once) {
            request.cancel.check()?;
            let some: Vec<_> =
                (first..(first + at_once).min(windows.len())).map(|index| windows.elements(index)).collect();
            let mut data = Vec::with_capacity(some.len() * inputs.len());
            for elements in &some {
                for sample in 0..inputs.batch() {
                    self.hide(inputs.row(sample), elements, &mut data);
                }
            }
            let shape = [&[some.len() * inputs.batch()], inputs.sample_shape()].concat();
            let hidden = trace.attributor().trace(&Tensor::new(shape, data)?)?;
            let scores = execute::started(&hidden, trace, request)?;
            for (elements, scores) in some.iter().zip(scores.chunks(whole.len().max(1))) {
                for ((sum, score), whole) in sums.iter_mut().zip(scores).zip(&whole) {
                    let score = if self.hidden == Hidden::Window { whole.sum - score.sum } else { score.sum };
                    elements.iter().cloned().flatten().for_each(|element| sum[element] += score);
                }
                elements.iter().cloned().flatten().for_each(|element| counts[element] += 1);
            }
        }
        let mut items = Vec::with_capacity(whole.len());
        for (started, sums) in whole.iter().zip(sums) {
            let mean = sums.iter().zip(&counts).map(|(sum, &count)| (sum / f64::from(count)) as f32).collect();
            let input = Some(Tensor::new(inputs.sample_shape(), mean)?);
            let (sample, condition) = (started.sample, started.condition);
            items.push(Attribution { sample, condition, input, layers: BTreeMap::new() });
        }
        Ok(Attributions { prediction: trace.prediction().clone(), activations: BTreeMap::new(), items })
    }

    /// Appends a sample of which only what is not hidden is left.
    fn hide(&self, sample: &[f32], window: &[std::ops::Range<usize>], copies: &mut Vec<f32>) {
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
