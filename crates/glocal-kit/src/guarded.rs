//! Files of others meet a library that checks some of what they say by assertions.

use std::panic::AssertUnwindSafe;

use parquet::errors::{ParquetError, Result};

/// Turns a panic of the Parquet library into an error. What was being read is to be thrown away.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("the Parquet library gave up on it".to_owned())))
}
