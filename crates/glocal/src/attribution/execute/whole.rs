//! Whole scope: one way down, masked on it, with parallel branches as they are.

use glocal_compute::{Rows, Tensor};

use crate::attribution::execute::{Execution, Front, between};
use crate::attribution::{Attribution, propagate};
use crate::error::{RequestError, RunError};
use crate::model::NodeId;

impl Execution<'_> {
    /// The one pass of whole scope: every result is a row, masked wherever its condition says.
    pub(super) fn masked_pass(&self, front: Front, results: &mut [Attribution]) -> Result<(), RequestError> {
        let graph = self.graph();
        let wanted = self.record.iter().map(|(_, recorded)| *recorded).chain([graph.input()]);
        let region = between(graph, self.start, &wanted.collect::<Vec<_>>());
        let rows = Rows::new(front.samples.as_slice());
        let conditions: Vec<usize> = results.iter().map(|result| result.condition).collect();
        let mut visit = |id: NodeId, mut arrived: Tensor| -> Result<Option<Tensor>, RunError> {
            self.note(id, &arrived, &front.members, results)?;
            let shape = arrived.sample_shape().to_vec();
            let len = arrived.row_len();
            // The attribution is what arrives at the input, before a mask of the input itself.
            let ledger = self.ledger.filter(|_| id != graph.input());
            let before = ledger.map(|_| arrived.clone());
            let mut is_masked = false;
            for (row, condition) in conditions.iter().enumerate() {
                let mask = self.conditions[*condition].masks.iter().find(|(node, _)| *node == id);
                if let Some((_, mask)) = mask {
                    // Writing copies what another branch still shares.
                    is_masked = true;
                    mask.mask(&mut arrived.data_mut()[row * len..(row + 1) * len], &shape);
                }
            }
            if let (Some(ledger), Some(before), true) = (ledger, before, is_masked) {
                ledger.masked(id, &before, &arrived);
            }
            Ok(Some(arrived))
        };
        let start = (self.start, front.relevance.clone());
        propagate(self.trace, start, &rows, &region, &self.request.cancel, &mut visit, self.ledger)?;
        Ok(())
    }
}
