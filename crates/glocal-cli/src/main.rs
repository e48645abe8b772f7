//! The command line of Glocal: dispatches to one file a subcommand, and turns what goes wrong into an exit code.
//!
//! Exit codes: 0 done; 1 the work failed; 2 the call was wrong (arguments, unreadable or unfit input files, an output
//! that cannot be written); 130 interrupted.
#![forbid(unsafe_code)]

mod args;
mod assets;
mod caching;
mod commands;
mod explained;
mod failure;
mod hint;
mod memory;
mod misuse;
mod output;
mod pictures;
mod predictions;
mod progress;
mod session;
mod stored;
mod table;
mod unused;
mod viewing;

use std::process::ExitCode;

use clap::Parser;

use crate::args::CommandLine;
use crate::session::Session;

fn main() -> ExitCode {
    glocal_compute::keep_freed_memory();
    let line = CommandLine::parse();
    match Session::start(&line.common).and_then(|session| line.command.run(&session)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
