//! Where relevance starts: targets and initial values.

use glocal_compute::Tensor;

use crate::attribution::execute::Execution;
use crate::attribution::{Initial, Target};
use crate::concept::Selection;
use crate::error::{RequestError, RequestErrorKind};

impl Execution<'_> {
    /// Appends the relevance that starts in a row of the trace, masked to the target: of row `initial` of what was given.
    pub(super) fn start(&self, row: usize, initial: usize, target: &Target, data: &mut Vec<f32>) {
        let from = data.len();
        let relevance = &self.initial.relevance;
        data.extend_from_slice(relevance.row(initial));
        match target {
            Target::Everything => {}
            Target::Some(selection) => selection.mask(&mut data[from..], &self.trace.site(self.plan.start, row)),
            // That of the sample as it was given.
            Target::Predicted => {
                let class = argmax(self.base.prediction().row(self.sample_of(row)));
                Selection::channels([class]).mask(&mut data[from..], &self.trace.site(self.plan.start, row));
            }
        }
    }

    /// The row of the initial relevance that a result starts with.
    pub(super) fn initial_row(&self, row: usize, condition: usize) -> usize {
        let sample = self.sample_of(row);
        match self.initial.rows {
            Rows::Shared => 0,
            Rows::OfTrace => row,
            Rows::OfSample => sample,
            Rows::OfResult => sample * self.plan.conditions.len() + condition,
        }
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
