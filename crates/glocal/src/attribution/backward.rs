//! Relevance going down through a part of the graph.

use glocal_compute::backend::Zip;
use glocal_compute::{Rows, Tensor};

use crate::attribution::{Cancel, Trace};
use crate::error::RunError;
use crate::model::NodeId;
use crate::op::Propagate;

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

/// Propagates `relevance` (`[R, ...]`, row `i` of sample `rows[i]`) from `start` downward, through the nodes of
/// `region` only.
///
/// `visit` sees, in reverse topological order, what arrives in sum at each node (at `start` first), and returns what
/// goes on from there: the same, a masked copy, or nothing.
pub(crate) fn propagate(
    trace: &Trace<'_>,
    (start, relevance): (NodeId, Tensor),
    rows: &Rows,
    region: &[bool],
    cancel: &Cancel,
    visit: &mut dyn FnMut(NodeId, Tensor) -> Result<Option<Tensor>, RunError>,
    ledger: Option<&dyn Ledger>,
) -> Result<(), RunError> {
    let graph = trace.attributor().model().graph();
    let backend = trace.attributor().model().backend();
    let mut arriving: Vec<Option<Tensor>> = vec![None; start.index() + 1];
    arriving[start.index()] = Some(relevance);
    for (id, node) in graph.nodes().take(start.index() + 1).rev() {
        let Some(arrived) = arriving[id.index()].take() else { continue };
        cancel.check()?;
        let Some(relevance) = visit(id, arrived)? else { continue };
        if !node.inputs.iter().any(|input| region[input.index()]) {
            continue;
        }
        let Some(prepared) = trace.prepared(id)? else { continue };
        let failed = |cause| RunError::node(node, cause);
        let shares = prepared.propagate(backend, &relevance, rows).map_err(failed)?;
        if let Some(ledger) = ledger {
            let followed = |(input, share): (&NodeId, _)| (share, region[input.index()]);
            let shares: Vec<(&Tensor, bool)> = node.inputs.iter().zip(&shares).map(followed).collect();
            ledger.handed_down(id, &relevance, rows, prepared, &shares)?;
        }
        for (input, share) in node.inputs.iter().zip(shares).filter(|(input, _)| region[input.index()]) {
            let slot = &mut arriving[input.index()];
            *slot = Some(match slot.take() {
                None => share,
                Some(sum) => backend.zip(&sum, &share, Zip::Add).map_err(failed)?,
            });
        }
    }
    Ok(())
}
