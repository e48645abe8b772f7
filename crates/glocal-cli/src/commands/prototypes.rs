//! `glocal prototypes`: the ways in which a model comes to each class, and whether new predictions are one of them.

mod draw;
mod judged;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use glocal::prototype::{ClassPrototypes, ClassVectors, Clusters, PrototypeOptions};
use glocal_kit::picture::{ColorMap, encode_png};
use glocal_kit::prototypes::read_vectors;
use glocal_kit::store::{NormalizationName, Store, StoredSample};

use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::{OutputFolder, file_name_part};
use crate::progress::Progress;
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored, StoredClasses, class_name, parse_class};
use draw::Pen;
use summary::Words;

/// Room for the vectors of all classes that are fitted in one call.
const MEMORY: usize = 2 << 30;

/// The part of a class's own samples that may be called outliers.
const OUTLIER: f64 = 0.05;

/// Find the ways in which a model comes to each class, and judge new predictions by them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  glocal analyze model.onnx photos/ --targets predicted --vectors f32 -o store
  glocal prototypes store --layer features.40 --class 281,282 -o prototypes/
  glocal prototypes store --layer features.40 --input cat.jpg dog.jpg -o judged/

The samples of a class are clustered by the relevance of all concepts (channels) of the layer, as a mixture of Gaussians. Each
cluster is a prototype: its part of the class, the sample nearest to its centre, its most relevant concepts, and those that are
more relevant than in the class's other clusters. Strategies pass into each other: of thousands of samples the criterion behind
`--clusters auto` makes as many clusters as it may, of which several can look alike; --clusters 3 shows the coarse ones.

With --input, samples are judged by the prototypes of the class that the model predicts for them. p is the part of the class's
own samples that are at least as unlikely: predictions like them have values spread evenly over 0 to 1, and those of at most 0.05
are called outliers. A class of n samples has no value below 1 / (n + 1), so that fewer than 19 cannot tell.

The store needs vectors: `glocal analyze --vectors f32`. -o DIR writes a picture of each class, or of each input.")]
pub struct Prototypes {
    /// The store, as `glocal analyze --vectors f32` wrote it
    store: PathBuf,
    /// The layer, by the name that it was analyzed under
    #[arg(long, value_name = "LAYER")]
    layer: String,
    /// The classes, by index or name [default: all that have samples]
    #[arg(long, value_name = "CLASS,...", value_delimiter = ',', conflicts_with = "inputs")]
    class: Vec<String>,
    /// How many prototypes a class has: a number, or `auto`, which is by the Bayesian information criterion, 8 at most
    #[arg(long, value_name = "N", default_value = "auto")]
    clusters: ClustersArgument,
    /// The seed of the clusters' starts
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// How many concepts are shown of each prototype, or in which an input differs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=32))]
    concepts: u16,
    /// Judge these: images, or arrays that are already preprocessed: .npy, .npz, .safetensors
    #[arg(long = "input", value_name = "FILE", num_args = 1..)]
    inputs: Vec<PathBuf>,
    /// How images become the model's input [default: as the store's images do]
    #[arg(long, value_name = "FILE", requires = "inputs")]
    preprocess: Option<PathBuf>,
    /// Write pictures into this folder
    #[arg(short = 'o', long = "out", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The colors of heatmaps: a name (bwr, coldnhot, balanced, ...) or nodes as in 00f,80:fff,f00
    #[arg(long, value_name = "NAME", default_value = "bwr", requires = "folder")]
    colormap: String,
    #[command(flatten)]
    classes: StoredClasses,
    /// The model, where it is no longer in its place
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The model's output that was analyzed, where it has several
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// The data set, where it is no longer in its place
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

/// [`Clusters`] as an argument.
#[derive(Debug, Clone, Copy)]
struct ClustersArgument(Clusters);

impl FromStr for ClustersArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self(PrototypeOptions::default().clusters)),
            count => count
                .parse::<NonZeroUsize>()
                .map(|count| Self(Clusters::Count(count)))
                .map_err(|_| "expected a number from 1, or auto"),
        }
    }
}

/// Prototypes by class.
type Fitted = BTreeMap<u32, ClassPrototypes>;

impl Prototypes {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let color_map: ColorMap = self.colormap.parse()?;
        let store = Store::open(&self.store)?;
        let names = self.classes.read(&store)?;
        let samples = store.samples()?;
        let shares = store.manifest().options.relevance.normalization == NormalizationName::Share;
        let words = Words {
            layer: &self.layer,
            names: names.as_deref(),
            samples: &samples,
            shares,
            concepts: self.concepts.into(),
        };
        // A folder that cannot be written is found out before the work.
        let folder = self.folder.as_deref().map(OutputFolder::prepare).transpose()?;
        if self.inputs.is_empty() {
            self.of_classes(store, &words, folder, &color_map, session)
        } else {
            self.of_inputs(store, &words, folder, &color_map, session)
        }
    }

    fn of_classes(
        &self,
        store: Store,
        words: &Words<'_>,
        mut folder: Option<OutputFolder>,
        color_map: &ColorMap,
        session: &Session,
    ) -> Result<(), Failure> {
        let chosen = self.class.iter().map(|text| parse_class(text, words.names));
        let chosen = chosen.collect::<Result<BTreeSet<u32>, _>>()?;
        let vectors = read_vectors(&store, &self.layer, (!chosen.is_empty()).then_some(&chosen), MEMORY)?;
        if let Some(&class) = chosen.iter().find(|class| !vectors.contains_key(class)) {
            return Err(StoreMisuse::NoSamplesOfClass { class }.into());
        }
        // Before a long fit, as the model and the data may have moved.
        let stored = match &folder {
            Some(_) => Some(self.stored(store)?),
            None => None,
        };
        let fitted = self.fit(&vectors, session)?;
        if fitted.is_empty() {
            return Err(Misuse::Unreached { layer: self.layer.clone() }.into());
        }
        let mut pictures = BTreeMap::new();
        if let (Some(stored), Some(folder)) = (&stored, &mut folder) {
            let pen = Pen { stored, words, color_map, cancel: &session.cancel };
            for (class, prototypes) in &fitted {
                let sheet = pen.class(prototypes)?;
                let name = format!("{}.png", file_name_part(&class_name(words.names, *class as usize)));
                pictures.insert(*class, folder.write(&name, &encode_png(&sheet.draw()?)?)?);
            }
        }
        let left_out: Vec<u32> = vectors.into_keys().filter(|class| !fitted.contains_key(class)).collect();
        session.print(
            || words.classes_text(&fitted, &left_out, &pictures),
            || words.classes_document(&fitted, &left_out, &pictures),
        )
    }

    fn stored(&self, store: Store) -> Result<Stored, Failure> {
        Stored::open(store, self.model.as_deref(), self.data.as_deref(), self.output.clone())
    }

    /// The prototypes of the classes that have vectors which can be used.
    fn fit(&self, vectors: &BTreeMap<u32, ClassVectors>, session: &Session) -> Result<Fitted, Failure> {
        let options = PrototypeOptions { clusters: self.clusters.0, seed: self.seed };
        let progress = Progress::new("classes", vectors.len());
        let mut fitted = BTreeMap::new();
        for (class, vectors) in vectors {
            if let Some(prototypes) = vectors.fit(&options, &session.cancel)? {
                fitted.insert(*class, prototypes);
            }
            progress.advance(1);
        }
        Ok(fitted)
    }
}

/// The name of a sample.
fn key(samples: &[StoredSample], sample: u64) -> &str {
    samples.get(sample as usize).map_or("", |sample| &sample.key)
}
