//! The commands: one file each, one line each here.

mod analyze;
mod attribute;
mod classes;
mod concepts;
mod convert;
mod demo;
mod evaluate;
mod graph;
mod inspect;
mod merge;
mod precompute;
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
    Merge(merge::Merge),
    Evaluate(evaluate::Evaluate),
    References(references::References),
    Classes(classes::Classes),
    Convert(convert::Convert),
    Precompute(precompute::Precompute),
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
            Self::Merge(command) => command.run(session),
            Self::Evaluate(command) => command.run(session),
            Self::References(command) => command.run(session),
            Self::Classes(command) => command.run(session),
            Self::Convert(command) => command.run(session),
            Self::Precompute(command) => command.run(session),
            Self::Prototypes(command) => command.run(session),
            Self::Report(command) => command.run(session),
        }
    }
}
