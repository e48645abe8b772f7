//! The watcher: restarts a worker that aborts or hangs, and keeps the file that it was at.

use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use glocal_fuzz::{Mutator, originals};

use super::Options;
use super::work::save;

/// No file takes longer, running and explaining it included.
const LONGEST_CASE: Duration = Duration::from_secs(60);

/// Watches until the time is over; whether nothing failed.
pub(crate) fn watch(options: &Options) -> Result<bool, Box<dyn Error>> {
    fs::create_dir_all(&options.save)?;
    let start = Instant::now();
    let mut clean = true;
    let mut first = options.first;
    while let Some(left) = options.time.checked_sub(start.elapsed()).filter(|left| left.as_secs() > 0) {
        let mut worker = Command::new(std::env::current_exe()?)
            .args(["--worker", "--seed", &options.seed.to_string(), "--first", &first.to_string()])
            .args(["--seconds", &left.as_secs().to_string(), "--save"])
            .arg(&options.save)
            .spawn()?;
        let mut at = (String::new(), Instant::now());
        let (status, hung) = loop {
            std::thread::sleep(Duration::from_millis(200));
            if let Some(status) = worker.try_wait()? {
                break (status, false);
            }
            let position = fs::read_to_string(options.position()).unwrap_or_default();
            if position != at.0 {
                at = (position, Instant::now());
            } else if at.1.elapsed() > LONGEST_CASE {
                worker.kill()?;
                break (worker.wait()?, true);
            }
        };
        if !hung && matches!(status.code(), Some(0 | 1)) {
            return Ok(clean && status.success());
        }
        clean = false;
        let case: u64 = fs::read_to_string(options.position())?.trim().parse()?;
        let fault = if hung { format!("hangs for {LONGEST_CASE:?}") } else { format!("aborts: {status}") };
        save(options, case, &Mutator::new(options.seed, originals::files()?).case(case), &fault)?;
        first = case + 1;
    }
    Ok(clean)
}
