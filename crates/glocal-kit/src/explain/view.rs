//! Where in a sample a concept is: the conditional relevance of many samples, computed together or found in the cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use glocal::attribution::{Attribution, Condition, Initial, Pairing, Request, Target};
use glocal::concept::Selection;
use glocal::search::{Entry, Measure, SampleId};
use glocal_compute::Tensor;
use rayon::prelude::*;

use super::seen::ConceptView;
use super::{ExplainError, Explainer, Sample, SharedPicture, batch_of, rows_at_once};
use crate::cache::Key;

/// A concept in a sample.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The layer.
    pub layer: String,
    /// Where relevance starts.
    pub origin: Origin,
    /// The sample.
    pub sample: SampleId,
    /// The part of the layer that relevance passes through.
    pub part: Part,
}

/// Where the relevance of a view starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// At the concept itself, with its positive activation: what made it active.
    Activation,
    /// At this class of the output: what made the concept useful for it.
    Class(u32),
}

/// The part of a layer that a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A channel.
    Channel(usize),
    /// One neuron, by its position in the layer's output in row-major order.
    Neuron(usize),
    /// All of it: of a class, its whole heatmap, whatever the layer.
    Whole,
}

/// What is known of a wanted view: what is seen of it, and of which sample.
struct Seen<'w> {
    wanted: &'w Wanted,
    view: ConceptView,
}

impl Wanted {
    /// Channel `id` in a reference sample: a sample that was chosen by relevance is shown with what made the concept
    /// useful, one chosen by activation with what made it active.
    pub fn channel(entry: &Entry, measure: Measure, layer: &str, id: usize) -> Self {
        let origin = match measure {
            Measure::Relevance => Origin::Class(entry.target),
            Measure::Activation => Origin::Activation,
        };
        Self { layer: layer.to_owned(), origin, sample: entry.sample, part: Part::Channel(id) }
    }

    /// The same for the neuron where the concept peaks, whose relevance stays within its receptive field.
    pub fn peak(entry: &Entry, measure: Measure, layer: &str) -> Self {
        Self { part: Part::Neuron(entry.peak as usize), ..Self::channel(entry, measure, layer, 0) }
    }

    fn condition(&self) -> Condition {
        let selection = match self.part {
            Part::Channel(id) => Some(Selection::channels([id])),
            Part::Neuron(position) => Some(Selection::neurons([position])),
            Part::Whole => None,
        };
        match (self.origin, selection) {
            (Origin::Class(class), Some(selection)) => Condition::class(class as usize).through(&self.layer, selection),
            (Origin::Class(class), None) => Condition::class(class as usize),
            (Origin::Activation, Some(selection)) => Condition { target: Target::Some(selection), layers: Vec::new() },
            (Origin::Activation, None) => Condition::everything(),
        }
    }
}

impl Explainer<'_> {
    /// The views that are wanted, in their order. Equal ones are computed once.
    ///
    /// # Errors
    /// When a sample cannot be loaded or drawn, the model has no such concept, or the work was cancelled.
    pub fn views(&self, wanted: &[Wanted]) -> Result<Vec<ConceptView>, ExplainError> {
        self.views_by(wanted, rows_at_once(self.attributor.model()))
    }

    /// The samples alone, in their order, as views without relevance.
    ///
    /// # Errors
    /// When one cannot be loaded or drawn.
    pub fn samples(&self, samples: &[SampleId]) -> Result<Vec<ConceptView>, ExplainError> {
        let mut distinct = samples.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let view = |id: &SampleId| {
            let sample = Sample::load(self.data, id.0 as usize, self.preprocess)?;
            let relevance = Tensor::zeros(shown_shape(sample.input.shape()))?;
            ConceptView::new(&sample, relevance).map(|view| (*id, view))
        };
        let views = distinct.par_iter().map(view).collect::<Result<BTreeMap<_, _>, ExplainError>>()?;
        Ok(samples.iter().filter_map(|id| views.get(id).cloned()).collect())
    }

    /// [`views`](Self::views), with so many rows going through the model together.
    fn views_by(&self, wanted: &[Wanted], rows: usize) -> Result<Vec<ConceptView>, ExplainError> {
        let mut distinct: Vec<&Wanted> = wanted.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut seen: BTreeMap<&Wanted, ConceptView> = BTreeMap::new();
        // Equal pictures are kept once.
        let mut pictures: BTreeMap<(SampleId, Option<usize>), SharedPicture> = BTreeMap::new();
        for group in distinct.chunk_by(|a, b| a.layer == b.layer && start(a) == start(b)) {
            for Seen { wanted, mut view } in self.group(group, rows)? {
                let known = pictures.entry((wanted.sample, view.slice)).or_insert_with(|| Arc::clone(&view.picture));
                view.picture = Arc::clone(known);
                seen.insert(wanted, view);
            }
        }
        Ok(wanted.iter().filter_map(|wanted| seen.get(wanted).cloned()).collect())
    }

    /// The views of one layer and kind of origin.
    fn group<'w>(&self, group: &[&'w Wanted], rows: usize) -> Result<Vec<Seen<'w>>, ExplainError> {
        let mut views = Vec::with_capacity(group.len());
        // Many small samples go through the model together, one for each condition. Large ones go one by one, each once
        // for all of its conditions.
        let mut rest = group;
        while !rest.is_empty() {
            let same = rest.iter().take_while(|wanted| wanted.sample == rest[0].sample).count();
            let (now, later) = rest.split_at(if rows > 1 { rows.min(rest.len()) } else { same });
            rest = later;
            let load = |wanted: &&Wanted| Sample::load(self.data, wanted.sample.0 as usize, self.preprocess);
            let loaded = if rows > 1 { now } else { &now[..1] };
            let samples = loaded.par_iter().map(load).collect::<Result<Vec<Sample>, _>>()?;
            let of = |index: usize| &samples[index.min(samples.len() - 1)];
            let keys = self.views.map(|cache| {
                let inputs: Vec<Key> = samples.iter().map(|sample| cache.input(&sample.input)).collect();
                let key = |(index, wanted): (usize, &&Wanted)| cache.key(wanted, inputs[index.min(inputs.len() - 1)]);
                now.iter().enumerate().map(key).collect::<Vec<Key>>()
            });
            let cached = |index: usize| {
                let (cache, keys) = self.views.zip(keys.as_ref())?;
                cache.find(keys[index], &shown_shape(of(index).input.shape()))
            };
            let mut found: Vec<Option<Tensor>> = (0..now.len()).into_par_iter().map(cached).collect();
            let missing: Vec<usize> = (0..now.len()).filter(|index| found[*index].is_none()).collect();
            if !missing.is_empty() {
                let wanted: Vec<&Wanted> = missing.iter().map(|index| now[*index]).collect();
                let inputs = if rows > 1 { missing.iter().map(|index| of(*index)).collect() } else { vec![of(0)] };
                let computed = self.compute(&wanted, &inputs, rows)?;
                for (index, relevance) in missing.into_iter().zip(computed) {
                    if let (Some(cache), Some(keys)) = (self.views, &keys) {
                        cache.keep(keys[index], &relevance);
                    }
                    found[index] = Some(relevance);
                }
            }
            for (index, (wanted, relevance)) in now.iter().zip(found).enumerate() {
                let Some(relevance) = relevance else { continue };
                views.push(Seen { wanted, view: ConceptView::new(of(index), relevance)? });
            }
        }
        Ok(views)
    }

    /// What is shown of the relevance of each of `wanted`, which share a layer and a kind of origin: of one sample, or each
    /// of its own.
    fn compute(&self, wanted: &[&Wanted], samples: &[&Sample], rows: usize) -> Result<Vec<Tensor>, ExplainError> {
        let Some(first) = wanted.first() else { return Ok(Vec::new()) };
        let request = Request {
            conditions: wanted.iter().map(|wanted| wanted.condition()).collect(),
            pairing: if samples.len() == wanted.len() { Pairing::Zip } else { Pairing::Product },
            start: start(first).map(str::to_owned),
            initial: match first.origin {
                Origin::Class(_) => Initial::Value,
                Origin::Activation => Initial::Function(Arc::new(positive)),
            },
            rows_at_once: rows,
            cancel: self.cancel.clone(),
            ..Request::default()
        };
        let inputs = batch_of(samples.iter().map(|sample| &sample.input))?;
        let shape = shown_shape(inputs.sample_shape());
        let items = self.attributor.attribute(&inputs, &request)?.items;
        let shown = |item: &Attribution| -> Result<Tensor, ExplainError> {
            // The channels of images and volumes are seen together, those of time series one by one.
            let relevance =
                if shape.len() == 2 && shape == inputs.sample_shape() { item.input.clone() } else { item.heatmap() };
            // What relevance cannot reach has none.
            relevance.map_or_else(|| Ok(Tensor::zeros(shape.as_slice())?), Ok)
        };
        items.iter().map(shown).collect()
    }
}

/// The shape of what is shown of the relevance of an input: of time series `[C, length]` all of it, of images and volumes
/// `[C, ...]` its sum over channels, of vectors `[C]` all of it.
fn shown_shape(input: &[usize]) -> Vec<usize> {
    match input {
        [_, positions @ ..] if positions.len() > 1 => positions.to_vec(),
        _ => input.to_vec(),
    }
}

/// The layer where relevance starts, unless at the output.
fn start(wanted: &Wanted) -> Option<&str> {
    (wanted.origin == Origin::Activation).then_some(&wanted.layer)
}

fn positive(value: &Tensor) -> Tensor {
    let mut value = value.clone();
    value.data_mut().iter_mut().for_each(|value| *value = value.max(0.0));
    value
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glocal::attribution::{Attributor, Cancel};
    use glocal::composite::Composite;
    use glocal::model::{ImportOptions, Model};
    use glocal_compute::CpuBackend;

    use super::*;
    use crate::data;
    use crate::preprocess::Preprocess;

    /// Batches may round differently than single samples; values are of the order of 1.
    const TOLERANCE: f32 = 1e-5;

    #[test]
    fn samples_one_by_one_give_what_samples_together_give() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/goldens/resnet_tiny");
        let onnx = glocal_onnx::Model::read(folder.join("model.onnx")).unwrap();
        let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new())).unwrap();
        let attributor = Attributor::new(model, "epsilon-plus".parse::<Composite>().unwrap()).unwrap();
        let data = data::open(&folder.join("inputs.safetensors")).unwrap();
        let explainer = Explainer {
            attributor: &attributor,
            data: data.as_ref(),
            preprocess: &Preprocess::default(),
            cancel: &Cancel::default(),
            views: None,
        };
        let mut wanted = Vec::new();
        for sample in [1, 0] {
            for origin in [Origin::Class(1), Origin::Activation, Origin::Class(0)] {
                let part = |id| Wanted {
                    layer: "conv1".to_owned(),
                    origin,
                    sample: SampleId(sample),
                    part: Part::Channel(id),
                };
                wanted.extend([3, 0].map(part));
            }
        }
        let together = explainer.views_by(&wanted, 5).unwrap();
        let alone = explainer.views_by(&wanted, 1).unwrap();
        assert_eq!((together.len(), alone.len()), (wanted.len(), wanted.len()));
        for ((wanted, a), b) in wanted.iter().zip(&together).zip(&alone) {
            assert_eq!(a.picture, b.picture, "{wanted:?}");
            let close = a.heatmap.iter().zip(&b.heatmap).all(|(a, b)| (a - b).abs() <= TOLERANCE);
            assert!(close && a.heatmap.iter().any(|value| *value != 0.0), "{wanted:?}");
        }
    }
}
