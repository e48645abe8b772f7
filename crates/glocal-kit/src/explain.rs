//! Explains one sample: its prediction, its heatmap, the concepts behind it, and what each of them stands for.
//!
//! [`Explainer::explain`] finds the numbers ([`Findings`]); [`Findings::illustrate`] makes the pictures of a
//! [report](crate::report) from them. Reference samples come from a [store](crate::store), and [`Explainer::views`] shows
//! where in them a concept is.

mod decompose;
mod error;
mod findings;
mod illustrate;
mod sample;
mod seen;
mod view;
mod view_cache;

use std::sync::Arc;

use glocal::attribution::{Attributor, Cancel, Condition, Request};
use glocal::concept::{Channel, Normalization, relevance};
use glocal::conservation;
use glocal::error::RequestError;
use glocal::model::Model;
use glocal::search::{Entry, Measure, TopK};
use glocal_compute::Tensor;

pub use error::{ExplainError, ExplainErrorKind};
pub use findings::{ConceptFindings, Findings, LayerFindings, ReferenceFindings, RestFindings};
pub use illustrate::{Illustration, caption_number};
pub use sample::Sample;
pub use seen::{ConceptView, MaskStyle, Series, View, ViewStyle};
pub use view::{Origin, Part, Wanted};
pub use view_cache::{Tally, ViewCache};

use crate::data::DataSet;
use crate::preprocess::Preprocess;
use crate::store::Store;
use decompose::decompose;

/// Room for the activations of the samples that are explained together.
const ACTIVATION_BYTES: usize = 32 << 20;

/// The most samples that are explained together: more bring no speed.
const MOST_ROWS: usize = 32;

/// A model with its rules, and the data set that reference samples come from.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    /// The model and its rules.
    pub attributor: &'a Attributor,
    /// The data set that was searched.
    pub data: &'a dyn DataSet,
    /// How its images become inputs.
    pub preprocess: &'a Preprocess,
    /// Set to stop early.
    pub cancel: &'a Cancel,
    /// Where views are looked for before they are computed, and kept afterwards.
    pub views: Option<&'a ViewCache>,
}

/// How much is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The layers, which the store must know. Default: none.
    pub layers: Vec<String>,
    /// How many concepts of each layer are shown, the most relevant first. Default: 5.
    pub concepts: usize,
    /// How many reference samples are shown of each concept, by relevance and by activation; only those with a positive
    /// score are. Default: 8.
    pub references: usize,
    /// The class that is explained. Default: the predicted one.
    pub target: Option<usize>,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { layers: Vec::new(), concepts: 5, references: 8, target: None }
    }
}

impl Explainer<'_> {
    /// Explains `sample`, with reference samples from `store`.
    ///
    /// # Errors
    /// When the sample does not fit the model, the store lacks a layer or is damaged, the target is no class, or a
    /// reference sample cannot be loaded.
    pub fn explain(&self, sample: Sample, store: &Store, options: &ExplainOptions) -> Result<Findings, ExplainError> {
        for layer in &options.layers {
            // Before any work is done for a layer that has no references.
            store.concept(layer, 0)?;
        }
        if let shape @ [_, _, _, _, ..] = sample.input.shape() {
            return Err(ExplainErrorKind::NoPage { shape: shape.to_vec() }.into());
        }
        let model = self.attributor.model();
        let trace = self.attributor.trace(&batch_of([&sample.input])?)?;
        let &[classes] = trace.prediction().sample_shape() else {
            return Err(ExplainErrorKind::Output { shape: trace.prediction().sample_shape().to_vec() }.into());
        };
        let scores = trace.prediction().row(0).to_vec();
        let predicted = argmax(&scores);
        let target = options.target.unwrap_or(predicted);
        if target >= classes {
            return Err(ExplainErrorKind::Target { given: target, classes }.into());
        }
        let rows_at_once = rows_at_once(model);
        let request = Request {
            conditions: vec![Condition::class(target)],
            record: options.layers.clone(),
            rows_at_once,
            cancel: self.cancel.clone(),
            ..Request::default()
        };
        let Some(whole) = trace.attribute(&request)?.items.pop() else {
            return Err(ExplainErrorKind::Output { shape: vec![classes] }.into());
        };
        let size = sample.picture.width() as usize * sample.picture.height() as usize;
        let heatmap = whole.heatmap().map_or_else(|| vec![0.0; size], Tensor::into_data);

        let mut layers = Vec::with_capacity(options.layers.len());
        for layer in &options.layers {
            layers.push(match whole.layers.get(layer) {
                Some(arrived) => {
                    let site = model.graph().site(model.layer(layer).map_err(RequestError::from)?);
                    let shares = relevance(&Channel, arrived.data(), site, None, Normalization::Share)?;
                    decompose(&trace, layer, &shares, options.concepts, &request, size)?
                }
                None => LayerFindings { layer: layer.clone(), count: 0, concepts: Vec::new(), rest: None },
            });
        }
        let Some(balance) = conservation::report(&trace, &request)?.pop() else {
            return Err(ExplainErrorKind::Output { shape: vec![classes] }.into());
        };
        drop(trace);
        self.add_references(&mut layers, store, options.references)?;
        Ok(Findings { sample, scores, predicted, target, heatmap, layers, balance })
    }

    /// Fills in the best `count` reference samples of every concept, each with its view.
    fn add_references(&self, layers: &mut [LayerFindings], store: &Store, count: usize) -> Result<(), ExplainError> {
        const MEASURES: [Measure; 2] = [Measure::Relevance, Measure::Activation];
        let mut wanted = Vec::new();
        let mut entries: Vec<Vec<Entry>> = Vec::new();
        for layer in layers.iter() {
            for concept in &layer.concepts {
                let found = store.concept(&layer.layer, concept.id)?;
                for measure in MEASURES {
                    let all = found.ranking(measure, None).map_or(&[][..], TopK::entries);
                    // What a sample is not for, or is inactive in, says nothing about the concept.
                    let best: Vec<Entry> = all.iter().take(count).filter(|entry| entry.score > 0.0).copied().collect();
                    wanted.extend(best.iter().map(|entry| Wanted::channel(entry, measure, &layer.layer, concept.id)));
                    entries.push(best);
                }
            }
        }
        let mut views = self.views(&wanted)?.into_iter();
        let mut rankings = entries.into_iter().map(|entries| {
            entries.into_iter().zip(views.by_ref()).map(|(entry, view)| ReferenceFindings { entry, view }).collect()
        });
        for concept in layers.iter_mut().flat_map(|layer| &mut layer.concepts) {
            concept.by_relevance = rankings.next().unwrap_or_default();
            concept.by_activation = rankings.next().unwrap_or_default();
        }
        Ok(())
    }
}

/// A batch `[N, ...]` of samples of one shape.
fn batch_of<'t>(samples: impl IntoIterator<Item = &'t Tensor>) -> Result<Tensor, ExplainError> {
    let mut shape = vec![0];
    let mut data = Vec::new();
    for sample in samples {
        shape.truncate(1);
        shape.extend_from_slice(sample.shape());
        shape[0] += 1;
        data.extend_from_slice(sample.data());
    }
    Ok(Tensor::new(shape, data)?)
}

/// How many samples are explained together.
fn rows_at_once(model: &Model) -> usize {
    let values: usize = model.graph().nodes().map(|(_, node)| node.shape.iter().product::<usize>()).sum();
    (ACTIVATION_BYTES / (values * size_of::<f32>()).max(1)).clamp(1, MOST_ROWS)
}

/// The index of the largest score, the first on ties.
pub(crate) fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

impl std::fmt::Debug for Explainer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Explainer")
            .field("composite", &self.attributor.composite().name())
            .field("data", &self.data.describe())
            .finish_non_exhaustive()
    }
}

/// A picture that several findings share.
type SharedPicture = Arc<image::RgbImage>;
