//! `glocal evaluate`: whether the output falls as what an explanation calls important is replaced, over a data set.

mod draw;
mod summary;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;

use clap::{Args, ValueEnum};
use glocal::faithfulness::{Bootstrap, Direction, Order};
use glocal::model::Model;
use glocal_kit::evaluate::{
    self, EvaluateError, EvaluateErrorKind, EvaluateOptions, Evaluation, Explained, Replacement, Subject,
};
use glocal_kit::scan::ScanErrorKind;

use super::analyze::{chosen_layers, preprocess_for};
use crate::args::{CompositeArgument, LabelArguments, ModelArguments, SampleArguments};
use crate::failure::Failure;
use crate::memory;
use crate::output::OutputFolder;
use crate::progress::Progress;
use crate::session::Session;
use crate::unused;
use summary::Summary;

/// Replace what is most relevant first, and follow the logit: is the explanation faithful to the model?
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal evaluate model.onnx photos/ --preprocess preprocess.toml --layer features.40 -o evaluation    concepts of a layer
  glocal evaluate model.onnx mnist/ --preprocess preprocess.toml --pixels --samples 500 -o evaluation  pixels
  glocal evaluate model.onnx photos/ --preprocess preprocess.toml --patch 16 --targets predicted       patches of pixels
  glocal evaluate model.onnx series.npz --layer body.4 --replace mean --orders relevance,random        time series [N, C, T]

DATA, --classes and --labels are what `glocal analyze` takes. The channels of each layer, or the pixels of the input, are
replaced in the order of their relevance, their activation, gradient times activation, and by chance (flipping), or put back in
that order after all were replaced (insertion). Curves are means over samples of the change of the target's logit; the area
under a curve is its mean height: under flipping, the lower the more faithful; under insertion, the higher. Normalised areas
are 0 where all is replaced and 1 where nothing is. Intervals are percentiles over samples drawn anew (bootstrap), paired by
sample.

DIR gets a picture of each layer and replacement as SVG and PNG, and all numbers in evaluation.json.")]
pub struct Evaluate {
    #[command(flatten)]
    model: ModelArguments,
    /// The data set
    data: PathBuf,
    /// A layer whose channels are replaced, or `all`: every layer with weights below the output; repeatable
    #[arg(long = "layer", value_name = "LAYER", required_unless_present_any = ["pixels", "patch"])]
    layers: Vec<String>,
    /// Replace pixels of the input
    #[arg(long)]
    pixels: bool,
    /// Replace patches of so many pixels along every side; of positions, for time series and volumes
    #[arg(long, value_name = "N")]
    patch: Option<NonZeroUsize>,
    /// What takes their place: zero; the mean (of a channel over all chosen samples; of pixels, over the sample); or both in turn
    #[arg(long, value_enum, default_value_t = ReplaceArgument::Both)]
    replace: ReplaceArgument,
    /// What decides which comes first: relevance, ascending (relevance, the lowest first), activation, gradient (times
    /// activation), random
    #[arg(
        long,
        value_name = "ORDER,...",
        value_delimiter = ',',
        default_value = "relevance,activation,gradient,random"
    )]
    orders: Vec<Order>,
    /// Whether they are replaced (flipping), put back (insertion), or both in turn
    #[arg(long, value_enum, default_value_t = DirectionArgument::Both)]
    direction: DirectionArgument,
    /// How many steps a curve has; fewer where there are fewer parts
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN.saturating_add(19))]
    steps: NonZeroUsize,
    /// How many samples are taken, evenly spaced in the data set, or `all`
    #[arg(long, value_name = "N", default_value_t = SamplesArgument(NonZeroUsize::new(200)))]
    samples: SamplesArgument,
    /// Which logit is followed and explained: that of a sample's `label`, of the `predicted` class, or of a class by its index
    #[arg(long, value_name = "TARGET", default_value_t = ExplainedArgument(Explained::Label))]
    targets: ExplainedArgument,
    #[command(flatten)]
    composite: CompositeArgument,
    #[command(flatten)]
    inputs: SampleArguments,
    #[command(flatten)]
    labels: LabelArguments,
    /// How many random orders are drawn for each sample, at most 1,000
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    draws: u16,
    /// The seed of random orders and of resamples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How often samples are drawn anew for intervals, at most 100,000 times
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    resamples: u32,
    /// The part of the resamples that an interval holds
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    confidence: f64,
    /// How many samples are run together; results do not depend on it [default: as many as fit into little memory]
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// Keep below this much memory, as 2GB or 512MiB, by running fewer samples together [default: a quarter of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = memory::bytes)]
    memory: Option<usize>,
    /// Pass over samples that cannot be used, and list them; else the first ends the run
    #[arg(long)]
    keep_going: bool,
    /// The folder that pictures and numbers are written to
    #[arg(short = 'o', long = "out", value_name = "DIR")]
    out: Option<PathBuf>,
}

/// [`Replacement`]s as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReplaceArgument {
    /// Zero
    Zero,
    /// The mean
    Mean,
    /// Both in turn
    Both,
}

/// [`Direction`]s as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DirectionArgument {
    /// Parts are replaced
    Flipping,
    /// Parts are put back
    Insertion,
    /// Both in turn
    Both,
}

/// How many samples; `None` for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SamplesArgument(Option<NonZeroUsize>);

impl FromStr for SamplesArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(None)),
            count => count.parse().map(|count| Self(Some(count))).map_err(|_| "expected a number of samples, or all"),
        }
    }
}

impl fmt::Display for SamplesArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => count.fmt(f),
            None => f.write_str("all"),
        }
    }
}

/// [`Explained`] as an argument.
#[derive(Debug, Clone, Copy)]
struct ExplainedArgument(Explained);

impl FromStr for ExplainedArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text {
            "label" => Explained::Label,
            "predicted" => Explained::Predicted,
            class => Explained::Class(class.parse().map_err(|_| "expected label, predicted or the index of a class")?),
        }))
    }
}

impl fmt::Display for ExplainedArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Evaluate {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let (composite, _) = self.composite.read()?;
        let given = self.inputs.preprocess()?;
        let loaded = self.model.load()?;
        let classes = self.inputs.classes(&loaded)?;
        let options = self.options(&loaded.model)?;
        let attributor = unused::attributor(loaded.model.clone(), composite)?;
        let data = self.labels.open(&self.data, classes.as_ref(), self.targets.0 == Explained::Label)?;
        let preprocess = preprocess_for(data.as_ref(), given, loaded.model.input_shape(), self.keep_going, UNUSABLE)?;
        // A folder that cannot be written is found out before the work.
        let folder = self.out.as_deref().map(OutputFolder::prepare).transpose()?;
        let evaluation =
            Evaluation { attributor: &attributor, data: data.as_ref(), preprocess: &preprocess, options: &options };
        let findings = findings(&evaluation, session)?;
        let mut summary = Summary {
            model: self.model.model.clone(),
            model_hash: loaded.hash.to_string(),
            data: self.data.clone(),
            fingerprint: data.fingerprint().to_string(),
            labels: data.labels_fingerprint().map(|labels| labels.to_string()),
            description: data.describe(),
            composite: attributor.composite().name().to_owned(),
            options: &options,
            findings: &findings,
            pictures: Vec::new(),
        };
        if let Some(mut folder) = folder {
            for charts in summary.charts() {
                session.check()?;
                summary.pictures.push(draw::write(&charts, &summary, &mut folder)?);
            }
            folder.write("evaluation.json", format!("{:#}\n", summary.document()).as_bytes())?;
        }
        session.print(|| summary.text(), || summary.document())
    }

    fn options(&self, model: &Model) -> Result<EvaluateOptions, Failure> {
        let mut layers: Vec<String> = chosen_layers(model, &self.layers)?;
        if self.layers == ["all"] {
            // The output is what is followed.
            layers.retain(|layer| model.layer(layer).is_ok_and(|node| node != model.explained()));
        }
        let mut subjects: Vec<Subject> = layers.into_iter().map(|layer| Subject::Concepts { layer }).collect();
        if self.pixels || self.patch.is_some() {
            subjects.push(Subject::Pixels { side: self.patch.unwrap_or(NonZeroUsize::MIN) });
        }
        Ok(EvaluateOptions {
            subjects: once_each(subjects),
            replacements: match self.replace {
                ReplaceArgument::Zero => vec![Replacement::Zero],
                ReplaceArgument::Mean => vec![Replacement::Mean],
                ReplaceArgument::Both => Replacement::ALL.to_vec(),
            },
            orders: once_each(self.orders.clone()),
            directions: match self.direction {
                DirectionArgument::Flipping => vec![Direction::Flipping],
                DirectionArgument::Insertion => vec![Direction::Insertion],
                DirectionArgument::Both => Direction::ALL.to_vec(),
            },
            steps: self.steps,
            samples: self.samples.0,
            explained: self.targets.0,
            draws: NonZeroUsize::new(self.draws.into()).unwrap_or(NonZeroUsize::MIN),
            bootstrap: Bootstrap { resamples: self.resamples, confidence: self.confidence, seed: self.seed },
            batch: self.batch,
            memory: self.memory.unwrap_or_else(memory::quarter),
            keep_going: self.keep_going,
        })
    }
}

/// Runs an evaluation with a progress bar.
fn findings(evaluation: &Evaluation<'_>, session: &Session) -> Result<evaluate::Findings, Failure> {
    // Made when it is known how many there are.
    let bar: Mutex<Option<(Progress, usize)>> = Mutex::new(None);
    let progress = |state: evaluate::Progress| {
        // A poisoned bar is as good as none.
        let Ok(mut bar) = bar.lock() else { return };
        let (bar, shown) = bar.get_or_insert_with(|| (Progress::new("samples", state.total), 0));
        bar.advance(state.done.saturating_sub(*shown));
        *shown = state.done.max(*shown);
    };
    Ok(evaluate::run(evaluation, &progress, &session.cancel)?)
}

/// The same without those that came before.
fn once_each<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    items.into_iter().fold(Vec::new(), |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

/// What to do about a sample that cannot be used.
const UNUSABLE: &str = "`--keep-going` passes over such samples, and lists them";

impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Self {
        let kind = error.into_kind();
        let hint = match &kind {
            EvaluateErrorKind::Cancelled { .. } => return Self::interrupted(),
            EvaluateErrorKind::NothingAsked { .. } => Some("`--layer LAYER` replaces concepts, `--pixels` pixels"),
            EvaluateErrorKind::Confidence { .. } => Some("as in --confidence 0.95"),
            EvaluateErrorKind::LabelCount { .. } => {
                Some("`--targets predicted` needs no labels, `--targets 3` neither")
            }
            EvaluateErrorKind::Unreached { .. } => Some("choose a layer below the explained output, or other rules"),
            EvaluateErrorKind::NotFinite { .. } => Some(UNUSABLE),
            EvaluateErrorKind::Data(cause) if matches!(cause.kind(), ScanErrorKind::Sample { .. }) => Some(UNUSABLE),
            _ => None,
        };
        match kind {
            EvaluateErrorKind::Data(cause) if hint.is_none() => cause.into(),
            EvaluateErrorKind::Request(cause) => cause.into(),
            kind => Self::call(EvaluateError::from(kind)).hinted(hint.map(str::to_owned)),
        }
    }
}
