//! The worker: one damaged file after the other.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use glocal_fuzz::attempt::{Outcome, Source, attempt, keep_panics_quiet};
use glocal_fuzz::{Mutator, memory, originals};

use super::Options;
use super::tally::Tally;

/// Reading and importing a file of at most a quarter of a megabyte takes less.
const LONGEST_IMPORT: Duration = Duration::from_secs(2);

/// Works until the time is over; whether nothing failed.
pub(crate) fn work(options: &Options) -> Result<bool, Box<dyn Error>> {
    keep_panics_quiet();
    // Allocations of other threads would count as those of reading.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let mutator = Mutator::new(options.seed, originals::files()?);
    let folder = tempfile::tempdir()?;
    prepare(folder.path())?;
    let path = folder.path().join("model.onnx");
    let mut position = File::create(options.position())?;
    let (start, mut told) = (Instant::now(), Instant::now());
    let mut tally = Tally::default();
    let mut clean = true;
    let mut case = options.first;
    while start.elapsed() < options.time {
        position.seek(SeekFrom::Start(0))?;
        writeln!(position, "{case:020}")?;
        let bytes = mutator.case(case);
        // External data is looked for only beside a file.
        let on_disk = bytes.windows(8).any(|part| part == b"location");
        let done = if on_disk {
            fs::write(&path, &bytes)?;
            attempt(Source::File(&path), case)
        } else {
            attempt(Source::Bytes(&bytes), case)
        };
        tally.count(case, bytes.len(), &done);
        let fault = match &done.outcome {
            Outcome::Failed(fault) => Some(fault.clone()),
            _ if done.peak > memory::limit(bytes.len()) => Some(format!("took {} bytes of memory", done.peak)),
            _ if done.import > LONGEST_IMPORT => Some(format!("took {:?} to import", done.import)),
            _ => None,
        };
        if let Some(fault) = fault {
            clean = false;
            save(options, case, &bytes, &fault)?;
        }
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!("after {:?}:\n{tally}", start.elapsed());
        }
        case += 1;
    }
    println!("seed {}, cases {}..{case}, {:.0?}:\n{tally}", options.seed, options.first, start.elapsed());
    Ok(clean)
}

/// What hostile external data may name: a file, a folder, a link out.
fn prepare(folder: &Path) -> std::io::Result<()> {
    fs::write(folder.join("weights.bin"), vec![0; 4096])?;
    fs::create_dir(folder.join("folder"))?;
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link.bin"))?;
    Ok(())
}

/// Keeps a failing file and what went wrong.
pub(super) fn save(options: &Options, case: u64, bytes: &[u8], fault: &str) -> std::io::Result<()> {
    let name = format!("seed{}_case{case}", options.seed);
    println!("FAILURE {name}: {fault}");
    fs::write(options.save.join(format!("{name}.onnx")), bytes)?;
    fs::write(options.save.join(format!("{name}.txt")), fault)
}
