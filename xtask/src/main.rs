//! The project's own commands. `cargo xtask test` runs everything that must pass before a change lands.

use std::process::{Command, ExitCode};

/// A step of `cargo xtask test`.
struct Step {
    name: &'static str,
    /// What cargo is called with.
    arguments: &'static [&'static str],
    /// A variable to set for it.
    variable: Option<(&'static str, &'static str)>,
}

const TEST_STEPS: [Step; 4] = [
    Step { name: "formatting", arguments: &["fmt", "--all", "--check"], variable: None },
    Step {
        name: "lints",
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        variable: None,
    },
    Step {
        name: "documentation",
        arguments: &["doc", "--workspace", "--no-deps"],
        variable: Some(("RUSTDOCFLAGS", "-D warnings")),
    },
    Step { name: "tests", arguments: &["test", "--workspace", "--no-fail-fast"], variable: None },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("test"), None) => test(),
        _ => {
            eprintln!("usage: cargo xtask test    runs formatting, lints, documentation and all tests");
            ExitCode::from(2)
        }
    }
}

fn test() -> ExitCode {
    for Step { name, arguments, variable } in TEST_STEPS {
        println!("== {name}: cargo {}", arguments.join(" "));
        // The cargo that runs this, so that a pinned toolchain stays pinned.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        match Command::new(cargo).args(arguments).envs(variable).status() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("== {name} failed: {status}");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("== {name} could not be started: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("== all passed");
    ExitCode::SUCCESS
}
