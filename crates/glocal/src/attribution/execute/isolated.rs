//! Isolated scope: from one conditioned layer to the next.

use std::collections::BTreeMap;

use glocal_compute::{Rows, Tensor};

use crate::attribution::execute::{Execution, Front, between};
use crate::attribution::{Attribution, propagate};
use crate::concept::Selection;
use crate::error::{RequestError, RunError};
use crate::model::NodeId;

impl Execution<'_> {
    /// Takes a front that has passed the mask of `node` (the `depth`-th of its conditions) down to the next masks and
    /// to the input.
    pub(super) fn descend(
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
            let part = front.restricted(self.trace.attributor().model().backend(), &members)?;
            let Some(next) = next else {
                self.pass(node, &part, None, depth == 0, results)?;
                continue;
            };
            let Some(arrived) = self.pass(node, &part, Some(next), depth == 0, results)? else { continue };
            let masked = self.split(&arrived, &part, depth, results)?;
            // The attribution is what arrives at the input, before a mask of the input itself.
            if let Some(ledger) = self.ledger.filter(|_| next != self.graph().input()) {
                ledger.masked(next, &arrived, &masked.relevance);
            }
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
        propagate(self.trace, start, &rows, &region, &self.request.cancel, &mut visit, self.ledger)?;
        Ok(arrived_at_stop)
    }

    /// One row for each distinct mask of the rows that arrived, masked.
    fn split(
        &self,
        arrived: &Tensor,
        front: &Front,
        depth: usize,
        results: &[Attribution],
    ) -> Result<Front, RequestError> {
        let shape = arrived.sample_shape().to_vec();
        let (mut samples, mut members_of) = (Vec::new(), Vec::new());
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
                data.extend_from_slice(arrived.row(row));
                mask.mask(&mut data[from..], &shape);
                samples.push(front.samples[row]);
                members_of.push(members);
            }
        }
        let relevance = Tensor::new([&[samples.len()], shape.as_slice()].concat(), data)?;
        Ok(Front { relevance, samples, members: members_of })
    }
}
