//! Waiting for others. A thread of a pool does other work of it meanwhile, maybe just what it waits for: where it is the only
//! one, nobody else would.

use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, TryRecvError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use rayon::Yield;

/// How long to wait before looking for other work again.
const PATIENCE: Duration = Duration::from_millis(1);

/// The next of a channel; an error when there will be none.
pub(crate) fn receive<T>(from: &Receiver<T>) -> Result<T, RecvError> {
    loop {
        match from.try_recv() {
            Ok(next) => return Ok(next),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) => {}
        }
        match rayon::yield_now() {
            None => return from.recv(),
            Some(Yield::Executed) => {}
            Some(Yield::Idle) => match from.recv_timeout(PATIENCE) {
                Ok(next) => return Ok(next),
                Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
                Err(RecvTimeoutError::Timeout) => {}
            },
        }
    }
}

/// A thread that may need those of the pool to end: whoever drops this waits for it.
pub(crate) struct Ending<'scope>(pub(crate) ScopedJoinHandle<'scope, ()>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        while !self.0.is_finished() {
            match rayon::yield_now() {
                // Its scope waits.
                None => return,
                Some(Yield::Executed) => {}
                Some(Yield::Idle) => thread::sleep(PATIENCE),
            }
        }
    }
}
