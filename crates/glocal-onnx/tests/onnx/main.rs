//! Tests of the crate from outside: real files, damaged files and files built for one case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod external;
mod goldens;
mod hostile;
mod model;
mod raw_data;
mod support;
