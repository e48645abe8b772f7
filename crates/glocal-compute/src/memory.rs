//! How the system and the process's allocator treat memory.

#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
mod heap;

/// The size of a large page, on machines whose others have 4 KiB.
#[cfg(all(target_os = "linux", not(miri)))]
const LARGE_PAGE: usize = 2 << 20;

/// Tells the allocator to keep what is freed for what is asked for next, instead of handing it back to the system at once, and
/// the system to make its heap of large pages where it has them.
///
/// Layer after layer, relevance and activations are buffers of megabytes that live shortly. Handed back and asked for anew,
/// every page of them is cleared by the system once more, which takes up to half of the time of small networks. What the
/// process holds at most stays about the same; between two tasks it holds on to it. Of one heatmap alone, making pages of
/// 4 KiB takes as long as everything else.
///
/// For programs, to be called once at their start; libraries should leave such settings to the program. It has an effect with the
/// allocator of glibc, which keeps blocks of up to 4 MiB then, and none elsewhere. Larger ones are those of tensors, which are kept
/// here anyway: in the allocator's heaps they would leave gaps that nothing fits into.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    heap::set_up();
}

/// Zeros, for which the system is asked for large pages where there are many: it then makes and looks up one page where it
/// would 512.
pub(crate) fn many_zeros(len: usize) -> Vec<f32> {
    let elements = vec![0.0; len];
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    heap::ask_for_large_pages();
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let bytes = elements.as_ptr_range();
        let (start, end) =
            (bytes.start.addr().next_multiple_of(LARGE_PAGE), bytes.end.addr() / LARGE_PAGE * LARGE_PAGE);
        if start + LARGE_PAGE <= end {
            let inside = bytes.start.with_addr(start).cast_mut().cast();
            // SAFETY: these pages lie inside the buffer; the advice, which may be refused, changes nothing that they hold.
            unsafe { libc::madvise(inside, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    elements
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
mod tests {
    use super::*;

    /// How often this thread met a page that the system had to make.
    fn page_faults() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name of the process, in parentheses, may hold blanks.
        let (_, fields) = status.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn buffers_are_used_again_without_new_pages() {
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

    #[test]
    fn buffers_of_any_size_hold_zeros_and_take_numbers() {
        for len in [0, 1, 1 << 12, (1 << 19) - 1, 1 << 19, (3 << 19) + 7, 5 << 20] {
            let mut elements = many_zeros(len);
            assert!(elements.len() == len && elements.iter().all(|element| *element == 0.0));
            elements.iter_mut().zip(0u32..).for_each(|(element, index)| *element = index as f32);
            assert!(elements.iter().zip(0u32..).all(|(element, index)| *element == index as f32));
        }
    }
}
