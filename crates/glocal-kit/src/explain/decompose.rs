//! A prediction taken apart into the concepts of a layer.

use glocal::attribution::{Condition, Request, Trace};
use glocal::concept::Selection;
use glocal::conservation;
use glocal_compute::Tensor;

use super::{ConceptFindings, ExplainError, LayerFindings, RestFindings};

/// The `count` most relevant concepts of a layer and all others together, by the `shares` of all of them; `whole` asks for
/// the relevance of the target, and a heatmap has `size` values.
pub(super) fn decompose(
    trace: &Trace<'_>,
    layer: &str,
    shares: &[f64],
    count: usize,
    whole: &Request,
    size: usize,
) -> Result<LayerFindings, ExplainError> {
    let best = most_relevant(shares, count);
    let others: Vec<usize> = (0..shares.len()).filter(|id| !best.contains(id)).collect();
    let target = whole.conditions.first().cloned().unwrap_or_else(Condition::predicted);
    let through = |ids: &[usize]| target.clone().through(layer, Selection::channels(ids.iter().copied()));
    let mut conditions: Vec<Condition> = best.iter().map(|id| through(&[*id])).collect();
    let alone = Request { conditions: conditions.clone(), record: Vec::new(), ..whole.clone() };
    let balances = conservation::report(trace, &alone)?;
    if !others.is_empty() {
        conditions.push(through(&others));
    }
    let items = trace.attribute(&Request { conditions, ..alone })?.items;
    let mut heatmaps = items.iter().map(|item| item.heatmap().map_or_else(|| vec![0.0; size], Tensor::into_data));
    let concepts = best.iter().zip(heatmaps.by_ref()).zip(balances).map(|((&id, heatmap), balance)| ConceptFindings {
        id,
        share: shares[id],
        heatmap,
        balance,
        by_relevance: Vec::new(),
        by_activation: Vec::new(),
    });
    let concepts = concepts.collect();
    let sum = |of: fn(f64) -> f64| others.iter().map(|&id| of(shares[id])).sum();
    let rest = heatmaps.next().map(|heatmap| RestFindings {
        count: others.len(),
        supporting: sum(|share| share.max(0.0)),
        opposing: sum(|share| share.min(0.0)),
        heatmap,
    });
    Ok(LayerFindings { layer: layer.to_owned(), count: shares.len(), concepts, rest })
}

/// The `count` concepts with the largest shares, largest first, without those that no relevance goes through.
fn most_relevant(shares: &[f64], count: usize) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..shares.len()).filter(|&id| shares[id] != 0.0).collect();
    ids.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]).then(a.cmp(&b)));
    ids.truncate(count);
    ids
}
