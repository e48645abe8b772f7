//! Damages ONNX models and checks that Glocal answers with errors: no panic, no abort, no memory beyond what the file
//! justifies, no file that takes long.
//!
//! A [`Mutator`] makes damaged files from whole ones, each from a number, so that every failure repeats. An
//! [`attempt`] reads one, imports it, canonizes it and, where the network is small enough, explains a batch with it. The
//! program of this crate does so for as long as it is told; its tests do so for seconds. [`hostile`] makes the
//! files of `corpus/`, each with one thing wrong with it, and larger ones that would take memory or time.

#![forbid(unsafe_code)]

pub mod attempt;
pub mod hostile;
pub mod memory;
mod mutator;
pub mod originals;
mod random;

pub use mutator::Mutator;
pub use random::Random;
