//! `glocal merge`: the stores of shards become one.

use std::path::PathBuf;

use clap::Args;
use glocal_kit::store::{Merged, merge};
use serde_json::json;

use crate::failure::Failure;
use crate::session::Session;

/// Merge the stores of shards into one
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glocal analyze model.onnx photos/ --preprocess preprocess.toml --shard 1/2 -o first    on one machine
  glocal analyze model.onnx photos/ --preprocess preprocess.toml --shard 2/2 -o second   on another
  glocal merge first second -o store

The order does not matter, and the result has the same bytes as one analysis of all samples. Stores of some of the shards can be
merged too, and what they become with the others later.")]
pub struct Merge {
    /// The stores, each as `glocal analyze --shard` or `glocal merge` wrote it
    #[arg(required = true)]
    stores: Vec<PathBuf>,
    /// The store that they become: a new or empty folder
    #[arg(short = 'o', long = "out", value_name = "STORE")]
    store: PathBuf,
}

impl Merge {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        let Merged { covered, total, already_complete } = merge(&self.stores, &self.store)?;
        let text = || {
            let done = if already_complete { "is merged already" } else { "is complete" };
            let rest = match total - covered {
                0 => String::new(),
                rest => format!("; the other {rest} samples are in none of these stores"),
            };
            format!("{} {done}: {covered} of {total} samples{rest}", self.store.display())
        };
        let document = || {
            json!({
                "store": self.store.to_string_lossy(),
                "covered": covered,
                "samples": total,
                "already_complete": already_complete,
            })
        };
        session.print(text, document)
    }
}
