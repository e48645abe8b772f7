//! Where work runs.

/// Does `work` on a thread of the pool, the global one unless the caller belongs to another. A pass is many small steps that take
/// all threads each: from outside, each of them would be handed over and waited for.
///
/// A thread of the pool that waits for a part of one pass may take up another that came from outside, and ends that first.
pub(crate) fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::current_thread_index() {
        Some(_) => work(),
        None => rayon::join(work, || ()).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_by_a_thread_of_the_pool() {
        let inside = || rayon::current_thread_index();
        assert!(inside().is_none() && in_pool(inside).is_some());
        // Where it is already: in the same thread.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert!(pool.install(|| in_pool(inside) == inside()));
    }
}
