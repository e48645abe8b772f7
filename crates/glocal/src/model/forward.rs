//! Runs a model: node by node, each value kept for as long as it is wanted.

use glocal_compute::Tensor;

use crate::attribution::{Cancel, rows_of, rows_uninterrupted};
use crate::error::RunError;
use crate::model::{Model, Node, NodeId};
use crate::pool::in_pool;

impl Model {
    /// The values of the nodes up to `last`, for a batch of inputs `[N, ...]`, unless `cancel` is set before they are there.
    pub(crate) fn run_to(&self, inputs: &Tensor, last: NodeId, cancel: &Cancel) -> Result<Vec<Tensor>, RunError> {
        self.run_keeping(inputs, last, |_| true, |_, _| Ok(()), cancel)
    }

    /// The same, of which only the values stay that `keeps` says, and that of `last`. `see` is shown each as soon as it is there.
    ///
    /// What is not kept goes with the last node that takes it, and leaves a tensor without rows: a share of relevance that a
    /// rule makes of it has none either, which is an error where it is handed down.
    pub(crate) fn run_keeping(
        &self,
        inputs: &Tensor,
        last: NodeId,
        keeps: impl Fn(NodeId) -> bool + Send,
        see: impl FnMut(NodeId, &Tensor) -> Result<(), RunError> + Send,
        cancel: &Cancel,
    ) -> Result<Vec<Tensor>, RunError> {
        in_pool(|| self.run_nodes(inputs, last, keeps, see, cancel))
    }

    fn run_nodes(
        &self,
        inputs: &Tensor,
        last: NodeId,
        keeps: impl Fn(NodeId) -> bool,
        mut see: impl FnMut(NodeId, &Tensor) -> Result<(), RunError>,
        cancel: &Cancel,
    ) -> Result<Vec<Tensor>, RunError> {
        if inputs.sample_shape() != self.input_shape() || inputs.rank() == 0 {
            return Err(RunError::input_shape(self.input_shape(), inputs.shape()));
        }
        let nodes = || self.graph.nodes().take(last.0 + 1);
        let mut last_taker: Vec<NodeId> = nodes().map(|(id, _)| id).collect();
        for (id, node) in nodes() {
            node.inputs.iter().for_each(|input| last_taker[input.0] = id);
        }
        let stays = |id: NodeId| id == last || keeps(id);
        let mut values: Vec<Tensor> = Vec::with_capacity(last.0 + 1);
        for (id, node) in nodes() {
            let value = if id == self.graph.input() {
                inputs.clone()
            } else {
                let operands = node.inputs.iter().enumerate().map(|(index, input)| {
                    let again = node.inputs[index + 1..].contains(input);
                    if last_taker[input.0] != id || again || stays(*input) {
                        return Ok(values[input.0].clone());
                    }
                    Ok(std::mem::replace(&mut values[input.0], self.gone(*input)?))
                });
                let operands = operands.collect::<Result<Vec<_>, RunError>>()?;
                self.forward(node, operands, cancel)?
            };
            see(id, &value)?;
            let wanted = last_taker[id.0] > id || stays(id);
            values.push(if wanted { value } else { self.gone(id)? });
        }
        Ok(values)
    }

    /// What is left of a value that was not kept.
    fn gone(&self, id: NodeId) -> Result<Tensor, RunError> {
        Ok(Tensor::zeros([&[0], self.graph.node(id).shape.as_slice()].concat())?)
    }

    /// The value of a node, some samples at a time where they are much work.
    pub(super) fn forward(&self, node: &Node, operands: Vec<Tensor>, cancel: &Cancel) -> Result<Tensor, RunError> {
        cancel.check()?;
        let failed = |cause| RunError::node(node, cause);
        let batch = operands.first().map_or(0, Tensor::batch);
        let at_once = rows_uninterrupted(self.graph.multiply_adds(node));
        if batch <= at_once || operands.iter().any(|operand| operand.batch() != batch) {
            return node.op.forward_owned(self.backend(), operands).map_err(failed);
        }
        let mut data = Vec::with_capacity(batch * node.shape.iter().product::<usize>());
        for first in (0..batch).step_by(at_once) {
            cancel.check()?;
            let some = first..(first + at_once).min(batch);
            let some = operands.iter().map(|operand| rows_of(self.backend(), operand, some.clone()));
            let some = some.collect::<Result<Vec<_>, _>>()?;
            let value = node.op.forward_owned(self.backend(), some).map_err(failed)?;
            data.extend_from_slice(value.data());
        }
        Ok(Tensor::new([&[batch], node.shape.as_slice()].concat(), data)?)
    }
}
