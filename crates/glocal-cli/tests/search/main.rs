//! The built binary from a data set to a page: stores that survive everything, their reference samples, reports, the demo.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with the tests of the other commands, which use more of it")]
#[path = "../command_line/support.rs"]
mod support;

mod convert;
mod demo;
mod endurance;
mod errors;
mod evaluate;
mod graph;
mod interruption;
mod labels;
mod prototypes;
mod references;
mod report;
mod samples;
mod sources;
mod views;

use support::glocal;

/// The commands, each of whose help has an example.
const COMMANDS: [&str; 10] =
    ["demo", "analyze", "merge", "evaluate", "references", "classes", "convert", "precompute", "prototypes", "report"];

#[test]
fn every_help_has_an_example_and_the_common_options() {
    let overview = glocal(&["--help"]).succeeded();
    for command in COMMANDS {
        assert!(overview.contains(&format!("  {command} ")), "{command} is not in the overview");
        let help = glocal(&[command, "--help"]).succeeded();
        assert!(help.contains("Example"), "{command} has no example");
        assert!(help.contains(&format!("\n  glocal {command}")), "the example is not of {command}");
        for option in ["--json", "--threads"] {
            assert!(help.contains(option), "{command} lacks {option}");
        }
    }
}
