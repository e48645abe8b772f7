//! Counts what a plan does, without doing it.

use std::collections::BTreeMap;

use crate::attribution::execute::plan::Plan;
use crate::attribution::execute::run::{Key, Pair, Run};
use crate::attribution::{Attributor, Explanation, Initial, LayerWork, Pairing, Request};
use crate::error::RequestError;
use crate::model::NodeId;

/// What `request` costs for so many samples.
pub(crate) fn explain(attributor: &Attributor, request: &Request, samples: usize) -> Result<Explanation, RequestError> {
    let plan = Plan::new(attributor.model(), request)?;
    let results = plan.results(samples)?;
    let of_result = matches!(&request.initial, Initial::Given(given) if ![1, samples].contains(&given.batch()));
    let mut count = Count { plan: &plan, rows: vec![0; plan.graph.len()] };
    let (mut run, mut kept) = (Run::new(), 0);
    let rows_at_once = plan.rows_at_once(request, samples);
    for first in (0..results).step_by(rows_at_once) {
        let pair = |result| {
            let (row, condition) = plan.pair(result);
            Pair { row, initial: if of_result { result } else { 0 }, condition }
        };
        let pairs: Vec<Pair> = (first..(first + rows_at_once).min(results)).map(pair).collect();
        count.run(&pairs, &mut run);
        kept = kept.max(run.bytes());
    }
    let alone = count.alone(if request.pairing == Pairing::Zip { 1 } else { samples as u64 });
    let mut layers = Vec::new();
    for (node, of_node) in plan.graph.nodes().rev() {
        let (rows, rows_alone) = (count.rows[node.index()], alone[node.index()]);
        if rows_alone > 0 {
            let (layer, multiply_adds) = (of_node.display_name().to_owned(), plan.graph.multiply_adds(of_node));
            layers.push(LayerWork { node, layer, rows, rows_alone, multiply_adds });
        }
    }
    let bytes = plan.working_bytes(samples, rows_at_once.min(results)).saturating_add(kept);
    Ok(Explanation { results, layers, bytes })
}

/// The rows that each node hands down.
struct Count<'p> {
    plan: &'p Plan<'p>,
    rows: Vec<u64>,
}

impl Count<'_> {
    /// Counts the rows of one run of results.
    fn run(&mut self, pairs: &[Pair], run: &mut Run<()>) {
        for stage in self.plan.stages(pairs, run) {
            for id in self.plan.handing_down(stage.from, stage.to) {
                self.rows[id.index()] += stage.rows.len() as u64;
            }
            stage.rows.into_iter().for_each(|key| run.insert(key, ()));
        }
        if let Some(top) = self.plan.top {
            self.below(top, pairs);
        }
        if let Some(last) = pairs.last() {
            run.end(self.plan, (last.row, last.condition));
        }
    }

    /// Counts the rows below the highest mask of whole scope, which become more where masks differ.
    fn below(&mut self, top: NodeId, pairs: &[Pair]) {
        let mut groups: Vec<usize> = Vec::with_capacity(pairs.len());
        let mut known: BTreeMap<Key, usize> = BTreeMap::new();
        for pair in pairs {
            let next = known.len();
            let pass = self.plan.ways[pair.condition].first().copied().unwrap_or(0);
            groups.push(*known.entry(pair.key(pass)).or_insert(next));
        }
        let mut count = known.len();
        for id in self.plan.handing_down(self.plan.start, None).into_iter().filter(|id| *id <= top) {
            let mut split = BTreeMap::new();
            for (pair, group) in pairs.iter().zip(&mut groups) {
                let masks = &self.plan.conditions[pair.condition].masks;
                let mask = masks.iter().find(|(masked, _)| *masked == id).map(|(_, mask)| mask.key());
                let next = split.len();
                *group = *split.entry((*group, mask)).or_insert(next);
            }
            count = count.max(split.len());
            self.rows[id.index()] += count as u64;
        }
    }

    /// The rows if every result of so many samples were computed alone.
    fn alone(&self, samples: u64) -> Vec<u64> {
        let mut alone = vec![0; self.rows.len()];
        let mut users: BTreeMap<(NodeId, Option<NodeId>), u64> = BTreeMap::new();
        for pass in self.plan.ways.iter().flatten().map(|&pass| &self.plan.passes[pass]) {
            *users.entry((pass.from, pass.to.filter(|_| self.plan.top.is_none()))).or_default() += samples;
        }
        for ((from, to), count) in users {
            self.plan.handing_down(from, to).into_iter().for_each(|id| alone[id.index()] += count);
        }
        alone
    }
}
