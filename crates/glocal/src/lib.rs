//! Glocal explains what a neural network saw, and where.
//!
//! An ONNX model becomes a [`Model`]: a graph of [ops](op) with fixed shapes and a free batch. [Canonizers](canonizer)
//! rewrite it without changing its function. A [`Composite`] gives every node a [rule] that hands relevance down. An
//! [`Attributor`] runs the model and propagates relevance, restricted by a [`Condition`] to chosen [concepts](concept). A
//! [search] over a data set finds the samples for which each concept was most useful or most active.
//!
//! This crate opens no file and knows no image format.
//!
//! ```
//! use std::sync::Arc;
//!
//! use glocal::concept::{Channel, Normalization, Selection, relevance};
//! use glocal::{Attributor, Condition, ImportOptions, Model, Request, canonize};
//! use glocal_compute::{CpuBackend, Tensor};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracle/goldens/vgg_tiny/model.onnx");
//! let onnx = glocal_onnx::Model::read(path)?;
//! let model = Model::from_onnx(onnx, &ImportOptions::default(), Arc::new(CpuBackend::new()))?;
//! let attributor = Attributor::new(canonize(&model)?, "epsilon-plus-flat".parse()?)?;
//!
//! // Which channels of a layer made the prediction?
//! let input = Tensor::full([1, 3, 16, 16], 0.5)?;
//! let request = Request { record: vec!["features.8".to_owned()], ..Request::default() };
//! let plain = attributor.attribute(&input, &request)?;
//! let arrived = &plain.items[0].layers["features.8"];
//! let shares = relevance(&Channel, arrived.data(), arrived.shape(), None, Normalization::Share)?;
//! let best = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
//!
//! // And where in the input does that channel sit?
//! let through = Condition::predicted().through("features.8", Selection::channels([best]));
//! let conditional = attributor.attribute(&input, &Request { conditions: vec![through], ..Request::default() })?;
//! assert_eq!(conditional.items[0].heatmap().map(|map| map.shape().to_vec()), Some(vec![16, 16]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod attribution;
pub mod canonizer;
pub mod composite;
pub mod concept;
pub mod conservation;
pub mod error;
pub mod faithfulness;
pub mod flow;
pub mod model;
pub mod op;
mod pool;
pub mod prototype;
mod random;
pub mod rule;
pub mod search;

pub use attribution::{Attributor, Condition, Request};
pub use canonizer::canonize;
pub use composite::Composite;
pub use model::{ImportOptions, Model};
pub use search::Scan;
