//! Scores every concept of the chosen layers in a batch of samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use glocal_compute::{Rows, Tensor};
use rayon::prelude::*;

use crate::attribution::{Attributor, Cancel, Descent};
use crate::concept::{Channel, Concept, Scoring, Site};
use crate::error::{RequestError, RequestErrorKind};
use crate::model::NodeId;
use crate::search::SampleId;

/// How a search scores and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions {
    /// How many entries each ranking keeps. Default: 40.
    pub top_k: usize,
    /// How relevance is scored. Default: its sum, as a share of the sample's.
    pub relevance: Scoring,
    /// How activation is scored. Default: its positive sum, raw.
    pub activation: Scoring,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { top_k: 40, relevance: Scoring::RELEVANCE, activation: Scoring::ACTIVATION }
    }
}

/// The scores of one layer's concepts in one sample, for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The sample.
    pub sample: SampleId,
    /// The target that relevance was computed for.
    pub target: u32,
    /// Whether this is the sample's first target: activations count once a sample.
    pub first: bool,
    /// The layer, as an index into [`Scan::layers`].
    pub layer: usize,
    /// Relevance score of each concept, and the position of its peak; empty where no relevance can reach the layer.
    pub relevance: Vec<(f32, u32)>,
    /// Activation score of each concept, and the position of its peak.
    pub activation: Vec<(f32, u32)>,
    /// Whether the concept was active: any of its values other than zero.
    pub active: Vec<bool>,
}

/// A search over a data set, to be fed batch by batch from any number of threads.
#[derive(Debug)]
pub struct Scan {
    attributor: Attributor,
    concept: Arc<dyn Concept>,
    layers: Vec<(String, NodeId)>,
    options: ScanOptions,
}

impl Scan {
    /// A search for the channels of `layers`.
    ///
    /// # Errors
    /// When a layer is not one that the explained output depends on.
    pub fn new(attributor: Attributor, layers: &[String], options: ScanOptions) -> Result<Self, RequestError> {
        let model = attributor.model();
        let reached = model.graph().ancestors(model.explained());
        let mut nodes = Vec::with_capacity(layers.len());
        for name in layers {
            let node = model.layer(name)?;
            if !reached[node.index()] {
                let start = model.graph().node(model.explained()).display_name().to_owned();
                return Err(RequestErrorKind::NotExplained { layer: name.clone(), start }.into());
            }
            if nodes.iter().any(|(_, known)| *known == node) {
                return Err(RequestErrorKind::RepeatedLayer { layer: name.clone() }.into());
            }
            nodes.push((name.clone(), node));
        }
        Ok(Self { attributor, concept: Arc::new(Channel), layers: nodes, options })
    }

    /// The model and its rules.
    pub fn attributor(&self) -> &Attributor {
        &self.attributor
    }

    /// What is scored and kept.
    pub fn options(&self) -> &ScanOptions {
        &self.options
    }

    /// The layers' names, with the number of concepts of each.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.layers
            .iter()
            .map(|(name, node)| (name.as_str(), self.concept.count(&self.attributor.model().graph().site(*node))))
    }

    /// The layers' sites, without activations: their shapes and channel axes.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = Site<'_>> {
        self.layers.iter().map(|(_, node)| self.attributor.model().graph().site(*node))
    }

    /// Scores a batch of inputs `[N, ...]` of the given samples; `targets` holds those of each, or is empty for the
    /// predicted class.
    ///
    /// # Errors
    /// When the inputs do not fit the model, samples or targets are not as many as inputs, a target is no output, or the
    /// work was cancelled.
    pub fn observe(
        &self,
        inputs: &Tensor,
        samples: &[SampleId],
        targets: &[Vec<u32>],
        cancel: &Cancel,
    ) -> Result<Vec<Observation>, RequestError> {
        let model = self.attributor.model();
        let batch = inputs.batch();
        if samples.len() != batch {
            let what = "samples";
            return Err(RequestErrorKind::Batch { what, inputs: batch, given: samples.len() }.into());
        }
        if !targets.is_empty() && targets.len() != batch {
            let what = "lists of targets";
            return Err(RequestErrorKind::Batch { what, inputs: batch, given: targets.len() }.into());
        }
        let trace = self.attributor.trace_until(inputs, cancel)?;
        let prediction = trace.prediction();
        let &[classes] = prediction.sample_shape() else {
            return Err(RequestErrorKind::NoPrediction { shape: prediction.sample_shape().to_vec() }.into());
        };
        let mut rows = Vec::new();
        let mut starts = Vec::new();
        for (row, sample) in samples.iter().enumerate() {
            let predicted = [crate::attribution::argmax(prediction.row(row)) as u32];
            let of_sample = targets.get(row).map_or(predicted.as_slice(), Vec::as_slice);
            for (index, &target) in of_sample.iter().enumerate() {
                let id = target as usize;
                if id >= classes {
                    let (layer, unit) = ("the output".to_owned(), "classes");
                    return Err(RequestErrorKind::Concept { layer, id, count: classes, unit }.into());
                }
                rows.push(row);
                starts.push((*sample, target, index == 0));
            }
        }
        let mut initial = vec![0.0; starts.len() * classes];
        for (index, ((_, target, _), row)) in starts.iter().zip(&rows).enumerate() {
            initial[index * classes + *target as usize] = prediction.row(*row)[*target as usize];
        }
        let initial = Tensor::new([starts.len(), classes], initial)?;

        let mut relevance: Vec<Vec<Vec<(f32, u32)>>> = vec![vec![Vec::new(); starts.len()]; self.layers.len()];
        let wanted: Vec<NodeId> = self.layers.iter().map(|(_, node)| *node).collect();
        let region = crate::attribution::between(model.graph(), model.explained(), &wanted);
        let start = BTreeMap::from([(model.explained(), initial.into())]);
        let mut descent = Descent::new(&trace, start, Rows::new(rows.as_slice()), &region, cancel, None);
        while let Some((id, arrived)) = descent.take() {
            let wanted = self.layers.iter().enumerate().filter(|(_, (_, node))| *node == id);
            for (layer, _) in wanted {
                let arrived = arrived.whole(model.backend(), &model.graph().node(id).shape)?;
                relevance[layer].par_iter_mut().enumerate().for_each(|(row, scores)| {
                    let site = trace.site(id, rows[row]);
                    let scored = self.options.relevance.apply(self.concept.as_ref(), arrived.row(row), site);
                    *scores = scored.iter().map(|scored| (scored.score, scored.peak as u32)).collect();
                });
            }
            descent.hand_down(id, &arrived)?;
        }

        let mut observations = Vec::with_capacity(starts.len() * self.layers.len());
        for (layer, ((_, node), relevance)) in self.layers.iter().zip(&mut relevance).enumerate() {
            let of_layer = starts.par_iter().zip(rows.par_iter().zip(relevance));
            observations.par_extend(of_layer.map(|((sample, target, first), (row, relevance))| {
                let site = trace.site(*node, *row);
                let scored = self.options.activation.apply_to_activation(self.concept.as_ref(), &site);
                Observation {
                    sample: *sample,
                    target: *target,
                    first: *first,
                    layer,
                    relevance: std::mem::take(relevance),
                    activation: scored.iter().map(|scored| (scored.score, scored.peak as u32)).collect(),
                    active: scored.iter().map(|scored| scored.active).collect(),
                }
            }));
        }
        Ok(observations)
    }
}
