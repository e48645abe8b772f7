//! Which axis of a layer holds its channels.

use crate::concept::Site;
use crate::model::{Graph, Node, NodeId};
use crate::op::{OpKind, Structure};

/// What a node says about the axis of its channels.
enum Axis {
    /// It is this one.
    Is(usize),
    /// It is that of one of its inputs.
    Of(NodeId),
}

impl Graph {
    /// What concepts see of a node: the shape of one sample and the axis of its channels; no activation.
    ///
    /// # Panics
    /// When the id is of a larger graph.
    pub fn site(&self, id: NodeId) -> Site<'_> {
        Site::new(&self.node(id).shape).with_channel_axis(self.channel_axis(id))
    }

    /// The axis of one sample of a node that holds the channels, from 0.
    ///
    /// Convolutions, pools, normalisations per channel and the model's input have them first, `[C, ...]`; dense layers and
    /// products of matrices last, `[..., C]`, and so have normalisations of tokens `[T, C]`. All other ops keep the axis of
    /// what they take; transposes move it, and reshapes keep it where it stays whole. Where a reshape breaks it up, the
    /// first or last axis stays the first or last.
    ///
    /// # Panics
    /// When the id is of a larger graph.
    pub fn channel_axis(&self, id: NodeId) -> usize {
        let mut way = Vec::new();
        let mut at = id;
        let mut axis = loop {
            match self.says(self.node(at)) {
                Axis::Is(axis) => break axis,
                Axis::Of(input) => {
                    way.push((input, at));
                    at = input;
                }
            }
        };
        for (below, above) in way.into_iter().rev() {
            axis = carried(axis, self.node(below), self.node(above));
        }
        axis
    }

    fn says(&self, node: &Node) -> Axis {
        let last = node.shape.len().saturating_sub(1);
        let kind = node.op.kind();
        let first_input = node.inputs.iter().find(|input| self.node(**input).shape == node.shape);
        match (kind, first_input.or(node.inputs.first())) {
            _ if last == 0 => Axis::Is(0),
            (OpKind::Dense | OpKind::MatrixProduct, _) => Axis::Is(last),
            (OpKind::LayerNormalization | OpKind::RmsNormalization, _) if last == 1 => Axis::Is(last),
            (
                OpKind::Convolution
                | OpKind::ConvolutionTranspose
                | OpKind::BatchNormalization
                | OpKind::InstanceNormalization
                | OpKind::GroupNormalization
                | OpKind::MaxPool
                | OpKind::AveragePool,
                _,
            )
            | (_, None) => Axis::Is(0),
            (_, Some(input)) => Axis::Of(*input),
        }
    }
}

/// Where the axis `axis` of the node `below` is in the node `above`, which takes it.
fn carried(axis: usize, below: &Node, above: &Node) -> usize {
    let (from, to) = (below.shape.as_slice(), above.shape.as_slice());
    let last = to.len().saturating_sub(1);
    if let Structure::Transpose(transpose) = above.op.structure() {
        // The permutation counts the batch.
        return transpose.permutation.iter().position(|&old| old == axis + 1).unwrap_or(axis + 1).saturating_sub(1);
    }
    if above.op.kind() == OpKind::Reshape {
        let before: usize = from.iter().take(axis).product();
        let stays = |new: &usize| to.get(*new) == from.get(axis) && to.iter().take(*new).product::<usize>() == before;
        if let Some(new) = (0..to.len()).find(stays) {
            return new;
        }
    } else if from.len() == to.len() {
        return axis;
    }
    if axis > 0 && axis + 1 == from.len() { last } else { axis.min(last) }
}
