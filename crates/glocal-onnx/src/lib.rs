//! Reads ONNX files into plain structs.
//!
//! A file goes through three stages. [`proto`] holds the messages of `onnx.proto`, field for field, so that nothing an
//! exporter wrote is lost. Before those are built, the wire format is walked once to bound the memory that decoding
//! takes, and to leave the weights in the file until they are decoded. Then the messages become the small typed tree of
//! [`Model`]: decoded weights, attributes by kind, checked shapes.
//!
//! Nothing in a file is trusted: every size is compared with the bytes that are there before memory is asked for, and
//! external data stays inside the model's folder. What this crate cannot represent is an [`OnnxError`] that names it.
//!
//! ```
//! use glocal_onnx::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
//! use prost::Message;
//!
//! let relu = NodeProto {
//!     op_type: "Relu".into(),
//!     input: vec!["x".into()],
//!     output: vec!["y".into()],
//!     ..NodeProto::default()
//! };
//! let file = ModelProto {
//!     ir_version: 8,
//!     opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
//!     graph: Some(GraphProto { node: vec![relu], ..GraphProto::default() }),
//!     ..ModelProto::default()
//! }
//! .encode_to_vec();
//!
//! let model = glocal_onnx::Model::from_bytes(&file)?;
//! assert_eq!(model.opset_version(""), Some(17));
//! assert_eq!(model.graph.nodes[0].op_type, "Relu");
//! # Ok::<(), glocal_onnx::OnnxError>(())
//! ```

#![forbid(unsafe_code)]

pub mod proto;

mod budget;
mod element_type;
mod error;
mod external;
mod foreign;
mod model;
mod source;
mod tensor;
mod wire;

pub use element_type::ElementType;
pub use error::{AttributeProblem, ExternalProblem, NodePlace, OnnxError, OnnxErrorKind, TensorPlace, TensorProblem};
pub use foreign::ForeignFormat;
pub use model::{Attribute, Dimension, Graph, Model, Node, ValueInfo};
pub use tensor::{Data, Tensor};
