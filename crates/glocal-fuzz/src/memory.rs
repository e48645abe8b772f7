//! How much memory a piece of work takes at most: everything that this program allocates is counted.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Memory that reading and importing a file may take, per byte of the file and of its external data.
pub const BYTES_PER_FILE_BYTE: usize = 4;

/// Memory that reading and importing any file may take beside that: a graph of many small nodes is larger in memory
/// than in the file.
pub const ALLOWANCE: usize = 64 << 20;

/// What the work returns, and the most bytes that were allocated at once meanwhile, beyond what was before. Other threads'
/// allocations count as well.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}

/// The most bytes that a file of this size justifies.
#[must_use]
pub fn limit(file_bytes: usize) -> usize {
    file_bytes.saturating_mul(BYTES_PER_FILE_BYTE).saturating_add(ALLOWANCE)
}
