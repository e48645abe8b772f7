//! Answers a request over one trace.
//!
//! Work is shared along the tree of conditions: samples and conditions that agree on the target start as one row, and
//! the row is split only where their masks differ. Under isolated scope relevance goes from each conditioned layer to
//! the next, so that every distinct prefix is propagated once per run of [`Request::rows_at_once`] rows.

use std::collections::BTreeMap;

use glocal_compute::{Rows, Tensor};

use crate::attribution::{
    Attribution, Attributions, Condition, Initial, Pairing, Request, Scope, Target, Trace, propagate,
};
use crate::concept::Selection;
use crate::error::{RequestError, RequestErrorKind, RunError};
use crate::model::{Graph, NodeId};

/// A condition with its names looked up, its masks from top to bottom.
struct Resolved {
    target: Target,
    masks: Vec<(NodeId, Selection)>,
}

/// Everything that stays the same over the runs of one request.
struct Execution<'a> {
    trace: &'a Trace<'a>,
    request: &'a Request,
    conditions: Vec<Resolved>,
    start: NodeId,
    record: Vec<(&'a str, NodeId)>,
    /// The relevance that starts, before target masks: `[N, ...]`, `[1, ...]` for all samples, or a row a result.
    initial: Tensor,
}

/// Rows of relevance on their way down.
struct Front {
    relevance: Tensor,
    /// The sample of each row.
    samples: Vec<usize>,
    /// The results (their index in the run) that each row is for.
    members: Vec<Vec<usize>>,
}

pub(crate) fn attribute(trace: &Trace<'_>, request: &Request) -> Result<Attributions, RequestError> {
    let execution = Execution::new(trace, request)?;
    let pairs = execution.pairs()?;
    let mut items = Vec::with_capacity(pairs.len());
    for run in pairs.chunks(request.rows_at_once.max(1)) {
        items.extend(execution.run(run)?);
    }
    let activations =
        execution.record.iter().map(|(name, node)| ((*name).to_owned(), trace.value(*node).clone())).collect();
    Ok(Attributions { prediction: trace.prediction().clone(), activations, items })
}

impl<'a> Execution<'a> {
    fn new(trace: &'a Trace<'a>, request: &'a Request) -> Result<Self, RequestError> {
        let model = trace.attributor().model();
        let graph = model.graph();
        let explained = model.explained();
        let reachable = |name: &str| -> Result<NodeId, RequestError> {
            let node = model.layer(name)?;
            if node <= explained && graph.ancestors(explained)[node.index()] {
                return Ok(node);
            }
            let output = graph.node(explained).display_name().to_owned();
            Err(RequestErrorKind::NotOnOnePath { upper: output, lower: name.to_owned() }.into())
        };
        let start = request.start.as_deref().map_or(Ok(explained), reachable)?;
        let record = request.record.iter().map(|name| Ok((name.as_str(), reachable(name)?)));
        let record = record.collect::<Result<Vec<_>, RequestError>>()?;
        let conditions = request.conditions.iter().map(|condition| resolve(condition, graph, start, request.scope));
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        let results = match request.pairing {
            Pairing::Zip => trace.batch(),
            Pairing::Product => trace.batch() * conditions.len(),
        };
        let initial = initial(&request.initial, trace.value(start), results)?;
        Ok(Self { trace, request, conditions, start, record, initial })
    }

    /// The (sample, condition) of each result, in order.
    fn pairs(&self) -> Result<Vec<(usize, usize)>, RequestError> {
        let (samples, conditions) = (self.trace.batch(), self.conditions.len());
        match self.request.pairing {
            Pairing::Zip if samples != conditions => Err(RequestErrorKind::Unpaired { samples, conditions }.into()),
            Pairing::Zip => Ok((0..samples).map(|index| (index, index)).collect()),
            Pairing::Product => Ok((0..samples).flat_map(|s| (0..conditions).map(move |c| (s, c))).collect()),
        }
    }

    fn run(&self, pairs: &[(usize, usize)]) -> Result<Vec<Attribution>, RequestError> {
        let empty = |&(sample, condition): &(usize, usize)| Attribution {
            sample,
            condition,
            input: None,
            layers: BTreeMap::new(),
        };
        let mut results: Vec<Attribution> = pairs.iter().map(empty).collect();
        let front = self.starting(pairs)?;
        match self.request.scope {
            Scope::Isolated => self.descend(self.start, front, 0, &mut results)?,
            Scope::Whole => self.masked_pass(front, &mut results)?,
        }
        Ok(results)
    }

    /// One row for each distinct sample and target; one for each result under whole scope, where masks of lower
    /// layers are applied on the way.
    fn starting(&self, pairs: &[(usize, usize)]) -> Result<Front, RequestError> {
        let shape = self.initial.sample_shape().to_vec();
        // The sample, the row of the initial relevance, and the target.
        let mut starts: Vec<(usize, usize, Target)> = Vec::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (index, &(sample, condition)) in pairs.iter().enumerate() {
            let row = match self.initial.batch() {
                1 => 0,
                rows if rows == self.trace.batch() => sample,
                _ => sample * self.conditions.len() + condition,
            };
            let start = (sample, row, self.target_of(sample, &self.conditions[condition].target)?);
            let known = starts.iter().position(|known| *known == start);
            match known.filter(|_| self.request.scope == Scope::Isolated) {
                Some(row) => members[row].push(index),
                None => {
                    starts.push(start);
                    members.push(vec![index]);
                }
            }
        }
        let mut data = Vec::with_capacity(starts.len() * self.initial.row_len());
        for (_, row, target) in &starts {
            let from = data.len();
            data.extend_from_slice(self.initial.row(*row));
            if let Target::Some(selection) = target {
                selection.mask(&mut data[from..], &shape);
            }
        }
        let relevance = Tensor::new([&[starts.len()], shape.as_slice()].concat(), data)?;
        Ok(Front { relevance, samples: starts.iter().map(|(sample, ..)| *sample).collect(), members })
    }

    /// The target with the predicted class filled in.
    fn target_of(&self, sample: usize, target: &Target) -> Result<Target, RequestError> {
        if *target != Target::Predicted {
            return Ok(target.clone());
        }
        let prediction = self.trace.prediction();
        if prediction.sample_shape().len() != 1 || self.start != self.trace.attributor().model().explained() {
            return Err(RequestErrorKind::NoPrediction { shape: self.initial.sample_shape().to_vec() }.into());
        }
        Ok(Target::Some(Selection::channels([argmax(prediction.row(sample))])))
    }

    /// Takes a front that has passed the mask of `node` (the `depth`-th of its conditions) down to the next masks and
    /// to the input.
    fn descend(
        &self,
        node: NodeId,
        front: Front,
        depth: usize,
        results: &mut [Attribution],
    ) -> Result<(), RequestError> {
        let next_of = |condition: usize| self.conditions[condition].masks.get(depth).map(|(node, _)| *node);
        let mut by_next: BTreeMap<Option<NodeId>, Vec<usize>> = BTreeMap::new();
        for member in front.members.iter().flatten() {
            by_next.entry(next_of(results[*member].condition)).or_default().push(*member);
        }
        for (next, members) in by_next {
            let part = front.restricted(self, &members)?;
            let Some(next) = next else {
                self.pass(node, &part, None, depth == 0, results)?;
                continue;
            };
            let Some(arrived) = self.pass(node, &part, Some(next), depth == 0, results)? else { continue };
            let masked = self.split(arrived, &part, depth, results)?;
            self.descend(next, masked, depth + 1, results)?;
        }
        Ok(())
    }

    /// Propagates a front from `node` to `stop` (returning what arrives there) or to the input, and records on the way.
    fn pass(
        &self,
        node: NodeId,
        front: &Front,
        stop: Option<NodeId>,
        record_start: bool,
        results: &mut [Attribution],
    ) -> Result<Option<Tensor>, RequestError> {
        let graph = self.graph();
        let region = match stop {
            Some(stop) => between(graph, node, &[stop]),
            None => {
                let wanted = self.record.iter().map(|(_, recorded)| *recorded).chain([graph.input()]);
                between(graph, node, &wanted.collect::<Vec<_>>())
            }
        };
        let rows = Rows::new(front.samples.as_slice());
        let mut arrived_at_stop = None;
        let mut visit = |id: NodeId, arrived: Tensor| -> Result<Option<Tensor>, RunError> {
            if id != node || record_start {
                self.note(id, &arrived, &front.members, results)?;
            }
            if Some(id) == stop {
                arrived_at_stop = Some(arrived);
                return Ok(None);
            }
            Ok(Some(arrived))
        };
        let start = (node, front.relevance.clone());
        propagate(self.trace, start, &rows, &region, &self.request.cancel, &mut visit, None)?;
        Ok(arrived_at_stop)
    }

    /// One row for each distinct mask of the rows that arrived, masked.
    fn split(
        &self,
        arrived: Tensor,
        front: &Front,
        depth: usize,
        results: &[Attribution],
    ) -> Result<Front, RequestError> {
        let shape = arrived.sample_shape().to_vec();
        let mut split = Front { relevance: arrived, samples: Vec::new(), members: Vec::new() };
        let mut data = Vec::new();
        for (row, members) in front.members.iter().enumerate() {
            let mut distinct: Vec<(&Selection, Vec<usize>)> = Vec::new();
            for &member in members {
                let (_, mask) = &self.conditions[results[member].condition].masks[depth];
                match distinct.iter_mut().find(|(known, _)| *known == mask) {
                    Some((_, same)) => same.push(member),
                    None => distinct.push((mask, vec![member])),
                }
            }
            for (mask, members) in distinct {
                let from = data.len();
                data.extend_from_slice(split.relevance.row(row));
                mask.mask(&mut data[from..], &shape);
                split.samples.push(front.samples[row]);
                split.members.push(members);
            }
        }
        split.relevance = Tensor::new([&[split.samples.len()], shape.as_slice()].concat(), data)?;
        Ok(split)
    }

    /// The one pass of whole scope: every result is a row, masked wherever its condition says.
    fn masked_pass(&self, front: Front, results: &mut [Attribution]) -> Result<(), RequestError> {
        let graph = self.graph();
        let wanted = self.record.iter().map(|(_, recorded)| *recorded).chain([graph.input()]);
        let region = between(graph, self.start, &wanted.collect::<Vec<_>>());
        let rows = Rows::new(front.samples.as_slice());
        let conditions: Vec<usize> = results.iter().map(|result| result.condition).collect();
        let mut visit = |id: NodeId, mut arrived: Tensor| -> Result<Option<Tensor>, RunError> {
            self.note(id, &arrived, &front.members, results)?;
            let shape = arrived.sample_shape().to_vec();
            let len = arrived.row_len();
            for (row, condition) in conditions.iter().enumerate() {
                let mask = self.conditions[*condition].masks.iter().find(|(node, _)| *node == id);
                if let Some((_, mask)) = mask {
                    // Writing copies what another branch still shares.
                    mask.mask(&mut arrived.data_mut()[row * len..(row + 1) * len], &shape);
                }
            }
            Ok(Some(arrived))
        };
        let start = (self.start, front.relevance.clone());
        propagate(self.trace, start, &rows, &region, &self.request.cancel, &mut visit, None)?;
        Ok(())
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

impl Front {
    /// The rows that are for some of `members`, for those alone.
    fn restricted(&self, execution: &Execution<'_>, members: &[usize]) -> Result<Self, RequestError> {
        let mut rows = Vec::new();
        let mut kept = Vec::new();
        for (row, all) in self.members.iter().enumerate() {
            let some: Vec<usize> = all.iter().copied().filter(|member| members.contains(member)).collect();
            if !some.is_empty() {
                rows.push(row);
                kept.push(some);
            }
        }
        let relevance = if rows.len() == self.samples.len() {
            self.relevance.clone()
        } else {
            let backend = execution.trace.attributor().model().backend();
            backend.gather_rows(&self.relevance, &Rows::new(rows.as_slice()))?
        };
        let samples = rows.iter().map(|&row| self.samples[row]).collect();
        Ok(Self { relevance, samples, members: kept })
    }
}

/// Looks up a condition's names and orders its masks from top to bottom.
fn resolve(condition: &Condition, graph: &Graph, start: NodeId, scope: Scope) -> Result<Resolved, RequestError> {
    let mut masks = Vec::with_capacity(condition.layers.len());
    for (name, selection) in &condition.layers {
        let node = graph.find(name)?;
        selection.check(&format!("layer {name}"), &graph.node(node).shape)?;
        if masks.iter().any(|(known, _)| *known == node) {
            return Err(RequestErrorKind::RepeatedLayer { layer: name.clone() }.into());
        }
        masks.push((node, selection.clone()));
    }
    if let Target::Some(selection) = &condition.target {
        selection.check("the output", &graph.node(start).shape)?;
    }
    masks.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut above = start;
    for (node, _) in &masks {
        if *node > above || !graph.ancestors(above)[node.index()] {
            let name = |id| graph.node(id).display_name().to_owned();
            return Err(RequestErrorKind::NotOnOnePath { upper: name(above), lower: name(*node) }.into());
        }
        if scope == Scope::Isolated {
            above = *node;
        }
    }
    Ok(Resolved { target: condition.target.clone(), masks })
}

/// The relevance that starts at a layer of `value` `[N, ...]`, before target masks.
fn initial(initial: &Initial, value: &Tensor, results: usize) -> Result<Tensor, RequestError> {
    let one_row = || [&[1], value.sample_shape()].concat();
    let relevance = match initial {
        Initial::Value => value.clone(),
        Initial::One => Tensor::full(one_row(), 1.0)?,
        Initial::Constant(constant) => Tensor::full(one_row(), *constant)?,
        Initial::Given(tensor) => tensor.clone(),
        Initial::Function(function) => function(value),
    };
    let rows_fit = [1, value.batch(), results].contains(&relevance.batch());
    if relevance.sample_shape() != value.sample_shape() || !rows_fit {
        let (expected, given) = (value.shape().to_vec(), relevance.shape().to_vec());
        return Err(RequestErrorKind::InitialShape { expected, given }.into());
    }
    Ok(relevance)
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

/// The index of the largest value, the first on ties.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
