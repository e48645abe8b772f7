//! `glocal concepts`: which concepts of a layer a decision, or a region of the picture, rests on.

mod draw;
mod region;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use glocal::attribution::{Attribution, Attributor, Condition, Request};
use glocal::concept::{Channel, Normalization, Site, relevance};
use glocal_kit::loading::{ClassNames, InputFiles, LoadedModel};
use glocal_kit::picture::ColorMap;

use crate::args::{CompositeArgument, ModelArguments, SampleArguments, TargetArguments};
use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::{OutputFolder, file_name_part};
use crate::pictures::Pictures;
use crate::predictions::Predictions;
use crate::progress::Progress;
use crate::session::Session;
use crate::stored::class_name;
use crate::unused;
use draw::Drawn;
use region::{NamedRegion, RegionArguments};
use summary::{Concept, Layer, Part, Sample, Summary};

/// Find the concepts (channels) of a layer that are most relevant for a class, in the whole picture or in regions of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal concepts model.onnx cat.jpg --preprocess preprocess.toml --layer features.40
  glocal concepts model.onnx cat.jpg --preprocess preprocess.toml --layer features.40 \\
         --region 60,40,80,80 --region 10,150,60,60 --mask tail.png -o out

A concept's relevance is the sum over the positions of its channel; its share is that divided by the sum of the sizes of
all channels' relevances, of this sample in this layer.

In a region, each position counts by how much of it lies inside: a layer's grid is taken to cover the picture evenly, so
that the position in row i of h covers the pixel rows i·H/h to (i+1)·H/h of the H that the model sees, and likewise for
columns; its weight is the part of that area that lies in the region (or the mean brightness of the mask over it). The more
pixels a position covers, the coarser this is. Shares are those of the region: of all channels' relevances in it. Beside them
stands the part of the channel's own relevance, sizes added, that lies in the region: whether the concept lives there.

-o DIR writes for each layer SAMPLE__LAYER__concepts.png: the picture with its regions, the heatmap of the target, and for
each region a row with the conditional heatmaps of its concepts (of the first 24 regions, the first 16 concepts or 320 in
all). A row has one scale: what a hundredth of the pixels in the region exceed, in the strongest of its heatmaps, has the
full color (a quarter of that of the whole picture, if that is more). Besides, the conditional heatmap of each concept
that is listed, and the heatmap of the target itself, each on its own scale as SAMPLE__LAYER__channel-ID__heatmap.png and
..._overlay.png. Existing files of those names are overwritten. --json lists concepts by layer, or with regions by layer
and region.")]
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
    regions: RegionArguments,
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
    /// What the file of the model is called.
    model_name: String,
    attributor: Attributor,
    files: InputFiles,
    classes: Option<ClassNames>,
    /// The regions; none for the whole picture.
    regions: Vec<NamedRegion>,
    /// The layers, with the weight of each of their positions for each of the regions.
    layers: Vec<(String, Vec<Vec<f32>>)>,
    /// The target alone, recording the layers.
    request: Request,
    /// The class that is explained, unless the predicted one is.
    target: Option<usize>,
    top: usize,
    color_map: ColorMap,
}

impl Concepts {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let plan = self.plan(session)?;
        let shape = plan.loaded.model.input_shape();
        let pictures = self.out.as_ref().map(|out| -> Result<Pictures, Failure> {
            Ok(Pictures::new(OutputFolder::prepare(out)?, plan.color_map.clone(), shape)?)
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
        let color_map = self.colormap.parse()?;
        let preprocess = self.samples.preprocess()?;
        let loaded = self.model.load()?;
        let model = &loaded.model;
        let classes = self.samples.classes(&loaded)?;
        let regions = self.regions.read(model.input_shape(), preprocess.as_ref())?;
        let mut layers = Vec::with_capacity(self.layer.len());
        for layer in &self.layer {
            let site = model.graph().site(model.layer(layer)?);
            let weights = regions.iter().map(|region| on_layer(region, layer, &site));
            layers.push((layer.clone(), weights.collect::<Result<_, _>>()?));
        }
        let attributor = unused::attributor(Arc::clone(model), composite)?;
        let files = InputFiles::open(std::slice::from_ref(&self.input), preprocess, model.input_shape())?;
        let request = Request {
            conditions: vec![Condition { target: self.target.target(), layers: Vec::new() }],
            record: self.layer.clone(),
            cancel: session.cancel.clone(),
            ..Request::default()
        };
        let model_name = self.model.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (target, top) = (self.target.target, self.top.into());
        Ok(Plan { attributor, files, classes, regions, layers, request, target, top, color_map, model_name, loaded })
    }
}

/// The weight of each position of a layer.
fn on_layer(region: &NamedRegion, layer: &str, site: &Site<'_>) -> Result<Vec<f32>, Misuse> {
    match (site.shape(), site.channel_axis()) {
        (&[_, rows, columns], 0) | (&[rows, columns, _], 2) => Ok(region.region.on_grid(rows, columns)),
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
        let Some(item) = found.items.first() else {
            return Ok(Sample { predictions, layers: Vec::new(), files: Vec::new() });
        };
        let name = self.files.name(index);
        let names = self.classes.as_ref().map(ClassNames::as_slice);
        let class = self.target.or_else(|| predictions.first().and_then(Predictions::best));
        let target = class.map_or_else(|| "the target".to_owned(), |class| class_name(names, class));
        let mut sample = Sample { predictions, layers: Vec::new(), files: Vec::new() };
        let mut drawn = None;
        if let (Some(pictures), Some(heatmap)) = (pictures.as_deref_mut(), item.heatmap()) {
            sample.files = pictures.draw(&format!("{}__target", file_name_part(name)), &heatmap, view)?;
            drawn = Some(Drawn::new((name, &target), &inputs.batch, view, heatmap)?);
        }
        for (layer, weights) in &self.layers {
            let mut layer = self.layer(item, layer, weights)?;
            if let (Some(pictures), Some(drawn)) = (pictures.as_deref_mut(), &drawn) {
                self.draw(&trace, &mut layer, drawn, pictures)?;
            }
            sample.layers.push(layer);
        }
        Ok(sample)
    }

    /// The most relevant concepts of a layer in each region, by the weights of the layer's positions in it; without regions
    /// those of the whole picture.
    fn layer(&self, item: &Attribution, layer: &str, regions: &[Vec<f32>]) -> Result<Layer, Failure> {
        let Some(arrived) = item.layers.get(layer) else {
            return Err(Misuse::Unreached { layer: layer.to_owned() }.into());
        };
        let model = &self.loaded.model;
        let (values, site) = (arrived.data(), model.graph().site(model.layer(layer)?));
        let of = |weights: Option<&[f32]>, normalization| relevance(&Channel, values, site, weights, normalization);
        let sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        let size = |weights: Option<&[f32]>| relevance(&Channel, &sizes, site, weights, Normalization::Raw);
        let whole = size(None)?;
        // Nothing is in a region of what is nowhere.
        let part = |inside: f64, whole: f64| if whole > 0.0 { inside / whole } else { 0.0 };
        let best = |weights: Option<&[f32]>, inside: Option<&[f64]>| -> Result<Vec<Concept>, Failure> {
            let (raw, shares) = (of(weights, Normalization::Raw)?, of(weights, Normalization::Share)?);
            let concept = |(id, (relevance, share))| {
                let inside = inside.map(|inside| part(inside[id], whole[id]));
                Concept { id, relevance, share, inside, files: Vec::new() }
            };
            let mut concepts: Vec<Concept> = raw.into_iter().zip(shares).enumerate().map(concept).collect();
            concepts.sort_by(|a, b| b.relevance.total_cmp(&a.relevance).then(a.id.cmp(&b.id)));
            concepts.truncate(self.top);
            Ok(concepts)
        };
        let mut parts = Vec::with_capacity(regions.len().max(1));
        if regions.is_empty() {
            parts.push(Part { region: None, held: None, concepts: best(None, None)? });
        }
        for (index, weights) in regions.iter().enumerate() {
            let inside = size(Some(weights))?;
            let held = part(inside.iter().sum(), whole.iter().sum());
            let concepts = best(Some(weights), Some(&inside))?;
            parts.push(Part { region: Some(index), held: Some(held), concepts });
        }
        Ok(Layer { name: layer.to_owned(), count: whole.len(), parts, sheet: None })
    }
}
