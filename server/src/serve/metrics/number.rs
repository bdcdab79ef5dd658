// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one worker writes and anyone reads.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
