//! Answers a request over one trace.
//!
//! Work is shared along the tree of conditions (`plan`): samples and conditions that agree on the target start as one row, and
//! the row is split only where their masks differ. Under isolated scope relevance goes from each conditioned layer to the
//! next. Results are made in the request's order, [`Request::rows_at_once`] at a time; what a row brought down is kept (`run`)
//! while later results start from it, as far as a bound on memory allows, so that every distinct prefix is propagated once.

mod cost;
mod need;
mod pass;
mod passed;
mod plan;
mod resolve;
mod run;
mod start;
mod whole;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use glocal_compute::Tensor;

use crate::attribution::{Attribution, Ledger, Request, Trace};
use crate::error::RequestError;
use crate::model::{Graph, NodeId};
use crate::rule::terms::total;

pub(crate) use cost::explain;
pub(crate) use need::Need;
use passed::Passed;
use plan::Plan;
use run::{Pair, Run};
use start::Starting;
pub(crate) use start::argmax;

/// Everything that stays the same over the runs of one request.
pub(super) struct Execution<'a> {
    /// What relevance goes down over: `base`, or perturbed copies of its samples, one copy of all after the other.
    trace: &'a Trace<'a>,
    /// The samples as they were given.
    base: &'a Trace<'a>,
    request: &'a Request,
    plan: Arc<Plan<'a>>,
    /// The relevance that starts, before target masks.
    initial: Starting,
    /// Told of everything, where somebody wants to know.
    ledger: Option<&'a dyn Ledger>,
}

/// What is kept from one run of results to the next.
pub(super) struct Progressing(Run<Passed>);

impl Progressing {
    pub(super) fn new() -> Self {
        Self(Run::new())
    }
}

/// Runs every condition of `request` alone, over all of its samples, with `ledger` told of it: `done` learns the condition
/// and how much relevance arrived at the input.
pub(crate) fn one_by_one(
    trace: &Trace<'_>,
    request: &Request,
    ledger: &dyn Ledger,
    done: &mut dyn FnMut(usize, f64),
) -> Result<(), RequestError> {
    let execution = Execution { ledger: Some(ledger), ..Execution::new(trace, request)? };
    let mut by_condition: Vec<Vec<Pair>> = vec![Vec::new(); execution.plan.conditions.len()];
    for result in 0..execution.results()? {
        let pair = execution.pair(result);
        by_condition[pair.condition].push(pair);
    }
    for (condition, pairs) in by_condition.iter().enumerate() {
        let mut arrived = 0.0;
        for pairs in pairs.chunks(execution.rows_at_once()) {
            let inputs = execution.make(pairs, &mut Run::new())?.into_iter().filter_map(|item| item.input);
            arrived += inputs.map(|input| total(&input)).sum::<f64>();
        }
        done(condition, arrived);
    }
    Ok(())
}

impl<'a> Execution<'a> {
    /// Settles what `request` means for `trace`.
    pub(super) fn new(trace: &'a Trace<'a>, request: &'a Request) -> Result<Self, RequestError> {
        let plan = Arc::new(Plan::new(trace.attributor().model(), request)?);
        Self::over(trace, trace, request, plan)
    }

    /// The same request over `copies`, a trace of perturbed copies of its samples, one copy of all after the other: the
    /// results of the first copy come first, in the request's order.
    pub(super) fn of_copies<'b>(&'b self, copies: &'b Trace<'b>) -> Result<Execution<'b>, RequestError> {
        Execution::over(copies, self.base, self.request, self.plan.clone())
    }

    fn over(
        trace: &'a Trace<'a>,
        base: &'a Trace<'a>,
        request: &'a Request,
        plan: Arc<Plan<'a>>,
    ) -> Result<Self, RequestError> {
        let samples = base.batch();
        let results = plan.results(samples)?;
        let initial = Starting::new(&request.initial, trace.value(plan.start), samples, results)?;
        Ok(Self { trace, base, request, plan, initial, ledger: None })
    }

    /// The number of results that the request asks for.
    ///
    /// # Errors
    /// When samples and conditions that are to be paired differ in number.
    pub(super) fn results(&self) -> Result<usize, RequestError> {
        self.plan.results(self.base.batch())
    }

    /// How many results go down together, at least one.
    pub(super) fn rows_at_once(&self) -> usize {
        self.plan.rows_at_once(self.request, self.base.batch())
    }

    /// The samples as they were given.
    pub(super) fn base(&self) -> &'a Trace<'a> {
        self.base
    }

    /// The request.
    pub(super) fn request(&self) -> &'a Request {
        self.request
    }

    /// The sample of which a row of the trace is a copy.
    fn sample_of(&self, row: usize) -> usize {
        row % self.base.batch().max(1)
    }

    fn pair(&self, result: usize) -> Pair {
        let (row, condition) = self.plan.pair(result);
        Pair { row, initial: self.initial_row(row, condition), condition }
    }

    /// The results of the given numbers, in order; `progressing` keeps what the next results start from.
    pub(super) fn run(
        &self,
        results: Range<usize>,
        progressing: &mut Progressing,
    ) -> Result<Vec<Attribution>, RequestError> {
        let pairs: Vec<Pair> = results.map(|result| self.pair(result)).collect();
        self.make(&pairs, &mut progressing.0)
    }

    fn make(&self, pairs: &[Pair], run: &mut Run<Passed>) -> Result<Vec<Attribution>, RequestError> {
        let mut results: Vec<Attribution> = pairs.iter().map(|pair| self.empty(*pair)).collect();
        self.descend(pairs, run)?;
        for (pair, result) in pairs.iter().zip(&mut results) {
            let last = self.plan.ways[pair.condition].last();
            let Some(passed) = last.and_then(|&pass| run.get(&pair.key(pass))) else { continue };
            passed.noted.iter().for_each(|(node, relevance)| self.write(*node, relevance, pair, result));
        }
        if let Some(top) = self.plan.top {
            self.below_top(top, pairs, run, &mut results)?;
        }
        if let Some(last) = pairs.last() {
            run.end(&self.plan, (last.row, last.condition));
        }
        Ok(results)
    }

    /// How much relevance starts for the result of a number.
    pub(super) fn started(&self, result: usize) -> f64 {
        let pair = self.pair(result);
        let mut data = Vec::new();
        self.start(pair.row, pair.initial, self.plan.conditions[pair.condition].target, &mut data);
        data.iter().map(|&value| f64::from(value)).sum()
    }

    /// The result of a number, of which nothing is known yet.
    pub(super) fn unfilled(&self, result: usize) -> Attribution {
        self.empty(self.pair(result))
    }

    fn empty(&self, pair: Pair) -> Attribution {
        let (sample, condition) = (self.sample_of(pair.row), pair.condition);
        Attribution { sample, condition, input: None, layers: BTreeMap::new(), masked: BTreeMap::new() }
    }

    /// Writes what arrived at `node`, of one sample's shape, into a result.
    fn write(&self, node: NodeId, arrived: &Tensor, pair: &Pair, result: &mut Attribution) {
        let mask = self.plan.conditions[pair.condition].masks.iter().find(|(masked, _)| *masked == node);
        for (name, _) in self.plan.record.iter().filter(|(_, recorded)| *recorded == node) {
            result.layers.insert((*name).to_owned(), arrived.clone());
            if let Some((_, mask)) = mask {
                let mut masked = arrived.clone();
                mask.mask(masked.data_mut(), &self.trace.site(node, pair.row));
                result.masked.insert((*name).to_owned(), masked);
            }
        }
        if node == self.plan.graph.input() {
            result.input = Some(arrived.clone());
        }
    }

    /// The number of elements of one result, recorded layers included.
    pub(super) fn elements_of_result(&self) -> usize {
        let nodes = self.plan.record.iter().map(|(_, node)| *node).chain([self.plan.graph.input()]);
        nodes.map(|node| self.plan.graph.node(node).shape.iter().product::<usize>()).sum()
    }

    /// The recorded layers' activations, `[N, ...]` each.
    pub(super) fn activations(&self) -> BTreeMap<String, Tensor> {
        let activation = |(name, node): &(&str, NodeId)| ((*name).to_owned(), self.base.value(*node).clone());
        self.plan.record.iter().map(activation).collect()
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
