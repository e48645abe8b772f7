//! A store together with the model and the data set that it was made of.

mod failure;
mod misuse;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use glocal::attribution::{Attributor, Cancel};
use glocal::composite::Composite;
use glocal_compute::CpuBackend;
use glocal_kit::cache::{Cache, CacheError};
use glocal_kit::data::{self, DataSet};
use glocal_kit::explain::{Explainer, Tally, ViewCache};
use glocal_kit::loading::{self, Canonize, ClassNames, LoadOptions, LoadedModel};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::store::{CompositeManifest, Manifest, ModelManifest, Sources, Store};

pub use misuse::StoreMisuse;

use crate::failure::Failure;
use crate::unused;

/// What the classes of a store are called.
#[derive(Debug, Args)]
pub struct StoredClasses {
    /// The names of the classes: one a line, or a JSON list [default: those that the store was made with]
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
}

impl StoredClasses {
    /// The names, where any are known.
    pub fn read(&self, store: &Store) -> Result<Option<Vec<String>>, Failure> {
        match &self.classes {
            Some(path) => Ok(Some(ClassNames::read(path)?.as_slice().to_vec())),
            None => Ok(store.manifest().data.classes.clone()),
        }
    }
}

/// The name of a class, or its number where it has none.
pub fn class_name(names: Option<&[String]>, class: usize) -> String {
    names.and_then(|names| names.get(class)).cloned().unwrap_or_else(|| format!("class {class}"))
}

/// The class that `text` means: an index, or one of the names.
pub fn parse_class(text: &str, names: Option<&[String]>) -> Result<u32, Failure> {
    let named = || names?.iter().position(|name| name == text)?.try_into().ok();
    // Without names, only the model would know how many classes there are.
    let known = |class: &u32| names.is_none_or(|names| (*class as usize) < names.len());
    let class = text.parse().ok().filter(known).or_else(named);
    class.ok_or_else(|| StoreMisuse::UnknownClass { given: text.to_owned() }.into())
}

/// A store, opened with all that views of its reference samples need.
pub struct Stored {
    /// The store.
    pub store: Store,
    /// Where model and data are.
    pub sources: Sources,
    attributor: Attributor,
    data: Box<dyn DataSet>,
    preprocess: Preprocess,
    views: Option<ViewCache>,
}

/// Where model and data are, if not where they were.
#[derive(Debug, Args)]
pub struct StoredSources {
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

impl StoredSources {
    /// Opens them, with a cache for views.
    pub fn open(&self, store: Store, cache: Option<Cache>) -> Result<Stored, Failure> {
        let mut stored = Stored::open(store, self.model.as_deref(), self.data.as_deref(), self.output.clone())?;
        stored.views = cache.map(|cache| ViewCache::new(cache, stored.store.manifest()));
        Ok(stored)
    }
}

impl Stored {
    /// Opens model and data where they were when the store was written, unless they are given; `output` is the model's
    /// output that is explained, where it has several.
    pub fn open(
        store: Store,
        model: Option<&Path>,
        data: Option<&Path>,
        output: Option<String>,
    ) -> Result<Self, Failure> {
        let manifest = &store.manifest().model;
        let canonize = if manifest.canonized { Canonize::Auto } else { Canonize::None };
        let options = LoadOptions { input_shape: Some(manifest.input_shape.clone()), output, canonize };
        let sources = store.sources()?;
        let path = model.map_or_else(|| PathBuf::from(&sources.model), Path::to_owned);
        for (given, stored, flag) in [(model, &sources.model, "--model FILE"), (data, &sources.data, "--data PATH")] {
            if given.is_none() && !Path::new(stored).exists() {
                return Err(StoreMisuse::Moved { path: PathBuf::from(stored), flag }.into());
            }
        }
        let loaded = loading::load_model(&path, &options, Arc::new(CpuBackend::new()))?;
        let canonized = manifest.canonized;
        Self::with_model(store, &loaded, &path, canonized, data)
    }

    /// The same for a model that is loaded already.
    ///
    /// # Errors
    /// When the store was made with another model or of other data.
    pub fn with_model(
        store: Store,
        loaded: &LoadedModel,
        model_path: &Path,
        canonized: bool,
        data: Option<&Path>,
    ) -> Result<Self, Failure> {
        let stored = store.manifest();
        let mut sources = store.sources()?;
        sources.model = model_path.to_string_lossy().into_owned();
        if let Some(path) = data {
            sources.data = path.to_string_lossy().into_owned();
        }
        let composite: Composite = sources.composite.parse()?;
        let model = &loaded.model;
        let mut given: Manifest = stored.clone();
        given.model = ModelManifest {
            blake3: loaded.hash.to_string(),
            canonized,
            input_shape: model.input_shape().to_vec(),
            explained: model.graph().node(model.explained()).display_name().to_owned(),
        };
        given.composite = CompositeManifest {
            name: composite.name().to_owned(),
            rules: composite.describe().lines().map(str::to_owned).collect(),
        };
        // The model first: that is the mistake that is easily made, and the data may be large.
        store.check(&given)?;
        let data = data::open(Path::new(&sources.data))?;
        given.data.fingerprint = data.fingerprint().to_string();
        given.data.samples = data.len() as u64;
        store.check(&given)?;
        let preprocess = Preprocess::from_toml(&stored.preprocess)?;
        let attributor = unused::attributor(Arc::clone(model), composite)?;
        Ok(Self { store, sources, attributor, data, preprocess, views: None })
    }

    /// How its images become inputs.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// What explains samples.
    pub fn explainer<'a>(&'a self, cancel: &'a Cancel) -> Explainer<'a> {
        let (attributor, data, preprocess) = (&self.attributor, self.data.as_ref(), &self.preprocess);
        Explainer { attributor, data, preprocess, cancel, views: self.views.as_ref() }
    }

    /// How many views were found in the cache and how many were not; `None` without a cache.
    pub fn tally(&self) -> Option<Tally> {
        self.views.as_ref().map(ViewCache::tally)
    }

    /// The first error of keeping a view, if there was one.
    pub fn cache_fault(&self) -> Option<CacheError> {
        self.views.as_ref().and_then(ViewCache::fault)
    }

    /// The cache.
    pub fn cache(&self) -> Option<&Cache> {
        self.views.as_ref().map(ViewCache::cache)
    }
}
