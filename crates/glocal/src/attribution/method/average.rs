//! Attributions averaged over perturbed copies of the input.

use std::collections::BTreeMap;

use glocal_compute::Tensor;

use crate::attribution::method::copies_at_once;
use crate::attribution::{Attribution, Attributions, Request, Trace, execute};
use crate::error::RequestError;

/// The mean of the plain attributions of the traced samples and of `copies` perturbed copies of them; `perturb` appends
/// a copy of all samples, by its number.
///
/// Only some copies exist at a time. Sums run in double precision, first the samples as they are and then the copies in
/// their order, so that the mean does not depend on how many are run together.
pub(super) fn mean(
    trace: &Trace<'_>,
    request: &Request,
    copies: usize,
    perturb: &dyn Fn(usize, &mut Vec<f32>),
) -> Result<Attributions, RequestError> {
    let attributor = trace.attributor();
    // First what was given: a request that makes no sense is refused before there is work.
    let mut found = execute::attribute(trace, request)?;
    let mut sums: Vec<Sums> = found.items.iter().map(Sums::of).collect();
    if sums.is_empty() || copies == 0 {
        return Ok(found);
    }
    let inputs = trace.inputs();
    let at_once = copies_at_once(attributor.model(), trace.batch(), request.rows_at_once);
    for first in (0..copies).step_by(at_once) {
        request.cancel.check()?;
        let some = first..(first + at_once).min(copies);
        let mut data = Vec::with_capacity(some.len() * inputs.len());
        let shape = [&[some.len() * trace.batch()], inputs.sample_shape()].concat();
        some.for_each(|copy| perturb(copy, &mut data));
        let perturbed = attributor.trace(&Tensor::new(shape, data)?)?;
        let mut results = (0..sums.len()).cycle();
        execute::each_of_copies(&perturbed, trace, request, &mut |item| {
            if let Some(sum) = results.next().and_then(|index| sums.get_mut(index)) {
                sum.add(&item);
            }
        })?;
    }
    for (item, sum) in found.items.iter_mut().zip(sums) {
        sum.write_mean(item, copies + 1);
    }
    Ok(found)
}

/// The sums of one result's relevances.
struct Sums {
    input: Vec<f64>,
    layers: BTreeMap<String, Vec<f64>>,
}

impl Sums {
    fn of(item: &Attribution) -> Self {
        let wide = |tensor: &Tensor| tensor.data().iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        Self {
            input: item.input.as_ref().map(wide).unwrap_or_default(),
            layers: item.layers.iter().map(|(name, tensor)| (name.clone(), wide(tensor))).collect(),
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
        for (name, tensor) in &item.layers {
            if let Some(sums) = self.layers.get_mut(name) {
                add(sums, tensor);
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
        for (name, tensor) in &mut item.layers {
            write(self.layers.get(name).map_or(&[], Vec::as_slice), tensor);
        }
    }
}
