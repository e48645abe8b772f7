//! How much memory an import may take: what follows from the bytes of the constants in the file, not from what the graph
//! claims. A node of a few bytes may ask for another copy of the largest of them.

use std::cell::Cell;

use glocal_onnx::{Attribute, Data, Graph, Tensor};

use crate::error::ModelError;
use crate::model::import::reader::unsupported;
use crate::model::import::value::Size;

/// Memory for each byte of constants in the file, what they are decoded to included. One step of constant arithmetic
/// is only booked when it is done, which may take as much again.
const BYTES_PER_STORED_BYTE: usize = 3;

/// Memory for every model: a graph of many small nodes is larger in memory than in the file. About 30,000 of them.
const ALLOWANCE: usize = 32 << 20;

/// What one of our nodes takes, its op, names and shape included, names of usual length.
const NODE_BYTES: usize = 1 << 10;

/// The bytes that are left.
pub(super) struct Room(Cell<usize>);

impl Room {
    /// The room for the model of this graph.
    pub(super) fn of(graph: &Graph) -> Self {
        let attributes = graph.nodes.iter().flat_map(|node| node.attributes.values());
        let in_nodes = attributes.filter_map(|attribute| match attribute {
            Attribute::Tensor(tensor) => Some(tensor),
            _ => None,
        });
        let (mut room, mut held) = (ALLOWANCE, 0_usize);
        for tensor in graph.initializers.values() {
            room = room.saturating_add(stored(tensor).saturating_mul(BYTES_PER_STORED_BYTE));
        }
        // These stay with their nodes until the nodes are read.
        for tensor in in_nodes {
            room = room.saturating_add(stored(tensor).saturating_mul(BYTES_PER_STORED_BYTE));
            held = held.saturating_add(decoded(tensor));
        }
        Self(Cell::new(room.saturating_sub(held)))
    }

    /// Books memory.
    pub(super) fn take(&self, bytes: usize) -> Result<(), ModelError> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or_else(|| unsupported("a graph that takes far more memory than its file justifies"))?);
        Ok(())
    }

    /// Books one of our nodes, whose ONNX node has a name of this length.
    pub(super) fn take_node(&self, name: usize) -> Result<(), ModelError> {
        self.take(name.saturating_mul(2).saturating_add(NODE_BYTES))
    }

    /// Fails when there is no room for so much, which is not booked yet.
    pub(super) fn check(&self, bytes: usize) -> Result<(), ModelError> {
        self.take(bytes)?;
        self.give_back(bytes);
        Ok(())
    }

    /// Takes back what is free again.
    pub(super) fn give_back(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_add(bytes));
    }
}

/// Bytes of a constant in the file.
fn stored(tensor: &Tensor) -> usize {
    tensor.data.len().saturating_mul(tensor.element_type.size().unwrap_or(1))
}

/// Bytes of a constant once it is one of the import.
pub(super) fn as_constant(tensor: &Tensor) -> usize {
    let size = if matches!(tensor.data, Data::F32(_)) { size_of::<f32>() } else { size_of::<Size>() };
    tensor.data.len().saturating_mul(size)
}

/// Bytes of a constant in memory.
fn decoded(tensor: &Tensor) -> usize {
    let size = match &tensor.data {
        Data::F32(_) => size_of::<f32>(),
        Data::I64(_) => size_of::<i64>(),
        _ => 1,
    };
    tensor.data.len().saturating_mul(size)
}
