//! Nodes in topological order, each with one output.

mod channel_axis;
mod layers_below;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use glocal_compute::{ComputeError, ComputeErrorKind};

use crate::error::LayerError;
use crate::model::LayerName;
use crate::op::{DefaultRule, Op, OpKind, Propagate};

/// The most elements that a value of one sample may have (8 GiB): no network needs more, and sizes of a file are not to
/// be trusted. Sums and products of checked sizes stay far from overflow.
const LARGEST_VALUE: usize = 1 << 31;

/// The most axes that a value of one sample may have.
pub(crate) const LARGEST_RANK: usize = 64;

/// Whether a value of one sample may have this shape.
pub(crate) fn is_sensible(shape: &[usize]) -> bool {
    let elements = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    shape.len() <= LARGEST_RANK && matches!(elements, Some(1..=LARGEST_VALUE))
}

/// The position of a node in its graph's topological order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// The position in the graph's topological order, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One op and where its inputs come from.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it computes.
    pub op: Arc<dyn Op>,
    /// The nodes whose values it takes, all of them before this one.
    pub inputs: Vec<NodeId>,
    /// The ONNX node's name; the ONNX value's where the node has none.
    pub name: String,
    /// Whether it is only a step towards its ONNX node's output: it has that node's name, but is not found by it.
    pub is_step: bool,
    /// The ONNX op it came from.
    pub op_type: String,
    /// The names of the ONNX nodes that were merged into it, each of which finds it.
    pub merged_names: Vec<String>,
    /// The names of the ONNX values that it computes.
    pub values: Vec<String>,
    /// The layers whose output it is, the layer of its own op first: a merged batch normalisation adds its own.
    pub layers: Vec<LayerName>,
    /// The shape of its output for one sample.
    pub shape: Vec<usize>,
}

impl Node {
    /// The name that users know it by: its layer's, else the ONNX node's.
    pub fn display_name(&self) -> &str {
        self.layers.first().map_or(self.name.as_str(), LayerName::as_str)
    }
}

/// A directed acyclic graph with one input node.
#[derive(Debug, Clone)]
pub struct Graph {
    nodes: Vec<Node>,
    /// What each name means, with how strongly it is claimed.
    names: BTreeMap<String, (Claim, NodeId)>,
}

/// How strongly a node claims a name. Layer names win over node names, and those over value names, whatever the order of
/// the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Layer,
    Own,
    Value,
}

impl Graph {
    /// A graph that so far consists of its input: samples of `shape`, known by the name `name`.
    pub fn new(name: &str, shape: Vec<usize>) -> Self {
        let input = Node {
            op: Arc::new(Input { shape: shape.clone() }),
            inputs: Vec::new(),
            name: name.to_owned(),
            is_step: false,
            merged_names: Vec::new(),
            op_type: "Input".to_owned(),
            values: vec![name.to_owned()],
            layers: Vec::new(),
            shape,
        };
        let mut graph = Self { nodes: Vec::new(), names: BTreeMap::new() };
        graph.insert(input);
        graph
    }

    /// Adds a node; its shape is inferred from its inputs.
    ///
    /// # Errors
    /// When the op does not take inputs of these shapes, or its output would be empty or larger than any network needs.
    pub fn push(&mut self, mut node: Node) -> Result<NodeId, ComputeError> {
        if let Some(unknown) = node.inputs.iter().find(|input| input.0 >= self.nodes.len()) {
            return Err(crate::op::attribute("graph", "inputs", format!("there is no node {unknown} to take")));
        }
        let shapes: Vec<&[usize]> =
            node.inputs.iter().map(|input| self.get(*input).map_or(&[][..], |input| &input.shape)).collect();
        node.shape = node.op.infer_shape(&shapes)?;
        let elements = node.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        match elements {
            _ if node.shape.len() > LARGEST_RANK => {
                let reason = format!("a value of {} axes, more than {LARGEST_RANK}", node.shape.len());
                Err(crate::op::attribute("graph", "shape", reason))
            }
            Some(1..=LARGEST_VALUE) => Ok(self.insert(node)),
            Some(0) => Err(ComputeError::new("shape", ComputeErrorKind::Empty { shape: node.shape })),
            _ => Err(ComputeError::new("shape", ComputeErrorKind::TooLarge { shape: node.shape })),
        }
    }

    fn insert(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len());
        let own = Some((Claim::Own, node.name.clone())).filter(|(_, name)| !node.is_step && !name.is_empty());
        let layers = node.layers.iter().map(|layer| (Claim::Layer, layer.as_str().to_owned()));
        let values = node.merged_names.iter().chain(&node.values).map(|value| (Claim::Value, value.clone()));
        let names: Vec<(Claim, String)> = layers.chain(own).chain(values).collect();
        self.nodes.push(node);
        for (claim, name) in names {
            self.register(id, claim, &name);
        }
        id
    }

    /// Names a node after the ONNX node and value that it was read from.
    pub(crate) fn label(&mut self, id: NodeId, name: &str, op_type: &str, value: &str) {
        let Some(node) = self.nodes.get_mut(id.0) else { return };
        node.values.push(value.to_owned());
        // A node that several ONNX nodes come down to keeps its first name.
        if node.is_step {
            node.is_step = false;
            node.name = name.to_owned();
            node.op_type = op_type.to_owned();
            if !name.is_empty() {
                self.register(id, Claim::Own, name);
            }
        }
        self.register(id, Claim::Value, value);
    }

    /// Adds a layer that a node is the output of.
    pub(crate) fn add_layer(&mut self, id: NodeId, layer: LayerName) {
        self.register(id, Claim::Layer, layer.as_str());
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.layers.push(layer);
        }
    }

    /// Makes a node findable by a name, unless another claims it as strongly.
    fn register(&mut self, id: NodeId, claim: Claim, name: &str) {
        match self.names.get_mut(name) {
            Some(known) if known.0 <= claim => {}
            Some(known) => *known = (claim, id),
            None => drop(self.names.insert(name.to_owned(), (claim, id))),
        }
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> + ExactSizeIterator {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// The number of nodes, the input included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes: never, the input is one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node of an id of this graph.
    ///
    /// # Panics
    /// When the id is of a larger graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The node of an id, if there is one.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// The input node.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// How many nodes take each node's value.
    pub fn consumer_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        for node in &self.nodes {
            for input in &node.inputs {
                counts[input.0] += 1;
            }
        }
        counts
    }

    /// About how many multiply-adds a node takes for one sample, forward or back.
    pub(crate) fn multiply_adds(&self, node: &Node) -> u64 {
        let inputs: Vec<&[usize]> =
            node.inputs.iter().map(|input| self.get(*input).map_or(&[][..], |input| &input.shape)).collect();
        node.op.multiply_adds(&inputs, &node.shape)
    }

    /// For every node, whether a value of `from` can reach it (`from` itself included).
    pub fn descendants(&self, from: NodeId) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        for (id, node) in self.nodes() {
            reached[id.0] = id == from || node.inputs.iter().any(|input| reached[input.0]);
        }
        reached
    }

    /// For every node, whether its value can reach `to` (`to` itself included).
    pub fn ancestors(&self, to: NodeId) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        if let Some(last) = reached.get_mut(to.0) {
            *last = true;
        }
        for (id, node) in self.nodes().rev() {
            if reached[id.0] {
                for input in &node.inputs {
                    reached[input.0] = true;
                }
            }
        }
        reached
    }

    /// The nodes from `top` down to, but without, `bottom` along first inputs.
    pub(crate) fn chain(&self, top: NodeId, bottom: NodeId) -> impl Iterator<Item = &Node> {
        let next = |id: &NodeId| self.get(*id).and_then(|node| node.inputs.first().copied());
        std::iter::successors(Some(top), next).take_while(move |id| *id != bottom).filter_map(|id| self.get(id))
    }

    /// The node that a user means by `name`: a layer name, an ONNX node name, or the name of an ONNX value.
    ///
    /// # Errors
    /// When there is none; the error holds the nearest names.
    pub fn find(&self, name: &str) -> Result<NodeId, LayerError> {
        self.names
            .get(name)
            .map(|(_, id)| *id)
            .ok_or_else(|| LayerError::new(name, self.names.keys().map(String::as_str)))
    }
}

/// The model's input.
#[derive(Debug, Clone)]
struct Input {
    shape: Vec<usize>,
}

impl Op for Input {
    fn kind(&self) -> OpKind {
        OpKind::Input
    }

    fn infer_shape(&self, _: &[&[usize]]) -> Result<Vec<usize>, ComputeError> {
        Ok(self.shape.clone())
    }

    fn forward(
        &self,
        _: &dyn glocal_compute::Backend,
        _: &[&glocal_compute::Tensor],
    ) -> Result<glocal_compute::Tensor, ComputeError> {
        Err(crate::op::input_count("Input", "to be given from outside", 0))
    }

    fn linearize(
        &self,
        _: &dyn glocal_compute::Backend,
        _: &[&glocal_compute::Tensor],
        _: &glocal_compute::Tensor,
    ) -> Result<Box<dyn Propagate>, ComputeError> {
        Err(crate::op::input_count("Input", "to be given from outside", 0))
    }

    fn default_rule(&self) -> DefaultRule {
        DefaultRule::Follow
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
