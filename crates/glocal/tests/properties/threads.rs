//! Any number of threads may use one model at once, also from within parallel work.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use glocal::op::dense::Dense;
use glocal::op::{Affine, Parameters, Part};
use glocal_compute::{CpuBackend, Tensor};
use rayon::prelude::*;

/// Far longer than the work takes; a thread that waits for itself waits for ever.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn weights_are_packed_from_many_tasks_at_once() {
    let (done, finished) = channel();
    std::thread::spawn(move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
        for _ in 0..8 {
            // Large enough that a backend makes the parts in parallel, fresh in each round so that all tasks ask at once.
            let weight = Tensor::full([512, 1024], -0.5).unwrap();
            let dense = Arc::new(Dense { parameters: Parameters::new(weight, None) });
            let x = Tensor::full([1, 1024], 1.0).unwrap();
            let parts = [Part::Negative, Part::Positive, Part::Square, Part::Whole];
            pool.install(|| {
                (0..64usize).into_par_iter().for_each(|task| {
                    let part = parts[task % parts.len()];
                    let y = dense.forward_part(&CpuBackend::new(), &x, part, None).unwrap();
                    let expected = [-512.0, 0.0, 256.0, -512.0][task % parts.len()];
                    assert!(y.data().iter().all(|&value| value == expected));
                });
            });
        }
        done.send(()).unwrap();
    });
    finished.recv_timeout(PATIENCE).expect("the tasks wait for each other, or one of them failed");
}
