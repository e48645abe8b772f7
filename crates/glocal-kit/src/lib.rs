//! Data sets, preprocessing, the reference store, pictures and reports for Glocal.

pub mod cache;
pub mod condition;
pub mod convert;
pub mod data;
pub mod evaluate;
pub mod explain;
mod guarded;
pub mod loading;
mod pages;
pub mod picture;
pub mod preprocess;
pub mod prototypes;
pub mod region;
pub mod report;
pub mod scan;
pub mod store;
mod waiting;
