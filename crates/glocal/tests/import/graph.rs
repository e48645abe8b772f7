//! ONNX graphs written down in a few lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use glocal::error::ModelError;
use glocal::model::{ImportOptions, Model};
use glocal_compute::CpuBackend;
use glocal_onnx::{Attribute, Data, Dimension, ElementType, Graph, Node, Tensor, ValueInfo};

/// An ONNX model with the input `x` and the output `y`.
pub struct Builder {
    model: glocal_onnx::Model,
}

impl Builder {
    /// A model whose input has a free batch and samples of `shape`.
    pub fn new(shape: &[usize]) -> Self {
        let dimensions = std::iter::once(Dimension::Named("N".to_owned()));
        let shape = dimensions.chain(shape.iter().map(|&size| Dimension::Fixed(size))).collect();
        let graph = Graph {
            name: String::new(),
            nodes: Vec::new(),
            initializers: BTreeMap::new(),
            inputs: vec![value("x", ElementType::Float32, Some(shape))],
            outputs: vec![value("y", ElementType::Float32, None)],
            metadata: BTreeMap::new(),
        };
        let model = glocal_onnx::Model {
            ir_version: 8,
            opset_imports: BTreeMap::from([(String::new(), 17)]),
            producer_name: String::new(),
            producer_version: String::new(),
            graph,
            metadata: BTreeMap::new(),
            external_files: Vec::new(),
        };
        Self { model }
    }

    /// Fixes the batch of the input, as exporters do.
    pub fn batch(self, size: usize) -> Self {
        self.change(|model| {
            if let Some(shape) = &mut model.graph.inputs[0].shape {
                shape[0] = Dimension::Fixed(size);
            }
        })
    }

    pub fn opset(mut self, version: i64) -> Self {
        self.model.opset_imports.insert(String::new(), version);
        self
    }

    /// Adds a node. `signature` is its inputs and outputs, as in `"x weight -> y"`, where `_` is one left out.
    pub fn node(mut self, name: &str, op_type: &str, signature: &str, attributes: &[(&str, Attribute)]) -> Self {
        let (inputs, outputs) = signature.split_once("->").unwrap();
        let names = |list: &str| {
            list.split_whitespace().map(|name| if name == "_" { String::new() } else { name.to_owned() }).collect()
        };
        self.model.graph.nodes.push(Node {
            name: name.to_owned(),
            op_type: op_type.to_owned(),
            domain: String::new(),
            inputs: names(inputs),
            outputs: names(outputs),
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            metadata: BTreeMap::new(),
        });
        self
    }

    /// The scopes that PyTorch's newer exporter writes for the last node.
    pub fn scopes(mut self, scopes: &str) -> Self {
        let node = self.model.graph.nodes.last_mut().unwrap();
        node.metadata.insert("pkg.torch.onnx.name_scopes".to_owned(), scopes.to_owned());
        self
    }

    /// A constant of small floats that are all different.
    pub fn floats(self, name: &str, shape: &[usize]) -> Self {
        let count = shape.iter().product::<usize>();
        let data = Data::F32((0..count).map(|index| 0.1 * (index % 13) as f32 - 0.45).collect());
        self.initializer(name, shape, ElementType::Float32, data)
    }

    /// A list of integers of a type.
    pub fn typed(self, name: &str, element_type: ElementType, values: &[i64]) -> Self {
        self.initializer(name, &[values.len()], element_type, Data::I64(values.to_vec()))
    }

    /// A list of integers.
    pub fn integers(self, name: &str, values: &[i64]) -> Self {
        self.initializer(name, &[values.len()], ElementType::Int64, Data::I64(values.to_vec()))
    }

    fn initializer(mut self, name: &str, shape: &[usize], element_type: ElementType, data: Data) -> Self {
        let tensor = Tensor { name: name.to_owned(), shape: shape.to_vec(), element_type, data };
        self.model.graph.initializers.insert(name.to_owned(), tensor);
        self
    }

    /// Changes what the other functions have no words for.
    pub fn change(mut self, change: impl FnOnce(&mut glocal_onnx::Model)) -> Self {
        change(&mut self.model);
        self
    }

    /// The op of the first node.
    pub fn op_type(&self) -> &str {
        &self.model.graph.nodes[0].op_type
    }

    pub fn read(self) -> Result<Model, ModelError> {
        self.read_with(&ImportOptions::default())
    }

    pub fn read_with(self, options: &ImportOptions) -> Result<Model, ModelError> {
        Model::from_onnx(self.model, options, Arc::new(CpuBackend::new()))
    }
}

pub fn value(name: &str, element_type: ElementType, shape: Option<Vec<Dimension>>) -> ValueInfo {
    ValueInfo { name: name.to_owned(), element_type, shape }
}
