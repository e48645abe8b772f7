//! `glocal report`: one self-contained page that explains a sample.

use std::path::PathBuf;

use clap::Args;
use glocal::model::Model;
use glocal_kit::explain::{ExplainOptions, Sample};
use glocal_kit::loading::{InputFiles, LoadedModel};
use glocal_kit::picture::ColorMap;
use glocal_kit::preprocess::Preprocess;
use glocal_kit::store::{Manifest, Store};
use serde_json::json;

use crate::args::{CanonizeArgument, ModelArguments};
use crate::explained::{Explained, agreements};
use crate::failure::Failure;
use crate::output::OutputFile;
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored, StoredClasses, parse_class};

/// Explain a sample in one HTML page: prediction, heatmap, the concepts it is made of, and their reference samples
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal report model.onnx boot.png --store store -o report.html
  glocal report model.onnx boot.png --store store --layer mixed.concat --layer block.sum --concepts 8 -o report.html

The page takes the prediction apart in each of the layers: the conditional heatmaps of the most relevant concepts with their
shares, and that of all others together, so that the shares, added without their signs, make 100 %.

Rules and preprocessing are those that the store was made with. The page holds all its pictures and loads nothing.")]
pub struct Report {
    #[command(flatten)]
    model: ModelArguments,
    /// An image, or an array that is already preprocessed: .npy, .npz, .safetensors
    input: PathBuf,
    /// Which sample of the array file is explained, from 0 [default: the only one]
    #[arg(long, value_name = "N")]
    row: Option<usize>,
    /// The store, as `glocal analyze` wrote it
    #[arg(long, value_name = "STORE")]
    store: PathBuf,
    /// The page; an existing one is replaced
    #[arg(short = 'o', long = "out", value_name = "FILE.html")]
    page: PathBuf,
    /// The layers, in the order of the page; repeatable [default: the highest of the store that has positions, and one half way
    /// down, or of many layers two]
    #[arg(long, visible_alias = "layer", value_name = "LAYER,...", value_delimiter = ',')]
    layers: Vec<String>,
    /// How many concepts of each layer are shown, the most relevant ones
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    concepts: u16,
    /// How many reference samples of each concept are shown, by relevance and by activation
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    references: u16,
    /// The class that is explained: its index or its name [default: the predicted one]
    #[arg(long, value_name = "CLASS")]
    target: Option<String>,
    /// How the image becomes the model's input [default: as the store's images do]
    #[arg(long, value_name = "FILE")]
    preprocess: Option<PathBuf>,
    #[command(flatten)]
    classes: StoredClasses,
    /// The data set of the store, where it is no longer in its place
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr")]
    colormap: String,
}

impl Report {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let color_map: ColorMap = self.colormap.parse()?;
        let store = Store::open(&self.store)?;
        let classes = self.classes.read(&store)?;
        let target = self.target.as_deref().map(|text| parse_class(text, classes.as_deref())).transpose()?;
        let loaded = self.model.load()?;
        let canonized = self.model.canonize == CanonizeArgument::Auto;
        let stored = Stored::with_model(store, &loaded, &self.model.model, canonized, self.data.as_deref())?;
        let sample = self.sample(&stored, &loaded)?;
        let output = OutputFile::prepare(&self.page)?;
        let layers = match self.layers.is_empty() {
            true => default_layers(stored.store.manifest(), &loaded.model),
            false => self.layers.clone(),
        };
        let options = ExplainOptions {
            layers,
            concepts: self.concepts.into(),
            references: self.references.into(),
            target: target.map(|class| class as usize),
        };
        let findings = stored.explainer(&session.cancel).explain(sample, &stored.store, &options)?;
        let explained = Explained {
            findings: &findings,
            model: &loaded.model,
            classes: classes.as_deref(),
            truth: None,
            agreements: agreements(&findings, &stored)?,
        };
        let page = explained.page(&stored, &self.store, &color_map)?;
        output.write(page.to_html().as_bytes())?;
        session.print(
            || format!("{}\n{}report: {}\n", findings.sample.name, explained.text(), self.page.display()),
            || {
                let mut document = explained.document();
                document["report"] = json!(self.page.to_string_lossy());
                document
            },
        )
    }

    fn sample(&self, stored: &Stored, loaded: &LoadedModel) -> Result<Sample, Failure> {
        let preprocess = match &self.preprocess {
            Some(path) => Preprocess::read(path)?,
            None => stored.preprocess().clone(),
        };
        let paths = std::slice::from_ref(&self.input);
        let files = InputFiles::open(paths, Some(preprocess), loaded.model.input_shape())?;
        let (path, count) = (self.input.clone(), files.len());
        let row = match self.row {
            Some(given) if given >= count => return Err(StoreMisuse::NoRow { path, count, given }.into()),
            Some(row) => row,
            None if count == 1 => 0,
            None => return Err(StoreMisuse::SeveralSamples { path, count }.into()),
        };
        let name = files.name(row).to_owned();
        let inputs = files.load(row..row + 1)?;
        let input = inputs.batch.reshape(inputs.batch.sample_shape()).map_err(Failure::work)?;
        match inputs.views.into_iter().next().flatten() {
            Some(picture) => Ok(Sample { name, input, picture }),
            None => Ok(Sample::from_array(name, input)?),
        }
    }
}

/// With so many layers of the store below the highest, two of them are shown beside it.
const MANY_LAYERS: usize = 6;

/// The highest layer of the store below the output whose concepts have a place in the sample, as a rule the last convolution,
/// and one half way down to the input, or two evenly spaced ones. Without such a layer, the highest of all.
fn default_layers(manifest: &Manifest, model: &Model) -> Vec<String> {
    // In the order of the model, whatever that of the store.
    let node = |name: &&str| model.layer(name).ok().filter(|node| *node != model.explained());
    let names = manifest.layers.iter().map(|layer| layer.name.as_str());
    let mut below: Vec<&str> = names.filter(|name| node(name).is_some()).collect();
    below.sort_by_key(node);
    let positions = |name: &&str| -> usize {
        let shape = node(name).map(|node| model.graph().node(node).shape.as_slice());
        shape.unwrap_or_default().iter().skip(1).product()
    };
    let highest = below.iter().rposition(|name| positions(name) > 1).or(below.len().checked_sub(1));
    let parts = if highest >= Some(MANY_LAYERS) { 3 } else { 2 };
    let mut chosen: Vec<usize> =
        highest.into_iter().flat_map(|highest| (1..=parts).rev().map(move |part| highest * part / parts)).collect();
    chosen.dedup();
    chosen.into_iter().map(|index| below[index].to_owned()).collect()
}
