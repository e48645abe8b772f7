//! Scores every concept of the chosen layers in a batch of samples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use glocal_compute::{Rows, Tensor};
use rayon::prelude::*;

use crate::attribution::{Arrived, Attributor, Cancel, Descent, Need, Trace, rows_of};
use crate::concept::{Channel, Concept, Scored, Scoring, Site};
use crate::error::{RequestError, RequestErrorKind};
use crate::model::NodeId;
use crate::pool::in_pool;
use crate::search::SampleId;

/// A thread takes as many samples through the network together as have their values in about this many bytes, one at least: more
/// would share the reading of weights, but not find their values in the caches. Large networks need little memory then.
const VALUES_TOGETHER: usize = 16 << 20;

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
    /// How many samples of a batch go through the network together, at most.
    samples_together: usize,
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
        let samples_together = Need::new(model).samples_in(VALUES_TOGETHER);
        Ok(Self { attributor, concept: Arc::new(Channel), layers: nodes, options, samples_together })
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
        let batch = inputs.batch();
        if samples.len() != batch {
            let what = "samples";
            return Err(RequestErrorKind::Batch { what, inputs: batch, given: samples.len() }.into());
        }
        if !targets.is_empty() && targets.len() != batch {
            let what = "lists of targets";
            return Err(RequestErrorKind::Batch { what, inputs: batch, given: targets.len() }.into());
        }
        // Where there are fewer parts than threads, ops give the others work.
        in_pool(|| {
            let together = self.samples_together.min(batch.div_ceil(rayon::current_num_threads())).max(1);
            let parts: Vec<usize> = (0..batch).step_by(together).collect();
            let observe = |&first: &usize| {
                let part = first..batch.min(first + together);
                let of_part = targets.get(part.clone()).unwrap_or(&[]);
                self.observe_part(
                    &rows_of(self.attributor.model().backend(), inputs, part.clone())?,
                    &samples[part],
                    of_part,
                    cancel,
                )
            };
            // In order, so that of several errors it is always the same that is reported.
            let mut observations = Vec::new();
            for part in one_a_thread(&parts, observe) {
                observations.extend(part?);
            }
            Ok(observations)
        })
    }

    /// The observations of samples that go through the network together.
    fn observe_part(
        &self,
        inputs: &Tensor,
        samples: &[SampleId],
        targets: &[Vec<u32>],
        cancel: &Cancel,
    ) -> Result<Vec<Observation>, RequestError> {
        let model = self.attributor.model();
        let (graph, layers) = (model.graph(), self.layers.len());
        let wanted: Vec<NodeId> = self.layers.iter().map(|(_, node)| *node).collect();
        let layer_of = |id: NodeId| wanted.iter().position(|node| *node == id);
        let region = crate::attribution::between(graph, model.explained(), &wanted);
        // Activations are scored as they come, and are gone before relevance comes back.
        let mut activation: Vec<Vec<Vec<Scored>>> = vec![Vec::new(); layers];
        let see = |id: NodeId, value: &Tensor| {
            if let Some(layer) = layer_of(id) {
                let of_sample = (0..value.batch()).into_par_iter().map(|row| {
                    let site = graph.site(id).with_activation(value.row(row));
                    self.options.activation.apply_to_activation(self.concept.as_ref(), &site)
                });
                activation[layer] = of_sample.collect();
            }
            Ok(())
        };
        let mut trace = Trace::for_one_descent(&self.attributor, inputs, &region, see, cancel)?;
        let Starts { rows, of: starts, initial } = self.starts(&trace, samples, targets)?;

        let mut relevance: Vec<Vec<Vec<(f32, u32)>>> = vec![vec![Vec::new(); starts.len()]; layers];
        let rows_of_samples = Rows::new(rows.as_slice());
        let mut arriving: BTreeMap<NodeId, Arrived> = BTreeMap::from([(model.explained(), initial.into())]);
        while !arriving.is_empty() {
            let mut descent = Descent::new(&trace, arriving, rows_of_samples.clone(), &region, cancel, None);
            let Some((id, arrived)) = descent.take() else { break };
            if let Some(layer) = layer_of(id) {
                let arrived = arrived.whole(model.backend(), &graph.node(id).shape)?;
                relevance[layer].par_iter_mut().enumerate().for_each(|(row, scores)| {
                    let scored = self.options.relevance.apply(self.concept.as_ref(), arrived.row(row), graph.site(id));
                    *scores = scored.iter().map(|scored| (scored.score, scored.peak as u32)).collect();
                });
            }
            descent.hand_down(id, arrived)?;
            arriving = descent.into_pending();
            // All that takes it lies above, and has handed down.
            trace.forget(id)?;
        }

        let mut observations = Vec::with_capacity(starts.len() * layers);
        for (layer, (activation, relevance)) in activation.iter().zip(&mut relevance).enumerate() {
            for ((&(sample, target, first), &row), relevance) in starts.iter().zip(&rows).zip(relevance) {
                let scored = activation.get(row).map_or(&[][..], Vec::as_slice);
                observations.push(Observation {
                    sample,
                    target,
                    first,
                    layer,
                    relevance: std::mem::take(relevance),
                    activation: scored.iter().map(|scored| (scored.score, scored.peak as u32)).collect(),
                    active: scored.iter().map(|scored| scored.active).collect(),
                });
            }
        }
        Ok(observations)
    }

    /// What relevance starts from, for each sample and target.
    fn starts(&self, trace: &Trace<'_>, samples: &[SampleId], targets: &[Vec<u32>]) -> Result<Starts, RequestError> {
        let prediction = trace.prediction();
        let &[classes] = prediction.sample_shape() else {
            return Err(RequestErrorKind::NoPrediction { shape: prediction.sample_shape().to_vec() }.into());
        };
        let (mut rows, mut of) = (Vec::new(), Vec::new());
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
                of.push((*sample, target, index == 0));
            }
        }
        let mut initial = vec![0.0; of.len() * classes];
        for (index, ((_, target, _), row)) in of.iter().zip(&rows).enumerate() {
            initial[index * classes + *target as usize] = prediction.row(*row)[*target as usize];
        }
        let initial = Tensor::new([of.len(), classes], initial)?;
        Ok(Starts { rows, of, initial })
    }
}

/// `work` on each of `items`, of which no more are begun than there are threads.
///
/// A thread that waits for a part of one item's work, which another has taken over, takes up whatever is there: of a plain
/// parallel iterator the next item, so that several would be in memory for each thread.
fn one_a_thread<I: Sync, T: Send + Sync>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done: Vec<OnceLock<T>> = items.iter().map(|_| OnceLock::new()).collect();
    let threads = rayon::current_num_threads().min(items.len());
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
        let taken = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        for (item, done) in taken.map_while(|index| items.get(index).zip(done.get(index))) {
            // Each index is taken once.
            let _ = done.set(work(item));
        }
    });
    done.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// What relevance starts from.
struct Starts {
    /// For each, the row of its sample.
    rows: Vec<usize>,
    /// For each, its sample, its target, and whether that is the sample's first.
    of: Vec<(SampleId, u32, bool)>,
    /// The relevance of the outputs, `[R, classes]`.
    initial: Tensor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_items_are_begun_than_there_are_threads_and_results_keep_their_order() {
        const THREADS: usize = 3;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build().unwrap();
        let (begun, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |item: &usize| {
            most.fetch_max(begun.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Work that others take over, while this thread waits.
            let sum: usize = (0..1000).into_par_iter().with_max_len(1).map(|index| index % (item + 1)).sum();
            begun.fetch_sub(1, Ordering::SeqCst);
            (*item, sum)
        };
        let items: Vec<usize> = (0..200).collect();
        let results = pool.install(|| one_a_thread(&items, work));
        assert!(results.iter().map(|(item, _)| item).eq(&items));
        assert!(most.load(Ordering::SeqCst) <= THREADS, "{most:?} at a time");
        assert!(one_a_thread(&[] as &[usize], work).is_empty());
    }
}
