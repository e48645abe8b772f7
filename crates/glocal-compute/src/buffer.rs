//! The memory of tensors, which is kept when a tensor goes and handed to the next one of about its size: fresh memory
//! must be cleared by the system page by page, which costs more than many an operation that fills it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::memory::{many_zeros, room_of_many};

/// Shorter buffers are not worth keeping (16 KiB).
const LEAST_ELEMENTS: usize = 1 << 12;

/// All that is kept together has at most this many elements (256 MiB).
const KEPT_ELEMENTS: usize = 1 << 26;

/// At most this many buffers are kept.
const KEPT_BUFFERS: usize = 512;

/// A buffer that nobody took while so many elements came after it goes (512 MiB): it is of a size that was wanted once, as
/// parts of images are.
const KEPT_FOR: u64 = 1 << 27;

static KEPT: Mutex<Kept> = Mutex::new(Kept { buffers: Vec::new(), elements: 0, came: 0 });

/// Elements that one owner holds.
pub(crate) struct Buffer(Vec<f32>);

/// Buffers without an owner, oldest first. Elements are numbers of some earlier owner.
#[derive(Default)]
struct Kept {
    buffers: Vec<Waiting>,
    elements: usize,
    /// How many elements ever came.
    came: u64,
}

/// A buffer without an owner.
struct Waiting {
    buffer: Vec<f32>,
    /// How many elements had come when it did.
    since: u64,
}

impl Buffer {
    /// `len` elements of any value: to be overwritten, every one. They are NaN in debug builds, so that tests see it.
    pub(crate) fn unspecified(len: usize) -> Self {
        let mut elements = taken(len).unwrap_or_else(|| many_zeros(len));
        if cfg!(debug_assertions) {
            elements.fill(f32::NAN);
        }
        Self(elements)
    }

    /// `len` elements of the same value.
    pub(crate) fn full(len: usize, value: f32) -> Self {
        Self(match taken(len) {
            None if value.to_bits() == 0 => many_zeros(len),
            taken => {
                let mut elements = taken.unwrap_or_else(|| many_zeros(len));
                elements.fill(value);
                elements
            }
        })
    }

    /// These elements, which are kept later.
    pub(crate) fn new(elements: Vec<f32>) -> Self {
        Self(elements)
    }

    /// The elements.
    pub(crate) fn into_vec(mut self) -> Vec<f32> {
        std::mem::take(&mut self.0)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut elements = taken(self.len()).unwrap_or_else(|| many_zeros(self.len()));
        elements.copy_from_slice(self);
        Self(elements)
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.len() >= LEAST_ELEMENTS {
            kept().keep(std::mem::take(&mut self.0));
        }
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taken(len: usize) -> Option<Vec<f32>> {
    if len < LEAST_ELEMENTS { None } else { kept().take(len) }
}

/// Hands the memory that is kept for tensors to come back to the allocator.
///
/// For programs that have other work for it: what tensors need next is then asked of the system anew.
pub fn release_kept_memory() {
    // Freed after the lock is given back.
    let released = std::mem::take(&mut *kept());
    drop(released);
}

impl Kept {
    /// The shortest buffer that holds `len` elements, unless much of it would be unused.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let most = (len + len / 8).max(room_of_many(len));
        let fits = |waiting: &Waiting| (len..=most).contains(&waiting.buffer.capacity());
        let candidates = self.buffers.iter().enumerate().filter(|(_, waiting)| fits(waiting));
        let (index, _) = candidates.min_by_key(|(_, waiting)| waiting.buffer.capacity())?;
        let Waiting { mut buffer, .. } = self.buffers.remove(index);
        self.elements -= buffer.capacity();
        buffer.resize(len, 0.0);
        Some(buffer)
    }

    fn keep(&mut self, buffer: Vec<f32>) {
        let len = buffer.capacity();
        if len > KEPT_ELEMENTS {
            return;
        }
        self.elements += len;
        self.came += len as u64;
        self.buffers.push(Waiting { buffer, since: self.came });
        let mut gone = 0;
        while self.elements > KEPT_ELEMENTS
            || self.buffers.len() - gone > KEPT_BUFFERS
            || self.came - self.buffers[gone].since > KEPT_FOR
        {
            self.elements -= self.buffers[gone].buffer.capacity();
            gone += 1;
        }
        self.buffers.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_fits() {
        let mut kept = Kept::default();
        kept.keep(vec![1.0; 100]);
        kept.keep(vec![2.0; 90]);
        assert!(kept.take(101).is_none() && kept.take(50).is_none());
        assert_eq!(kept.take(90), Some(vec![2.0; 90]));
        assert_eq!(kept.take(80), None, "much would be unused");
        assert_eq!(kept.take(98), Some(vec![1.0; 98]));
        assert_eq!((kept.buffers.len(), kept.elements), (0, 0));
        for _ in 0..2 * KEPT_BUFFERS {
            kept.keep(vec![0.0; 8]);
        }
        assert_eq!(kept.buffers.len(), KEPT_BUFFERS);
        kept.keep(vec![0.0; KEPT_ELEMENTS]);
        assert_eq!((kept.buffers.len(), kept.elements), (1, KEPT_ELEMENTS), "the oldest go first");
        kept.keep(vec![0.0; KEPT_ELEMENTS + 1]);
        assert_eq!(kept.buffers.len(), 1);
    }

    #[test]
    fn what_has_room_to_fill_its_pages_fits_what_it_was_made_for() {
        let mut kept = Kept::default();
        for len in [LEAST_ELEMENTS, (1 << 20) - 1, (1 << 20) + 1, 3 << 20] {
            kept.keep(many_zeros(len));
            assert_eq!(kept.take(len).map(|buffer| buffer.len()), Some(len));
        }
    }

    #[test]
    fn what_nobody_takes_goes() {
        let mut kept = Kept::default();
        kept.keep(vec![0.0; 10]);
        let mut came = 0;
        while came <= KEPT_FOR {
            assert_eq!(kept.buffers.len(), 1, "after {came} elements");
            kept.keep(vec![0.0; 1 << 20]);
            came += 1 << 20;
            // which is wanted again and again
            assert!(kept.take(1 << 20).is_some());
        }
        assert_eq!((kept.buffers.len(), kept.elements), (0, 0));
    }

    #[test]
    fn no_value_of_an_earlier_owner_shows() {
        for _ in 0..3 {
            let mut buffer = Buffer::full(LEAST_ELEMENTS, 0.0);
            assert!(buffer.iter().all(|&element| element == 0.0));
            buffer.fill(7.0);
            assert_eq!(buffer.clone()[..], buffer[..]);
        }
    }
}
