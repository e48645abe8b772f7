//! A run of the fuzzer: a watcher and the worker that it watches.

mod tally;
pub(crate) mod watch;
pub(crate) mod work;

use std::path::PathBuf;
use std::time::Duration;

/// How to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Whether this process is the worker.
    pub(crate) worker: bool,
    /// How long to go on.
    pub(crate) time: Duration,
    /// Which cases.
    pub(crate) seed: u64,
    /// The first case.
    pub(crate) first: u64,
    /// Where failing files and the tally go.
    pub(crate) save: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            worker: false,
            time: Duration::from_secs(60),
            seed: 1,
            first: 0,
            save: glocal_fuzz::originals::repository().join("target/fuzz"),
        }
    }
}

impl Options {
    /// The file in which the worker says which case it is at.
    fn position(&self) -> PathBuf {
        self.save.join("position")
    }
}
