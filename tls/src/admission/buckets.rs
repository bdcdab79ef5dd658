// SPDX-License-Identifier: MIT OR Apache-2.0
//! A rate of full handshakes for each source.

/// Token buckets for `N` groups of sources, in fixed memory: each source prefix falls into one bucket by a
/// keyed hash, so that an attacker can not choose whom to share a bucket with.
pub struct Buckets<const N: usize> {
    buckets: [Bucket; N],
    /// Tokens per second, and the most a bucket holds.
    rate: u32,
    burst: u32,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of tokens.
    level: u64,
    /// Milliseconds of the last refill.
    filled: u64,
}

impl<const N: usize> Buckets<N> {
    /// Full buckets at `now` (milliseconds of any clock) that refill with `rate` tokens per second up to `burst`.
    pub const fn new(rate: u32, burst: u32, now: u64) -> Self {
        let full = Bucket { level: burst as u64 * 1000, filled: now };
        Self { buckets: [full; N], rate, burst }
    }

    /// Takes a token from the bucket that `hash`, a keyed hash of the source prefix, falls into. `false` if it is empty.
    pub fn take(&mut self, hash: u64, now: u64) -> bool {
        let index = usize::try_from(hash % N as u64).unwrap_or(0);
        let Some(bucket) = self.buckets.get_mut(index) else { return true };
        let elapsed = now.saturating_sub(bucket.filled);
        let full = u64::from(self.burst) * 1000;
        bucket.level = full.min(bucket.level.saturating_add(elapsed.saturating_mul(u64::from(self.rate))));
        bucket.filled = now.max(bucket.filled);
        match bucket.level.checked_sub(1000) {
            Some(left) => {
                bucket.level = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = Buckets::<4>::new(10, 5, 1000);
        assert_eq!((0..8).filter(|_| buckets.take(1, 1000)).count(), 5);
        // Ten per second: one after 100 ms, none at 99.
        assert!(!buckets.take(1, 1099));
        assert!(buckets.take(1, 1100));
        assert!(!buckets.take(1, 1100));
        // Another bucket is untouched; a long pause fills only to the burst.
        assert!(buckets.take(2, 1100));
        assert_eq!((0..50).filter(|_| buckets.take(1, 1_000_000)).count(), 5);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut buckets = Buckets::<1>::new(1000, 1, 5000);
        assert!(buckets.take(0, 5000));
        assert!(!buckets.take(0, 0));
        assert!(!buckets.take(0, 5000));
        assert!(buckets.take(0, 5001));
    }
}
