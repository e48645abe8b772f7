//! Fuzzes the reader for as long as it is told: `cargo run --profile fuzz -p glocal-fuzz -- --seconds 1800 --seed 1`.
//!
//! A worker process takes one damaged file after the other, a watcher restarts it where it aborts or hangs, and every failing
//! file is saved with what went wrong. The exit code is 1 if there was any.

mod run;

use std::process::ExitCode;
use std::time::Duration;

use run::{Options, watch, work};

const USAGE: &str = "usage: glocal-fuzz [--seconds N] [--seed N] [--save FOLDER]
       --seconds   how long to go on (60)
       --seed      which cases (1)
       --save      where failing files and the tally go (target/fuzz)";

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = if options.worker { work::work(&options) } else { watch::watch(&options) };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(name) = arguments.next() {
        if name == "--worker" {
            options.worker = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} takes a number, not {value:?}"));
        match name.as_str() {
            "--seconds" => options.time = Duration::from_secs(number()?),
            "--seed" => options.seed = number()?,
            "--first" => options.first = number()?,
            "--save" => options.save = value.into(),
            _ => return Err(format!("{name} is unknown")),
        }
    }
    Ok(options)
}
