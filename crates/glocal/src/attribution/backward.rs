//! Relevance going down through a part of the graph.

mod arrived;

use std::collections::BTreeMap;
use std::ops::Range;

use glocal_compute::{Backend, Rows, Tensor};

pub(crate) use arrived::Arrived;

use crate::attribution::trace::Prepared;
use crate::attribution::{Cancel, Trace};
use crate::error::RunError;
use crate::model::{Node, NodeId};
use crate::op::{Patch, Propagate, Within};

/// The multiply-adds of one call of a node, at most, unless a single row has more: between calls the wish to stop is heard. Two
/// slow cores take half a second for it. A call for less copies its rows out of the batch and back.
pub(crate) const UNINTERRUPTED: u64 = 8_000_000_000;

/// Takes note of what becomes of relevance; the conservation report is one.
///
/// It is told of rows, and knows nothing of the results that they are for: whoever wants the account of one condition has
/// that condition run alone.
pub(crate) trait Ledger: Sync {
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
    arriving: BTreeMap<NodeId, Arrived>,
}

impl<'a> Descent<'a> {
    /// What `arrived` at some nodes (`[R, ...]`, row `i` of sample `rows[i]`), to be followed through `region`.
    pub(crate) fn new(
        trace: &'a Trace<'a>,
        arrived: BTreeMap<NodeId, Arrived>,
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
    pub(crate) fn take(&mut self) -> Option<(NodeId, Arrived)> {
        self.arriving.pop_last()
    }

    /// The row of the trace that each row belongs to.
    pub(crate) fn samples(&self) -> &[usize] {
        self.rows.samples()
    }

    /// What arrived at nodes that handed nothing down yet.
    pub(crate) fn into_pending(self) -> BTreeMap<NodeId, Arrived> {
        self.arriving
    }

    /// Makes row `i` what was row `of[i]`.
    pub(crate) fn fan_out(&mut self, of: &[usize]) -> Result<(), RunError> {
        let backend = self.trace.attributor().model().backend();
        let from = Rows::new(of);
        for arrived in self.arriving.values_mut() {
            arrived.relevance = backend.gather_rows(&arrived.relevance, &from)?;
        }
        let samples: Vec<usize> = of.iter().map(|&row| self.rows.samples()[row]).collect();
        self.rows = Rows::new(samples);
        Ok(())
    }

    /// Hands what `arrived` at a node down to its inputs in the region.
    pub(crate) fn hand_down(&mut self, id: NodeId, arrived: Arrived) -> Result<(), RunError> {
        let model = self.trace.attributor().model();
        let (graph, backend) = (model.graph(), model.backend());
        let (node, region) = (graph.node(id), self.region);
        if !node.inputs.iter().any(|input| region[input.index()]) {
            return Ok(());
        }
        self.cancel.check()?;
        let Some(prepared) = self.trace.prepared(id)? else { return Ok(()) };
        let failed = |cause| RunError::node(node, cause);
        let within = match (&arrived.patch, self.rows.samples().first()) {
            (Some(patch), Some(&sample)) => prepared.rule().within(backend, patch, sample).map_err(failed)?,
            _ => None,
        };
        let shares: Vec<Arrived> = match within {
            Some(Within { rule, inputs }) => {
                let rows = Rows::shared(self.rows.len());
                let shares = self.shares(node, Prepared::Once(rule), (arrived.relevance, &rows), &inputs)?;
                let mut patches = inputs.into_iter();
                let shares = shares.into_iter().zip(&node.inputs).map(|(share, input)| match patches.next() {
                    Some(patch) => Arrived::within(backend, patch, share, &graph.node(*input).shape).map_err(failed),
                    None => Ok(share.into()),
                });
                shares.collect::<Result<_, _>>()?
            }
            None => {
                let relevance = arrived.into_whole(backend, &node.shape).map_err(failed)?;
                let shares = match self.ledger {
                    None => self.shares(node, prepared, (relevance, &self.rows), &[])?,
                    Some(ledger) => {
                        let rule = prepared.rule();
                        let given = (relevance.clone(), &self.rows);
                        let shares = self.shares(node, Prepared::Kept(rule), given, &[])?;
                        let followed = |(input, share): (&NodeId, _)| (share, region[input.index()]);
                        let told: Vec<(&Tensor, bool)> = node.inputs.iter().zip(&shares).map(followed).collect();
                        ledger.handed_down(id, &relevance, &self.rows, rule, &told)?;
                        shares
                    }
                };
                shares.into_iter().map(Arrived::from).collect()
            }
        };
        for (input, share) in node.inputs.iter().zip(shares).filter(|(input, _)| region[input.index()]) {
            let sum = match self.arriving.remove(input) {
                None => share,
                Some(sum) => sum.plus(share, backend, &graph.node(*input).shape).map_err(failed)?,
            };
            self.arriving.insert(*input, sum);
        }
        Ok(())
    }

    /// What the inputs of a node get of relevance, within the `patches` of the first of them: some rows at a time where they are
    /// much work.
    fn shares(
        &self,
        node: &Node,
        prepared: Prepared<'_>,
        (relevance, rows): (Tensor, &Rows),
        patches: &[Patch],
    ) -> Result<Vec<Tensor>, RunError> {
        let model = self.trace.attributor().model();
        let whole = node.inputs.iter().map(|input| model.graph().node(*input).shape.clone());
        let expected: Vec<Vec<usize>> =
            whole.enumerate().map(|(index, shape)| patches.get(index).map_or(shape, Patch::shape)).collect();
        let propagate = |prepared: Prepared<'_>, relevance: Tensor, rows: &Rows| {
            let batch = relevance.batch();
            let shares = prepared.propagate(model.backend(), relevance, rows);
            let shares = shares.map_err(|cause| RunError::node(node, cause))?;
            let fits = |(share, shape): (&Tensor, &Vec<usize>)| share.batch() == batch && share.sample_shape() == shape;
            // What a rule makes of values that it says it does not read would be cut off, or broadcast to nothing.
            if shares.len() == expected.len() && shares.iter().zip(&expected).all(fits) {
                Ok(shares)
            } else {
                Err(RunError::shares(node, batch, &expected, &shares))
            }
        };
        let count = relevance.batch();
        let at_once = rows_uninterrupted(model.graph().multiply_adds(node));
        if count <= at_once {
            return propagate(prepared, relevance, rows);
        }
        let mut parts = vec![Vec::new(); expected.len()];
        for first in (0..count).step_by(at_once) {
            self.cancel.check()?;
            let some = first..(first + at_once).min(count);
            let rows = Rows::new(&rows.samples()[some.clone()]);
            let shares =
                propagate(Prepared::Kept(prepared.rule()), rows_of(model.backend(), &relevance, some)?, &rows)?;
            for (data, share) in parts.iter_mut().zip(shares) {
                data.reserve_exact(if first == 0 { share.row_len() * count } else { 0 });
                data.extend_from_slice(share.data());
            }
        }
        let whole =
            |(data, shape): (Vec<f32>, Vec<usize>)| Ok(Tensor::new([&[count], shape.as_slice()].concat(), data)?);
        parts.into_iter().zip(expected).map(whole).collect()
    }
}

/// How many rows a node of so many multiply-adds a row takes at once.
pub(crate) fn rows_uninterrupted(multiply_adds: u64) -> usize {
    usize::try_from(UNINTERRUPTED / multiply_adds.max(1)).unwrap_or(usize::MAX).max(1)
}

/// Some rows of a tensor.
pub(crate) fn rows_of(backend: &dyn Backend, x: &Tensor, rows: Range<usize>) -> Result<Tensor, RunError> {
    Ok(backend.gather_rows(x, &Rows::new(rows.collect::<Vec<usize>>()))?)
}
