//! How the system and the process's allocator treat memory.

use std::mem::MaybeUninit;
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
use std::num::NonZeroUsize;

use rayon::prelude::*;

/// The largest block that the allocator keeps, in bytes: those that fill two large pages are beyond it.
const KEPT_BLOCK: usize = (4 << 20) - 128;

/// Tells the allocator to keep what is freed for what is asked for next, instead of handing it back to the system at once.
///
/// Layer after layer, relevance and activations are buffers of megabytes that live shortly. Handed back and asked for anew,
/// every page of them is cleared by the system once more, which takes up to half of the time of small networks. What the
/// process holds at most stays about the same; between two tasks it holds on to it.
///
/// For programs, to be called once at their start; libraries should leave such settings to the program. It has an effect with the
/// allocator of glibc, which keeps blocks of less than 4 MiB then, and none elsewhere. Larger ones are those of tensors, which are kept
/// here anyway: in the allocator's heaps they would leave gaps that nothing fits into.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    {
        /// More at the end of the heap is handed back.
        const KEPT: libc::c_int = 64 << 20;
        /// So much is asked of the system at once.
        const STEP: libc::c_int = 16 << 20;
        /// So many threads share a heap: what one has freed is then there for the others.
        const THREADS: usize = 8;
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let heaps = libc::c_int::try_from(threads.div_ceil(THREADS)).unwrap_or(libc::c_int::MAX);
        let settings = [
            (libc::M_MMAP_THRESHOLD, KEPT_BLOCK as libc::c_int),
            (libc::M_TRIM_THRESHOLD, KEPT),
            (libc::M_TOP_PAD, STEP),
            (libc::M_ARENA_MAX, heaps),
        ];
        for (parameter, value) in settings {
            // SAFETY: mallopt takes plain numbers, locks the allocator itself, and changes no memory that is in use.
            unsafe { libc::mallopt(parameter, value) };
        }
    }
}

/// So many elements the allocator asks of the system alone, which hands out zeros (nearly 4 MiB; a guess where the allocator is not
/// told so).
const OWN: usize = KEPT_BLOCK / size_of::<f32>();

/// The size of a large page, on machines whose others have 4 KiB.
const LARGE_PAGE: usize = 2 << 20;

/// Zeros. Where there are many, all threads write them: the system makes the pages of fresh memory as they are first written to,
/// which takes several times as long as what comes after.
pub(crate) fn many_zeros(len: usize) -> Vec<f32> {
    /// So many are worth another thread (64 KiB): 16 pages, or a few microseconds where all of them are there.
    const AT_ONCE: usize = 1 << 14;
    // From outside of the pool it would be one more task that is handed over and waited for.
    if rayon::current_thread_index().is_none() || !(2 * AT_ONCE..OWN).contains(&len) {
        return if len < OWN { vec![0.0; len] } else { zeros_in_large_pages(len) };
    }
    let mut elements = Vec::with_capacity(len);
    let room = &mut elements.spare_capacity_mut()[..len];
    room.par_chunks_mut(AT_ONCE).for_each(|some| some.fill(MaybeUninit::new(0.0)));
    // SAFETY: there is room for `len` elements, and each has just been written.
    unsafe { elements.set_len(len) };
    elements
}

/// Zeros in large pages, where the system has them: it then makes and looks up one page where it would 512.
pub(crate) fn zeros_in_large_pages(len: usize) -> Vec<f32> {
    // What the allocator asks of the system alone starts with a large page where it fills such pages.
    let mut elements = vec![0.0; room(len)];
    in_large_pages(&elements, len);
    elements.truncate(len);
    elements
}

/// The number of elements that [`many_zeros`] makes room for.
pub(crate) fn room_of_many(len: usize) -> usize {
    if len < OWN { len } else { room(len) }
}

/// The number of elements that `len` zeros in large pages have room for. Where the system hands out zeros, what is not used
/// takes no memory, but for the rest of a large page.
fn room(len: usize) -> usize {
    /// What an allocator keeps beside a block, at most.
    const BESIDE: usize = 64;
    if !cfg!(target_os = "linux") {
        return len;
    }
    let bytes = len.max(OWN).saturating_mul(size_of::<f32>()).saturating_add(BESIDE);
    bytes.checked_next_multiple_of(LARGE_PAGE).map_or(len, |bytes| (bytes - BESIDE) / size_of::<f32>())
}

/// Asks the system for large pages for the first `used` elements, but for a page of which most would not be used.
#[cfg_attr(any(not(target_os = "linux"), miri), expect(unused_variables, reason = "there is no such advice"))]
fn in_large_pages(elements: &[f32], used: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        /// That of the others.
        const SMALL_PAGE: usize = 4 << 10;
        let (bytes, used) = (elements.as_ptr_range(), elements[..used].as_ptr_range().end.addr());
        let start = bytes.start.addr() / SMALL_PAGE * SMALL_PAGE;
        let whole = (used + LARGE_PAGE / 2 - 1) / LARGE_PAGE * LARGE_PAGE;
        let end = whole.min(bytes.end.addr().next_multiple_of(SMALL_PAGE));
        if start < end {
            let first = bytes.start.with_addr(start).cast_mut().cast();
            // SAFETY: the advice, which may be refused, changes nothing that these pages hold, whoever else has a part in the
            // first and the last of them.
            unsafe { libc::madvise(first, end - start, libc::MADV_HUGEPAGE) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that was used before comes back, so that an element that is not written shows.
    #[test]
    fn buffers_of_any_size_hold_zeros_and_take_numbers() {
        keep_freed_memory();
        let sizes = [0, 1, 1 << 12, (1 << 15) - 1, 1 << 15, (1 << 15) + 7, 1 << 19, (1 << 20) - 1, 1 << 20, 5 << 20];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let check = |len: usize| {
            let mut elements = many_zeros(len);
            assert!(elements.len() == len && elements.iter().all(|element| *element == 0.0), "{len}");
            elements.iter_mut().zip(1u32..).for_each(|(element, number)| *element = number as f32);
            assert!(elements.iter().zip(1u32..).all(|(element, number)| *element == number as f32), "{len}");
        };
        for len in sizes.into_iter().flat_map(|len| [len; 3]) {
            check(len);
            pool.install(|| check(len));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_long_fills_large_pages() {
        for len in [1, OWN - 16, OWN, OWN + 1, 1 << 20, 5 << 20] {
            let (elements, room) = (zeros_in_large_pages(len), room(len));
            assert!(elements.len() == len && elements.capacity() >= room && room >= len, "{len}");
            // with what an allocator adds, and without a page more
            let (bytes, wanted) = (room * size_of::<f32>(), len.max(OWN) * size_of::<f32>());
            assert!(
                bytes.next_multiple_of(LARGE_PAGE) - bytes < 128 && bytes - wanted < LARGE_PAGE,
                "{room} for {len}"
            );
        }
        assert_eq!(room(OWN), room(1));
        assert_eq!(room(usize::MAX / 2), usize::MAX / 2, "what cannot be had is left to the allocator to refuse");
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    fn buffers_are_used_again_without_new_pages() {
        /// How often this thread met a page that the system had to make.
        fn page_faults() -> u64 {
            let status = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The name of the process, in parentheses, may hold blanks.
            let (_, fields) = status.rsplit_once(')').unwrap();
            fields.split_whitespace().nth(7).unwrap().parse().unwrap()
        }
        const BYTES: usize = 3 << 20;
        const PAGE: usize = 4 << 10;
        const ROUNDS: usize = 20;
        keep_freed_memory();
        let touch = || std::hint::black_box(vec![1u8; BYTES]).len();
        // The first brings the pages that all others find.
        touch();
        let before = page_faults();
        let touched: usize = (0..ROUNDS).map(|_| touch()).sum();
        assert_eq!(touched, ROUNDS * BYTES);
        let faults = page_faults() - before;
        assert!(faults < (BYTES / PAGE * 2) as u64, "{faults} page faults");
    }
}
