//! The CPU backend against plain loops in `f64`, and what the trait promises of every backend.
// Helpers of tests may fail the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod convolution;
mod dense;
mod determinism;
mod elementwise;
mod layout;
mod matrix_product;
mod naive;
mod pool;
mod random;
mod refusal;
mod resample;
