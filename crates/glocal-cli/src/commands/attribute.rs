//! `glocal attribute`: heatmaps of samples under conditions, as pictures or arrays.

mod arrays;
mod conservation;
mod summary;

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use glocal::attribution::{Attribution, Attributor, Condition, Initial, Pairing, Request, Scope, Target};
use glocal::error::{RequestError, RequestErrorKind};
use glocal::model::{Model, NodeId};
use glocal_kit::condition::parse_condition;
use glocal_kit::loading::{ClassNames, InputFiles, LoadedModel};
use glocal_kit::picture::ColorMap;

use crate::args::{CompositeArgument, ModelArguments, SampleArguments, TargetArguments};
use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::{OutputFile, OutputFolder, file_name_part};
use crate::pictures::Pictures;
use crate::predictions::Predictions;
use crate::progress::Progress;
use crate::session::Session;
use arrays::Arrays;
use conservation::Conservation;
use summary::Summary;

/// More conditions than this are propagated in several runs, so that memory stays bounded.
const CONDITIONS_AT_ONCE: usize = 32;

/// Compute heatmaps: the relevance of the input for a class, through chosen concepts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal attribute model.onnx cat.jpg --preprocess preprocess.toml -o heatmaps
  glocal attribute model.onnx batch.npy --condition 'target=46; features.40=50,51; features.37=3' -o relevance.safetensors

INPUT: image files, preprocessed as --preprocess says, or arrays that already are: .npy, .npz or .safetensors with one
tensor [N, C, ...]. Samples are called after their files.

A condition names classes to start from and, for each of some layers, the channels that relevance may pass through:
'target=46; features.40=50,51'. A neuron is a channel at a position: features.40=50@Y:X (one axis: 50@T). The target may
also be `predicted` or `all`. Without a condition there is one: the target alone.

-o DIR writes two PNG files for each sample and condition, SAMPLE__CONDITION__heatmap.png and ..._overlay.png (small ones
enlarged); existing files of those names are overwritten. Pictures that are done when the work is interrupted stay.

-o FILE.safetensors writes f32 arrays: prediction [S,K], attribution [S·Q,C,...], heatmap [S·Q,...] and, for each recorded
layer, activation/NAME [S,...] and relevance/NAME [S·Q,...], what arrives at its output before its mask; S samples, Q
conditions, row = sample·Q + condition (--pairing zip: a row a pair). A layer that relevance reaches in no row has no
relevance/NAME; where it reaches the layer in some rows, the others are NaN. The metadata entry `glocal` is a JSON text
with the model's hash, the composite, the samples, the conditions and the options.")]
pub struct Attribute {
    #[command(flatten)]
    model: ModelArguments,
    /// Image files, or arrays that are already preprocessed
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    samples: SampleArguments,
    #[command(flatten)]
    target: TargetArguments,
    /// What relevance is restricted to: 'target=46; features.40=50,51' (repeatable); --target fills in where it names none
    #[arg(long, value_name = "TEXT")]
    condition: Vec<String>,
    /// How samples and conditions are combined
    #[arg(long, value_enum, default_value_t = PairingArgument::Product)]
    pairing: PairingArgument,
    /// What happens beside the conditioned layers
    #[arg(long, value_enum, default_value_t = ScopeArgument::Isolated)]
    scope: ScopeArgument,
    /// The layer where relevance starts, instead of the output; targets are then its channels, all of them by default
    #[arg(long, value_name = "LAYER")]
    start: Option<String>,
    /// The relevance that starts: `value` (the logit itself), `one`, or a number
    #[arg(long, value_name = "value|one|NUMBER", default_value = "value", value_parser = initial, allow_hyphen_values = true)]
    init: InitialArgument,
    #[command(flatten)]
    composite: CompositeArgument,
    /// Keep relevance and activation of this layer in the arrays file, `all` for every layer (repeatable)
    #[arg(long, value_name = "LAYER|all")]
    record: Vec<String>,
    /// How many samples are run together [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// Where to write: a folder for pictures, or FILE.safetensors for arrays
    #[arg(short = 'o', long = "out", value_name = "DIR|FILE.safetensors")]
    out: Option<PathBuf>,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr")]
    colormap: String,
    /// Report, for each layer, the relevance that came in, went on, and was kept by biases and stabilizers; masks of
    /// conditions are left out
    #[arg(long, conflicts_with = "start")]
    conservation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PairingArgument {
    /// Every condition for every sample
    Product,
    /// The i-th condition for the i-th sample
    Zip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeArgument {
    /// Relevance flows only through the conditioned layers, one after the other
    Isolated,
    /// Masks are applied; parallel branches keep what they have
    Whole,
}

/// The relevance that starts, as it was written.
#[derive(Debug, Clone)]
struct InitialArgument {
    text: String,
    initial: Initial,
}

fn initial(text: &str) -> Result<InitialArgument, &'static str> {
    let initial = match text {
        "value" => Initial::Value,
        "one" => Initial::One,
        number => match number.parse::<f32>() {
            Ok(number) if number.is_finite() => Initial::Constant(number),
            _ => return Err("expected `value`, `one` or a finite number"),
        },
    };
    Ok(InitialArgument { text: text.to_owned(), initial })
}

/// Everything that is settled before the work starts.
struct Plan {
    loaded: LoadedModel,
    attributor: Attributor,
    files: InputFiles,
    classes: Option<ClassNames>,
    conditions: Vec<Named>,
    /// The layers to keep, under the names that they are kept under.
    record: Vec<String>,
    /// A name of the node where relevance starts.
    start: String,
    request: Request,
    batch: usize,
}

/// A condition and its text.
struct Named {
    text: String,
    condition: Condition,
}

/// Where results go.
enum Sink {
    Nowhere,
    Arrays(Arrays, OutputFile),
    Pictures(Pictures),
}

impl Attribute {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let plan = self.plan(session)?;
        let mut sink = self.sink(&plan)?;
        let mut summary = Summary::default();
        let mut conservation = self.conservation.then(Conservation::default);
        let progress = Progress::new("attributing", plan.rows());
        for samples in plan.chunks() {
            plan.attribute(samples, &mut sink, &mut summary, conservation.as_mut(), &progress)?;
            session.check()?;
        }
        drop(progress);
        if let Sink::Arrays(arrays, output) = sink {
            arrays.write(output, &self.metadata(&plan))?;
        }
        let (conservation, out) = (conservation.as_ref(), self.out.as_deref());
        session.print(|| summary.text(&plan, conservation, out), || summary.document(&plan, conservation, out))
    }

    /// Reads everything but images, and checks all that can be checked.
    fn plan(&self, session: &Session) -> Result<Plan, Failure> {
        let composite = self.composite.read()?;
        let preprocess = self.samples.preprocess()?;
        let loaded = self.model.load()?;
        let model = &loaded.model;
        let classes = self.samples.classes(&loaded)?;
        let start = match &self.start {
            Some(start) => model.layer(start).map(|_| start.clone())?,
            None => name_of(model, model.explained()),
        };
        let conditions = self.conditions(model)?;
        let mut record = Vec::new();
        for name in &self.record {
            match name.as_str() {
                "all" => record.extend(every_layer(model)),
                name => record.push(model.layer(name).map(|_| name.to_owned())?),
            }
        }
        let mut kept = std::collections::BTreeSet::new();
        record.retain(|name| kept.insert(name.clone()));
        let attributor = Attributor::new(std::sync::Arc::clone(model), composite)?;
        let files = InputFiles::open(&self.inputs, preprocess, model.input_shape())?;
        let pairing = match self.pairing {
            PairingArgument::Product => Pairing::Product,
            PairingArgument::Zip => Pairing::Zip,
        };
        if pairing == Pairing::Zip && files.len() != conditions.len() {
            let (samples, conditions) = (files.len(), conditions.len());
            return Err(RequestError::from(RequestErrorKind::Unpaired { samples, conditions }).into());
        }
        let scope = match self.scope {
            ScopeArgument::Isolated => Scope::Isolated,
            ScopeArgument::Whole => Scope::Whole,
        };
        let request = Request {
            conditions: Vec::new(),
            pairing,
            scope,
            start: self.start.clone(),
            initial: self.init.initial.clone(),
            // What is recorded where relevance starts is how much of it there is.
            record: record.iter().chain([&start]).cloned().collect(),
            rows_at_once: CONDITIONS_AT_ONCE,
            cancel: session.cancel.clone(),
        };
        let batch = usize::from(self.batch.unwrap_or(8));
        Ok(Plan { attributor, files, classes, conditions, record, start, request, batch, loaded })
    }

    fn conditions(&self, model: &Model) -> Result<Vec<Named>, Failure> {
        let chosen = self.target.target.is_some() || self.target.predicted;
        let default = if self.start.is_some() && !chosen { Target::Everything } else { self.target.target() };
        if self.condition.is_empty() {
            let text = match (&default, self.target.target) {
                (Target::Everything, _) => "target=all".to_owned(),
                (_, Some(class)) => format!("target={class}"),
                _ => "target=predicted".to_owned(),
            };
            return Ok(vec![Named { text, condition: Condition { target: default, layers: Vec::new() } }]);
        }
        let start = self.start.as_deref();
        let read = |text: &String| -> Result<Named, Failure> {
            Ok(Named { text: text.trim().to_owned(), condition: parse_condition(text, model, start, &default)? })
        };
        self.condition.iter().map(read).collect()
    }

    /// Opens the output, so that one that cannot be written is found out before the work.
    fn sink(&self, plan: &Plan) -> Result<Sink, Failure> {
        let color_map: ColorMap = self.colormap.parse()?;
        let Some(out) = &self.out else { return Ok(Sink::Nowhere) };
        if has_extension(out, &["safetensors"]) {
            return Ok(Sink::Arrays(Arrays::new(&plan.record), OutputFile::prepare(out)?));
        }
        if !out.is_dir() && has_extension(out, &["png", "jpg", "jpeg", "webp", "svg", "npy", "npz", "json", "html"]) {
            return Err(Misuse::OutputForm { path: out.clone() }.into());
        }
        let shape = plan.loaded.model.input_shape();
        Ok(Sink::Pictures(Pictures::new(OutputFolder::prepare(out)?, color_map, shape)?))
    }

    /// What the arrays file says about itself.
    fn metadata(&self, plan: &Plan) -> serde_json::Value {
        let composite = plan.attributor.composite();
        serde_json::json!({
            "model": plan.loaded.hash.to_string(),
            "composite": { "name": composite.name(), "rules": composite.describe() },
            "samples": (0..plan.files.len()).map(|index| plan.files.name(index)).collect::<Vec<_>>(),
            "conditions": plan.conditions.iter().map(|named| &named.text).collect::<Vec<_>>(),
            "pairing": if plan.request.pairing == Pairing::Zip { "zip" } else { "product" },
            "scope": if plan.request.scope == Scope::Whole { "whole" } else { "isolated" },
            "start": plan.start,
            "initial": self.init.text,
        })
    }
}

impl Plan {
    /// The number of results.
    fn rows(&self) -> usize {
        match self.request.pairing {
            Pairing::Zip => self.files.len(),
            Pairing::Product => self.files.len() * self.conditions.len(),
        }
    }

    /// The samples that are run together; one by one where each has many conditions.
    fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let many = self.request.pairing == Pairing::Product && self.conditions.len() > CONDITIONS_AT_ONCE;
        let (len, size) = (self.files.len(), if many { 1 } else { self.batch });
        (0..len).step_by(size).map(move |first| first..(first + size).min(len))
    }

    /// What the pictures of a result are called: by sample and condition, numbered where there are several conditions.
    fn picture_name(&self, item: &Attribution) -> String {
        let condition = self.conditions.get(item.condition).map_or("", |named| &named.text);
        let number = if self.conditions.len() > 1 { format!("{}-", item.condition) } else { String::new() };
        format!("{}__{number}{}", file_name_part(self.files.name(item.sample)), file_name_part(condition))
    }

    /// Runs some samples under all of their conditions.
    fn attribute(
        &self,
        samples: Range<usize>,
        sink: &mut Sink,
        summary: &mut Summary,
        mut conservation: Option<&mut Conservation>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let inputs = self.files.load(samples.clone())?;
        let trace = self.attributor.trace(&inputs.batch)?;
        summary.predictions.extend(Predictions::of(&self.loaded.model, trace.prediction(), self.classes.as_ref()));
        let conditions = match self.request.pairing {
            Pairing::Zip => samples.clone(),
            Pairing::Product => 0..self.conditions.len(),
        };
        let (first, last) = (conditions.start, conditions.end);
        // All at once, unless there is only one sample, whose conditions can be taken apart without changing the order.
        let size = if samples.len() == 1 { CONDITIONS_AT_ONCE } else { conditions.len() };
        for start in conditions.step_by(size.max(1)) {
            let of_run = &self.conditions[start..(start + size).min(last)];
            let conditions = of_run.iter().map(|named| named.condition.clone()).collect();
            let mut found = trace.attribute(&Request { conditions, ..self.request.clone() })?;
            if let Some(conservation) = conservation.as_deref_mut() {
                conservation.add(&trace, of_run, &found, self)?;
            }
            for item in &mut found.items {
                item.sample += samples.start;
                item.condition += start;
            }
            if let Sink::Arrays(arrays, _) = sink {
                arrays.add(&found, start == first);
            }
            for item in &found.items {
                let view = inputs.views.get(item.sample - samples.start).and_then(Option::as_ref);
                let files = match (&mut *sink, item.heatmap()) {
                    (Sink::Pictures(pictures), Some(heatmap)) => {
                        pictures.draw(&self.picture_name(item), &heatmap, view)?
                    }
                    _ => Vec::new(),
                };
                summary.add(item, &self.start, files);
            }
            progress.advance(found.items.len());
        }
        Ok(())
    }
}

/// A name by which the model finds the node.
pub fn name_of(model: &Model, id: NodeId) -> String {
    let node = model.graph().node(id);
    let names = std::iter::once(node.display_name()).chain([node.name.as_str()]);
    let mut names = names.chain(node.values.iter().map(String::as_str));
    names.find(|name| model.layer(name).is_ok_and(|found| found == id)).unwrap_or(node.display_name()).to_owned()
}

/// Every layer that relevance may reach, by name.
fn every_layer(model: &Model) -> Vec<String> {
    let reached = model.graph().ancestors(model.explained());
    let nodes = model.graph().nodes().map(|(id, _)| id);
    nodes.filter(|id| reached[id.index()] && *id != model.graph().input()).map(|id| name_of(model, id)).collect()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}
