//! Runs the upper part of a model again, from a layer whose value was changed.

use glocal_compute::{Rows, Tensor};

use crate::attribution::Cancel;
use crate::error::RunError;
use crate::model::{Model, NodeId};

impl Model {
    /// The explained output `[V, ...]` with the value of a layer replaced by that of `changed`, `[V, ...]`; row `i` in place of
    /// row `rows[i]` of `values`, which holds those of all nodes up to the output.
    ///
    /// A value is dropped after the last node that takes it, so that many rows need no more memory than the widest part of
    /// the model.
    pub(crate) fn rerun(
        &self,
        values: &[Tensor],
        changed: (NodeId, &Tensor),
        rows: &Rows,
        cancel: &Cancel,
    ) -> Result<Tensor, RunError> {
        let (graph, backend) = (self.graph(), self.backend());
        let (layer, replacement) = changed;
        let node = graph.node(layer);
        if replacement.sample_shape() != node.shape || replacement.rank() == 0 || replacement.batch() != rows.len() {
            return Err(RunError::layer_shape(node, rows.len(), replacement.shape()));
        }
        let (below, above) = (graph.ancestors(self.explained()), graph.descendants(layer));
        let depends = |id: NodeId| below[id.index()] && above[id.index()];
        let mut last_taker = vec![self.explained(); graph.len()];
        for (id, node) in graph.nodes().filter(|(id, _)| depends(*id)) {
            node.inputs.iter().for_each(|input| last_taker[input.index()] = id);
        }
        last_taker[self.explained().index()] = self.explained();
        let unchanged =
            |id: NodeId| -> Result<Tensor, RunError> { Ok(backend.gather_rows(&values[id.index()], rows)?) };
        // What is left where the output does not depend on the layer; fails for rows that do not exist.
        let original = unchanged(self.explained())?;
        let mut again: Vec<Option<Tensor>> = vec![None; graph.len()];
        for (id, node) in graph.nodes().filter(|(id, _)| depends(*id)) {
            if id == layer {
                again[id.index()] = Some(replacement.clone());
                continue;
            }
            let operand = |input: &NodeId| again[input.index()].clone().map_or_else(|| unchanged(*input), Ok);
            let operands = node.inputs.iter().map(operand).collect::<Result<Vec<Tensor>, _>>()?;
            let value = self.forward(node, operands, cancel)?;
            for input in node.inputs.iter().filter(|input| last_taker[input.index()] == id) {
                again[input.index()] = None;
            }
            again[id.index()] = Some(value);
        }
        Ok(again[self.explained().index()].take().unwrap_or(original))
    }
}
