//! Networks without branches, for people to write down.

use std::sync::Arc;

use glocal::model::{Graph, LayerName, Model, Node};
use glocal::op::Op;
use glocal_compute::CpuBackend;

/// Ops one after the other, under their names, over samples of `shape`.
pub fn chain(shape: &[usize], ops: Vec<(&str, Arc<dyn Op>)>) -> Model {
    let mut graph = Graph::new("x", shape.to_vec());
    let mut top = graph.input();
    for (name, op) in ops {
        let node = Node {
            op,
            inputs: vec![top],
            name: name.to_owned(),
            merged_names: Vec::new(),
            is_step: false,
            op_type: "Test".to_owned(),
            values: Vec::new(),
            layers: vec![LayerName::new(name)],
            shape: Vec::new(),
        };
        top = graph.push(node).unwrap();
    }
    Model::new(graph, top, Arc::new(CpuBackend::new())).unwrap()
}
