//! `glocal analyze`: the reference samples of every concept of the chosen layers, in one pass over a data set.

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use glocal::concept::{Normalization, Score, Scoring};
use glocal::model::Model;
use glocal::op::OpKind;
use glocal::search::{Scan, ScanOptions};
use glocal_kit::data::{Content, DataSet};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::scan::{self, Analysis, Report, RunOptions, Shard, Source, Targets, VectorFormat};
use glocal_kit::store::{SkippedSample, Store};
use serde_json::{Value, json};

use crate::args::{CanonizeArgument, CompositeArgument, LabelArguments, ModelArguments, SampleArguments};
use crate::failure::Failure;
use crate::hint;
use crate::memory::bytes;
use crate::output::OutputFolder;
use crate::progress::Progress;
use crate::session::Session;
use crate::stored::StoreMisuse;
use crate::table::printable;
use crate::unused;

/// Room for the activations of a batch; what rules prepare takes a few times as much.
const ACTIVATION_BYTES: usize = 128 << 20;

/// More samples at once bring no speed.
const LARGEST_BATCH: usize = 32;

/// Find the samples of a data set for which each concept is most relevant and most active
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal analyze model.onnx photos/ --preprocess preprocess.toml -o store               a folder for each class, or images
  glocal analyze model.onnx photos/labels.csv --preprocess preprocess.toml -o store     images listed with their labels
  glocal analyze model.onnx mnist/ --preprocess preprocess.toml -o store                an IDX pair (MNIST)
  glocal analyze model.onnx series.npz -o store                                         arrays x [N, C, ...], labels y [N]
  glocal analyze model.onnx data/ --preprocess preprocess.toml -o store                 Parquet files (Hugging Face)
  glocal analyze model.onnx shards/ --preprocess preprocess.toml --keep-going -o store  tar shards (WebDataset)
  glocal analyze model.onnx mnist/ --preprocess preprocess.toml --shard 2/7 -o second   the second of seven parts

DATA is one of these; arrays are npy, npz or safetensors, also time series [N, C, T] and volumes [N, C, D, H, W]. A CSV file
has a header with the columns file and label, or just these two columns; labels are indices or names of classes, a;b are
several. It lies beside its images, and is found in their folder when it is called labels.csv or is the only one there. Tar
shards hold the files of a sample side by side, as in 0001.jpg and 0001.cls. Parquet files have a binary column image, or
image.bytes, and a column label. Of a folder of shards all are taken, in the order of their names. Hidden files (.name) are
ignored, files of other kinds counted and left out.

Labels that are names, those of class folders among them, are found among the names of --classes, which may have more; without
it, they are numbered in their order, and there has to be one for each output of the model.

A run that was stopped, by Ctrl-C or otherwise, goes on where it was when it is started again in the same way, and ends
with the same tables. The tables are Parquet files, for `glocal references`, `classes` and `report`, and for any other
program.")]
pub struct Analyze {
    #[command(flatten)]
    model: ModelArguments,
    /// The data set
    data: PathBuf,
    /// The store: a new or empty folder, or that of the same analysis, which goes on then
    #[arg(short = 'o', long = "out", value_name = "STORE")]
    store: PathBuf,
    /// The layers, or `all`: every layer with weights
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',', default_value = "all")]
    layers: Vec<String>,
    #[command(flatten)]
    composite: CompositeArgument,
    /// How the values of a concept in a sample become one number; of activations, `sum` counts the positive ones
    #[arg(long, value_enum, default_value_t = ScoreArgument::Sum)]
    score: ScoreArgument,
    /// What the relevance scores of a sample are divided by, so that samples compare
    #[arg(long, value_enum, default_value_t = NormArgument::Share)]
    norm: NormArgument,
    /// How many samples are kept for each concept, over all classes and for each class
    #[arg(long, value_name = "K", default_value_t = NonZeroUsize::MIN.saturating_add(39))]
    top_k: NonZeroUsize,
    /// What is explained of each sample: its `label`, the `predicted` class, `all-labels`, or a class by its index
    #[arg(long, value_name = "TARGETS", default_value_t = TargetsArgument(Targets::Label))]
    targets: TargetsArgument,
    #[command(flatten)]
    samples: SampleArguments,
    /// How many samples are computed together; results do not depend on it [default: 32, fewer for large models]
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// How many seconds lie between two times that the work is saved
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    save_every: u64,
    #[command(flatten)]
    labels: LabelArguments,
    /// Analyze one of N equal parts of the data set, from 1/N to N/N, for `glocal merge`
    #[arg(long, value_name = "I/N", default_value_t)]
    shard: Shard,
    /// Keep the relevance of all concepts for every sample, as 16-bit or 32-bit floats: for `glocal prototypes`, and for other
    /// programs
    #[arg(long, value_enum, value_name = "FORMAT")]
    vectors: Option<VectorArgument>,
    /// About how much memory the rankings may take, as 2GB or 512MiB, before they are written to disk; results do not depend on
    /// it [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory: Option<usize>,
    /// Pass over samples that cannot be read, and list them in STORE/skipped.parquet; else the first ends the run. They keep
    /// their numbers
    #[arg(long)]
    keep_going: bool,
}

/// How many samples that were passed over the text names.
const SKIPPED_SHOWN: usize = 10;

/// How the values of a concept become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScoreArgument {
    /// Their sum
    Sum,
    /// The largest
    Max,
}

/// What scores are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NormArgument {
    /// The sum of the absolute scores of all concepts of the layer in that sample
    Share,
    /// Nothing
    Raw,
}

/// [`VectorFormat`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VectorArgument {
    /// 16-bit floats, with three digits: for shares
    F16,
    /// 32-bit floats, as they are computed
    F32,
}

impl From<VectorArgument> for VectorFormat {
    fn from(format: VectorArgument) -> Self {
        match format {
            VectorArgument::F16 => Self::F16,
            VectorArgument::F32 => Self::F32,
        }
    }
}

/// [`Targets`] as an argument.
#[derive(Debug, Clone, Copy)]
struct TargetsArgument(Targets);

impl FromStr for TargetsArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text {
            "label" => Targets::Label,
            "predicted" => Targets::Predicted,
            "all-labels" => Targets::AllLabels,
            class => {
                let expected = "expected label, predicted, all-labels or the index of a class";
                Targets::Class(class.parse().map_err(|_| expected)?)
            }
        }))
    }
}

impl fmt::Display for TargetsArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Analyze {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let (composite, composite_text) = self.composite.read()?;
        let loaded = self.model.load()?;
        let classes = self.samples.classes(&loaded)?;
        let given = self.samples.preprocess()?;
        let layers = chosen_layers(&loaded.model, &self.layers)?;
        let scan = Scan::new(unused::attributor(loaded.model.clone(), composite)?, &layers, self.scan_options())?;
        let explained = matches!(self.targets.0, Targets::Label | Targets::AllLabels);
        let data = self.labels.open(&self.data, classes.as_ref(), explained)?;
        let preprocess =
            preprocess_for(data.as_ref(), given, loaded.model.input_shape(), self.keep_going, hint::UNUSABLE)?;
        // A folder that cannot be written is found out before the data set is read.
        drop(OutputFolder::prepare(&self.store)?);
        let source = Source {
            model: self.model.model.clone(),
            model_hash: loaded.hash.to_string(),
            canonized: self.model.canonize == CanonizeArgument::Auto,
            composite: composite_text,
            data: self.data.clone(),
            class_names: classes.map(|names| names.as_slice().to_vec()),
        };
        let defaults = RunOptions::default();
        let options = RunOptions {
            targets: self.targets.0,
            shard: self.shard,
            vectors: self.vectors.map(VectorFormat::from),
            memory: self.memory.unwrap_or(defaults.memory),
            batch: self.batch.unwrap_or_else(|| batch_for(&loaded.model)),
            checkpoint_every: Duration::from_secs(self.save_every),
            keep_going: self.keep_going,
            ..defaults
        };
        let analysis =
            Analysis { scan: &scan, data: data.as_ref(), preprocess: &preprocess, source: &source, options: &options };
        let done = Done::by(&analysis, &self.store, session)?;
        session.print(|| done.text(&data.describe()), || done.document())
    }

    fn scan_options(&self) -> ScanOptions {
        let normalization = match self.norm {
            NormArgument::Share => Normalization::Share,
            NormArgument::Raw => Normalization::Raw,
        };
        let (relevance, activation) = match self.score {
            ScoreArgument::Sum => (Score::Sum, Score::PositiveSum),
            ScoreArgument::Max => (Score::Max, Score::Max),
        };
        ScanOptions {
            top_k: self.top_k.get(),
            relevance: Scoring { score: relevance, normalization },
            activation: Scoring { score: activation, normalization: Normalization::Raw },
        }
    }
}

/// How the images of `data` become inputs of `shape`; arrays need nothing. `unusable` says what to do about a sample that cannot be
/// read.
pub fn preprocess_for(
    data: &dyn DataSet,
    given: Option<Preprocess>,
    shape: &[usize],
    keep_going: bool,
    unusable: &str,
) -> Result<Preprocess, Failure> {
    // The first sample tells; where samples may be passed over, the first that can be read.
    let mut images = false;
    for sample in 0..data.len() {
        match data.load(sample) {
            Ok(content) => images = matches!(content, Content::Image(_)),
            Err(_) if keep_going => continue,
            Err(error) => return Err(Failure::call(error).hinted(Some(unusable.to_owned()))),
        }
        break;
    }
    match given {
        Some(preprocess) => {
            if images {
                preprocess.check(shape)?;
            }
            Ok(preprocess)
        }
        None if images => Err(StoreMisuse::NoPreprocess { expected: shape.to_vec() }.into()),
        None => Ok(Preprocess::default()),
    }
}

/// The layers of these names; for `all`, every layer with weights that the explained output depends on.
pub fn chosen_layers(model: &Model, names: &[String]) -> Result<Vec<String>, Failure> {
    if names != ["all"] {
        return Ok(names.to_vec());
    }
    let graph = model.graph();
    let reached = graph.ancestors(model.explained());
    let weighted = graph
        .nodes()
        .filter(|(id, node)| reached[id.index()] && matches!(node.op.kind(), OpKind::Convolution | OpKind::Dense));
    Ok(weighted.map(|(_, node)| node.display_name().to_owned()).collect())
}

/// How many samples are computed together, so that memory stays bounded.
fn batch_for(model: &Model) -> NonZeroUsize {
    let values: usize = model.graph().nodes().map(|(_, node)| node.shape.iter().product::<usize>()).sum();
    let fitting = ACTIVATION_BYTES / values.saturating_mul(size_of::<f32>()).max(1);
    NonZeroUsize::new(fitting.min(LARGEST_BATCH)).unwrap_or(NonZeroUsize::MIN)
}

/// An analysis that has ended.
pub struct Done {
    store: PathBuf,
    layers: Vec<(String, usize)>,
    report: Report,
    /// Those of this run and of the runs before.
    skipped: Vec<SkippedSample>,
    time: Duration,
}

impl Done {
    /// Runs an analysis with a progress bar.
    pub fn by(analysis: &Analysis<'_>, store: &Path, session: &Session) -> Result<Self, Failure> {
        let started = Instant::now();
        // Made when it is known how much is left.
        let bar: RefCell<Option<(Progress, u64)>> = RefCell::new(None);
        let progress = |state: scan::Progress| {
            let mut bar = bar.borrow_mut();
            let left = (state.total - state.resumed) as usize;
            let (bar, shown) = bar.get_or_insert_with(|| (Progress::new("samples", left), state.resumed));
            bar.advance((state.done - *shown) as usize);
            *shown = state.done;
        };
        let report = scan::run(analysis, store, &progress, &session.cancel)?;
        let layers = analysis.scan.layers().map(|(name, concepts)| (name.to_owned(), concepts)).collect();
        let time = started.elapsed();
        let skipped = Store::open(store)?.skipped()?;
        Ok(Self { store: store.to_owned(), layers, report, skipped, time })
    }

    /// What was done, for people.
    pub fn text(&self, data: &str) -> String {
        let Report { samples, resumed, already_complete, not_a_number, .. } = self.report;
        let store = self.store.display();
        let concepts: usize = self.layers.iter().map(|(_, concepts)| concepts).sum();
        let what = format!("{concepts} concepts of {} layers, {data}", self.layers.len());
        if already_complete {
            return format!("{store} is complete already: {what}\n{}", self.passed_over());
        }
        let now = samples - resumed;
        let seconds = self.time.as_secs_f64();
        let went_on = if resumed > 0 { format!("; {resumed} samples were done before") } else { String::new() };
        let rate = now as f64 / seconds.max(f64::EPSILON);
        let lost = match not_a_number {
            0 => String::new(),
            count => format!("{count} scores were not a number and are not ranked: see concepts.parquet\n"),
        };
        format!(
            "{store}: {what}\n{now} samples in {seconds:.1} s, {rate:.0} a second{went_on}\n{lost}{}",
            self.passed_over()
        )
    }

    /// The samples that were passed over, the first of them with their reasons.
    fn passed_over(&self) -> String {
        let mut text = match self.skipped.len() {
            0 => return String::new(),
            1 => "1 sample could not be used and was passed over: see skipped.parquet\n".to_owned(),
            count => format!("{count} samples could not be used and were passed over: see skipped.parquet\n"),
        };
        for SkippedSample { sample, key, reason } in self.skipped.iter().take(SKIPPED_SHOWN) {
            text += &format!("  {sample} {}: {}\n", printable(key), printable(reason));
        }
        if let Some(more) = self.skipped.len().checked_sub(SKIPPED_SHOWN).filter(|more| *more > 0) {
            text += &format!("  and {more} more\n");
        }
        text
    }

    /// What was done, for machines.
    pub fn document(&self) -> Value {
        let Report { samples, resumed, already_complete, not_a_number, .. } = self.report;
        let layers = self.layers.iter().map(|(name, concepts)| json!({ "layer": name, "concepts": concepts }));
        let skipped = self
            .skipped
            .iter()
            .map(|SkippedSample { sample, key, reason }| json!({ "sample": sample, "key": key, "reason": reason }));
        json!({
            "store": self.store.to_string_lossy(),
            "samples": samples,
            "resumed": resumed,
            "already_complete": already_complete,
            "not_a_number": not_a_number,
            "skipped": skipped.collect::<Vec<_>>(),
            "seconds": self.time.as_secs_f64(),
            "layers": layers.collect::<Vec<_>>(),
        })
    }
}
