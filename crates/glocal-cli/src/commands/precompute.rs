//! `glocal precompute`: fills the cache, so that the pictures of a layer's concepts are there when they are wanted.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use glocal_kit::explain::{ExplainError, Tally, Wanted};
use glocal_kit::store::Store;
use serde_json::{Value, json};

use crate::caching::CacheArguments;
use crate::commands::references::{By, parse_range};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::session::Session;
use crate::stored::{StoreMisuse, Stored, StoredSources};
use crate::viewing::{OriginArgument, Shown, ViewArgument};

/// The most concepts that are computed together: the more there are, the more share the way up through the model, and the
/// less often progress is seen.
const CONCEPTS: usize = 16;

/// Room for the views of concepts that are computed together.
const BYTES: usize = 128 << 20;

/// Fill the cache with the views of a layer's concepts, so that their pictures are drawn at once
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glocal precompute store --layer features.40 --view heatmap,peak

What is in the cache already is not computed again: an interrupted run goes on where it was. What is kept is relevance, from
which the views heatmap, overlay and masked are drawn alike, and likewise crop and peak: colors, masks and sizes cost
nothing later. --by, --ranks and --from are to be those of the pictures.")]
pub struct Precompute {
    /// The store, as `glocal analyze` wrote it
    store: PathBuf,
    /// The layer, by the name that it was analyzed under (repeatable)
    #[arg(long, required = true, value_name = "LAYER")]
    layer: Vec<String>,
    /// Which of its concepts, the last one excluded [default: all]
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    concepts: Option<Range<usize>>,
    /// What ranks the samples
    #[arg(long, value_enum, default_value_t = By::Both)]
    by: By,
    /// The ranks, from 0, the last one excluded
    #[arg(long, value_name = "FROM..TO", default_value = "0..8", value_parser = parse_range)]
    ranks: Range<usize>,
    /// For which views; several as in heatmap,peak
    #[arg(long, value_enum, value_name = "VIEW", value_delimiter = ',', default_value = "heatmap")]
    view: Vec<ViewArgument>,
    /// Where the relevance of heatmaps, masks and cuts comes from
    #[arg(long, value_enum, value_name = "ORIGIN", default_value_t = OriginArgument::Ranking)]
    from: OriginArgument,
    #[command(flatten)]
    sources: StoredSources,
    #[command(flatten)]
    cache: CacheArguments,
}

/// What was done.
struct Summary {
    concepts: usize,
    tally: Tally,
    folder: PathBuf,
    bytes: u64,
    seconds: f64,
}

impl Precompute {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let began = Instant::now();
        let store = Store::open(&self.store)?;
        let concepts = self.concepts(&store)?;
        let kinds = self.kinds();
        if kinds.is_empty() {
            return Err(StoreMisuse::NothingToCompute.into());
        }
        let stored = self.sources.open(store, self.cache.open()?)?;
        let Some(cache) = stored.cache() else { return Err(StoreMisuse::NoCache.into()) };
        let progress = Progress::new("computing views of concepts", concepts.len());
        let together = self.together(&stored, kinds.len());
        let mut done = 0;
        for batch in concepts.chunks(together) {
            let computed = self.compute(&stored, batch, &kinds, session);
            if let Some(error) = stored.cache_fault() {
                return Err(error.into());
            }
            if session.cancel.is_cancelled() {
                let Tally { found, made, .. } = stored.tally().unwrap_or_default();
                let hint = format!(
                    "{done} of {} concepts are done, and {} views kept; the same command goes on from there",
                    concepts.len(),
                    found + made
                );
                return Err(Failure::interrupted().hinted(Some(hint)));
            }
            computed?;
            done += batch.len();
            progress.advance(batch.len());
        }
        drop(progress);
        let (folder, bytes) = (cache.folder().to_owned(), cache.bytes());
        let tally = stored.tally().unwrap_or_default();
        if tally.bytes > cache.limit() {
            let (made, limit) = (size(tally.bytes), size(cache.limit()));
            eprintln!(
                "warning: {made} were made, and the cache has room for {limit}: the first are gone again; see --cache-size"
            );
        }
        let seconds = began.elapsed().as_secs_f64();
        let summary = Summary { concepts: done, tally, folder, bytes, seconds };
        session.print(|| summary.text(), || summary.document())
    }

    /// Layer and index of each concept.
    fn concepts(&self, store: &Store) -> Result<Vec<(&str, usize)>, Failure> {
        let mut concepts = Vec::new();
        for layer in &self.layer {
            let known = store.manifest().layers.iter().find(|known| known.name == *layer);
            let count = known.map_or(0, |known| known.concepts);
            let range = self.concepts.clone().unwrap_or(0..count);
            // Says what is wrong with a layer or a concept that is not there.
            store.concept(layer, range.end.saturating_sub(1))?;
            concepts.extend(range.map(|concept| (layer.as_str(), concept)));
        }
        Ok(concepts)
    }

    /// Whether views of the whole concept, of its peak, or of both are wanted.
    fn kinds(&self) -> Vec<bool> {
        let wanted = self.view.iter().filter(|view| **view != ViewArgument::Image);
        let mut kinds: Vec<bool> = wanted.map(|view| view.view().is_of_peak()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// How many concepts are computed together.
    fn together(&self, stored: &Stored, kinds: usize) -> usize {
        let values: usize = stored.store.manifest().model.input_shape.iter().product();
        let views = self.ranks.len().min(stored.store.manifest().options.top_k) * self.by.measures().len() * kinds;
        (BYTES / (values * size_of::<f32>() * views).max(1)).clamp(1, CONCEPTS)
    }

    fn compute(
        &self,
        stored: &Stored,
        concepts: &[(&str, usize)],
        kinds: &[bool],
        session: &Session,
    ) -> Result<(), Failure> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for &(layer, concept) in concepts {
            for &measure in self.by.measures() {
                let entries = stored.store.references(layer, concept, measure, None, self.ranks.clone())?;
                for entry in &entries {
                    let shown = Shown { entry, measure, concept };
                    wanted.extend(kinds.iter().map(|of_peak| self.from.wanted(&shown, layer, *of_peak)));
                }
            }
        }
        stored.explainer(&session.cancel).views(&wanted).map(drop).map_err(|error: ExplainError| error.into())
    }
}

impl Summary {
    fn text(&self) -> String {
        let Tally { found, made, bytes } = self.tally;
        format!(
            "{} concepts: {made} views computed ({}), {found} found in the cache, {:.1} s\ncache: {} ({})",
            self.concepts,
            size(bytes),
            self.seconds,
            self.folder.display(),
            size(self.bytes),
        )
    }

    fn document(&self) -> Value {
        let Tally { found, made, bytes } = self.tally;
        json!({
            "concepts": self.concepts,
            "made": made,
            "found": found,
            "bytes": bytes,
            "cache": self.folder.to_string_lossy(),
            "cache_bytes": self.bytes,
            "seconds": self.seconds,
        })
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    const STEP: f64 = 1000.0;
    let mut number = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if number < STEP {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{number:.1} {unit}") };
        }
        number /= STEP;
    }
    format!("{number:.1} TB")
}
