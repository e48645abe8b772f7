//! Relevance going down through a part of the graph.

use std::collections::BTreeMap;
use std::ops::Range;

use glocal_compute::backend::Zip;
use glocal_compute::{Rows, Tensor};

use crate::attribution::{Cancel, Trace};
use crate::error::RunError;
use crate::model::{Node, NodeId};
use crate::op::Propagate;

/// The multiply-adds of one call of a node, at most, unless a single row has more: between calls the wish to stop is heard. Two
/// slow cores take a tenth of a second for it; larger calls are no faster.
pub(crate) const UNINTERRUPTED: u64 = 2_000_000_000;

/// Takes note of what becomes of relevance; the conservation report is one.
///
/// It is told of rows, and knows nothing of the results that they are for: whoever wants the account of one condition has
/// that condition run alone.
pub(crate) trait Ledger {
    /// `relevance` `[R, ...]` starts.
    fn started(&self, relevance: &Tensor);

    /// The masks of `node` let `passed` `[R, ...]` through of what `arrived` `[R, ...]`.
    fn masked(&self, node: NodeId, arrived: &Tensor, passed: &Tensor);

    /// `node` was given `relevance` `[R, ...]` and handed `shares` down, each with whether it was followed.
    fn handed_down(
        &self,
        node: NodeId,
        relevance: &Tensor,
        rows: &Rows,
        prepared: &dyn Propagate,
        shares: &[(&Tensor, bool)],
    ) -> Result<(), RunError>;
}

/// Rows of relevance on their way down.
pub(crate) struct Descent<'a> {
    trace: &'a Trace<'a>,
    /// For every node, whether relevance is followed there.
    region: &'a [bool],
    cancel: &'a Cancel,
    ledger: Option<&'a dyn Ledger>,
    /// The row of the trace that each row belongs to.
    rows: Rows,
    /// What arrived so far, in sum, at nodes that handed nothing down yet: `[R, ...]` each.
    arriving: BTreeMap<NodeId, Tensor>,
}

impl<'a> Descent<'a> {
    /// What `arrived` at some nodes (`[R, ...]`, row `i` of sample `rows[i]`), to be followed through `region`.
    pub(crate) fn new(
        trace: &'a Trace<'a>,
        arrived: BTreeMap<NodeId, Tensor>,
        rows: Rows,
        region: &'a [bool],
        cancel: &'a Cancel,
        ledger: Option<&'a dyn Ledger>,
    ) -> Self {
        Self { trace, region, cancel, ledger, rows, arriving: arrived }
    }

    /// The highest node that something arrived at, all of it.
    pub(crate) fn next(&self) -> Option<NodeId> {
        self.arriving.last_key_value().map(|(id, _)| *id)
    }

    /// Takes what arrived at the highest node.
    pub(crate) fn take(&mut self) -> Option<(NodeId, Tensor)> {
        self.arriving.pop_last()
    }

    /// What arrived at nodes that handed nothing down yet.
    pub(crate) fn into_pending(self) -> BTreeMap<NodeId, Tensor> {
        self.arriving
    }

    /// Makes row `i` what was row `of[i]`.
    pub(crate) fn fan_out(&mut self, of: &[usize]) -> Result<(), RunError> {
        let backend = self.trace.attributor().model().backend();
        let from = Rows::new(of);
        for arrived in self.arriving.values_mut() {
            *arrived = backend.gather_rows(arrived, &from)?;
        }
        let samples: Vec<usize> = of.iter().map(|&row| self.rows.samples()[row]).collect();
        self.rows = Rows::new(samples);
        Ok(())
    }

    /// Hands `relevance` `[R, ...]` down from a node to its inputs in the region.
    pub(crate) fn hand_down(&mut self, id: NodeId, relevance: &Tensor) -> Result<(), RunError> {
        let model = self.trace.attributor().model();
        let (node, region) = (model.graph().node(id), self.region);
        if !node.inputs.iter().any(|input| region[input.index()]) {
            return Ok(());
        }
        self.cancel.check()?;
        let Some(prepared) = self.trace.prepared(id)? else { return Ok(()) };
        let shares = self.shares(node, prepared, relevance)?;
        if let Some(ledger) = self.ledger {
            let followed = |(input, share): (&NodeId, _)| (share, region[input.index()]);
            let shares: Vec<(&Tensor, bool)> = node.inputs.iter().zip(&shares).map(followed).collect();
            ledger.handed_down(id, relevance, &self.rows, prepared, &shares)?;
        }
        for (input, share) in node.inputs.iter().zip(shares).filter(|(input, _)| region[input.index()]) {
            let sum = match self.arriving.remove(input) {
                None => share,
                Some(sum) => {
                    model.backend().zip(&sum, &share, Zip::Add).map_err(|cause| RunError::node(node, cause))?
                }
            };
            self.arriving.insert(*input, sum);
        }
        Ok(())
    }

    /// What the inputs of a node get, some rows at a time where they are much work.
    fn shares(&self, node: &Node, prepared: &dyn Propagate, relevance: &Tensor) -> Result<Vec<Tensor>, RunError> {
        let model = self.trace.attributor().model();
        let failed = |cause| RunError::node(node, cause);
        let count = relevance.batch();
        let at_once = rows_uninterrupted(model.graph().multiply_adds(node));
        if count <= at_once {
            return prepared.propagate(model.backend(), relevance, &self.rows).map_err(failed);
        }
        let mut parts: Vec<(Vec<usize>, Vec<f32>)> = Vec::new();
        for first in (0..count).step_by(at_once) {
            self.cancel.check()?;
            let some = first..(first + at_once).min(count);
            let rows = Rows::new(&self.rows.samples()[some.clone()]);
            let shares = prepared.propagate(model.backend(), &rows_of(relevance, some)?, &rows).map_err(failed)?;
            parts.resize_with(shares.len(), Default::default);
            for ((shape, data), share) in parts.iter_mut().zip(shares) {
                data.reserve_exact(if first == 0 { share.row_len() * count } else { 0 });
                data.extend_from_slice(share.data());
                *shape = [&[count], share.sample_shape()].concat();
            }
        }
        parts.into_iter().map(|(shape, data)| Ok(Tensor::new(shape, data)?)).collect()
    }
}

/// How many rows a node of so many multiply-adds a row takes at once.
pub(crate) fn rows_uninterrupted(multiply_adds: u64) -> usize {
    usize::try_from(UNINTERRUPTED / multiply_adds.max(1)).unwrap_or(usize::MAX).max(1)
}

/// Some rows of a tensor.
pub(crate) fn rows_of(x: &Tensor, rows: Range<usize>) -> Result<Tensor, RunError> {
    let (len, shape) = (x.row_len(), [&[rows.len()], x.sample_shape()].concat());
    let data = x.data().get(rows.start * len..rows.end * len).unwrap_or(&[]);
    Ok(Tensor::new(shape, data.to_vec())?)
}
