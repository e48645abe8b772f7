//! `glocal convert`: stores in the layout of zennit-crp, written and read.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};
use glocal::search::Scan;
use glocal_kit::convert::{Search, Written, from_zennit_crp, to_zennit_crp};
use glocal_kit::data;
use glocal_kit::scan::{Analysis, RunOptions, Source};
use glocal_kit::store::Store;
use serde_json::json;

use crate::args::{CanonizeArgument, CompositeArgument, ModelArguments, SampleArguments};
use crate::commands::analyze::preprocess_for;
use crate::failure::Failure;
use crate::hint;
use crate::session::Session;
use crate::unused;

/// Convert a store to the layout of the library zennit-crp, or make one of what that library has found
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("direction").required(true).args(["to", "from"]), after_help = "Examples:
  glocal convert store --to zennit-crp crp/                       folders RelMax_sum_normed/ and so on, in crp/
  glocal convert store --from zennit-crp crp/ --model model.onnx --data photos/ --preprocess preprocess.toml --composite epsilon-plus

The library keeps no more than samples, scores and positions of its rankings, and scores both measures in one way, which the names of
its folders say; activation of a store is scored otherwise by default. A store made of them has no statistics, and it rests
with the caller that model, data, preprocessing and rules are those of the search; that samples and positions exist is checked.")]
pub struct Convert {
    /// The store: the one to convert, or a new or empty folder
    store: PathBuf,
    /// Write the store in this format into a new or empty folder
    #[arg(long, num_args = 2, value_names = ["FORMAT", "DIR"])]
    to: Option<Vec<String>>,
    /// Make the store of a folder in this format
    #[arg(long, num_args = 2, value_names = ["FORMAT", "DIR"], requires_all = ["model", "data"])]
    from: Option<Vec<String>>,
    /// The ONNX file of the model that was searched
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    model: Option<PathBuf>,
    /// The data set that was searched, whose labels were the targets
    #[arg(long, value_name = "DATA", conflicts_with = "to")]
    data: Option<PathBuf>,
    #[command(flatten)]
    composite: CompositeArgument,
    #[command(flatten)]
    samples: SampleArguments,
    /// Whether batch normalisations are merged, as the library does with its canonizers
    #[arg(long, value_enum, default_value_t = CanonizeArgument::Auto)]
    canonize: CanonizeArgument,
    /// The shape of one input sample, for models that leave it open: 3,224,224
    #[arg(long, value_name = "C,H,W", value_delimiter = ',')]
    input_shape: Option<Vec<usize>>,
    /// The output that was explained, for models with several
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
}

/// A layout of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    ZennitCrp,
}

/// A format was given that is none.
#[derive(Debug)]
pub struct FormatError {
    given: String,
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        match text {
            "zennit-crp" => Ok(Self::ZennitCrp),
            given => Err(FormatError { given: given.to_owned() }),
        }
    }
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is no format of stores; expected zennit-crp", self.given)
    }
}

impl std::error::Error for FormatError {}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        Self::call(error).hinted(Some("as in `glocal convert store --to zennit-crp DIR`".to_owned()))
    }
}

/// The format and the folder of `--to` or `--from`.
fn place(arguments: &[String]) -> Result<PathBuf, Failure> {
    let [format, folder] = arguments else { return Err(FormatError { given: arguments.join(" ") }.into()) };
    let Format::ZennitCrp = format.parse()?;
    Ok(PathBuf::from(folder))
}

impl Convert {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        match (&self.to, &self.from) {
            (Some(to), _) => self.write(place(to)?, session),
            (None, from) => self.read(place(from.as_deref().unwrap_or_default())?, session),
        }
    }

    fn write(&self, folder: PathBuf, session: &Session) -> Result<(), Failure> {
        let Written { suffix, files, shortened, activation } = to_zennit_crp(&Store::open(&self.store)?, &folder)?;
        let lost = match shortened {
            0 => String::new(),
            count => {
                format!("\n{count} rankings are longer than the shortest of their layer, and lost their last entries")
            }
        };
        let otherwise = activation.map_or_else(String::new, |scoring| {
            format!("\nactivation was scored otherwise ({scoring}), which the names of the folders cannot say")
        });
        let text = || format!("{}: {files} files in folders that end in {suffix}{lost}{otherwise}", folder.display());
        let document = || {
            json!({
                "folder": folder.to_string_lossy(),
                "suffix": suffix,
                "files": files,
                "shortened": shortened,
                "activation": activation.map(|scoring| scoring.to_string()),
            })
        };
        session.print(text, document)
    }

    fn read(&self, folder: PathBuf, session: &Session) -> Result<(), Failure> {
        let (Some(model), Some(data_path)) = (&self.model, &self.data) else {
            // The command line requires both.
            return Err(FormatError { given: String::new() }.into());
        };
        let search = Search::open(&folder)?;
        let (composite, composite_text) = self.composite.read()?;
        let arguments = ModelArguments {
            model: model.clone(),
            canonize: self.canonize,
            input_shape: self.input_shape.clone(),
            output: self.output.clone(),
        };
        let loaded = arguments.load()?;
        let classes = self.samples.classes(&loaded)?;
        let scan = Scan::new(unused::attributor(loaded.model.clone(), composite)?, &search.layers, search.options)?;
        let data = data::open(data_path)?;
        let given = self.samples.preprocess()?;
        let shape = loaded.model.input_shape();
        let preprocess = preprocess_for(data.as_ref(), given, shape, true, hint::UNUSABLE)?;
        let source = Source {
            model: model.clone(),
            model_hash: loaded.hash.to_string(),
            canonized: self.canonize == CanonizeArgument::Auto,
            composite: composite_text,
            data: data_path.clone(),
            class_names: classes.map(|names| names.as_slice().to_vec()),
        };
        let options = RunOptions::default();
        let analysis =
            Analysis { scan: &scan, data: data.as_ref(), preprocess: &preprocess, source: &source, options: &options };
        from_zennit_crp(&search, &analysis, &self.store)?;
        let text = || format!("{}: {} layers, {}", self.store.display(), search.layers.len(), data.describe());
        let document = || json!({ "store": self.store.to_string_lossy(), "layers": search.layers });
        session.print(text, document)
    }
}
