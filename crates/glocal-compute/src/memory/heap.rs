//! The heap of glibc: how it grows, what it keeps, and of which pages it is made.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::LARGE_PAGE;

/// The largest block that is kept.
const KEPT_BLOCK: libc::c_int = 4 << 20;

/// More at the end of the heap is handed back.
const KEPT: libc::c_int = 64 << 20;

/// So much is asked of the system at once.
const STEP: libc::c_int = 16 << 20;

/// So much at first: what a model of usual size and its weights take. Pages that nobody writes to do not exist.
const START: libc::c_int = 48 << 20;

/// So many threads share a heap: what one has freed is then there for the others.
const THREADS: usize = 8;

/// Where the part of the heap ends for which large pages were asked for; 0 before [`set_up`].
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// See [`keep_freed_memory`](super::keep_freed_memory).
pub(super) fn set_up() {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let heaps = libc::c_int::try_from(threads.div_ceil(THREADS)).unwrap_or(libc::c_int::MAX);
    set(libc::M_MMAP_THRESHOLD, KEPT_BLOCK);
    set(libc::M_TRIM_THRESHOLD, KEPT);
    set(libc::M_ARENA_MAX, heaps);
    ASKED.store(end(), Ordering::Relaxed);
    set(libc::M_TOP_PAD, START);
    // Larger than what the heap has at its start, so that it grows.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)));
    set(libc::M_TOP_PAD, STEP);
    ask_for_large_pages();
}

/// Asks for large pages for what the heap of the first thread has grown by. Which pages are made of it is settled when they are
/// first written to, so this is called whenever much was asked for.
pub(super) fn ask_for_large_pages() {
    let (asked, end) = (ASKED.load(Ordering::Relaxed), end());
    if asked == 0 || asked == end {
        return;
    }
    // Of two threads that are here at once both ask, which does no harm.
    ASKED.store(end, Ordering::Relaxed);
    let start = asked / LARGE_PAGE * LARGE_PAGE;
    if start < end {
        let start = std::ptr::without_provenance_mut(start);
        // SAFETY: the advice changes nothing that pages hold. It may be refused, for all or for what is not there any more.
        unsafe { libc::madvise(start, end - start.addr(), libc::MADV_HUGEPAGE) };
    }
}

/// Where the heap ends.
fn end() -> usize {
    // SAFETY: an increment of 0 moves nothing.
    unsafe { libc::sbrk(0) }.addr()
}

fn set(parameter: libc::c_int, value: libc::c_int) {
    // SAFETY: mallopt takes plain numbers, locks the allocator itself, and changes no memory that is in use.
    unsafe { libc::mallopt(parameter, value) };
}
