//! What is at hand while results are made, run by run.

use std::collections::BTreeMap;

use crate::attribution::execute::plan::Plan;

/// Room for what passes brought down and conditions of later runs start from.
const KEPT_BYTES: usize = 64 << 20;

/// What a row of a pass is known by: relevance of the same key is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The row of the trace.
    pub(super) row: usize,
    /// The row of the initial relevance.
    pub(super) initial: usize,
    pub(super) pass: usize,
}

/// A result to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// The row of the trace.
    pub(super) row: usize,
    /// The row of the initial relevance.
    pub(super) initial: usize,
    pub(super) condition: usize,
}

impl Pair {
    pub(super) fn key(&self, pass: usize) -> Key {
        Key { row: self.row, initial: self.initial, pass }
    }
}

/// What the rows of passes left behind, in this run of results and, as far as there is room, in those before.
#[derive(Debug)]
pub(super) struct Run<T> {
    passed: BTreeMap<Key, T>,
    /// What stays from earlier runs, in bytes.
    kept: usize,
}

impl<T> Run<T> {
    pub(super) fn new() -> Self {
        Self { passed: BTreeMap::new(), kept: 0 }
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.passed.contains_key(key)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&T> {
        self.passed.get(key)
    }

    pub(super) fn insert(&mut self, key: Key, passed: T) {
        self.passed.insert(key, passed);
    }

    /// What is kept, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.kept
    }

    /// Drops what no later result starts from, and what there is no room for. A pass that others of the tree start from
    /// comes before them in the order of keys, and is kept rather than they.
    pub(super) fn end(&mut self, plan: &Plan<'_>, last: (usize, usize)) {
        self.kept = 0;
        let kept = &mut self.kept;
        self.passed.retain(|key, _| {
            let bytes = plan.bytes(key.pass);
            let keep = plan.is_needed_after(last, key) && *kept + bytes <= KEPT_BYTES;
            *kept += if keep { bytes } else { 0 };
            keep
        });
    }
}
