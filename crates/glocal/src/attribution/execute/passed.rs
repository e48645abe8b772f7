//! Relevance on its way down from one node to another.

use std::collections::BTreeMap;

use glocal_compute::{Rows, Tensor};

use crate::attribution::Descent;
use crate::attribution::execute::Execution;
use crate::attribution::execute::plan::{Origin, Stage};
use crate::attribution::execute::run::{Key, Pair, Run};
use crate::error::RequestError;
use crate::model::NodeId;

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

    /// Takes rows from one node down to another, or to the input.
    fn pass(&self, stage: &Stage, run: &mut Run<Passed>) -> Result<(), RequestError> {
        let Stage { from, to, rows } = stage;
        let Some(region) = self.plan.region(*from, *to) else { return Ok(()) };
        let (relevance, mut passed) = self.starting(stage, run)?;
        let is_start = rows.iter().all(|key| matches!(self.plan.passes[key.pass].origin, Origin::Target(_)));
        let samples: Vec<usize> = rows.iter().map(|key| key.row).collect();
        let arrived = BTreeMap::from([(*from, relevance)]);
        let (samples, cancel) = (Rows::new(samples), &self.request.cancel);
        let mut descent = Descent::new(self.trace, arrived, samples, &region.nodes, cancel, self.ledger);
        while descent.next().is_some_and(|id| to.is_none_or(|to| id > to)) {
            let Some((id, arrived)) = descent.take() else { break };
            // What arrived where the pass starts was noted before it was masked.
            if self.plan.is_noted(id) && (id != *from || is_start) {
                for (row, passed) in passed.iter_mut().enumerate() {
                    passed.noted.push((id, row_of(&arrived, row)?));
                }
            }
            descent.hand_down(id, &arrived)?;
        }
        for (id, arrived) in descent.into_pending() {
            for (row, passed) in passed.iter_mut().enumerate() {
                passed.pending.insert(id, row_of(&arrived, row)?);
            }
        }
        for (key, passed) in rows.iter().zip(passed) {
            run.insert(*key, passed);
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
                    mask.mask(&mut data[from..], shape);
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

/// One row, of one sample's shape.
pub(super) fn row_of(x: &Tensor, row: usize) -> Result<Tensor, RequestError> {
    Ok(Tensor::new(x.sample_shape(), x.row(row).to_vec())?)
}
