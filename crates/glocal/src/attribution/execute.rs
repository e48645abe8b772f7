//! Answers a request over one trace.
//!
//! Work is shared along the tree of conditions: samples and conditions that agree on the target start as one row, and
//! the row is split only where their masks differ. Under isolated scope relevance goes from each conditioned layer to
//! the next, so that every distinct prefix is propagated once per run of [`Request::rows_at_once`] rows.

mod front;
mod isolated;
mod resolve;
mod start;
mod whole;

use std::collections::BTreeMap;

use glocal_compute::Tensor;

use crate::attribution::{Attribution, Attributions, Ledger, Pairing, Request, Scope, Trace};
use crate::error::{RequestError, RequestErrorKind, RunError};
use crate::model::{Graph, NodeId};
use crate::rule::terms::total;

use front::Front;
use resolve::{Resolved, resolve};
use start::Starting;
pub(crate) use start::argmax;

/// Everything that stays the same over the runs of one request.
struct Execution<'a> {
    /// What relevance goes down over: `base`, or perturbed copies of its samples, one copy of all after the other.
    trace: &'a Trace<'a>,
    /// The samples as they were given.
    base: &'a Trace<'a>,
    request: &'a Request,
    conditions: Vec<Resolved>,
    start: NodeId,
    record: Vec<(&'a str, NodeId)>,
    /// The relevance that starts, before target masks.
    initial: Starting,
    /// Told of everything, where somebody wants to know.
    ledger: Option<&'a dyn Ledger>,
}

/// What the composite propagates, once.
pub(super) fn attribute(trace: &Trace<'_>, request: &Request) -> Result<Attributions, RequestError> {
    let execution = Execution::new(trace, trace, request)?;
    let mut items = Vec::new();
    execution.each(&mut |item| items.push(item))?;
    let activations =
        execution.record.iter().map(|(name, node)| ((*name).to_owned(), trace.value(*node).clone())).collect();
    Ok(Attributions { prediction: trace.prediction().clone(), activations, items })
}

/// The same for `copies`, a trace of perturbed copies of the samples of `base`, one copy of all after the other: `take`
/// sees all results of the first copy in the request's order, then those of the next.
pub(super) fn each_of_copies(
    copies: &Trace<'_>,
    base: &Trace<'_>,
    request: &Request,
    take: &mut dyn FnMut(Attribution),
) -> Result<(), RequestError> {
    Execution::new(copies, base, request)?.each(take)
}

/// How much relevance starts for one result.
pub(super) struct Started {
    pub(super) sample: usize,
    pub(super) condition: usize,
    pub(super) sum: f64,
}

/// How much relevance starts for each result of `copies` (see [`each_of_copies`]), in the same order.
pub(super) fn started(copies: &Trace<'_>, base: &Trace<'_>, request: &Request) -> Result<Vec<Started>, RequestError> {
    let execution = Execution::new(copies, base, request)?;
    let pairs = execution.pairs()?;
    let mut all = Vec::with_capacity(pairs.len());
    for run in pairs.chunks(request.rows_at_once.max(1)) {
        let front = execution.starting(run)?;
        let mut sums = vec![0.0; run.len()];
        for (row, members) in front.members.iter().enumerate() {
            let sum: f64 = front.relevance.row(row).iter().map(|&value| f64::from(value)).sum();
            members.iter().for_each(|&member| sums[member] = sum);
        }
        let of = |(&(row, condition), sum)| Started { sample: execution.sample_of(row), condition, sum };
        all.extend(run.iter().zip(sums).map(of));
    }
    Ok(all)
}

/// Runs every condition of `request` alone, over all of its samples, with `ledger` told of it: `done` learns the condition
/// and how much relevance arrived at the input.
pub(crate) fn one_by_one(
    trace: &Trace<'_>,
    request: &Request,
    ledger: &dyn Ledger,
    done: &mut dyn FnMut(usize, f64),
) -> Result<(), RequestError> {
    let execution = Execution { ledger: Some(ledger), ..Execution::new(trace, trace, request)? };
    let mut by_condition: Vec<Vec<(usize, usize)>> = vec![Vec::new(); execution.conditions.len()];
    for pair in execution.pairs()? {
        by_condition[pair.1].push(pair);
    }
    for (condition, pairs) in by_condition.iter().enumerate() {
        let mut arrived = 0.0;
        for run in pairs.chunks(request.rows_at_once.max(1)) {
            let inputs = execution.run(run)?.into_iter().filter_map(|item| item.input);
            arrived += inputs.map(|input| total(&input)).sum::<f64>();
        }
        done(condition, arrived);
    }
    Ok(())
}

impl<'a> Execution<'a> {
    fn new(trace: &'a Trace<'a>, base: &'a Trace<'a>, request: &'a Request) -> Result<Self, RequestError> {
        let model = trace.attributor().model();
        let graph = model.graph();
        let explained = model.explained();
        let reachable = |name: &str| -> Result<NodeId, RequestError> {
            let node = model.layer(name)?;
            if node <= explained && graph.ancestors(explained)[node.index()] {
                return Ok(node);
            }
            let start = graph.node(explained).display_name().to_owned();
            Err(RequestErrorKind::NotExplained { layer: name.to_owned(), start }.into())
        };
        let start = request.start.as_deref().map_or(Ok(explained), reachable)?;
        let record = request.record.iter().map(|name| Ok((name.as_str(), reachable(name)?)));
        let record = record.collect::<Result<Vec<_>, RequestError>>()?;
        let conditions = request.conditions.iter().map(|condition| resolve(condition, graph, start, request.scope));
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        let results = match request.pairing {
            Pairing::Zip => base.batch(),
            Pairing::Product => base.batch() * conditions.len(),
        };
        let initial = Starting::new(&request.initial, trace.value(start), base.batch(), results)?;
        Ok(Self { trace, base, request, conditions, start, record, initial, ledger: None })
    }

    /// The (row of the trace, condition) of each result, in order.
    fn pairs(&self) -> Result<Vec<(usize, usize)>, RequestError> {
        let (rows, samples, conditions) = (self.trace.batch(), self.base.batch(), self.conditions.len());
        match self.request.pairing {
            Pairing::Zip if samples != conditions => Err(RequestErrorKind::Unpaired { samples, conditions }.into()),
            Pairing::Zip => Ok((0..rows).map(|row| (row, self.sample_of(row))).collect()),
            Pairing::Product => Ok((0..rows).flat_map(|row| (0..conditions).map(move |c| (row, c))).collect()),
        }
    }

    /// The sample of which a row of the trace is a copy.
    fn sample_of(&self, row: usize) -> usize {
        row % self.base.batch().max(1)
    }

    /// Hands every result to `take`, in order.
    fn each(&self, take: &mut dyn FnMut(Attribution)) -> Result<(), RequestError> {
        for run in self.pairs()?.chunks(self.request.rows_at_once.max(1)) {
            self.run(run)?.into_iter().for_each(&mut *take);
        }
        Ok(())
    }

    fn run(&self, pairs: &[(usize, usize)]) -> Result<Vec<Attribution>, RequestError> {
        let empty = |&(row, condition): &(usize, usize)| Attribution {
            sample: self.sample_of(row),
            condition,
            input: None,
            layers: BTreeMap::new(),
        };
        let mut results: Vec<Attribution> = pairs.iter().map(empty).collect();
        let front = self.starting(pairs)?;
        if let Some(ledger) = self.ledger {
            ledger.started(&front.relevance);
        }
        match self.request.scope {
            Scope::Isolated => self.descend(self.start, front, 0, &mut results)?,
            Scope::Whole => self.masked_pass(front, &mut results)?,
        }
        Ok(results)
    }

    /// Writes what arrived at `node` into the results that its rows are for.
    fn note(
        &self,
        node: NodeId,
        arrived: &Tensor,
        members: &[Vec<usize>],
        results: &mut [Attribution],
    ) -> Result<(), RunError> {
        let is_input = node == self.graph().input();
        let names: Vec<&str> =
            self.record.iter().filter(|(_, recorded)| *recorded == node).map(|(name, _)| *name).collect();
        if !is_input && names.is_empty() {
            return Ok(());
        }
        for (row, members) in members.iter().enumerate() {
            let sample = Tensor::new(arrived.sample_shape(), arrived.row(row).to_vec())?;
            for &member in members {
                for name in &names {
                    results[member].layers.insert((*name).to_owned(), sample.clone());
                }
                if is_input {
                    results[member].input = Some(sample.clone());
                }
            }
        }
        Ok(())
    }

    fn graph(&self) -> &'a Graph {
        self.trace.attributor().model().graph()
    }
}

/// The nodes on any way from `start` down to one of `ends`.
pub(crate) fn between(graph: &Graph, start: NodeId, ends: &[NodeId]) -> Vec<bool> {
    let above: Vec<bool> = graph.ancestors(start);
    let mut leads = vec![false; graph.len()];
    for (id, node) in graph.nodes() {
        let index = id.index();
        leads[index] = ends.contains(&id) || node.inputs.iter().any(|input| leads[input.index()]);
    }
    above.iter().zip(&leads).map(|(&above, &leads)| above && leads).collect()
}
