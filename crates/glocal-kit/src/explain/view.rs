//! Where in a sample a concept is: conditional heatmaps of many samples, computed together.

use std::collections::BTreeMap;
use std::sync::Arc;

use glocal::attribution::{Condition, Initial, Pairing, Request, Target};
use glocal::concept::Selection;
use glocal::search::{Entry, Measure, SampleId};
use glocal_compute::Tensor;
use image::RgbImage;
use rayon::prelude::*;

use super::{ExplainError, Explainer, Sample, SharedPicture, batch_of, rows_at_once};
use crate::picture::{ColorMap, Heatmap, HeatmapStyle, OpaqueMask, PictureError, PixelBox, crop};

/// The least side of the blur of masks: a narrower one breaks the regions of small samples into single pixels.
const SMALLEST_KERNEL: usize = 5;

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

/// A concept in a sample, seen.
#[derive(Debug, Clone)]
pub struct ConceptView {
    /// The sample.
    pub picture: Arc<RgbImage>,
    /// The relevance of each pixel, in rows from the top.
    pub heatmap: Vec<f32>,
}

/// A view whose picture is not shared yet.
struct Seen<'w> {
    wanted: &'w Wanted,
    picture: RgbImage,
    heatmap: Vec<f32>,
}

/// How a concept in a sample is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The sample.
    Image,
    /// The conditional heatmap.
    Heatmap,
    /// The sample, darkened where the concept is not.
    Masked,
    /// The smallest box of the sample that all relevance lies in.
    Crop,
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

    /// The same, with so many rows going through the model together.
    fn views_by(&self, wanted: &[Wanted], rows: usize) -> Result<Vec<ConceptView>, ExplainError> {
        let mut distinct: Vec<&Wanted> = wanted.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut seen: BTreeMap<&Wanted, ConceptView> = BTreeMap::new();
        let mut pictures: BTreeMap<SampleId, SharedPicture> = BTreeMap::new();
        for group in distinct.chunk_by(|a, b| a.layer == b.layer && start(a) == start(b)) {
            for Seen { wanted, picture, heatmap } in self.group(group, rows)? {
                let picture = Arc::clone(pictures.entry(wanted.sample).or_insert_with(|| Arc::new(picture)));
                seen.insert(wanted, ConceptView { picture, heatmap });
            }
        }
        Ok(wanted.iter().filter_map(|wanted| seen.get(wanted).cloned()).collect())
    }

    /// The views of one layer and kind of origin.
    fn group<'w>(&self, group: &[&'w Wanted], rows: usize) -> Result<Vec<Seen<'w>>, ExplainError> {
        let Some(first) = group.first() else { return Ok(Vec::new()) };
        let request = Request {
            start: start(first).map(str::to_owned),
            initial: match first.origin {
                Origin::Class(_) => Initial::Value,
                Origin::Activation => Initial::Function(Arc::new(positive)),
            },
            rows_at_once: rows,
            cancel: self.cancel.clone(),
            ..Request::default()
        };
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
            let inputs = batch_of(samples.iter().map(|sample| &sample.input))?;
            let pairing = if rows > 1 { Pairing::Zip } else { Pairing::Product };
            let conditions = now.iter().map(|wanted| wanted.condition()).collect();
            let items = self.attributor.attribute(&inputs, &Request { conditions, pairing, ..request.clone() })?.items;
            for (wanted, item) in now.iter().zip(items) {
                let Some(sample) = samples.get(item.sample) else { continue };
                let size = sample.picture.width() as usize * sample.picture.height() as usize;
                let heatmap = item.heatmap().map_or_else(|| vec![0.0; size], Tensor::into_data);
                views.push(Seen { wanted, picture: sample.picture.clone(), heatmap });
            }
        }
        Ok(views)
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

impl ConceptView {
    /// Draws the view; a crop without relevance is the whole sample.
    ///
    /// # Errors
    /// When the heatmap does not have a value for each pixel.
    pub fn draw(&self, view: View, color_map: &ColorMap) -> Result<RgbImage, PictureError> {
        let (width, height) = self.picture.dimensions();
        let heatmap = Heatmap::new(&self.heatmap, width as usize, height as usize)?;
        match view {
            View::Image => Ok(self.picture.as_ref().clone()),
            View::Heatmap => {
                Ok(heatmap.draw(&HeatmapStyle { color_map: color_map.clone(), ..HeatmapStyle::default() }))
            }
            View::Masked => {
                let mask = OpaqueMask::for_side(width.max(height));
                let kernel_size = mask.kernel_size.max(SMALLEST_KERNEL);
                OpaqueMask { kernel_size, ..mask }.apply(&self.picture, &heatmap)
            }
            View::Crop => match self.support() {
                Some(area) => crop(&self.picture, area),
                None => Ok(self.picture.as_ref().clone()),
            },
        }
    }

    /// The smallest box around all pixels with relevance.
    fn support(&self) -> Option<PixelBox> {
        let width = self.picture.width().max(1);
        let places = || (0..).zip(&self.heatmap).filter(|(_, relevance)| **relevance != 0.0).map(|(place, _)| place);
        let columns = || places().map(|place: u32| place % width);
        let rows = || places().map(|place| place / width);
        let (left, right) = (columns().min()?, columns().max()?);
        let (top, bottom) = (rows().min()?, rows().max()?);
        Some(PixelBox { left, top, width: right - left + 1, height: bottom - top + 1 })
    }
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
