//! What the commands' arguments have in common, and how their texts are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Parser, ValueEnum};
use glocal::attribution::Target;
use glocal::composite::Composite;
use glocal_compute::CpuBackend;
use glocal_kit::data::{self, AbsentClasses, DataSet};
use glocal_kit::loading::{self, Canonize, ClassNames, LoadOptions, LoadedModel};
use glocal_kit::preprocess::Preprocess;
use serde_json::json;

use crate::commands::Command;
use crate::failure::Failure;
use crate::misuse::Misuse;

/// Explains what a neural network saw, and where.
///
/// Exit codes: 0 done; 1 the work failed; 2 the call was wrong (arguments, unreadable or unfit input files, an output that
/// cannot be written); 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "glocal", version, propagate_version = true, after_help = "Example:\n  glocal inspect model.onnx")]
pub struct CommandLine {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Print one JSON document instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Compute on this many threads; results do not depend on it [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

/// Which model, and how it is read.
#[derive(Debug, Args)]
pub struct ModelArguments {
    /// The ONNX file
    pub model: PathBuf,
    /// Whether batch normalisations are merged and identities dropped before rules are assigned
    #[arg(long, value_enum, default_value_t = CanonizeArgument::Auto)]
    pub canonize: CanonizeArgument,
    /// The shape of one input sample, for models that leave it open: 3,224,224
    #[arg(long, value_name = "C,H,W", value_delimiter = ',')]
    pub input_shape: Option<Vec<usize>>,
    /// The output to explain, for models with several
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

/// Whether canonizers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CanonizeArgument {
    /// Merge batch normalisations, drop identities
    Auto,
    /// Take the graph as it is in the file
    None,
}

impl ModelArguments {
    /// Reads the model.
    pub fn load(&self) -> Result<LoadedModel, Failure> {
        self.load_on(CpuBackend::new())
    }

    /// Reads the model, to be run by that backend.
    pub fn load_on(&self, backend: CpuBackend) -> Result<LoadedModel, Failure> {
        let canonize = match self.canonize {
            CanonizeArgument::Auto => Canonize::Auto,
            CanonizeArgument::None => Canonize::None,
        };
        let (input_shape, output) = (self.input_shape.clone(), self.output.clone());
        Ok(loading::load_model(&self.model, &LoadOptions { input_shape, output, canonize }, Arc::new(backend))?)
    }
}

/// The composite of commands that are given none.
pub const DEFAULT_COMPOSITE: &str = "epsilon-plus-flat";

/// The rules.
#[derive(Debug, Args)]
pub struct CompositeArgument {
    /// The rules: NAME or NAME:KEY=VALUE,... as in epsilon-gamma-box:low=-3,high=3, or a FILE.toml [default: epsilon-plus-flat]
    #[arg(long, value_name = "NAME")]
    composite: Option<String>,
    /// A rule before those, as an entry of a composite's TOML: 'layer = "features.0", rule = "flat"'; repeatable, the first
    /// that matches wins
    #[arg(long = "rule", value_name = "ENTRY")]
    rules: Vec<String>,
}

impl CompositeArgument {
    /// The composite, and the text that it is read from again.
    pub fn read(&self) -> Result<(Composite, String), Failure> {
        self.read_or(DEFAULT_COMPOSITE)
    }

    /// Whether the call names rules.
    pub fn is_given(&self) -> bool {
        self.composite.is_some()
    }

    /// The same with another default.
    pub fn read_or(&self, default: &str) -> Result<(Composite, String), Failure> {
        read_composite(self.composite.as_deref().unwrap_or(default), &self.rules)
    }
}

/// The composite that `--composite` and `--rule` mean, and the text that it is read from again: the name, the file's
/// content, or TOML with the entries of `rules` in front of either.
pub fn read_composite(argument: &str, rules: &[String]) -> Result<(Composite, String), Failure> {
    let text = if argument.ends_with(".toml") {
        std::fs::read_to_string(argument)
            .map_err(|cause| Misuse::UnreadableComposite { path: argument.to_owned(), cause })?
    } else {
        argument.to_owned()
    };
    let composite: Composite = text.parse()?;
    if rules.is_empty() {
        return Ok((composite, text));
    }
    // Texts are quoted as in JSON, which TOML reads too.
    let [name, extends] = [format!("{}, extended", composite.name()), text].map(|text| json!(text).to_string());
    let entries: String = rules.iter().map(|rule| format!("    {{ {rule} }},\n")).collect();
    let text = format!("name = {name}\nextends = {extends}\nrules = [\n{entries}]\n");
    Ok((text.parse()?, text))
}

/// How images become inputs, and what the outputs are called.
#[derive(Debug, Args)]
pub struct SampleArguments {
    /// How images become inputs: a TOML file, or a Hugging Face preprocessor_config.json
    #[arg(long, value_name = "FILE")]
    pub preprocess: Option<PathBuf>,
    /// The names of the classes, in the order of the model's output: one a line, or a JSON list
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
}

impl SampleArguments {
    /// The preprocessing, where there is one.
    pub fn preprocess(&self) -> Result<Option<Preprocess>, Failure> {
        Ok(self.preprocess.as_deref().map(Preprocess::read).transpose()?)
    }

    /// The class names, which are checked to be as many as the model's classes.
    pub fn classes(&self, model: &LoadedModel) -> Result<Option<ClassNames>, Failure> {
        let Some(path) = &self.classes else { return Ok(None) };
        let names = ClassNames::read(path)?;
        names.check(model.model.output_shape().first().copied().unwrap_or(1))?;
        Ok(Some(names))
    }
}

/// What samples of a data set are labelled with.
#[derive(Debug, Args)]
pub struct LabelArguments {
    /// The labels of the samples, in place of the data's own: a CSV file with the columns sample (its name in the data set, or its
    /// number where samples have no names) and label, a name or the index of an output; a sample may have several, in several rows
    /// or as a;b
    #[arg(long, value_name = "FILE.csv")]
    pub labels: Option<PathBuf>,
}

impl LabelArguments {
    /// The data set at `data` with these labels, which are found by name where `classes` are known; `explained` says whether they are
    /// what is explained.
    pub fn open(
        &self,
        data: &Path,
        classes: Option<&ClassNames>,
        explained: bool,
    ) -> Result<Box<dyn DataSet>, Failure> {
        let mut data = data::open(data)?;
        if let Some(table) = &self.labels {
            data = data::with_labels(data, table)?;
        }
        let absent = if explained { AbsentClasses::Refused } else { AbsentClasses::Unlabelled };
        match classes {
            Some(names) => Ok(data::with_outputs(data, names.as_slice(), names.path(), absent)?),
            None => Ok(data),
        }
    }
}

/// What is explained.
#[derive(Debug, Args)]
pub struct TargetArguments {
    /// Explain this class (its index in the output, from 0)
    #[arg(long, value_name = "T", conflicts_with = "predicted")]
    pub target: Option<usize>,
    /// Explain the predicted class of each sample; the default
    #[arg(long)]
    pub predicted: bool,
}

impl TargetArguments {
    /// The target.
    pub fn target(&self) -> Target {
        match self.target {
            Some(class) => Target::Some(glocal::concept::Selection::channels([class])),
            None => Target::Predicted,
        }
    }
}
