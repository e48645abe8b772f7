//! A concept from outside of the crate: the upper half of each feature map.
//!
//! ```text
//! cargo run --example custom_concept -- [MODEL.onnx LAYER]
//! ```
//!
//! Asks in which channels' upper halves a decision lies, and sends relevance through the best of them alone. Without
//! arguments it shows the bundled model of garments a drawing of a pair of trousers, whose legs part below the middle; other
//! models get noise.

use std::borrow::Cow;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glocal::attribution::{Attributor, Condition, Request};
use glocal::canonizer::canonize;
use glocal::composite::Composite;
use glocal::concept::{Concept, Normalization, Selection, Site, relevance};
use glocal::model::{ImportOptions, Model};
use glocal_compute::{CpuBackend, Tensor};

/// The upper half of each channel of feature maps `[C, H, W]` is a concept: rows `0..H / 2`, of which there must be one.
#[derive(Debug, Clone, Copy)]
pub struct UpperHalf;

impl UpperHalf {
    /// The number of positions that count: those of the upper rows come first.
    fn kept(site: &Site<'_>) -> usize {
        site.shape().get(1).map_or(0, |rows| rows / 2) * site.shape().get(2).map_or(0, |columns| *columns)
    }
}

impl Concept for UpperHalf {
    fn unit(&self) -> &'static str {
        "upper halves"
    }

    fn count(&self, site: &Site<'_>) -> usize {
        site.channels()
    }

    // Asked before anything else, so that the other methods need not think of vectors or tokens.
    fn check(&self, site: &Site<'_>) -> Result<(), String> {
        let is_map = site.channel_axis() == 0 && site.shape().len() == 3 && Self::kept(site) > 0;
        if is_map { Ok(()) } else { Err(format!("a layer of shape {:?} has no upper half", site.shape())) }
    }

    fn mask(&self, relevance: &mut [f32], site: &Site<'_>, ids: &[usize]) {
        for (channel, plane) in relevance.chunks_mut(site.positions()).enumerate() {
            let kept = if ids.contains(&channel) { Self::kept(site) } else { 0 };
            plane[kept..].fill(0.0);
        }
    }

    fn values<'a>(&self, sample: &'a [f32], site: &Site<'_>, id: usize) -> Cow<'a, [f32]> {
        let first = site.element(id, 0);
        Cow::Borrowed(&sample[first..first + Self::kept(site)])
    }

    fn element(&self, site: &Site<'_>, id: usize, index: usize) -> usize {
        site.element(id, index)
    }
}

/// What the example finds out about one input.
pub struct Findings {
    /// The predicted class.
    pub class: usize,
    /// The relevance of each upper half.
    pub relevance: Vec<f64>,
    /// The most relevant one.
    pub best: usize,
    /// The attribution through it alone, of the input's shape.
    pub attribution: Tensor,
}

/// The upper halves of `layer` for the predicted class of one input.
pub fn explain(attributor: &Attributor, layer: &str, input: Tensor) -> Result<Findings, Box<dyn Error>> {
    let model = attributor.model();
    let trace = attributor.trace(&input)?;
    let scores = trace.prediction().row(0);
    let class = (1..scores.len()).fold(0, |best, next| if scores[next] > scores[best] { next } else { best });

    let whole = Request { conditions: vec![Condition::class(class)], record: vec![layer.into()], ..Request::default() };
    let item = trace.attribute(&whole)?.items.pop().ok_or("no result")?;
    let arrived = item.layers.get(layer).ok_or("no relevance reaches the layer")?;
    let site = trace.site(model.layer(layer)?, 0);
    let relevance = relevance(&UpperHalf, arrived.data(), site, None, Normalization::Raw)?;
    let best = relevance.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).ok_or("no concept")?.0;

    let condition = Condition::class(class).through(layer, Selection::new(Arc::new(UpperHalf), [best]));
    let item = trace.attribute(&Request { conditions: vec![condition], ..Request::default() })?.items.pop();
    let attribution = item.and_then(|item| item.input).ok_or("no relevance reaches the input")?;
    Ok(Findings { class, relevance, best, attribution })
}

/// Trousers, bright on black, as the bundled model was trained on: 28 × 28, the brightness divided by 0.353.
pub fn trousers() -> Result<Tensor, Box<dyn Error>> {
    let inside = |row: usize, column: usize| match row {
        2..=11 => (9..19).contains(&column),
        12..=26 => (8..13).contains(&column) || (15..20).contains(&column),
        _ => false,
    };
    let pixel = |index: usize| if inside(index / 28, index % 28) { 0.6 / 0.353 } else { 0.0 };
    Ok(Tensor::new([1, 1, 28, 28], (0..28 * 28).map(pixel).collect())?)
}

/// The attributor of a model.
pub fn load(path: &Path) -> Result<Attributor, Box<dyn Error>> {
    let onnx = glocal_onnx::Model::read(path)?;
    let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))?;
    Ok(Attributor::new(canonize(&model)?, "epsilon-plus".parse::<Composite>()?)?)
}

/// The bundled model.
pub fn bundled() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/demo/model.onnx")
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (attributor, layer, input) = match (arguments.next(), arguments.next()) {
        (Some(path), Some(layer)) => {
            let attributor = load(Path::new(&path))?;
            let shape = [&[1], attributor.model().input_shape()].concat();
            let noise = (0..shape.iter().product()).map(|index: usize| ((index * 37 % 101) as f32 - 50.0) / 50.0);
            (attributor, layer, Tensor::new(shape, noise.collect())?)
        }
        _ => (load(&bundled())?, "block.conv2".to_owned(), trousers()?),
    };
    let Findings { class, relevance, best, attribution } = explain(&attributor, &layer, input)?;
    let upper: f64 = relevance.iter().sum();
    println!(
        "class {class}: {upper:+.3} of its relevance lies in the upper halves of the {} channels",
        relevance.len()
    );
    let mut order: Vec<usize> = (0..relevance.len()).collect();
    order.sort_by(|&a, &b| relevance[b].total_cmp(&relevance[a]));
    order.iter().take(5).for_each(|&id| println!("  channel {id}: {:+.3}", relevance[id]));
    let (rows, columns) = match *attribution.shape() {
        [.., rows, columns] => (rows, columns),
        _ => return Ok(()),
    };
    let planes = attribution.data().chunks(columns).enumerate();
    let sums = planes.fold(vec![0.0; rows], |mut sums, (row, values)| {
        sums[row % rows] += values.iter().sum::<f32>();
        sums
    });
    let largest = sums.iter().fold(f32::MIN_POSITIVE, |largest, sum| sum.abs().max(largest));
    println!("the rows of the input that the upper half of channel {best} looks at:");
    for (row, sum) in sums.iter().enumerate().filter(|(_, sum)| sum.abs() > 0.02 * largest) {
        println!("  {row:3} {sum:+.4} {}", "#".repeat((sum.abs() / largest * 40.0) as usize));
    }
    Ok(())
}
