//! What an op's reader sees of its ONNX node: typed attributes and operands, and the graph to add to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glocal_compute::Tensor;
use glocal_onnx::Attribute;

use crate::error::{ModelError, ModelErrorKind};
use crate::model::import::room::Room;
use crate::model::import::value::{Constant, Size, Value};
use crate::model::{Graph, Node, NodeId};
use crate::op::{Op, Structure};

/// What the file says of all of its nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileFacts {
    pub(super) opset: i64,
    /// The batch, when the exporter fixed it.
    pub(super) batch: Option<i64>,
}

/// One ONNX node on its way into the graph.
pub(super) struct NodeReader<'a> {
    node: &'a glocal_onnx::Node,
    operands: Vec<Option<Value>>,
    file: FileFacts,
    /// How often each value is still taken.
    uses: &'a BTreeMap<String, usize>,
    room: &'a Room,
    graph: &'a mut Graph,
    read: RefCell<BTreeSet<&'static str>>,
}

impl<'a> NodeReader<'a> {
    pub(super) fn new(
        node: &'a glocal_onnx::Node,
        operands: Vec<Option<Value>>,
        file: FileFacts,
        uses: &'a BTreeMap<String, usize>,
        room: &'a Room,
        graph: &'a mut Graph,
    ) -> Self {
        Self { node, operands, file, uses, room, graph, read: RefCell::default() }
    }

    pub(super) fn op_type(&self) -> &'a str {
        &self.node.op_type
    }

    pub(super) fn opset(&self) -> i64 {
        self.file.opset
    }

    /// Whether a size of axis 0 is the batch: named as itself, or as the number that the exporter fixed it at. Where the
    /// input's batch is open that is 1, too: exporters trace one sample.
    pub(super) fn is_batch(&self, size: Size) -> bool {
        match size {
            Size::Batch(count) => count == 1,
            Size::Fixed(size) => size == self.file.batch.unwrap_or(1),
            Size::Sample { .. } => false,
        }
    }

    /// Fails when the node has attributes that nobody asked for.
    pub(super) fn finish(&self) -> Result<(), ModelError> {
        let read = self.read.borrow();
        let unread = self.node.attributes.keys().filter(|name| !read.contains(name.as_str()));
        let names: Vec<String> = unread.cloned().collect();
        if names.is_empty() { Ok(()) } else { Err(ModelErrorKind::UnreadAttributes { names }.into()) }
    }

    /// The attribute of that name, taken note of as read.
    pub(super) fn attribute(&self, name: &'static str) -> Option<&'a Attribute> {
        self.read.borrow_mut().insert(name);
        self.node.attributes.get(name)
    }

    pub(super) fn int(&self, name: &'static str) -> Result<Option<i64>, ModelError> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Int(value)) => Ok(Some(*value)),
            Some(_) => Err(wrong(name, "an integer")),
        }
    }

    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool, ModelError> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(_) => Err(wrong(name, "0 or 1")),
        }
    }

    pub(super) fn ints(&self, name: &'static str) -> Result<Option<Vec<i64>>, ModelError> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values.clone())),
            Some(_) => Err(wrong(name, "a list of integers")),
        }
    }

    /// A list of sizes: integers that are not negative.
    pub(super) fn sizes(&self, name: &'static str) -> Result<Option<Vec<usize>>, ModelError> {
        let Some(values) = self.ints(name)? else { return Ok(None) };
        let sizes = values.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        // Sizes near the limit would overflow sums; no tensor has them.
        match sizes {
            Ok(sizes) if sizes.iter().all(|&size| size < u32::MAX as usize) => Ok(Some(sizes)),
            _ => Err(wrong(name, "a list of sizes")),
        }
    }

    pub(super) fn float(&self, name: &'static str, default: f32) -> Result<f32, ModelError> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(wrong(name, "a number")),
        }
    }

    pub(super) fn string(&self, name: &'static str) -> Result<Option<&'a str>, ModelError> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::String(value)) => Ok(Some(value)),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    pub(super) fn operands(&self) -> &[Option<Value>] {
        &self.operands
    }

    pub(super) fn output_count(&self) -> usize {
        self.node.outputs.len()
    }

    /// Whether the output of that index has a name.
    pub(super) fn has_output(&self, index: usize) -> bool {
        self.node.outputs.get(index).is_some_and(|name| !name.is_empty())
    }

    /// Whether a node, or the model's output, takes the output of that index.
    pub(super) fn uses_output(&self, index: usize) -> bool {
        self.node.outputs.get(index).is_some_and(|name| self.uses.contains_key(name))
    }

    /// The operand of that index, if it is given.
    pub(super) fn operand(&self, index: usize) -> Option<&Value> {
        self.operands.get(index).and_then(Option::as_ref)
    }

    /// The operand of that index, which must be computed from the model's input.
    pub(super) fn activation(&self, index: usize) -> Result<NodeId, ModelError> {
        match self.operand(index) {
            Some(Value::Node(id)) => Ok(*id),
            Some(Value::Samples(_)) => Err(unsupported("an operand whose samples are mixed")),
            _ => Err(unsupported(format!("a constant or missing operand {index}"))),
        }
    }

    /// The constant operand of that index, if it is given.
    pub(super) fn constant(&self, index: usize, name: &'static str) -> Result<Option<&Constant>, ModelError> {
        match self.operand(index) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(Value::Node(_) | Value::Samples(_)) => Err(wrong(name, "a constant")),
        }
    }

    /// The constant floats of that index, if they are given.
    pub(super) fn floats(&self, index: usize, name: &'static str) -> Result<Option<Tensor>, ModelError> {
        match self.constant(index, name)? {
            None => Ok(None),
            Some(constant) => constant.as_float().map(Some).ok_or_else(|| wrong(name, "a constant of numbers")),
        }
    }

    /// The constant integers of that index, if they are given.
    pub(super) fn integers(&self, index: usize, name: &'static str) -> Result<Option<Vec<i64>>, ModelError> {
        let Some(constant) = self.constant(index, name)? else { return Ok(None) };
        let fixed = |size: &Size| match size {
            Size::Fixed(value) => Some(*value),
            Size::Batch(_) | Size::Sample { .. } => None,
        };
        let sizes = constant.sizes().and_then(|sizes| sizes.iter().map(fixed).collect::<Option<Vec<_>>>());
        sizes.map(Some).ok_or_else(|| wrong(name, "a constant of integers that do not depend on the batch"))
    }

    /// A list of integers that is a constant operand, and was an attribute in older opsets.
    pub(super) fn list(&self, index: usize, name: &'static str) -> Result<Option<Vec<i64>>, ModelError> {
        match self.integers(index, name)? {
            Some(values) => Ok(Some(values)),
            None => self.ints(name),
        }
    }

    /// The shape of one sample of a node's value.
    pub(super) fn shape(&self, id: NodeId) -> &[usize] {
        self.graph.get(id).map_or(&[], |node| &node.shape)
    }

    /// The axis that `axis` means for a value of `rank` axes, batch included; never the batch.
    pub(super) fn sample_axis(&self, axis: i64, rank: usize) -> Result<usize, ModelError> {
        let counted = if axis < 0 { axis.checked_add(rank as i64).unwrap_or(-1) } else { axis };
        match usize::try_from(counted) {
            Ok(0) => Err(unsupported("an operation along axis 0, which would mix samples,".to_owned())),
            Ok(axis) if axis < rank => Ok(axis),
            _ => Err(wrong("axis", "one of the operand's axes")),
        }
    }

    /// Adds a node: a step, until the ONNX node's output is labelled as such.
    pub(super) fn add(&mut self, op: impl Op + 'static, inputs: Vec<NodeId>) -> Result<NodeId, ModelError> {
        let named = self.node.name.len().max(self.node.outputs.first().map_or(0, String::len));
        self.room.take_node(named)?;
        // Constants that readers make themselves, of a number or none.
        let made = match op.structure() {
            Structure::ChannelAffine(op) => op.scale.len() + op.shift.len(),
            Structure::Dense(op) => op.parameters.bias().map_or(0, Tensor::len),
            _ => 0,
        };
        self.room.take(made.saturating_mul(size_of::<f32>()))?;
        let first_output = self.node.outputs.first().cloned().unwrap_or_default();
        let node = Node {
            op: Arc::new(op),
            inputs,
            name: if self.node.name.is_empty() { first_output } else { self.node.name.clone() },
            is_step: true,
            merged_names: Vec::new(),
            op_type: self.node.op_type.clone(),
            values: Vec::new(),
            layers: Vec::new(),
            shape: Vec::new(),
        };
        Ok(self.graph.push(node)?)
    }

    /// Books memory that an op is about to take besides that of its operands.
    pub(super) fn take_room(&self, bytes: usize) -> Result<(), ModelError> {
        self.room.take(bytes)
    }

    /// Fails when there is no room for so many bytes.
    pub(super) fn check_room(&self, bytes: usize) -> Result<(), ModelError> {
        self.room.check(bytes)
    }

    /// Adds the node that is the ONNX node's only output.
    pub(super) fn output(&mut self, op: impl Op + 'static, inputs: Vec<NodeId>) -> Result<Vec<Value>, ModelError> {
        Ok(vec![Value::Node(self.add(op, inputs)?)])
    }
}

pub(super) fn wrong(name: &'static str, expected: &'static str) -> ModelError {
    ModelErrorKind::Attribute { name, expected }.into()
}

pub(super) fn unsupported(what: impl Into<String>) -> ModelError {
    ModelErrorKind::UnsupportedUse { what: what.into() }.into()
}
