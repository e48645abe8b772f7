//! Tensors and the compute backends of Glocal.
//!
//! [`Tensor`] is a dense `f32` array; axis 0 is always the batch. [`Backend`] is the one seam between what is computed
//! (ops and rules, written once above it) and where: [`CpuBackend`] is the portable one. This is the only crate of
//! Glocal that may hold `unsafe` code.

pub mod backend;
mod buffer;
mod error;
mod geometry;
mod memory;
mod resampling;
mod rows;
mod tensor;

pub use backend::{Backend, CpuBackend};
pub use buffer::release_kept_memory;
pub use error::{ComputeError, ComputeErrorKind};
pub use geometry::{ConvolutionGeometry, PoolGeometry, SliceRange};
pub use memory::keep_freed_memory;
pub use resampling::Resampling;
pub use rows::Rows;
pub use tensor::Tensor;
