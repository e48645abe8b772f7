//! The attribution graph: which lower concepts a concept's relevance goes to, and on to which below those.
//!
//! [`AttributionGraph::of`] follows relevance from a concept of a layer, or from a target of the output, down through the
//! [layers below](crate::model::Graph::layers_below) it, residual and parallel branches included, and keeps the `width` best
//! concepts of each layer at each step. The result is plain data: [`Node`]s and [`Edge`]s.
//!
//! It goes step by step: each step starts at the layer of the concepts that it follows, with what arrived there and is
//! masked to them, instead of at the output again. So the work grows with the number of concepts followed and not with
//! their depth, and only sums over the channels of a layer, with the followed channels themselves, are kept.
//!
//! Source: Achtibat et al. 2023, doi 10.1038/s42256-023-00711-8, "attribution graph".
//!
//! ```
//! # use std::sync::Arc;
//! use glocal::flow::{AttributionGraph, FlowRequest, Root};
//! # use glocal::{Attributor, ImportOptions, Model, canonize};
//! # use glocal_compute::{CpuBackend, Tensor};
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/goldens/vgg_tiny/model.onnx");
//! # let model = Model::from_onnx(glocal_onnx::Model::read(path)?, &ImportOptions::default(), Arc::new(CpuBackend::new()))?;
//! # let attributor = Attributor::new(canonize(&model)?, "epsilon-plus-flat".parse()?)?;
//! # let input = Tensor::full([1, 3, 16, 16], 0.5)?;
//! let trace = attributor.trace(&input)?;
//! let root = Root::concept("features.8", 1);
//! let graph = AttributionGraph::of(&trace, &FlowRequest { root, widths: vec![3, 2], ..FlowRequest::default() })?;
//! assert_eq!((graph.nodes[0].layer.as_str(), graph.nodes[0].concept), ("features.8", 1));
//! assert!(graph.edges.iter().filter(|edge| edge.from == 0).count() <= 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod best;
mod follow;
mod graph;
mod plan;
mod request;
mod sparse;

pub use graph::{AttributionGraph, Edge, FlowLayer, Node};
pub use request::{FlowRequest, Order, Origin, Path, Root};
