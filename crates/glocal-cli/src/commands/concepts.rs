//! `glocal concepts`: which concepts of a layer a decision, or a region of the picture, rests on.

mod region;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use glocal::attribution::{Attribution, Attributor, Condition, Request, Trace};
use glocal::concept::{Channel, Normalization, Selection, Site, relevance};
use glocal_compute::Tensor;
use glocal_kit::loading::{ClassNames, InputFiles, LoadedModel};
use glocal_kit::picture::ColorMap;
use glocal_kit::region::Region;
use image::RgbImage;

use crate::args::{CompositeArgument, ModelArguments, SampleArguments, TargetArguments};
use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::{OutputFolder, file_name_part};
use crate::pictures::Pictures;
use crate::predictions::Predictions;
use crate::progress::Progress;
use crate::session::Session;
use crate::unused;
use region::RegionArguments;
use summary::{Concept, Layer, Sample, Summary};

/// Find the concepts (channels) of a layer that are most relevant for a class, or for a region of the picture
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal concepts model.onnx cat.jpg --preprocess preprocess.toml --layer features.40
  glocal concepts model.onnx cat.jpg --preprocess preprocess.toml --layer features.40 --region 60,40,80,80 --top 8 -o out

A concept's relevance is the sum over the positions of its channel; its share is that divided by the sum of the sizes of
all channels' relevances, of this sample in this layer.

With a region, each position counts by how much of it lies inside: a layer's grid is taken to cover the picture evenly, so
that the position in row i of h covers the pixel rows i·H/h to (i+1)·H/h of the H that the model sees, and likewise for
columns; its weight is the part of that area that lies in the region (or the mean brightness of the mask over it).

-o DIR writes the conditional heatmap of each concept that is listed, and the heatmap of the target itself, each as
SAMPLE__LAYER__channel-ID__heatmap.png and ..._overlay.png; existing files of those names are overwritten.")]
pub struct Concepts {
    #[command(flatten)]
    model: ModelArguments,
    /// An image, or arrays that are already preprocessed
    input: PathBuf,
    /// The layer (repeatable)
    #[arg(long, required = true, value_name = "LAYER")]
    layer: Vec<String>,
    /// How many concepts of each layer are listed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    #[command(flatten)]
    region: RegionArguments,
    #[command(flatten)]
    samples: SampleArguments,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    composite: CompositeArgument,
    /// A folder for the conditional heatmaps of the concepts
    #[arg(short = 'o', long = "out", value_name = "DIR")]
    out: Option<PathBuf>,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr")]
    colormap: String,
}

/// Everything that is settled before the work starts.
struct Plan {
    loaded: LoadedModel,
    attributor: Attributor,
    files: InputFiles,
    classes: Option<ClassNames>,
    /// The layers, with the weight of each of their positions where there is a region.
    layers: Vec<(String, Option<Vec<f32>>)>,
    /// The target alone, recording the layers.
    request: Request,
    top: usize,
}

impl Concepts {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let plan = self.plan(session)?;
        let color_map: ColorMap = self.colormap.parse()?;
        let shape = plan.loaded.model.input_shape();
        let pictures = self.out.as_ref().map(|out| -> Result<Pictures, Failure> {
            Ok(Pictures::new(OutputFolder::prepare(out)?, color_map, shape)?)
        });
        let mut pictures = pictures.transpose()?;
        let mut samples = Vec::with_capacity(plan.files.len());
        let progress = Progress::new("finding concepts", plan.files.len());
        for index in 0..plan.files.len() {
            samples.push(plan.sample(index, pictures.as_mut())?);
            progress.advance(1);
            session.check()?;
        }
        drop(progress);
        let summary = Summary { plan: &plan, samples, out: self.out.as_deref() };
        session.print(|| summary.text(), || summary.document())
    }

    /// Reads everything but images, and checks all that can be checked.
    fn plan(&self, session: &Session) -> Result<Plan, Failure> {
        let (composite, _) = self.composite.read()?;
        let preprocess = self.samples.preprocess()?;
        let loaded = self.model.load()?;
        let model = &loaded.model;
        let classes = self.samples.classes(&loaded)?;
        let region = self.region.read(model.input_shape(), preprocess.as_ref())?;
        let mut layers = Vec::with_capacity(self.layer.len());
        for layer in &self.layer {
            let site = model.graph().site(model.layer(layer)?);
            layers.push((layer.clone(), region.as_ref().map(|region| on_layer(region, layer, &site)).transpose()?));
        }
        let attributor = unused::attributor(Arc::clone(model), composite)?;
        let files = InputFiles::open(std::slice::from_ref(&self.input), preprocess, model.input_shape())?;
        let request = Request {
            conditions: vec![Condition { target: self.target.target(), layers: Vec::new() }],
            record: self.layer.clone(),
            cancel: session.cancel.clone(),
            ..Request::default()
        };
        Ok(Plan { attributor, files, classes, layers, request, top: self.top.into(), loaded })
    }
}

/// The weight of each position of a layer.
fn on_layer(region: &Region, layer: &str, site: &Site<'_>) -> Result<Vec<f32>, Misuse> {
    match (site.shape(), site.channel_axis()) {
        (&[_, rows, columns], 0) | (&[rows, columns, _], 2) => Ok(region.on_grid(rows, columns)),
        (shape, _) => Err(Misuse::NoPositions { layer: layer.to_owned(), shape: shape.to_vec() }),
    }
}

impl Plan {
    /// Explains one sample.
    fn sample(&self, index: usize, mut pictures: Option<&mut Pictures>) -> Result<Sample, Failure> {
        let inputs = self.files.load(index..index + 1)?;
        let view = inputs.views.first().and_then(Option::as_ref);
        let trace = self.attributor.trace(&inputs.batch)?;
        let predictions = Predictions::of(&self.loaded.model, trace.prediction(), self.classes.as_ref());
        let found = trace.attribute(&self.request)?;
        let mut sample = Sample { predictions, layers: Vec::new(), files: Vec::new() };
        let name = file_name_part(self.files.name(index));
        for item in &found.items {
            if let (Some(pictures), Some(heatmap)) = (pictures.as_deref_mut(), item.heatmap()) {
                sample.files = pictures.draw(&format!("{name}__target"), &heatmap, view)?;
            }
            for (layer, weights) in &self.layers {
                let mut concepts = self.concepts(item, layer, weights.as_deref())?;
                if let Some(pictures) = pictures.as_deref_mut() {
                    self.draw(&trace, layer, &mut concepts, &name, view, pictures)?;
                }
                let count = self.loaded.model.graph().site(self.loaded.model.layer(layer)?).channels();
                sample.layers.push(Layer { name: layer.clone(), count, concepts });
            }
        }
        Ok(sample)
    }

    /// The most relevant concepts of a layer, the most relevant first.
    fn concepts(&self, item: &Attribution, layer: &str, weights: Option<&[f32]>) -> Result<Vec<Concept>, Failure> {
        let Some(arrived) = item.layers.get(layer) else {
            return Err(Misuse::Unreached { layer: layer.to_owned() }.into());
        };
        let model = &self.loaded.model;
        let site = model.graph().site(model.layer(layer)?);
        let of = |normalization| relevance(&Channel, arrived.data(), site, weights, normalization);
        let (raw, shares) = (of(Normalization::Raw)?, of(Normalization::Share)?);
        let concepts = raw.into_iter().zip(shares).enumerate();
        let concept = |(id, (relevance, share))| Concept { id, relevance, share, files: Vec::new() };
        let mut concepts: Vec<Concept> = concepts.map(concept).collect();
        concepts.sort_by(|a, b| b.relevance.total_cmp(&a.relevance).then(a.id.cmp(&b.id)));
        concepts.truncate(self.top);
        Ok(concepts)
    }

    /// Draws the conditional heatmap of each concept.
    fn draw(
        &self,
        trace: &Trace<'_>,
        layer: &str,
        concepts: &mut [Concept],
        sample: &str,
        view: Option<&RgbImage>,
        pictures: &mut Pictures,
    ) -> Result<(), Failure> {
        let target = self.request.conditions.first().cloned().unwrap_or_else(Condition::predicted);
        let through = |concept: &Concept| target.clone().through(layer, Selection::channels([concept.id]));
        let conditions = concepts.iter().map(through).collect();
        let found = trace.attribute(&Request { conditions, record: Vec::new(), ..self.request.clone() })?;
        for (concept, item) in concepts.iter_mut().zip(&found.items) {
            let name = format!("{sample}__{}__channel-{}", file_name_part(layer), concept.id);
            let heatmap: Option<Tensor> = item.heatmap();
            if let Some(heatmap) = heatmap {
                concept.files = pictures.draw(&name, &heatmap, view)?;
            }
        }
        Ok(())
    }
}
