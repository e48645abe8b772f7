//! Data sets, preprocessing, the reference store, pictures and reports for Glocal.

pub mod data;
pub mod picture;
pub mod preprocess;
pub mod report;
