//! Which threads load samples, and that they do not wait for one another for ever.

use std::io::Read;
use std::sync::Mutex;

use super::*;

/// How long a sample takes that can be used.
const SLOW: Duration = Duration::from_micros(300);

/// How long another process has for some milliseconds of work.
const PATIENCE: Duration = Duration::from_secs(120);

/// A data set whose every eighth sample fails at once, while the others take their time.
struct Missing {
    data: Box<dyn DataSet>,
    /// Whether the threads that loaded a sample were those of a pool.
    pooled: Mutex<Vec<bool>>,
}

impl DataSet for Missing {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn key(&self, index: usize) -> String {
        self.data.key(index)
    }

    fn labels(&self, index: usize) -> &[u32] {
        self.data.labels(index)
    }

    fn class_names(&self) -> Option<&[String]> {
        None
    }

    fn load(&self, index: usize) -> Result<Content, data::DataError> {
        if index.is_multiple_of(8) {
            return self.data.load(usize::MAX);
        }
        thread::sleep(SLOW);
        self.pooled.lock().unwrap().push(rayon::current_thread_index().is_some());
        self.data.load(index)
    }

    fn fingerprint(&self) -> data::Fingerprint {
        self.data.fingerprint()
    }

    fn describe(&self) -> String {
        self.data.describe()
    }
}

#[test]
fn a_sample_that_fails_at_once_does_not_slow_down_the_others() {
    let setting = Setting::new();
    let data = Missing { data: setting.data, pooled: Mutex::default() };
    let options = RunOptions {
        batch: NonZeroUsize::new(8).unwrap(),
        threads: NonZeroUsize::new(2),
        keep_going: true,
        ..setting.options
    };
    let analysis = Analysis {
        scan: &setting.scan,
        data: &data,
        preprocess: &setting.preprocess,
        source: &setting.source,
        options: &options,
    };
    let report = run(&analysis, &setting.folder.path().join("store"), &|_| (), &Cancel::default()).unwrap();
    assert_eq!(report.skipped, 8);
    let pooled = data.pooled.into_inner().unwrap();
    assert!(pooled.len() == SAMPLES - 8 && pooled.iter().all(|pooled| *pooled), "{pooled:?}");
}

/// Not a test: the process that `a_task_of_the_only_thread_runs_a_scan` starts.
#[test]
#[ignore = "is run by another test"]
fn only_thread() {
    if std::env::var_os("GLOCAL_TEST_ONLY_THREAD").is_none() {
        return;
    }
    let setting = Setting::new();
    let store = setting.store("store");
    rayon::scope(|_| {
        assert_eq!(rayon::current_num_threads(), 1);
        setting.run("store").unwrap();
        // It ends as well where nobody takes what is loaded.
        let cancel = Cancel::default();
        let error = run(&setting.analysis(), &setting.store("stopped"), &|_| cancel.cancel(), &cancel).unwrap_err();
        assert!(matches!(error.kind(), ScanErrorKind::Cancelled { .. }), "{error}");
    });
    assert!(Store::open(store).is_ok());
}

#[test]
fn a_task_of_the_only_thread_runs_a_scan() {
    let mut process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "scan::tests::loading::only_thread", "--ignored"])
        .env("GLOCAL_TEST_ONLY_THREAD", "1")
        .env("RAYON_NUM_THREADS", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
            None => {
                process.kill().unwrap();
                break process.wait().unwrap();
            }
        }
    };
    let mut said = String::new();
    process.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    // Of a name that nobody has, no test would fail either.
    assert!(status.success() && said.contains("1 passed"), "{status}: {said}");
}
