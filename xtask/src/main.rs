//! The project's own commands. `cargo xtask test` runs everything that must pass before a change lands.

use std::process::{Command, ExitCode};

/// The steps of `cargo xtask test`: what each is, its arguments to cargo, and its additional environment.
const TEST_STEPS: [(&str, &[&str], &[(&str, &str)]); 4] = [
    ("formatting", &["fmt", "--all", "--check"], &[]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[]),
    ("documentation", &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]),
    ("tests", &["test", "--workspace", "--no-fail-fast"], &[]),
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
    for (name, arguments, environment) in TEST_STEPS {
        println!("== {name}: cargo {}", arguments.join(" "));
        // The cargo that runs this, so that a pinned toolchain stays pinned.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        match Command::new(cargo).args(arguments).envs(environment.iter().copied()).status() {
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
