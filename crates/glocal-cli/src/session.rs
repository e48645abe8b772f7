//! What one run of the program shares: its output channel, its threads and the wish to stop.

use std::io::{self, Write};

use glocal::attribution::Cancel;
use serde_json::Value;

use crate::args::Common;
use crate::failure::Failure;

/// One run of the program.
#[derive(Debug)]
pub struct Session {
    /// Whether stdout is to be one JSON document.
    pub json: bool,
    /// Set by Ctrl-C; long work checks it.
    pub cancel: Cancel,
}

impl Session {
    /// Sets up threads and Ctrl-C.
    pub fn start(common: &Common) -> Result<Self, Failure> {
        if let Some(threads) = common.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global().map_err(Failure::work)?;
        }
        let cancel = Cancel::default();
        let flag = cancel.clone();
        ctrlc::set_handler(move || flag.cancel()).map_err(Failure::work)?;
        Ok(Self { json: common.json, cancel })
    }

    /// Ends the work if Ctrl-C was pressed.
    pub fn check(&self) -> Result<(), Failure> {
        if self.cancel.is_cancelled() { Err(Failure::interrupted()) } else { Ok(()) }
    }

    /// Prints the result: the document under `--json`, else the text.
    pub fn print(&self, text: impl FnOnce() -> String, document: impl FnOnce() -> Value) -> Result<(), Failure> {
        let mut printed = if self.json { format!("{:#}", document()) } else { text() };
        if !printed.ends_with('\n') {
            printed.push('\n');
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(printed.as_bytes()).and_then(|()| stdout.flush()) {
            // The reader (`| head`) has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed.map_err(Failure::work),
        }
    }
}
