//! How work is split over threads: only where there is enough of it, and never in a way that a result depends on.

use std::sync::OnceLock;

use rayon::prelude::*;

use crate::ComputeError;

/// Fewer elements than this are not worth waking another thread.
const PARALLEL_ELEMENTS: usize = 1 << 15;

/// The elements that one thread takes at a time; a few fit the first cache.
const CHUNK_ELEMENTS: usize = 1 << 13;

/// The steps (multiply-adds, roughly) below which a task is not split off.
const PARALLEL_STEPS: usize = 1 << 17;

/// Calls `work` with the offset and the elements of consecutive chunks of `out`.
pub(super) fn for_chunks<T: Send>(out: &mut [T], work: impl Fn(usize, &mut [T]) + Sync) {
    if out.len() < PARALLEL_ELEMENTS {
        work(0, out);
    } else {
        out.par_chunks_mut(CHUNK_ELEMENTS).enumerate().for_each(|(index, chunk)| work(index * CHUNK_ELEMENTS, chunk));
    }
}

/// Calls `work` with the index and the elements of each block of `block` elements of `out`; `steps` says how much one
/// block costs.
pub(super) fn for_blocks<T: Send>(out: &mut [T], block: usize, steps: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let done: Result<(), ComputeError> = for_tasks(
        out,
        block,
        steps,
        || (),
        |(), index, block| {
            work(index, block);
            Ok(())
        },
    );
    debug_assert!(done.is_ok(), "the work cannot fail");
}

/// Calls `work` with the index and the elements of each block of `block` elements of `out` (the last one may be shorter),
/// and with a workspace that `workspace` makes for some run of neighbouring blocks. What `work` writes must not depend on the workspace's past.
pub(super) fn for_tasks<T: Send, W>(
    out: &mut [T],
    block: usize,
    steps: usize,
    workspace: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, usize, &mut [T]) -> Result<(), ComputeError> + Sync,
) -> Result<(), ComputeError> {
    if out.is_empty() || block == 0 {
        return Ok(());
    }
    let tasks = out.len().div_ceil(block);
    let worthwhile = tasks.saturating_mul(steps) / PARALLEL_STEPS;
    let parts = tasks.min(worthwhile).min(4 * rayon::current_num_threads());
    let run = |first: usize, part: &mut [T]| {
        let mut space = workspace();
        part.chunks_mut(block).enumerate().try_for_each(|(index, out)| work(&mut space, first + index, out))
    };
    if parts <= 1 {
        return run(0, out);
    }
    let per_part = tasks.div_ceil(parts);
    out.par_chunks_mut(per_part * block).enumerate().try_for_each(|(part, out)| run(part * per_part, out))
}

/// Whether so many tasks keep the threads busy only if each is split further.
pub(super) fn are_few(tasks: usize) -> bool {
    tasks < 2 * rayon::current_num_threads()
}

/// The value of `cell`, made by `make` when it is first asked for.
///
/// Unlike `get_or_init`, nobody waits for another thread that makes it: `make` may work in parallel, and a thread that
/// waits for that work may take up another task that asks for the same value. Two threads may make it; one is kept.
pub(super) fn made_once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    if let Some(value) = cell.get() {
        return value;
    }
    let made = make();
    cell.get_or_init(|| made)
}
