//! Glocal explains what a neural network saw, and where.
//!
//! An ONNX model becomes a [`Model`](model::Model): a graph of [ops](op) with fixed shapes and a free batch.
//! [Canonizers](canonizer) rewrite it without changing its function. A [composite](composite) gives every node a
//! [rule](rule) that hands relevance down. An [`Attributor`](attribution::Attributor) runs the model and propagates
//! relevance, restricted by [conditions](attribution::Condition) to chosen [concepts](concept). A
//! [search](search) over a data set finds the samples for which each concept was most useful or most active.
//!
//! This crate opens no file and knows no image format.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod attribution;
pub mod canonizer;
pub mod composite;
pub mod concept;
pub mod conservation;
pub mod error;
pub mod model;
pub mod op;
pub mod rule;
pub mod search;
