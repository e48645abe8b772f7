//! Attributions averaged over perturbed copies of the input.

use std::collections::BTreeMap;
use std::ops::Range;

use glocal_compute::Tensor;

use crate::attribution::Attribution;
use crate::attribution::execute::{Execution, Progressing};
use crate::attribution::method::{Results, copies_at_once, results_at_once};
use crate::error::RequestError;

/// Appends a perturbed copy of all samples, by its number.
pub(super) type Perturb<'a> = Box<dyn Fn(usize, &mut Vec<f32>) + Send + 'a>;

/// The mean of the plain attributions of the traced samples and of perturbed copies of them.
///
/// Only some copies exist at a time, and only some results are added up at a time, for which all copies are run. Sums run in
/// double precision, first the samples as they are and then the copies in their order, so that the mean does not depend on
/// how many are run together.
pub(super) struct Mean<'a> {
    execution: Execution<'a>,
    copies: usize,
    perturb: Perturb<'a>,
    progressing: Progressing,
    next: usize,
}

impl<'a> Mean<'a> {
    /// The mean over the samples and so many copies that `perturb` makes.
    pub(super) fn new(execution: Execution<'a>, copies: usize, perturb: Perturb<'a>) -> Self {
        Self { execution, copies, perturb, progressing: Progressing::new(), next: 0 }
    }

    /// Adds what some copies have for the results `first..last`.
    fn add(&self, some: Range<usize>, (first, last): (usize, usize), sums: &mut [Sums]) -> Result<(), RequestError> {
        let (base, cancel) = (self.execution.base(), &self.execution.request().cancel);
        let (inputs, copies) = (base.inputs(), some.len());
        let mut data = Vec::with_capacity(copies * inputs.len());
        let shape = [&[copies * base.batch()], inputs.sample_shape()].concat();
        some.for_each(|copy| (self.perturb)(copy, &mut data));
        let perturbed = base.attributor().trace_until(&Tensor::new(shape, data)?, cancel)?;
        let execution = self.execution.of_copies(&perturbed)?;
        let (results, mut progressing) = (self.execution.results()?, Progressing::new());
        for copy in 0..copies {
            for start in (first..last).step_by(execution.rows_at_once()) {
                let end = (start + execution.rows_at_once()).min(last);
                let items = execution.run(copy * results + start..copy * results + end, &mut progressing)?;
                items.iter().zip(&mut sums[start - first..]).for_each(|(item, sum)| sum.add(item));
            }
        }
        Ok(())
    }
}

impl Results for Mean<'_> {
    fn next(&mut self) -> Result<Vec<Attribution>, RequestError> {
        let base = self.execution.base();
        let first = self.next;
        let rows_at_once = self.execution.rows_at_once();
        let of_result = self.execution.elements_of_result() * size_of::<f64>();
        let last = (first + results_at_once(of_result, rows_at_once)).min(self.execution.results()?);
        let mut items = Vec::with_capacity(last - first);
        for start in (first..last).step_by(rows_at_once) {
            items.extend(self.execution.run(start..(start + rows_at_once).min(last), &mut self.progressing)?);
        }
        self.next = last;
        if self.copies == 0 {
            return Ok(items);
        }
        let mut sums: Vec<Sums> = items.iter().map(Sums::of).collect();
        let at_once = copies_at_once(base.attributor().model(), base.batch(), rows_at_once);
        for some in (0..self.copies).step_by(at_once) {
            self.execution.request().cancel.check()?;
            self.add(some..(some + at_once).min(self.copies), (first, last), &mut sums)?;
        }
        for (item, sum) in items.iter_mut().zip(sums) {
            sum.write_mean(item, self.copies + 1);
        }
        Ok(items)
    }
}

/// The sums of one result's relevances.
struct Sums {
    input: Vec<f64>,
    layers: BTreeMap<String, Vec<f64>>,
    masked: BTreeMap<String, Vec<f64>>,
}

impl Sums {
    fn of(item: &Attribution) -> Self {
        let wide = |tensor: &Tensor| tensor.data().iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        Self {
            input: item.input.as_ref().map(wide).unwrap_or_default(),
            layers: item.layers.iter().map(|(name, tensor)| (name.clone(), wide(tensor))).collect(),
            masked: item.masked.iter().map(|(name, tensor)| (name.clone(), wide(tensor))).collect(),
        }
    }

    /// What relevance reaches does not depend on the copy, so that all have the same parts.
    fn add(&mut self, item: &Attribution) {
        let add = |sums: &mut Vec<f64>, tensor: &Tensor| {
            sums.iter_mut().zip(tensor.data()).for_each(|(sum, &value)| *sum += f64::from(value));
        };
        if let Some(input) = &item.input {
            add(&mut self.input, input);
        }
        for (all, sums) in [(&item.layers, &mut self.layers), (&item.masked, &mut self.masked)] {
            for (name, tensor) in all {
                if let Some(sums) = sums.get_mut(name) {
                    add(sums, tensor);
                }
            }
        }
    }

    fn write_mean(self, item: &mut Attribution, count: usize) {
        let write = |sums: &[f64], tensor: &mut Tensor| {
            let values = tensor.data_mut().iter_mut().zip(sums);
            values.for_each(|(value, sum)| *value = (sum / count as f64) as f32);
        };
        if let Some(input) = &mut item.input {
            write(&self.input, input);
        }
        for (all, sums) in [(&mut item.layers, self.layers), (&mut item.masked, self.masked)] {
            for (name, tensor) in all {
                write(sums.get(name).map_or(&[], Vec::as_slice), tensor);
            }
        }
    }
}
