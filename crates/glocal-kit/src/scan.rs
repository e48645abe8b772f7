//! The scan: one pass over a data set that fills a [store](crate::store), and goes on where it was stopped.
//!
//! Samples are scored in the order of their indices. While a batch is computed, the next ones are decoded and
//! preprocessed. The tables depend on the model, the composite, the data and what was asked for; not on the size of
//! the batches, the number of threads, or how often the scan was stopped, killed and started again.

mod error;
mod gathered;
pub(crate) mod load;
mod shard;
pub(crate) mod targets;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use glocal::attribution::Cancel;
use glocal::concept::Normalization;
use glocal::search::{References, Scan};
use rayon::{ThreadPool, ThreadPoolBuilder};

pub use crate::store::{Targets, VectorFormat};
pub use error::{ScanError, ScanErrorKind};
pub use shard::{Shard, ShardError};

use crate::data::DataSet;
use crate::preprocess::Preprocess;
use crate::store::{
    Begun, CompositeManifest, DataManifest, FORMAT_VERSION, Finished, Found, LayerManifest, Manifest, ModelManifest,
    OptionsManifest, Origin, Sources, StoreError, StoreWriter,
};
use crate::waiting::{Ending, receive};
use gathered::Gathered;
use load::{Batch, Loader};

/// How many batches are kept ready beside the one that is computed.
const BATCHES_AHEAD: usize = 2;

/// Checkpoints take at most one part in this many of the time.
const CHECKPOINT_SHARE: u32 = 20;

/// What is lost when a run is killed is at most about one part in this many of what it has done: of a long scan there are few
/// checkpoints.
const LOST_SHARE: u32 = 100;

/// A scan to be run.
#[derive(Clone, Copy)]
pub struct Analysis<'a> {
    /// The model, its rules, the layers, and what is kept.
    pub scan: &'a Scan,
    /// The samples.
    pub data: &'a dyn DataSet,
    /// How images become inputs.
    pub preprocess: &'a Preprocess,
    /// Where model and data come from.
    pub source: &'a Source,
    /// How the scan is run.
    pub options: &'a RunOptions,
}

/// Where model and data come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The ONNX file.
    pub model: PathBuf,
    /// The BLAKE3 hash of its content, in hexadecimal.
    pub model_hash: String,
    /// Whether the model was canonized.
    pub canonized: bool,
    /// The composite as the user wrote it, such as `epsilon-plus-flat`.
    pub composite: String,
    /// The data set.
    pub data: PathBuf,
    /// The names of the model's outputs, by which the labels of the data have been [found](crate::data::with_outputs); where they
    /// are `None`, those of the data set are kept if there are as many.
    pub class_names: Option<Vec<String>>,
}

/// How a scan is run. Only [`targets`](Self::targets) influences what is found in a sample, [`shard`](Self::shard) in which samples it
/// is looked for, [`vectors`](Self::vectors) what is kept of it, and [`keep_going`](Self::keep_going) whether it comes to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    /// The targets that are explained. Default: the label of each sample.
    pub targets: Targets,
    /// How many samples are computed together. Default: 32.
    pub batch: NonZeroUsize,
    /// The part of the data set that is scanned. Default: all of it.
    pub shard: Shard,
    /// Whether the relevance of all concepts is kept for every sample, and how. Default: no.
    pub vectors: Option<VectorFormat>,
    /// About how many bytes of what was found are held in memory; beyond, it is written to disk. Default: 1 GiB.
    pub memory: usize,
    /// How long the scan runs between two checkpoints; more where a checkpoint takes long, so that they cost at most a
    /// twentieth of the time, and a hundredth of the time that the scan has run. Zero: after every batch. Default: 10 seconds.
    pub checkpoint_every: Duration,
    /// The number of threads that compute and decode. Default: those of the current rayon pool compute, those of the global one
    /// decode.
    pub threads: Option<NonZeroUsize>,
    /// Whether samples that cannot be used are passed over, and listed in the store; else the first ends the scan. They keep
    /// their numbers, so that others are not renumbered. Default: no.
    pub keep_going: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        let batch = NonZeroUsize::MIN.saturating_add(31);
        Self {
            targets: Targets::Label,
            shard: Shard::WHOLE,
            vectors: None,
            memory: 1 << 30,
            batch,
            checkpoint_every: Duration::from_secs(10),
            threads: None,
            keep_going: false,
        }
    }
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of samples done, in this run and those before.
    pub done: u64,
    /// The number of samples of the data set, or of its shard.
    pub total: u64,
    /// How many of them were done when this run began.
    pub resumed: u64,
}

/// How a scan has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The number of samples of the data set, or of its shard.
    pub samples: u64,
    /// How many of them were done before this run: all of them where the store was already complete.
    pub resumed: u64,
    /// Whether the store was complete before, so that there was nothing to do.
    pub already_complete: bool,
    /// How many scores were NaN, which are not ranked; 0 where there was nothing to do.
    pub not_a_number: u64,
    /// How many samples could not be used and were passed over, in this run and those before; 0 where there was nothing
    /// to do. [`Store::skipped`](crate::store::Store::skipped) lists them.
    pub skipped: u64,
}

/// Runs the scan into the store in `folder`, which is made, gone on with, or left as it is when it is complete.
///
/// `progress` is called before the first and after every batch. When `cancel` is set, what was found is saved and the
/// error is of kind [`Cancelled`](ScanErrorKind::Cancelled).
///
/// # Errors
/// When the folder holds anything else than the store of this scan, cannot be written, or another run writes it; when
/// the data has no samples, or no labels that fit; when a sample cannot be read or does not fit the model, unless
/// such samples are passed over, and then when no other is left; when the model fails; when cancelled. The store is never left in a state from which it could not be gone on with.
pub fn run(
    analysis: &Analysis<'_>,
    folder: &Path,
    progress: &dyn Fn(Progress),
    cancel: &Cancel,
) -> Result<Report, ScanError> {
    targets::check(analysis.scan.attributor().model().output_shape(), analysis.data, analysis.options.targets)?;
    let raw = analysis.scan.options().relevance.normalization == Normalization::Raw;
    if analysis.options.vectors == Some(VectorFormat::F16) && raw {
        return Err(ScanErrorKind::HalfPrecision.into());
    }
    let manifest = manifest(analysis)?;
    let range = analysis.options.shard.samples(manifest.data.samples);
    let total = range.end - range.start;
    let pool = analysis.options.threads.map(|threads| ThreadPoolBuilder::new().num_threads(threads.get()).build());
    let pool = pool.transpose().map_err(|error| ScanError::caused(ScanErrorKind::Threads, error))?;
    let begun = StoreWriter::prepare(folder, manifest, range.clone(), &sources(analysis.source))?;
    let Some(Begun { mut writer, next }) = begun else {
        return Ok(Report { samples: total, resumed: total, already_complete: true, not_a_number: 0, skipped: 0 });
    };
    let resumed = next - range.start;
    let state = Progress { done: resumed, total, resumed };
    progress(state);
    let loader = Loader::new(analysis, pool.as_ref(), next as usize..range.end as usize);
    let empty = Found::new(References::for_scan(analysis.scan), analysis.options.vectors.is_some());
    let mut gathered = Gathered::new(empty);
    thread::scope(|scope| {
        let (sender, batches) = sync_channel(BATCHES_AHEAD);
        let _ending = Ending(scope.spawn(move || loader.run(&sender)));
        let driver = Driver { analysis, pool: pool.as_ref(), progress, cancel, first: range.start };
        driver.run(batches, &mut writer, &mut gathered, state)
    })?;
    let found = load::within(pool.as_ref(), || gathered.found());
    let skipped = writer.skipped(found);
    if skipped > 0 && writer.scored(found) == 0 {
        return Err(ScanErrorKind::NothingUsable { skipped }.into());
    }
    // Writing takes memory of its own, and no tensors: both at once would be the most that a scan needs.
    glocal_compute::release_kept_memory();
    let finished = load::within(pool.as_ref(), || writer.finish(found, analysis.data));
    let Finished { skipped, not_a_number } = finished?;
    Ok(Report { samples: total, resumed, already_complete: false, not_a_number, skipped })
}

/// Computes the batches that are loaded and saves what is found.
struct Driver<'a> {
    analysis: &'a Analysis<'a>,
    pool: Option<&'a ThreadPool>,
    progress: &'a dyn Fn(Progress),
    cancel: &'a Cancel,
    /// The first sample of the data set, or of its shard.
    first: u64,
}

impl Driver<'_> {
    /// Takes the channel, so that the loader ends when this does.
    fn run(
        &self,
        batches: Receiver<Result<Batch, ScanError>>,
        writer: &mut StoreWriter,
        gathered: &mut Gathered,
        mut state: Progress,
    ) -> Result<(), ScanError> {
        let begun = Instant::now();
        let mut saved = begun;
        let mut pause = self.analysis.options.checkpoint_every;
        while let Ok(batch) = receive(&batches) {
            let observed = batch.and_then(|batch| self.observe(&batch, gathered).map(|done| (done, batch.skipped)));
            match observed {
                Ok((samples, skipped)) => {
                    state.done += samples;
                    gathered.pass_over(skipped);
                }
                Err(error) => {
                    let written = self.save(writer, gathered, state);
                    // Who cancels wants to go on later; else the error that led here is the one to report.
                    if self.cancel.is_cancelled() {
                        written?;
                        return Err(ScanErrorKind::Cancelled { done: state.done, total: state.total }.into());
                    }
                    return Err(error);
                }
            }
            (self.progress)(state);
            let full = load::within(self.pool, || gathered.exceeds(self.analysis.options.memory));
            if (full || saved.elapsed() >= pause) && state.done < state.total {
                let saving = Instant::now();
                self.save(writer, gathered, state)?;
                saved = Instant::now();
                let every = self.analysis.options.checkpoint_every;
                let least = ((saved - saving) * CHECKPOINT_SHARE).max((saved - begun) / LOST_SHARE);
                pause = if every.is_zero() { every } else { every.max(least) };
            }
        }
        Ok(())
    }

    /// Saves what was found up to `state`.
    fn save(&self, writer: &mut StoreWriter, gathered: &mut Gathered, state: Progress) -> Result<(), StoreError> {
        glocal_compute::release_kept_memory();
        let end = self.first + state.done;
        load::within(self.pool, || writer.save(gathered.found(), end))
    }

    /// Scores a batch; returns the number of samples that are done with it.
    fn observe(&self, batch: &Batch, gathered: &mut Gathered) -> Result<u64, ScanError> {
        let scan = self.analysis.scan;
        let observe = || -> Result<(), ScanError> {
            gathered.extend(scan.observe(&batch.inputs, &batch.samples, &batch.targets, self.cancel)?);
            Ok(())
        };
        if self.cancel.is_cancelled() {
            return Err(ScanErrorKind::Cancelled { done: 0, total: 0 }.into());
        }
        if batch.samples.is_empty() {
            return Ok(batch.done);
        }
        load::within(self.pool, observe)?;
        Ok(batch.done)
    }
}

/// How the store of this scan is made.
///
/// # Errors
/// When the preprocessing is out of range.
pub fn manifest(analysis: &Analysis<'_>) -> Result<Manifest, ScanError> {
    let Analysis { scan, data, preprocess, source, options } = analysis;
    let attributor = scan.attributor();
    let model = attributor.model();
    let layers = scan.layers().zip(scan.sites()).map(|((name, concepts), site)| LayerManifest {
        name: name.to_owned(),
        concepts,
        shape: site.shape().to_vec(),
        channel_axis: site.channel_axis(),
    });
    preprocess.validate().map_err(|error| ScanError::caused(ScanErrorKind::Preprocess, error))?;
    Ok(Manifest {
        format: FORMAT_VERSION,
        glocal: env!("CARGO_PKG_VERSION").to_owned(),
        complete: false,
        origin: Origin::Scan,
        model: ModelManifest {
            blake3: source.model_hash.clone(),
            canonized: source.canonized,
            input_shape: model.input_shape().to_vec(),
            explained: model.graph().node(model.explained()).display_name().to_owned(),
        },
        composite: CompositeManifest {
            name: attributor.composite().name().to_owned(),
            rules: attributor.composite().describe().lines().map(str::to_owned).collect(),
        },
        preprocess: toml::to_string(preprocess).map_err(|error| ScanError::caused(ScanErrorKind::Preprocess, error))?,
        data: DataManifest {
            fingerprint: data.fingerprint().to_string(),
            labels: data.labels_fingerprint().map(|fingerprint| fingerprint.to_string()),
            description: data.describe(),
            samples: data.len() as u64,
            classes: source.class_names.clone().or_else(|| output_names(*data, model.output_shape())),
        },
        options: OptionsManifest::new(scan.options(), options.targets, options.vectors),
        layers: layers.collect(),
        covered: covered(options.shard.samples(data.len() as u64)),
        scored: 0,
        tables: Default::default(),
    })
}

/// The data set's names of classes, where they can be those of outputs of this shape: one for each.
fn output_names(data: &dyn DataSet, output_shape: &[usize]) -> Option<Vec<String>> {
    data.class_names().filter(|names| output_shape == [names.len()]).map(<[String]>::to_vec)
}

/// The ranges of samples of a store that covers `samples`.
fn covered(samples: std::ops::Range<u64>) -> Vec<[u64; 2]> {
    if samples.is_empty() { Vec::new() } else { vec![[samples.start, samples.end]] }
}

pub(crate) fn sources(source: &Source) -> Sources {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.to_string_lossy().into_owned()
    };
    let composite = source.composite.clone();
    Sources { model: absolute(&source.model), data: absolute(&source.data), composite }
}

#[cfg(test)]
mod tests;
