//! The prototypes of a class, and what they say about a new prediction.

use crate::attribution::Cancel;
use crate::error::RunError;
use crate::search::SampleId;

use super::calibration::Calibration;
use super::mixture::{Component, Mixture};
use super::vectors::usable;
use super::{ClassVectors, PrototypeOptions, fit};

/// The prototypes of one class in one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPrototypes {
    class: u32,
    concepts: usize,
    samples: usize,
    unusable: usize,
    prototypes: Vec<Prototype>,
    mixture: Mixture,
    calibration: Calibration,
}

/// A cluster of a class's samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Prototype {
    /// The sample nearest to the centre of those that are of the cluster, by distances in standard deviations; on ties the one
    /// with the smallest number.
    pub sample: SampleId,
    /// The cluster's part of the class: the mixture's weight, 0 to 1.
    pub weight: f64,
    /// How many samples are more likely of this cluster than of any other.
    pub members: usize,
    /// The mean relevance of each concept.
    pub mean: Vec<f64>,
    /// The standard deviation of each concept, above zero: never below the least that the fit allows, so that it says nothing
    /// where a cluster has one sample.
    pub deviation: Vec<f64>,
    /// By how much the mean of each concept is above that of the class's other clusters together; zeros where there is no other.
    pub contrast: Vec<f64>,
}

/// What the prototypes of a class say about a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The logarithm of its density under the class's mixture, in nats; finite.
    pub log_likelihood: f64,
    /// The part of the class's samples, the new one counted among them, that are at least as unlikely: between
    /// 1 / (samples + 1) and 1. `None` where the class has only one sample.
    pub p_value: Option<f64>,
    /// The prototype that the vector most likely belongs to, as an index into [`ClassPrototypes::prototypes`].
    pub nearest: usize,
    /// How likely it belongs to that one rather than to another one of the class, 0 to 1.
    pub membership: f64,
    /// By how much each concept is more relevant than in the mean of that prototype.
    pub difference: Vec<f64>,
    /// The same in standard deviations of the prototype.
    pub deviations: Vec<f64>,
}

impl ClassPrototypes {
    pub(super) fn fit(
        vectors: &ClassVectors,
        options: &PrototypeOptions,
        cancel: &Cancel,
    ) -> Result<Option<Self>, RunError> {
        let rows = vectors.rows();
        let Some(mut mixture) = fit::fit(&rows, options, cancel)? else { return Ok(None) };
        let calibration = Calibration::of(&rows, mixture.components.len(), options.seed, cancel)?;
        let mut found = nearest_samples(&mixture, &rows, vectors.samples());
        // The largest first; of equal ones that of the smallest sample.
        let mut order: Vec<usize> = (0..found.len()).collect();
        let weight = |index: usize| mixture.components[index].weight;
        order.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(found[a].0.cmp(&found[b].0)));
        found = order.iter().map(|&index| found[index]).collect();
        mixture.components = order.iter().map(|&index| mixture.components[index].clone()).collect();
        let prototype = |(index, &(sample, members)): (usize, &(SampleId, usize))| {
            let component = &mixture.components[index];
            Prototype {
                sample,
                weight: component.weight,
                members,
                mean: component.mean.clone(),
                deviation: component.variance.iter().map(|variance| variance.sqrt()).collect(),
                contrast: contrast(&mixture.components, index),
            }
        };
        let prototypes = found.iter().enumerate().map(prototype).collect();
        Ok(Some(Self {
            class: vectors.class(),
            concepts: vectors.concepts(),
            samples: rows.len(),
            unusable: vectors.unusable(),
            prototypes,
            mixture,
            calibration,
        }))
    }

    /// The class.
    pub fn class(&self) -> u32 {
        self.class
    }

    /// The number of vectors that the prototypes were fitted to.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How many vectors could not be used.
    pub fn unusable(&self) -> usize {
        self.unusable
    }

    /// The prototypes, the largest first; at least one.
    pub fn prototypes(&self) -> &[Prototype] {
        &self.prototypes
    }

    /// Judges the vector of a prediction of this class; `None` where it is empty, of another length, or not finite.
    pub fn judge(&self, relevance: &[f32]) -> Option<Judgement> {
        if !usable(relevance, self.concepts) {
            return None;
        }
        let (nearest, membership) = self.mixture.nearest(relevance);
        let component = &self.mixture.components[nearest];
        let difference: Vec<f64> =
            relevance.iter().zip(&component.mean).map(|(value, mean)| f64::from(*value) - mean).collect();
        let deviations = difference.iter().zip(&component.variance).map(|(value, variance)| value / variance.sqrt());
        Some(Judgement {
            log_likelihood: self.mixture.log_likelihood(relevance),
            p_value: self.calibration.p_value(relevance),
            nearest,
            membership,
            deviations: deviations.collect(),
            difference,
        })
    }
}

/// Of each component, the sample nearest to its mean and the number of samples that are its.
fn nearest_samples(mixture: &Mixture, rows: &[&[f32]], samples: &[SampleId]) -> Vec<(SampleId, usize)> {
    let mut found = vec![(f64::INFINITY, SampleId(u64::MAX), 0); mixture.components.len()];
    for (row, &sample) in rows.iter().zip(samples) {
        let (index, _) = mixture.nearest(row);
        let distance = mixture.components[index].distance(row);
        let (least, nearest, members) = &mut found[index];
        if distance.total_cmp(least).then(sample.cmp(nearest)).is_lt() {
            (*least, *nearest) = (distance, sample);
        }
        *members += 1;
    }
    found.into_iter().map(|(_, sample, members)| (sample, members)).collect()
}

/// By how much the mean of a component is above that of all others together.
fn contrast(components: &[Component], index: usize) -> Vec<f64> {
    let own = &components[index];
    let others = || components.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
    let weight: f64 = others().map(|other| other.weight).sum();
    if weight <= 0.0 {
        return vec![0.0; own.mean.len()];
    }
    let mut contrast = own.mean.clone();
    for other in others() {
        let part = other.weight / weight;
        contrast.iter_mut().zip(&other.mean).for_each(|(value, mean)| *value -= part * mean);
    }
    contrast
}

/// The `count` concepts with the largest `values`, the largest first, and those with equal values in order; only those above zero.
pub fn largest(values: &[f64], count: usize) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..values.len()).filter(|&id| values[id] > 0.0).collect();
    ids.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    ids.truncate(count);
    ids
}
