// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts of what exists: whoever is counted holds a value that counts it out again when it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many of something there are, in all threads that share it.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicUsize>);

/// One of those that a [`Count`] counts.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

impl Count {
    /// Counts one more in.
    pub fn add(&self) -> Counted {
        self.0.fetch_add(1, Relaxed);
        Counted(Arc::clone(&self.0))
    }

    /// Counts one more in; `None` if there are `limit` already.
    pub fn enter(&self, limit: usize) -> Option<Counted> {
        let before = self.0.fetch_add(1, Relaxed);
        // In first and out again, if need be: of two threads only one can be the last.
        let counted = Counted(Arc::clone(&self.0));
        (before < limit).then_some(counted)
    }

    /// How many there are.
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_is_counted_out() {
        let count = Count::default();
        let first = count.enter(2).expect("room");
        let second = count.enter(2).expect("room");
        assert!(count.enter(2).is_none());
        assert_eq!(count.get(), 2);
        drop(first);
        assert!(count.enter(2).is_some());
        drop(second);
        assert_eq!(count.get(), 0);
    }
}
