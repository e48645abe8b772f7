//! `glocal attribute`: heatmaps of samples under conditions, as pictures or arrays.

mod arrays;
mod conservation;
pub mod memory;
mod plan;
mod summary;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glocal::attribution::{Explanation, Initial, LayerWork, Pairing, Scope};
use glocal_kit::picture::ColorMap;
use serde_json::{Value, json};

use crate::args::{CompositeArgument, ModelArguments, SampleArguments, TargetArguments};
use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::{OutputFile, OutputFolder, has_extension};
use crate::pictures::Pictures;
use crate::progress::Progress;
use crate::session::Session;
use arrays::Arrays;
use conservation::Conservation;
use memory::bytes;
use plan::Plan;
use summary::Summary;

/// Compute heatmaps: the relevance of the input for a class, through chosen concepts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal attribute model.onnx cat.jpg --preprocess preprocess.toml -o heatmaps
  glocal attribute model.onnx batch.npy --condition 'target=46; features.40=50,51; features.37=3' -o relevance.safetensors
  glocal attribute model.onnx cat.jpg --preprocess preprocess.toml --method smooth-grad:noise=0.1,passes=20 -o heatmaps

INPUT: image files, preprocessed as --preprocess says, or arrays that already are: .npy, .npz or .safetensors with one
tensor [N, C, ...]. Samples are called after their files.

A condition names classes to start from and, for each of some layers, the channels that relevance may pass through:
'target=46; features.40=50,51'. A neuron is a channel at a position: features.40=50@Y:X (one axis: 50@T). The target may
also be `predicted` or `all`. Without a condition there is one: the target alone. Further kinds of concepts:
  features.40=50@2..9:4..7       a rectangle of neurons, ends not included; target=3@... is a class in a region of a map
  encoder.3=token:5,8..12        tokens, positions with all of their channels; of feature maps token:Y:X
  attention=head:2,3/8           heads 2 and 3 of 8, equal ranges of the channels
  features.40=direction:cav.npy#3,5..8
                                 directions in the space of the channels (CAV, PCA, SAE decoder): rows of an array [K, C] of
                                 a .npy, .npz or .safetensors file; relevance is projected to them
Channels are the first axis of feature maps, and the last of tokens [T, C].

A method is NAME or NAME:KEY=VALUE,...; all but occlusion send relevance down by the rules, under the conditions:
  plain                                                 what the rules send down, once
  gradient-times-input                                  the same times the input
  smooth-grad:noise=0.1,passes=20,seed=0                its mean over noisy inputs (noise: share of the sample's range)
  integrated-gradients:steps=20,baseline=0              its mean on the way from a baseline, times input less baseline
  occlusion:window=8,stride=8,fill=0,hide=outside       the target's output with the window alone; hide=window: what
                                                        it loses without it (a window of 4x8 is of the last two axes)
Without --composite, a method other than plain means its classic form: the rules are the gradient, and with the three
in the middle the relevance that starts is one.

-o DIR writes two PNG files for each sample and condition, SAMPLE__CONDITION__heatmap.png and ..._overlay.png (small ones
enlarged); existing files of those names are overwritten. Pictures that are done when the work is interrupted stay.

-o FILE.safetensors writes f32 arrays: prediction [S,K], attribution [S·Q,C,...], heatmap [S·Q,...] and, for each recorded
layer, activation/NAME [S,...] and relevance/NAME [S·Q,...], what arrives at its output before its mask; S samples, Q
conditions, row = sample·Q + condition (--pairing zip: a row a pair). A layer that relevance reaches in no row has no
relevance/NAME; where it reaches the layer in some rows, the others are NaN. masked/NAME is what the mask of a condition
that names the layer lets through of it. The metadata entry `glocal` is a JSON text
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
    /// The relevance that starts: `value` (the logit itself), `one`, or a number [default: value; see methods below]
    #[arg(long, value_name = "value|one|NUMBER", value_parser = initial, allow_hyphen_values = true)]
    init: Option<InitialArgument>,
    /// How heatmaps are made: plain, gradient-times-input, smooth-grad, integrated-gradients or occlusion, each as
    /// NAME or NAME:KEY=VALUE,... (below)
    #[arg(long, value_name = "NAME", default_value = "plain")]
    method: String,
    #[command(flatten)]
    composite: CompositeArgument,
    /// Keep relevance and activation of this layer in the arrays file, `all` for every layer (repeatable)
    #[arg(long, value_name = "LAYER|all")]
    record: Vec<String>,
    /// How many samples are run together; results do not depend on it [default: as many as fit into little memory]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// Keep below this much memory, as 2GB or 512MiB, by running fewer samples and conditions together; results do not depend on
    /// it [default: a quarter of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<usize>,
    /// Tell what the work costs instead of doing it: rows that go down through each layer, with and without what conditions
    /// share, multiply-adds and memory
    #[arg(long)]
    explain: bool,
    /// Where to write: a folder for pictures, or FILE.safetensors for arrays
    #[arg(short = 'o', long = "out", value_name = "DIR|FILE.safetensors")]
    out: Option<PathBuf>,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr")]
    colormap: String,
    /// Report, for each condition and layer, the relevance that came in, went on, was kept by biases, stabilizers and the
    /// rule, and was dropped by masks and beside the conditioned layers
    #[arg(long)]
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

/// What the work costs, for machines.
fn explained(explanation: &Explanation) -> Value {
    let layer = |work: &LayerWork| {
        let LayerWork { layer, rows, rows_alone, multiply_adds, .. } = work;
        json!({ "layer": layer, "rows": rows, "rows_alone": rows_alone, "multiply_adds": multiply_adds })
    };
    json!({
        "results": explanation.results, "bytes": explanation.bytes,
        "multiply_adds": explanation.multiply_adds(), "multiply_adds_alone": explanation.multiply_adds_alone(),
        "layers": explanation.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

/// Where results go.
enum Sink {
    Nowhere,
    Arrays(Box<Arrays>),
    Pictures(Pictures),
}

impl Attribute {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let plan = self.plan(session)?;
        if self.explain {
            let explanation = plan.explain()?;
            return session.print(|| explanation.to_string(), || explained(&explanation));
        }
        let mut sink = self.sink(&plan)?;
        let mut summary = Summary::default();
        let mut conservation = self.conservation.then(Conservation::default);
        let progress = Progress::new("attributing", plan.rows());
        for samples in plan.chunks() {
            plan.attribute(samples, &mut sink, &mut summary, conservation.as_mut(), (&progress, session))?;
            session.check()?;
        }
        drop(progress);
        if let Sink::Arrays(arrays) = sink {
            arrays.finish()?;
        }
        let (conservation, out) = (conservation.as_ref(), self.out.as_deref());
        session.print(|| summary.text(&plan, conservation, out), || summary.document(&plan, conservation, out))
    }

    /// Opens the output, so that one that cannot be written is found out before the work.
    fn sink(&self, plan: &Plan) -> Result<Sink, Failure> {
        let color_map: ColorMap = self.colormap.parse()?;
        let arrays = self.out.as_deref().is_some_and(|out| has_extension(out, &["safetensors"]));
        if !arrays && !self.record.is_empty() {
            return Err(Misuse::RecordWithoutArrays.into());
        }
        let Some(out) = &self.out else { return Ok(Sink::Nowhere) };
        if has_extension(out, &["safetensors"]) {
            let (output, counts) = (OutputFile::prepare(out)?, (plan.files.len(), plan.rows()));
            let arrays =
                Arrays::new(output, &self.metadata(plan), &plan.loaded.model, (&plan.record, &plan.masked()?), counts)?;
            return Ok(Sink::Arrays(Box::new(arrays)));
        }
        if !out.is_dir() && has_extension(out, &["png", "jpg", "jpeg", "webp", "svg", "npy", "npz", "json", "html"]) {
            return Err(Misuse::OutputForm { path: out.clone() }.into());
        }
        let shape = plan.loaded.model.input_shape();
        Ok(Sink::Pictures(Pictures::new(OutputFolder::prepare(out)?, color_map, shape)?))
    }

    /// What the arrays file says about itself.
    fn metadata(&self, plan: &Plan) -> Value {
        let composite = plan.attributor.composite();
        json!({
            "model": plan.loaded.hash.to_string(),
            "composite": { "name": composite.name(), "rules": composite.describe() },
            "samples": (0..plan.files.len()).map(|index| plan.files.name(index)).collect::<Vec<_>>(),
            "conditions": plan.conditions.iter().map(|named| &named.text).collect::<Vec<_>>(),
            "method": plan.request.method.to_string(),
            "pairing": if plan.request.pairing == Pairing::Zip { "zip" } else { "product" },
            "scope": if plan.request.scope == Scope::Whole { "whole" } else { "isolated" },
            "start": plan.start,
            "initial": plan.initial,
        })
    }
}
