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
        let shape = self.initial.sample_shape().to_vec();
        // The sample, the row of the initial relevance, and the target.
        let mut starts: Vec<(usize, usize, Target)> = Vec::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (index, &(sample, condition)) in pairs.iter().enumerate() {
            let row = match self.initial.batch() {
                1 => 0,
                rows if rows == self.trace.batch() => sample,
                _ => sample * self.conditions.len() + condition,
            };
            let start = (sample, row, self.target_of(sample, &self.conditions[condition].target)?);
            let known = starts.iter().position(|known| *known == start);
            match known.filter(|_| self.request.scope == Scope::Isolated) {
                Some(row) => members[row].push(index),
                None => {
                    starts.push(start);
                    members.push(vec![index]);
                }
            }
        }
        let mut data = Vec::with_capacity(starts.len() * self.initial.row_len());
        for (_, row, target) in &starts {
            let from = data.len();
            data.extend_from_slice(self.initial.row(*row));
            if let Target::Some(selection) = target {
                selection.mask(&mut data[from..], &shape);
            }
        }
        let relevance = Tensor::new([&[starts.len()], shape.as_slice()].concat(), data)?;
        Ok(Front { relevance, samples: starts.iter().map(|(sample, ..)| *sample).collect(), members })
    }

    /// The target with the predicted class filled in.
    fn target_of(&self, sample: usize, target: &Target) -> Result<Target, RequestError> {
        if *target != Target::Predicted {
            return Ok(target.clone());
        }
        let prediction = self.trace.prediction();
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

/// The relevance that starts at a layer of `value` `[N, ...]`, before target masks.
pub(super) fn initial(initial: &Initial, value: &Tensor, results: usize) -> Result<Tensor, RequestError> {
    let one_row = || [&[1], value.sample_shape()].concat();
    let relevance = match initial {
        Initial::Value => value.clone(),
        Initial::One => Tensor::full(one_row(), 1.0)?,
        Initial::Constant(constant) => Tensor::full(one_row(), *constant)?,
        Initial::Given(tensor) => tensor.clone(),
        Initial::Function(function) => function(value),
    };
    let rows_fit = [1, value.batch(), results].contains(&relevance.batch());
    if relevance.sample_shape() != value.sample_shape() || !rows_fit {
        let (expected, given) = (value.shape().to_vec(), relevance.shape().to_vec());
        return Err(RequestErrorKind::InitialShape { expected, given }.into());
    }
    Ok(relevance)
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
