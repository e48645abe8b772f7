//! How much memory a model may take: a bound that follows from the bytes that are there, not from what the file claims.

use crate::error::{OnnxError, OnnxErrorKind};

/// Memory granted per byte of the model file and of each external data file. Weights in f32 take 1 (2 for f16, 4 for `int16`),
/// and those that are not in `raw_data` another for the messages.
const BYTES_PER_FILE_BYTE: u64 = 4;

/// Memory granted to every model: a graph of many small nodes is larger in memory than in the file, and this is room
/// for about 50,000 of them.
const ALLOWANCE: u64 = 64 << 20;

/// Counts what decoding will allocate, before it does.
pub(crate) struct Budget {
    granted: u64,
    used: u64,
}

impl Budget {
    /// The budget of a model file of this many bytes, all of which may be needed at once.
    pub(crate) fn for_file(bytes: u64) -> Self {
        let mut budget = Self { granted: ALLOWANCE, used: bytes };
        budget.grant(bytes);
        budget
    }

    /// Adds what one more file of this many bytes may take.
    pub(crate) fn grant(&mut self, file_bytes: u64) {
        self.granted = self.granted.saturating_add(file_bytes.saturating_mul(BYTES_PER_FILE_BYTE));
    }

    /// Books memory that is about to be allocated.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), OnnxError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.granted {
            return Err(OnnxErrorKind::MemoryLimit { needed: self.used, limit: self.granted }.into());
        }
        Ok(())
    }

    /// Takes back what was booked for memory that is free again.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }
}
