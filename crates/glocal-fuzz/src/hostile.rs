//! Files that attack on purpose.
