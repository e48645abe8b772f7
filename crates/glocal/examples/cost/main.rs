//! Says of a network where the time of an attribution goes, and how near that is to what the machine can do.
//!
//! ```text
//! cost MODEL.onnx [BATCH] [ROUNDS]
//! ```
//!
//! Every node is run forward, its rule prepared and relevance propagated, each timed by itself (medians of ROUNDS, default 5), with the
//! composite `epsilon-plus-flat`. Beside the times stand the multiply-adds that the definition needs, those that the kernels
//! execute (Winograd's are four of nine where all tiles are whole), and the bytes that must be read and written at least, each tensor once. The least time
//! of a node is the longer of what its multiply-adds take at the machine's peak and its bytes at its bandwidth, both
//! measured first. Prints a table in Markdown.

mod machine;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use glocal::attribution::{Attributor, Condition, Request};
use glocal::model::{Node, NodeId};
use glocal::op::{OpKind, Structure};
use glocal::rule::Reads;
use glocal::{ImportOptions, Model, canonize};
use glocal_compute::{CpuBackend, Rows, Tensor};
use machine::Machine;

const COMPOSITE: &str = "epsilon-plus-flat";

/// What a phase does of a group of nodes.
#[derive(Clone, Default)]
struct Cost {
    /// Multiply-adds by definition, and as they are executed.
    defined: f64,
    executed: f64,
    bytes: f64,
    /// What it takes at the machine's peak and bandwidth.
    least: f64,
    /// Of each round.
    seconds: Vec<f64>,
}

type Costs = BTreeMap<(Phase, Group), Cost>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Forward,
    Denominators,
    Relevance,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Denominators => "denominators",
            Self::Relevance => "relevance",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Winograd,
    Pointwise,
    Convolution,
    Depthwise,
    Dense,
    Pool,
    Other,
}

impl Group {
    fn of(node: &Node, input: &[usize]) -> Self {
        let Structure::Convolution(convolution) = node.op.structure() else {
            return match node.op.kind() {
                OpKind::Dense => Self::Dense,
                OpKind::MaxPool | OpKind::AveragePool => Self::Pool,
                _ => Self::Other,
            };
        };
        let (weight, geometry) = (convolution.parameters.weight().shape(), &convolution.geometry);
        let is_one = |sizes: &[usize]| sizes.iter().all(|&size| size == 1);
        if geometry.group > 1 && weight[1] == 1 {
            Self::Depthwise
        } else if is_one(&weight[2..]) {
            Self::Pointwise
        // As the CPU backend chooses, see its convolution/winograd.rs.
        } else if weight[2..] == [3, 3]
            && is_one(&geometry.strides)
            && is_one(&geometry.dilations)
            && geometry.group == 1
            && weight[0].min(weight[1]) >= 8
            && input[1..].iter().all(|&size| size >= 6)
        {
            Self::Winograd
        } else {
            Self::Convolution
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Winograd => "3×3 by Winograd",
            Self::Pointwise => "1×1",
            Self::Convolution => "other convolutions",
            Self::Depthwise => "depthwise",
            Self::Dense => "dense",
            Self::Pool => "pools",
            Self::Other => "all else",
        }
    }

    /// How many of a node's multiply-adds are executed: by Winograd 16 for each tile of 2×2, whole or not, instead of 9 an element.
    fn executed(self, node: &Node) -> f64 {
        match (self, node.shape.as_slice()) {
            (Self::Winograd, &[_, height, width]) => {
                (16 * height.div_ceil(2) * width.div_ceil(2)) as f64 / (9 * height * width) as f64
            }
            _ => 1.0,
        }
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, numbers @ ..] = arguments.as_slice() else { return Err("expected MODEL.onnx [BATCH] [ROUNDS]".into()) };
    let number = |index: usize, default: usize| numbers.get(index).map_or(Ok(default), |text| text.parse());
    let (batch, rounds) = (number(0, 1)?, number(1, 5)?);
    let read = glocal_onnx::Model::read(std::path::Path::new(path))?;
    let model = canonize(&Model::from_onnx(read, &ImportOptions::default(), Arc::new(CpuBackend::new()))?)?;
    let attributor = Attributor::new(model, COMPOSITE.parse()?)?;
    let shape = [&[batch], attributor.model().input_shape()].concat();
    let count = shape.iter().product::<usize>();
    let inputs = Tensor::new(shape, (0..count).map(|index| (index * 7919 % 2017) as f32 / 1008.0 - 1.0).collect())?;

    let machine = Machine::measure();
    let mut costs = Costs::new();
    // The first round packs weights.
    for round in 0..=rounds {
        let mut seconds = BTreeMap::new();
        let work = || work(&attributor, &inputs, &machine, round == 0, &mut costs, &mut seconds);
        // On a thread of the pool, as an attribution is.
        rayon::join(work, || ()).0?;
        if round > 0 {
            for (part, cost) in &mut costs {
                cost.seconds.push(seconds.get(part).copied().unwrap_or(0.0));
            }
        }
    }
    print(&costs, batch, &machine);
    let request = Request { conditions: vec![Condition::class(0)], ..Request::default() };
    let mut whole = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        attributor.attribute(&inputs, &request)?;
        whole.push(begun.elapsed().as_secs_f64());
    }
    println!("\nOne attribution as a whole: {:.4} ms a sample.", median(&whole) * 1e3 / batch as f64);
    Ok(())
}

/// One forward pass and one descent, node by node.
fn work(
    attributor: &Attributor,
    inputs: &Tensor,
    machine: &Machine,
    counts: bool,
    costs: &mut Costs,
    seconds: &mut BTreeMap<(Phase, Group), f64>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let model = attributor.model();
    let (graph, backend) = (model.graph(), model.backend());
    let batch = inputs.batch() as f64;
    let elements = |id: NodeId| batch * graph.node(id).shape.iter().product::<usize>() as f64;
    let mut add = |phase: Phase, (group, node): (Group, &Node), time: f64, defined: f64, floats: f64| {
        *seconds.entry((phase, group)).or_default() += time;
        if counts {
            let cost = costs.entry((phase, group)).or_default();
            let (executed, bytes) = (defined * group.executed(node), floats * 4.0);
            cost.defined += defined;
            cost.executed += executed;
            cost.bytes += bytes;
            cost.least += (executed / machine.multiply_adds).max(bytes / machine.bytes);
        }
    };
    let reached = graph.ancestors(model.explained());
    let mut values: Vec<Tensor> = Vec::new();
    for (id, node) in graph.nodes() {
        if id == graph.input() || !reached[id.index()] {
            values.push(if id == graph.input() { inputs.clone() } else { Tensor::zeros([0])? });
            continue;
        }
        let operands: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        let begun = Instant::now();
        let value = node.op.forward(backend, &operands)?;
        let time = begun.elapsed().as_secs_f64();
        let group = Group::of(node, &graph.node(node.inputs[0]).shape);
        let read: f64 = node.inputs.iter().map(|input| elements(*input)).sum();
        add(Phase::Forward, (group, node), time, batch * multiply_adds(node), read + elements(id) + parameters(node));
        values.push(value);
    }

    let prediction = &values[model.explained().index()];
    let mut start = Tensor::zeros(prediction.shape())?;
    let width = prediction.row_len();
    start.data_mut().iter_mut().step_by(width.max(1)).for_each(|value| *value = 1.0);
    let rows = Rows::new((0..inputs.batch()).collect::<Vec<_>>());
    let mut arriving: BTreeMap<NodeId, Tensor> = BTreeMap::from([(model.explained(), start)]);
    while let Some((id, relevance)) = arriving.pop_last() {
        let node = graph.node(id);
        let Some(given) = attributor.resolved().get(id) else { continue };
        let operands: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        let (read, written): (f64, f64) = (node.inputs.iter().map(|input| elements(*input)).sum(), elements(id));
        let (weights, products) = (parameters(node), batch * multiply_adds(node));
        let group = Group::of(node, &graph.node(node.inputs[0]).shape);

        let begun = Instant::now();
        let prepared = given.rule.prepare(backend, node.op.as_ref(), &operands, &values[id.index()])?;
        let time = begun.elapsed().as_secs_f64();
        // Rules that read the output have their denominator there.
        let (defined, floats) = match (given.rule.reads(), weights > 0.0) {
            (Reads::Nothing, _) => (0.0, 0.0),
            (Reads::Inputs, true) => (products, read + written + weights),
            (Reads::Inputs, false) => (0.0, read),
            (Reads::All, true) => (0.0, 2.0 * written),
            (Reads::All, false) => (0.0, read + written),
        };
        add(Phase::Denominators, (group, node), time, defined, floats);

        let begun = Instant::now();
        let shares = prepared.propagate_once(backend, relevance, &rows)?;
        let time = begun.elapsed().as_secs_f64();
        let (defined, floats) = match (given.rule.reads(), weights > 0.0) {
            (Reads::Nothing, _) => (0.0, 0.0),
            (_, true) => (products, 2.0 * written + 2.0 * read + weights),
            (_, false) => (0.0, read + written),
        };
        add(Phase::Relevance, (group, node), time, defined, floats);
        for (input, share) in node.inputs.iter().zip(shares) {
            let sum = match arriving.remove(input) {
                None => share,
                Some(sum) => backend.zip(&sum, &share, glocal_compute::backend::Zip::Add)?,
            };
            arriving.insert(*input, sum);
        }
    }
    Ok(())
}

/// Multiply-adds of one sample, of ops with weights.
fn multiply_adds(node: &Node) -> f64 {
    match node.op.structure() {
        Structure::Convolution(convolution) => {
            (node.shape.iter().product::<usize>() * convolution.parameters.weight().row_len()) as f64
        }
        Structure::Dense(dense) => {
            let vectors = node.shape.iter().rev().skip(1).product::<usize>();
            (vectors * dense.parameters.weight().len()) as f64
        }
        _ => 0.0,
    }
}

fn parameters(node: &Node) -> f64 {
    match node.op.structure() {
        Structure::Convolution(convolution) => convolution.parameters.weight().len() as f64,
        Structure::Dense(dense) => dense.parameters.weight().len() as f64,
        _ => 0.0,
    }
}

fn print(costs: &Costs, batch: usize, machine: &Machine) {
    println!(
        "{} threads: {:.1} billion multiply-adds and {:.1} GB a second at most. Per sample, batch {batch}.\n",
        machine.threads,
        machine.multiply_adds / 1e9,
        machine.bytes / 1e9
    );
    println!("| phase | nodes | multiply-adds, millions | executed | MB | least ms | ms | of least |");
    println!("|---|---|---|---|---|---|---|---|");
    let line = |phase: &str, nodes: &str, cost: &Cost, seconds: f64| {
        let each = |value: f64| value / batch as f64;
        println!(
            "| {phase} | {nodes} | {:.1} | {:.1} | {:.2} | {:.3} | {:.3} | {:.0} % |",
            each(cost.defined) / 1e6,
            each(cost.executed) / 1e6,
            each(cost.bytes) / 1e6,
            each(cost.least) * 1e3,
            each(seconds) * 1e3,
            100.0 * cost.least / seconds.max(f64::MIN_POSITIVE)
        );
    };
    let (mut total, mut total_seconds) = (Cost::default(), 0.0);
    for phase in [Phase::Forward, Phase::Denominators, Phase::Relevance] {
        let (mut of_phase, mut phase_seconds) = (Cost::default(), 0.0);
        for ((_, group), cost) in costs.iter().filter(|((of, _), _)| *of == phase) {
            let seconds = median(&cost.seconds);
            line(phase.name(), group.name(), cost, seconds);
            of_phase.add(cost);
            phase_seconds += seconds;
        }
        line(phase.name(), "**together**", &of_phase, phase_seconds);
        total.add(&of_phase);
        total_seconds += phase_seconds;
    }
    line("**all**", "", &total, total_seconds);
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.defined += other.defined;
        self.executed += other.executed;
        self.bytes += other.bytes;
        self.least += other.least;
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
