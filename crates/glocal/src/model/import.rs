//! From an ONNX graph to ours: every node is read by the reader of its op, or folded when its operands are constants.
//!
//! ONNX's axis 0 of the input is the batch. It stays free: shapes are kept without it, and integers computed from it are
//! symbolic ([`value::Size`]). An attribute that no reader asked for is an error, for it could change the result.

mod affine;
mod elementwise;
mod fold;
mod integers;
mod interface;
mod layout;
mod matmul;
mod normalization;
mod reader;
mod resample;
mod room;
mod value;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use glocal_compute::Backend;

use crate::error::{ModelError, ModelErrorKind};
use crate::model::layer_name::{self, Traces};
use crate::model::{Graph, Model, NodeId};
use crate::op::OpKind;
use interface::{declared_batch, input_shape, needed, output_name};
use reader::{FileFacts, NodeReader, unsupported};
use room::Room;
use value::{Constant, Value};

/// The opsets whose ops are read.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=28;

/// The most operands of a node: far more than any network joins, and few enough to be looked at one by one.
const MOST_OPERANDS: usize = 1 << 12;

/// What a value takes while the graph is read, and how often its name is kept.
const VALUE_BYTES: usize = 256;
const NAME_COPIES: usize = 5;

/// How a model is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The shape of one input sample, batch left out, for models that leave it open. Default: what the file says.
    pub input_shape: Option<Vec<usize>>,
    /// The name of the output, for models with several. Default: the only one.
    pub output: Option<String>,
}

impl Model {
    /// Reads an ONNX model; `backend` will run it.
    ///
    /// # Errors
    /// When the model uses what is not supported; the error names the node, the op and what was expected.
    pub fn from_onnx(
        onnx: glocal_onnx::Model,
        options: &ImportOptions,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, ModelError> {
        let opset = onnx.opset_version("").unwrap_or(0);
        if !OPSETS.contains(&opset) {
            return Err(ModelErrorKind::Opset { version: opset }.into());
        }
        let output = output_name(&onnx.graph, options)?;
        let (input, shape) = input_shape(&onnx.graph, options)?;
        let batch = declared_batch(&onnx.graph);
        let room = Room::of(&onnx.graph);
        let glocal_onnx::Graph { nodes, initializers, .. } = onnx.graph;
        let mut importer = Importer {
            opset,
            batch,
            graph: Graph::new(&input, shape),
            values: BTreeMap::from([(input, Value::Node(NodeId(0)))]),
            uses: BTreeMap::from([(output.clone(), 1)]),
            sources: Vec::new(),
            room,
        };
        let mut nodes = needed(nodes, &output);
        for name in nodes.iter().flat_map(|node| &node.inputs).filter(|name| !name.is_empty()) {
            match importer.uses.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(importer.uses.insert(name.clone(), 1)),
            }
        }
        for (name, tensor) in initializers {
            if !importer.uses.contains_key(&name) {
                continue;
            }
            importer.room.take(room::as_constant(&tensor))?;
            let constant = Constant::from_onnx(tensor)?.named(&name);
            constant.check_shape()?;
            importer.values.insert(name, Value::Constant(constant));
        }
        for node in &mut nodes {
            importer.read(node).map_err(|error| error.at(&node.name, &node.op_type))?;
            // A constant has been copied, and may be large.
            node.attributes.clear();
        }
        importer.name_layers(&nodes);
        match importer.values.get(&output) {
            Some(Value::Node(id)) => Model::new(importer.graph, *id, backend),
            Some(Value::Samples(_)) => Err(unsupported("an output whose samples are mixed")),
            _ => Err(ModelErrorKind::NoOutput.into()),
        }
    }
}

/// The state of reading one model.
struct Importer {
    opset: i64,
    /// The batch that the file declares, when the exporter fixed it.
    batch: Option<i64>,
    graph: Graph,
    values: BTreeMap<String, Value>,
    /// How often each value that the output depends on is still taken.
    uses: BTreeMap<String, usize>,
    /// For each node made of the outputs of ONNX nodes: that node's index, our node, the first constant it took.
    sources: Vec<(usize, NodeId, Option<String>)>,
    room: Room,
}

impl Importer {
    fn read(&mut self, node: &glocal_onnx::Node) -> Result<(), ModelError> {
        if !node.domain.is_empty() {
            return Err(ModelErrorKind::UnsupportedOp { domain: node.domain.clone() }.into());
        }
        if node.inputs.len() > MOST_OPERANDS {
            return Err(unsupported(format!("a node of more than {MOST_OPERANDS} operands")));
        }
        let shared = self.sharers(node);
        let mut operands = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            operands.push(match (name.as_str(), self.values.get(name)) {
                ("", _) => None,
                (_, Some(value)) => Some(value.clone()),
                _ => return Err(ModelErrorKind::MissingOperand { name: name.clone() }.into()),
            });
        }
        let parameter = operands.iter().flatten().find_map(Value::constant_name).map(str::to_owned);
        let file = FileFacts { opset: self.opset, batch: self.batch };
        let mut reader = NodeReader::new(node, operands, file, &self.uses, &self.room, &mut self.graph);
        let outputs = read_op(&mut reader)?;
        reader.finish()?;
        drop(reader);
        self.book(node, &outputs, &shared)?;
        let index = self.sources.len();
        for (name, value) in node.outputs.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            self.room.take(VALUE_BYTES + name.len() * NAME_COPIES)?;
            if let Value::Node(id) = value {
                self.sources.push((index, id, parameter.clone()));
                let first = name == node.outputs.first().unwrap_or(name);
                let label = if node.name.is_empty() || !first { name } else { &node.name };
                self.graph.label(id, label, &node.op_type, name);
            }
            self.values.insert(name.clone(), value);
        }
        self.release(node);
        Ok(())
    }

    /// For each constant that the node takes, how many hold its elements.
    fn sharers<'a>(&self, node: &'a glocal_onnx::Node) -> BTreeMap<&'a str, usize> {
        let sharers = |name: &'a String| match self.values.get(name) {
            Some(Value::Constant(constant)) => Some((name.as_str(), constant.sharers())),
            _ => None,
        };
        node.inputs.iter().filter_map(sharers).collect()
    }

    /// Books what a node has made of its constants: elements that nobody holds besides those who did before were copied.
    fn book(
        &self,
        node: &glocal_onnx::Node,
        outputs: &[Value],
        before: &BTreeMap<&str, usize>,
    ) -> Result<(), ModelError> {
        let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
        for (&name, &before) in before {
            if let Some(Value::Constant(constant)) = self.values.get(name) {
                kept.insert(name, constant.sharers().saturating_sub(before));
            }
        }
        let folded = outputs.iter().any(|output| matches!(output, Value::Constant(_)));
        for output in outputs {
            if let Value::Constant(constant) = output {
                constant.check_shape()?;
            }
        }
        if folded {
            let shared = kept.values().any(|&count| count > 0);
            let made = outputs.iter().filter_map(|output| match output {
                Value::Constant(constant) if !shared => Some(constant.bytes()),
                _ => None,
            });
            return self.room.take(made.sum());
        }
        for name in &node.inputs {
            let (Some(Value::Constant(constant)), Some(kept)) = (self.values.get(name), kept.get_mut(name.as_str()))
            else {
                continue;
            };
            match kept.checked_sub(1) {
                Some(left) => *kept = left,
                None => self.room.take(constant.bytes())?,
            }
        }
        Ok(())
    }

    /// Forgets the constants that no later node takes.
    fn release(&mut self, node: &glocal_onnx::Node) {
        for name in &node.inputs {
            let Some(count) = self.uses.get_mut(name) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0
                && let Some(Value::Constant(constant)) = self.values.get(name)
            {
                if constant.sharers() == 1 {
                    self.room.give_back(constant.bytes());
                }
                self.values.remove(name);
            }
        }
    }

    /// Recovers the layer names of all nodes: only now is it known which of them are more than constants.
    fn name_layers(&mut self, nodes: &[glocal_onnx::Node]) {
        let by_value: BTreeMap<&str, &glocal_onnx::Node> =
            nodes.iter().flat_map(|node| node.outputs.iter().map(move |output| (output.as_str(), node))).collect();
        let mut traces = Vec::with_capacity(self.sources.len());
        for (_, id, parameter) in &self.sources {
            let ours = self.graph.node(*id);
            let source = ours.values.first().and_then(|value| by_value.get(value.as_str()));
            traces.push(Traces {
                node_name: source.map_or("", |node| node.name.as_str()),
                function: match ours.op.kind() {
                    OpKind::Sum => Some("sum"),
                    OpKind::Concat => Some("concat"),
                    _ => None,
                },
                scopes: source.and_then(|node| node.metadata.get("pkg.torch.onnx.name_scopes")).map(String::as_str),
                parameter: parameter.as_deref(),
                affine: ours.op.affine().is_some(),
            });
        }
        let names = layer_name::recover(&traces);
        for ((_, id, _), names) in self.sources.iter().zip(names) {
            for name in names {
                self.graph.add_layer(*id, name);
            }
        }
    }
}

/// The values of a node's outputs.
fn read_op(reader: &mut NodeReader<'_>) -> Result<Vec<Value>, ModelError> {
    if let Some(folded) = fold::fold(reader)? {
        return Ok(vec![folded]);
    }
    match reader.op_type() {
        "Conv" => affine::convolution(reader),
        "ConvTranspose" => affine::convolution_transpose(reader),
        "Gemm" => affine::gemm(reader),
        "MatMul" => matmul::matmul(reader),
        "BatchNormalization" => normalization::batch(reader),
        "LayerNormalization" | "RMSNormalization" => normalization::layer(reader),
        "InstanceNormalization" | "GroupNormalization" => normalization::instance_or_group(reader),
        "LpNormalization" => normalization::lp(reader),
        "Relu" | "LeakyRelu" | "Clip" | "Sigmoid" | "Tanh" | "Elu" | "Celu" | "Selu" | "HardSigmoid" | "HardSwish"
        | "Erf" | "Gelu" | "Softplus" | "Softsign" | "Mish" | "Pow" | "Sqrt" | "Reciprocal" | "Exp" | "Log" | "Abs" => {
            elementwise::activation(reader)
        }
        "PRelu" => elementwise::p_relu(reader),
        "Neg" => elementwise::negative(reader),
        "Max" | "Min" => elementwise::bound(reader),
        "Add" | "Sub" | "Sum" => elementwise::sum(reader),
        "Mul" | "Div" => elementwise::product(reader),
        "Softmax" | "LogSoftmax" => elementwise::softmax(reader),
        "Identity" | "Dropout" | "Cast" => elementwise::identity(reader),
        "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => window::pool(reader),
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" => {
            window::reduce(reader)
        }
        "Concat" => layout::concat(reader),
        "Split" => layout::split(reader),
        "Slice" => layout::slice(reader),
        "Pad" => layout::pad(reader),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => layout::reshape(reader),
        "Transpose" => layout::transpose(reader),
        "Gather" => resample::gather(reader),
        "Expand" => resample::expand(reader),
        "Tile" => resample::tile(reader),
        "Resize" | "Upsample" => resample::resize(reader),
        _ => Err(ModelErrorKind::UnsupportedOp { domain: String::new() }.into()),
    }
}
