//! Does on request what the peer does, so that `benches/versus` can time both by turns.
//!
//! ```text
//! versus MODEL.onnx INPUTS.npz forward BATCH
//! versus MODEL.onnx INPUTS.npz attribution
//! versus MODEL.onnx INPUTS.npz conditions LAYER COUNT
//! versus MODEL.onnx INPUTS.npz scan BATCH
//! ```
//!
//! Reads MODEL and the samples `x` with labels `y` of INPUTS, then answers each line of standard input: `time` with the seconds that
//! the task took (for a condition, or a sample of a batch or a scan), `memory` with the most memory that the process had, in bytes,
//! and `save FILE` with the number of the 32-bit floats that the task computed last, which it writes to FILE. Rules are
//! `epsilon-plus-flat`.

use std::error::Error;
use std::io::{BufRead, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use glocal::attribution::{Attribution, Attributor, Cancel, Condition, Request};
use glocal::canonizer::canonize;
use glocal::concept::Selection;
use glocal::model::{ImportOptions, Model};
use glocal::op::OpKind;
use glocal::search::{Scan, ScanOptions};
use glocal_compute::{CpuBackend, Tensor};
use glocal_kit::data;
use glocal_kit::preprocess::Preprocess;
use glocal_kit::scan::{Analysis, RunOptions, Source, run};

const COMPOSITE: &str = "epsilon-plus-flat";

/// The class that is explained.
const TARGET: usize = 1;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    glocal_compute::keep_freed_memory();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, inputs, task, options @ ..] = arguments.as_slice() else {
        return Err("expected MODEL.onnx INPUTS.npz TASK ...".into());
    };
    let onnx = glocal_onnx::Model::read(model)?;
    let model = canonize(&Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))?)?;
    let attributor = Attributor::new(model, COMPOSITE.parse()?)?;
    let samples = data::load_arrays(Path::new(inputs))?;
    let option = |index: usize| options.get(index).ok_or("the task takes more arguments");
    let task = match task.as_str() {
        "forward" => Task::Forward { batch: option(0)?.parse()? },
        "attribution" => Task::Attribution,
        "conditions" => Task::Conditions { layer: option(0)?.clone(), count: option(1)?.parse()? },
        "scan" => Task::Scan { batch: option(0)?.parse()?, inputs: PathBuf::from(inputs) },
        task => return Err(format!("{task} is no task").into()),
    };
    let worker = Worker { weighted: weighted(attributor.model()), attributor, samples, task };
    let mut last = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            None if line == "time" => {
                let begun = Instant::now();
                let (values, units) = worker.work()?;
                println!("{}", begun.elapsed().as_secs_f64() / units as f64);
                last = values;
            }
            None if line == "memory" => println!("{}", peak_memory()),
            Some(("save", path)) => {
                std::fs::write(path, last.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
                println!("{}", last.len());
            }
            _ => return Err(format!("{line:?} is no request").into()),
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

enum Task {
    Forward { batch: usize },
    Attribution,
    Conditions { layer: String, count: usize },
    Scan { batch: NonZeroUsize, inputs: PathBuf },
}

struct Worker {
    attributor: Attributor,
    /// `[N, ...]`
    samples: Tensor,
    /// The layers with weights.
    weighted: Vec<String>,
    task: Task,
}

impl Worker {
    /// Does the task once; returns what it has computed, and how many units of work that was.
    fn work(&self) -> Outcome<(Vec<f32>, usize)> {
        match &self.task {
            Task::Forward { batch } => {
                let model = self.attributor.model();
                let values = model.run(&self.first(*batch)?)?;
                Ok((values[model.output().index()].data().to_vec(), *batch))
            }
            Task::Attribution => {
                let conditions = vec![Condition::class(TARGET)];
                let request = Request { conditions, record: self.weighted.clone(), ..Request::default() };
                Ok((heatmaps(self.attributor.attribute(&self.first(1)?, &request)?.items)?, 1))
            }
            Task::Conditions { layer, count } => {
                let condition = |id| Condition::class(TARGET).through(layer, Selection::channels([id]));
                let request = Request { conditions: (0..*count).map(condition).collect(), ..Request::default() };
                Ok((heatmaps(self.attributor.attribute(&self.first(1)?, &request)?.items)?, *count))
            }
            Task::Scan { batch, inputs } => self.scan(*batch, inputs),
        }
    }

    /// The first `count` samples, from the beginning again where there are fewer.
    fn first(&self, count: usize) -> Outcome<Tensor> {
        let data = (0..count).flat_map(|row| self.samples.row(row % self.samples.batch())).copied().collect();
        Ok(Tensor::new([&[count], self.samples.sample_shape()].concat(), data)?)
    }

    fn scan(&self, batch: NonZeroUsize, inputs: &Path) -> Outcome<(Vec<f32>, usize)> {
        let scan = Scan::new(self.attributor.clone(), &self.weighted, ScanOptions::default())?;
        let data = data::open(inputs)?;
        let source = Source {
            model: PathBuf::from("model"),
            model_hash: "0".to_owned(),
            canonized: true,
            composite: COMPOSITE.to_owned(),
            data: inputs.to_owned(),
            class_names: None,
        };
        let options = RunOptions { batch, ..RunOptions::default() };
        let preprocess = Preprocess::default();
        let analysis =
            Analysis { scan: &scan, data: data.as_ref(), preprocess: &preprocess, source: &source, options: &options };
        let folder = tempfile::tempdir()?;
        run(&analysis, &folder.path().join("store"), &|_| (), &Cancel::default())?;
        Ok((Vec::new(), data.len()))
    }
}

/// The layers with weights, which the peer records.
fn weighted(model: &Model) -> Vec<String> {
    let reached = model.graph().ancestors(model.explained());
    let nodes = model
        .graph()
        .nodes()
        .filter(|(id, node)| reached[id.index()] && matches!(node.op.kind(), OpKind::Convolution | OpKind::Dense));
    nodes.map(|(_, node)| node.display_name().to_owned()).collect()
}

/// The heatmaps of all conditions, one after the other.
fn heatmaps(items: Vec<Attribution>) -> Outcome<Vec<f32>> {
    let heatmaps = items.into_iter().map(|item| item.heatmap().map(Tensor::into_data).ok_or("no relevance arrived"));
    Ok(heatmaps.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The most memory that this process had, in bytes; 0 where the system does not say it.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1024
}
