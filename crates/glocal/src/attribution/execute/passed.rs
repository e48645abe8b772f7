//! Relevance on its way down from one node to another.

use std::collections::BTreeMap;

use glocal_compute::{Backend, Rows, Tensor};

use crate::attribution::execute::Execution;
use crate::attribution::execute::pass::Origin;
use crate::attribution::execute::plan::Stage;
use crate::attribution::execute::run::{Key, Pair, Run};
use crate::attribution::{Arrived, Descent};
use crate::error::RequestError;
use crate::model::NodeId;
use crate::op::Patch;

/// What a row of a pass left behind.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// What arrived at nodes that are part of results, here and above.
    pub(super) noted: Vec<(NodeId, Tensor)>,
    /// What arrived, before any mask, at nodes where the pass ended.
    pub(super) pending: BTreeMap<NodeId, Tensor>,
}

impl Execution<'_> {
    /// Takes the rows of all passes that `pairs` need, and `run` has not, down.
    pub(super) fn descend(&self, pairs: &[Pair], run: &mut Run<Passed>) -> Result<(), RequestError> {
        for stage in self.plan.stages(pairs, run) {
            self.pass(&stage, run)?;
        }
        Ok(())
    }

    /// Takes rows from one node down to another, or to the input. Rows of a sample that are zero outside of the same patch, as
    /// those of a neuron are, go together, through patches as far as they are small.
    fn pass(&self, stage: &Stage, run: &mut Run<Passed>) -> Result<(), RequestError> {
        let (relevance, mut passed) = self.starting(stage, run)?;
        let backend = self.trace.attributor().model().backend();
        let shape = relevance.sample_shape().to_vec();
        let mut parts: BTreeMap<Option<(usize, Patch)>, Vec<usize>> = BTreeMap::new();
        for (row, key) in stage.rows.iter().enumerate() {
            let patch = self.patch(relevance.row(row), &shape).map(|patch| (key.row, patch));
            parts.entry(patch).or_default().push(row);
        }
        for (patch, rows) in parts {
            let part = backend.gather_rows(&relevance, &Rows::new(rows.as_slice()))?;
            let part = match patch {
                Some((_, patch)) => {
                    let cut = patch.cut_rows(backend, &part)?;
                    Arrived::within(backend, patch, cut, &shape)?
                }
                None => part.into(),
            };
            self.pass_part(stage, part, &rows, &mut passed)?;
        }
        for (key, passed) in stage.rows.iter().zip(passed) {
            run.insert(*key, passed);
        }
        Ok(())
    }

    /// The patch that relevance of `shape` is propagated in, if it is to be.
    fn patch(&self, relevance: &[f32], shape: &[usize]) -> Option<Patch> {
        // Accounts are of the whole.
        if self.ledger.is_some() || shape.len() < 2 {
            return None;
        }
        let patch = Patch::around(relevance, shape);
        Arrived::is_small(&patch, shape).then_some(patch)
    }

    /// Takes some rows of a stage down, and writes what they leave behind into their places of `passed`.
    fn pass_part(
        &self,
        stage: &Stage,
        relevance: Arrived,
        rows: &[usize],
        passed: &mut [Passed],
    ) -> Result<(), RequestError> {
        let (from, to) = (stage.from, stage.to);
        let Some(region) = self.plan.region(from, to) else { return Ok(()) };
        let is_start = stage.rows.iter().all(|key| matches!(self.plan.passes[key.pass].origin, Origin::Target(_)));
        let samples: Vec<usize> = rows.iter().map(|&row| stage.rows[row].row).collect();
        let arrived = BTreeMap::from([(from, relevance)]);
        let (samples, cancel) = (Rows::new(samples), &self.request.cancel);
        let backend = self.trace.attributor().model().backend();
        let whole = |id: NodeId, arrived: &Arrived| arrived.whole(backend, &self.plan.graph.node(id).shape);
        let mut descent = Descent::new(self.trace, arrived, samples, &region.nodes, cancel, self.ledger);
        while descent.next().is_some_and(|id| to.is_none_or(|to| id > to)) {
            let Some((id, arrived)) = descent.take() else { break };
            // What arrived where the pass starts was noted before it was masked.
            if self.plan.is_noted(id) && (id != from || is_start) {
                let arrived = whole(id, &arrived)?;
                for (index, &row) in rows.iter().enumerate() {
                    passed[row].noted.push((id, row_of(backend, &arrived, index)?));
                }
            }
            descent.hand_down(id, arrived)?;
        }
        for (id, arrived) in descent.into_pending() {
            let arrived = whole(id, &arrived)?;
            for (index, &row) in rows.iter().enumerate() {
                passed[row].pending.insert(id, row_of(backend, &arrived, index)?);
            }
        }
        Ok(())
    }

    /// The relevance that the rows of a pass start with, and for each what was noted above.
    fn starting(&self, stage: &Stage, run: &Run<Passed>) -> Result<(Tensor, Vec<Passed>), RequestError> {
        let shape = &self.plan.graph.node(stage.from).shape;
        let len: usize = shape.iter().product();
        let mut passed = Vec::with_capacity(stage.rows.len());
        let mut data = Vec::with_capacity(stage.rows.len() * len);
        let mut unmasked: Vec<f32> = Vec::new();
        for key in &stage.rows {
            let from = data.len();
            let mut noted = Vec::new();
            match self.plan.passes[key.pass].origin {
                Origin::Target(target) => self.start(key.row, key.initial, target, &mut data),
                Origin::Mask { above, mask } => {
                    let upper = run.get(&Key { pass: above, ..*key });
                    let arrived = upper.and_then(|upper| upper.pending.get(&stage.from));
                    data.extend_from_slice(arrived.map_or(&[], Tensor::data));
                    // Every pass ends where the next one starts; nothing would be nothing.
                    data.resize(from + len, 0.0);
                    if self.ledger.is_some() {
                        unmasked.extend_from_slice(&data[from..]);
                    }
                    mask.mask(&mut data[from..], &self.trace.site(stage.from, key.row));
                    noted.extend(upper.into_iter().flat_map(|upper| upper.noted.iter().cloned()));
                    let arrived = arrived.filter(|_| self.plan.is_noted(stage.from));
                    noted.extend(arrived.map(|arrived| (stage.from, arrived.clone())));
                }
            }
            passed.push(Passed { noted, pending: BTreeMap::new() });
        }
        let shape = [&[stage.rows.len()], shape.as_slice()].concat();
        let relevance = Tensor::new(shape.as_slice(), data)?;
        match self.ledger {
            Some(ledger) if unmasked.is_empty() => ledger.started(&relevance),
            // The attribution is what arrives at the input, before a mask of the input itself.
            Some(ledger) if stage.from != self.plan.graph.input() => {
                ledger.masked(stage.from, &Tensor::new(shape, unmasked)?, &relevance);
            }
            _ => {}
        }
        Ok((relevance, passed))
    }
}

/// One row, of one sample's shape; shared where there are no others.
pub(super) fn row_of(backend: &dyn Backend, x: &Tensor, row: usize) -> Result<Tensor, RequestError> {
    Ok(backend.gather_rows(x, &Rows::new(vec![row]))?.reshape(x.sample_shape())?)
}
