//! `glocal graph`: which lower concepts a concept or a class is made of, and which those.

mod draw;
mod root;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use glocal::attribution::Attributor;
use glocal::flow::{AttributionGraph, FlowRequest, Order, Path};
use glocal_kit::loading::{ClassNames, InputFiles, LoadedModel};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::store::Store;
use image::RgbImage;

use crate::args::{CanonizeArgument, CompositeArgument, DEFAULT_COMPOSITE, ModelArguments, SampleArguments};
use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::{OutputFile, has_extension};
use crate::predictions::Predictions;
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored};
use crate::unused;
use root::RootArguments;
use summary::Summary;

/// Follow relevance from a concept, or from a class, down to the concepts that it comes from
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal graph model.onnx cat.jpg --preprocess preprocess.toml --concept features.40:50 -o graph.svg
  glocal graph model.onnx cat.jpg --target 281 --width 4,2,2 --store store -o graph.svg
  glocal graph model.onnx cat.jpg --preprocess preprocess.toml --target 281 --layers features.40,features.34,features.28

Of each layer below a concept, the concepts (channels) with most relevance are kept, and followed in turn. A layer below is
one that leads to it through none of the others, by residual and parallel branches alike.

A node's share is its relevance for the root (the concept, or the class), an edge's share that of what arrives at its lower
end from its upper one; both are divided by the sum of the sizes of what all concepts of that layer have, so that shares lie
between -100 % and 100 %. Negative ones speak against the root.

-o FILE.svg draws the graph: layers as columns, concepts as cards, with their reference samples under --store. -o FILE.json
writes the document that --json prints; without -o the edges are listed. The document is
  { \"model\", \"composite\", \"sample\", \"predictions\": [{ \"class\", \"name\", \"logit\", \"probability\" }],
    \"target\": CLASS | null (from the concept's activation), \"path\": \"whole\" | \"root\" | \"masked\", \"order\": \"relevance\" | \"size\",
    \"layers\": [{ \"layer\", \"channels\" }] from the output's side to the input's,
    \"nodes\": [{ \"layer\", \"channel\", \"step\", \"relevance\", \"share\", \"references\": [SAMPLE, ...] }], the root first,
    \"edges\": [{ \"from\": NODE, \"to\": NODE, \"relevance\", \"share\" }], NODE counting the nodes from 0,
    \"output\": FILE | null }")]
pub struct Graph {
    #[command(flatten)]
    model: ModelArguments,
    /// An image, or an array that is already preprocessed: .npy, .npz, .safetensors
    input: PathBuf,
    /// Which sample of the array file is explained, from 0 [default: the only one]
    #[arg(long, value_name = "N")]
    row: Option<usize>,
    #[command(flatten)]
    root: RootArguments,
    /// The layers whose concepts are nodes, as far as they lie below [default: all convolutions and dense layers]
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    layers: Vec<String>,
    /// How many concepts are kept of each lower layer, for each step down
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "4,2", value_parser = clap::value_parser!(u16).range(1..))]
    width: Vec<u16>,
    /// How many steps are taken; those behind --width are as wide as its last [default: as many as --width has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    depth: Option<u16>,
    /// What the relevance of an edge has come through
    #[arg(long, value_enum, default_value_t = PathArgument::Whole)]
    path: PathArgument,
    /// Which concepts are kept
    #[arg(long, value_enum, default_value_t = OrderArgument::Relevance)]
    order: OrderArgument,
    #[command(flatten)]
    samples: SampleArguments,
    #[command(flatten)]
    composite: CompositeArgument,
    /// A store of the model, for reference samples; rules, preprocessing and class names are then its own by default
    #[arg(long, value_name = "STORE")]
    store: Option<PathBuf>,
    /// The data set of the store, where it is no longer in its place
    #[arg(long, value_name = "PATH", requires = "store")]
    data: Option<PathBuf>,
    /// A picture or a JSON document; an existing file is replaced
    #[arg(short = 'o', long = "out", value_name = "FILE.svg|FILE.json")]
    out: Option<PathBuf>,
}

/// What the relevance of an edge has come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PathArgument {
    /// The root, and the concepts of the graph on the way
    Whole,
    /// The root and the edge's upper end, by whatever way between them
    Root,
    /// The same two as masks, with what flows beside them in parallel branches: zennit-crp's form
    Masked,
}

/// Which concepts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OrderArgument {
    /// Those with the largest relevance: what speaks for the root comes first
    Relevance,
    /// Those whose relevance is largest in size, for the root or against it
    Size,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Svg,
    Json,
}

/// Everything that the graph is made from.
struct Plan {
    loaded: LoadedModel,
    attributor: Attributor,
    classes: Option<ClassNames>,
    /// The names of the store's classes.
    stored_classes: Option<Vec<String>>,
    /// The model's file.
    model_name: String,
    /// The sample's name and picture.
    sample: (String, Option<RgbImage>),
    stored: Option<Stored>,
}

impl Graph {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let form = self.out.as_ref().map(|path| match path {
            path if has_extension(path, &["svg"]) => Ok(Form::Svg),
            path if has_extension(path, &["json"]) => Ok(Form::Json),
            path => Err(Misuse::GraphForm { path: path.clone() }),
        });
        let form = form.transpose()?;
        let (root, target) = self.root.read();
        let (plan, input) = self.plan()?;
        let output = self.out.as_deref().map(OutputFile::prepare).transpose()?;
        let request = FlowRequest {
            root,
            layers: self.layers.clone(),
            widths: self.width.iter().map(|&width| width.into()).collect(),
            depth: self.depth.map(usize::from),
            path: match self.path {
                PathArgument::Whole => Path::Whole,
                PathArgument::Root => Path::RootAndCurrent,
                PathArgument::Masked => Path::Masked,
            },
            order: match self.order {
                OrderArgument::Relevance => Order::Relevance,
                OrderArgument::Size => Order::Size,
            },
            cancel: session.cancel.clone(),
        };
        let trace = plan.attributor.trace(&input)?;
        let graph = AttributionGraph::of(&trace, &request)?;
        let predictions = Predictions::of(&plan.loaded.model, trace.prediction(), plan.classes.as_ref());
        let predicted = predicted(trace.prediction().row(0));
        drop(trace);
        let references = draw::references(&plan, &graph)?;
        let summary = Summary {
            plan: &plan,
            graph: &graph,
            request: &request,
            predictions,
            target: target.class(predicted),
            references: &references,
            out: self.out.as_deref(),
        };
        if let (Some(output), Some(form)) = (output, form) {
            let text = match form {
                Form::Svg => draw::picture(&summary, &session.cancel)?.to_svg()?,
                Form::Json => format!("{:#}\n", summary.document()),
            };
            session.check()?;
            output.write(text.as_bytes())?;
        }
        session.print(|| summary.text(), || summary.document())
    }

    /// Reads the model, the rules, the store and the sample; returns it with the sample's batch of one.
    fn plan(&self) -> Result<(Plan, glocal_compute::Tensor), Failure> {
        let preprocess = self.samples.preprocess()?;
        let store = self.store.as_deref().map(Store::open).transpose()?;
        let loaded = self.model.load()?;
        let classes = self.samples.classes(&loaded)?;
        let canonized = self.model.canonize == CanonizeArgument::Auto;
        let stored_classes = store.as_ref().and_then(|store| store.manifest().data.classes.clone());
        let stored = store
            .map(|store| Stored::with_model(store, &loaded, &self.model.model, canonized, self.data.as_deref()))
            .transpose()?;
        let default = stored.as_ref().map_or(DEFAULT_COMPOSITE, |stored| stored.sources.composite.as_str());
        let (composite, _) = self.composite.read_or(default)?;
        let attributor = unused::attributor(Arc::clone(&loaded.model), composite)?;
        let of_store = || stored.as_ref().map(|stored| stored.preprocess().clone());
        let (sample, input) = self.sample(preprocess.or_else(of_store), &loaded)?;
        let model_name = self.model.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((Plan { loaded, model_name, attributor, classes, stored_classes, sample, stored }, input))
    }

    /// The sample's name, its picture and its batch of one.
    fn sample(
        &self,
        preprocess: Option<Preprocess>,
        loaded: &LoadedModel,
    ) -> Result<((String, Option<RgbImage>), glocal_compute::Tensor), Failure> {
        let files = InputFiles::open(std::slice::from_ref(&self.input), preprocess, loaded.model.input_shape())?;
        let (path, count) = (self.input.clone(), files.len());
        let row = match self.row {
            Some(given) if given >= count => return Err(StoreMisuse::NoRow { path, count, given }.into()),
            Some(row) => row,
            None if count == 1 => 0,
            None => return Err(StoreMisuse::SeveralSamples { path, count }.into()),
        };
        let inputs = files.load(row..row + 1)?;
        Ok(((files.name(row).to_owned(), inputs.views.into_iter().next().flatten()), inputs.batch))
    }
}

/// The class with the largest score, the first on ties.
fn predicted(scores: &[f32]) -> usize {
    let better = |best: usize, class: usize| if scores[class] > scores[best] { class } else { best };
    (0..scores.len()).fold(0, better)
}
