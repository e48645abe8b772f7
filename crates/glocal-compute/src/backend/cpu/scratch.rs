//! Buffers that a thread keeps, so that kernels do not ask for memory, and have it cleared, again and again.

use std::cell::Cell;

use crate::memory::zeros_in_large_pages;

/// Longer buffers are not kept (64 MiB).
const KEPT_ELEMENTS: usize = 1 << 24;

/// Longer buffers are worth large pages (1.5 MiB): they are read and written all over.
const LARGE: usize = 3 << 17;

/// A thread's buffers of one kind, for one user at a time; another one meanwhile (a thread that waits may take up other
/// work) gets new ones.
pub(super) struct Scratch<T>(Cell<Option<Box<T>>>);

/// What can be kept.
pub(super) trait Keep: Default {
    /// The number of elements that would be kept.
    fn elements(&self) -> usize;
}

impl<T: Keep> Scratch<T> {
    pub(super) const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Calls `work` with buffers that hold what an earlier user left.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut buffers = self.0.take().unwrap_or_default();
        let result = work(&mut buffers);
        if buffers.elements() <= KEPT_ELEMENTS {
            self.0.set(Some(buffers));
        }
        result
    }
}

impl Keep for Vec<f32> {
    fn elements(&self) -> usize {
        self.capacity()
    }
}

/// The first `len` elements of a buffer, which is made longer if it must be. What they hold is not defined: NaN in debug
/// builds, so that tests meet whoever reads before writing.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.capacity() < len {
        *buffer = if len < LARGE { vec![0.0; len] } else { zeros_in_large_pages(len) };
    } else if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let elements = &mut buffer[..len];
    if cfg!(debug_assertions) {
        elements.fill(f32::NAN);
    }
    elements
}

/// The same, from where a vector of any machine, and a line of its caches, may start.
pub(super) fn aligned(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const BYTES: usize = 64;
    let spare = BYTES / size_of::<f32>() - 1;
    let buffer = sized(buffer, len + spare);
    let start = buffer.as_ptr().align_offset(BYTES).min(spare);
    &mut buffer[start..start + len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_unless_they_are_long() {
        let scratch = Scratch::<Vec<f32>>::new();
        scratch.lend(|buffer| sized(buffer, 3).fill(1.0));
        scratch.lend(|buffer| {
            assert_eq!(buffer[..], [1.0; 3]);
            scratch.lend(|other| assert!(other.is_empty()));
            sized(buffer, KEPT_ELEMENTS + 1);
        });
        scratch.lend(|buffer| assert!(buffer.len() <= 3));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn nothing_that_was_left_is_seen() {
        let mut buffer = vec![1.0; 100];
        assert!(sized(&mut buffer, 3).iter().all(|element| element.is_nan()));
        assert!(aligned(&mut buffer, 50).iter().all(|element| element.is_nan()));
    }

    #[test]
    fn aligned_elements_start_where_a_cache_line_does() {
        let mut buffer = Vec::new();
        for len in [1, 1000, 16] {
            let elements = aligned(&mut buffer, len);
            assert_eq!(elements.len(), len);
            assert!(elements.as_ptr().addr().is_multiple_of(64));
        }
    }
}
