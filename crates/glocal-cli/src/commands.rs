//! The commands: one file each, one line each here.

mod analyze;
mod attribute;
mod classes;
mod concepts;
mod demo;
mod graph;
mod inspect;
mod prototypes;
pub mod references;
mod report;

use clap::Subcommand;

use crate::failure::Failure;
use crate::session::Session;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    Inspect(inspect::Inspect),
    Attribute(attribute::Attribute),
    Concepts(concepts::Concepts),
    Graph(graph::Graph),
    Analyze(analyze::Analyze),
    References(references::References),
    Classes(classes::Classes),
    Prototypes(prototypes::Prototypes),
    Report(report::Report),
}

impl Command {
    /// Does it.
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Demo(command) => command.run(session),
            Self::Inspect(command) => command.run(session),
            Self::Attribute(command) => command.run(session),
            Self::Concepts(command) => command.run(session),
            Self::Graph(command) => command.run(session),
            Self::Analyze(command) => command.run(session),
            Self::References(command) => command.run(session),
            Self::Classes(command) => command.run(session),
            Self::Prototypes(command) => command.run(session),
            Self::Report(command) => command.run(session),
        }
    }
}
