//! Where relevance starts: targets and initial values.

use glocal_compute::Tensor;

use crate::attribution::execute::{Execution, Front};
use crate::attribution::{Initial, Scope, Target};
use crate::concept::Selection;
use crate::error::{RequestError, RequestErrorKind};

impl Execution<'_> {
    /// One row for each distinct sample and target; one for each result under whole scope, where masks of lower
    /// layers are applied on the way.
    pub(super) fn starting(&self, pairs: &[(usize, usize)]) -> Result<Front, RequestError> {
        let shape = self.initial.relevance.sample_shape().to_vec();
        // The row of the trace, the row of the initial relevance, and the target.
        let mut starts: Vec<(usize, usize, Target)> = Vec::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (index, &(of_trace, condition)) in pairs.iter().enumerate() {
            let sample = self.sample_of(of_trace);
            let row = match self.initial.rows {
                Rows::Shared => 0,
                Rows::OfTrace => of_trace,
                Rows::OfSample => sample,
                Rows::OfResult => sample * self.conditions.len() + condition,
            };
            let start = (of_trace, row, self.target_of(sample, &self.conditions[condition].target)?);
            let known = starts.iter().position(|known| *known == start);
            match known.filter(|_| self.request.scope == Scope::Isolated) {
                Some(row) => members[row].push(index),
                None => {
                    starts.push(start);
                    members.push(vec![index]);
                }
            }
        }
        let mut data = Vec::with_capacity(starts.len() * self.initial.relevance.row_len());
        for (_, row, target) in &starts {
            let from = data.len();
            data.extend_from_slice(self.initial.relevance.row(*row));
            if let Target::Some(selection) = target {
                selection.mask(&mut data[from..], &shape);
            }
        }
        let relevance = Tensor::new([&[starts.len()], shape.as_slice()].concat(), data)?;
        Ok(Front { relevance, samples: starts.iter().map(|(of_trace, ..)| *of_trace).collect(), members })
    }

    /// The target with the predicted class filled in: that of the sample as it was given.
    fn target_of(&self, sample: usize, target: &Target) -> Result<Target, RequestError> {
        if *target != Target::Predicted {
            return Ok(target.clone());
        }
        let prediction = self.base.prediction();
        let model = self.trace.attributor().model();
        if self.start != model.explained() {
            let start = model.graph().node(self.start).display_name().to_owned();
            return Err(RequestErrorKind::StartWithoutTarget { start }.into());
        }
        if prediction.sample_shape().len() != 1 {
            return Err(RequestErrorKind::NoPrediction { shape: prediction.sample_shape().to_vec() }.into());
        }
        Ok(Target::Some(Selection::channels([argmax(prediction.row(sample))])))
    }
}

/// The relevance that starts, before target masks.
pub(super) struct Starting {
    relevance: Tensor,
    rows: Rows,
}

/// What the rows of the initial relevance are for.
enum Rows {
    /// The one row is for all.
    Shared,
    /// One for each row of the trace.
    OfTrace,
    /// One for each sample, whichever copy of it.
    OfSample,
    /// One for each result.
    OfResult,
}

impl Starting {
    /// The relevance that starts at a layer of `value` `[copies · samples, ...]`.
    pub(super) fn new(initial: &Initial, value: &Tensor, samples: usize, results: usize) -> Result<Self, RequestError> {
        let shared = || [&[1], value.sample_shape()].concat();
        let (relevance, rows) = match initial {
            Initial::Value => (value.clone(), Rows::OfTrace),
            Initial::One => (Tensor::full(shared(), 1.0)?, Rows::Shared),
            Initial::Constant(constant) => (Tensor::full(shared(), *constant)?, Rows::Shared),
            Initial::Function(function) => (of_copies(function.as_ref(), value, samples)?, Rows::OfTrace),
            Initial::Given(tensor) => {
                let rows = match tensor.batch() {
                    1 => Rows::Shared,
                    rows if rows == samples => Rows::OfSample,
                    rows if rows == results => Rows::OfResult,
                    _ => return Err(misshapen([&[samples], value.sample_shape()].concat(), tensor)),
                };
                (tensor.clone(), rows)
            }
        };
        if relevance.sample_shape() != value.sample_shape() {
            return Err(misshapen([&[samples], value.sample_shape()].concat(), &relevance));
        }
        Ok(Self { relevance, rows })
    }
}

/// A function of the layer's values, applied to each copy of the samples.
fn of_copies(function: &dyn Fn(&Tensor) -> Tensor, value: &Tensor, samples: usize) -> Result<Tensor, RequestError> {
    let shape = [&[samples], value.sample_shape()].concat();
    let mut data = Vec::with_capacity(value.len());
    for copy in value.data().chunks((samples * value.row_len()).max(1)) {
        let relevance = function(&Tensor::new(shape.as_slice(), copy.to_vec())?);
        if relevance.shape() != shape {
            return Err(misshapen(shape, &relevance));
        }
        data.extend(relevance.into_data());
    }
    Ok(Tensor::new(value.shape(), data)?)
}

fn misshapen(expected: Vec<usize>, given: &Tensor) -> RequestError {
    RequestErrorKind::InitialShape { expected, given: given.shape().to_vec() }.into()
}

/// The index of the largest value, the first on ties; a NaN is never larger, nor is anything larger than a first NaN.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
