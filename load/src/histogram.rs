// SPDX-License-Identifier: MIT OR Apache-2.0
//! A latency histogram in the manner of HdrHistogram: every power of two is cut into 128 equal steps,
//! so that a percentile is known to better than 1 % from nanoseconds to centuries, in 58 KiB.

use std::time::Duration;

/// Steps per power of two, as a power of two.
const PRECISION: u32 = 7;
const STEPS: u64 = 1 << PRECISION;
/// Values below `STEPS` each have a slot; each further bit of a `u64` has `STEPS` slots.
const SLOTS: usize = (1 << PRECISION) * (64 - PRECISION as usize + 1);

/// Counts of durations.
pub(super) struct Histogram {
    slots: Box<[u64]>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// Nothing counted yet.
    pub(super) fn new() -> Self {
        Self { slots: vec![0; SLOTS].into(), count: 0, sum: 0, max: 0 }
    }

    /// Counts one duration.
    pub(super) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.slots[slot(nanoseconds)] += 1;
        self.count += 1;
        self.sum += u128::from(nanoseconds);
        self.max = self.max.max(nanoseconds);
    }

    /// How many were counted.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub(super) const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The mean, exactly; zero if nothing was counted.
    pub(super) fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// What `per_mille` thousandths of all do not exceed, to the upper edge of its step; zero if nothing
    /// was counted.
    pub(super) fn quantile(&self, per_mille: u64) -> Duration {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.slots.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_edge(index).min(self.max));
            }
        }
        Duration::ZERO
    }
}

/// Where `value` is counted.
#[allow(clippy::cast_possible_truncation)] // below SLOTS
const fn slot(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = 64 - value.leading_zeros() - PRECISION - 1;
    // The leading one is implied by `shift`: what remains of `value >> shift` is below STEPS.
    (STEPS * (shift as u64 + 1) + (value >> shift) - STEPS) as usize
}

/// The largest value counted in `slot`.
const fn upper_edge(slot: usize) -> u64 {
    let (range, step) = (slot as u64 / STEPS, slot as u64 % STEPS);
    if range == 0 {
        return step;
    }
    let shift = range - 1;
    ((STEPS + step) << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_slot_within_one_percent() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in edges.chain([u64::MAX]).chain((0..100_000).map(|i| i * 7919)) {
            let edge = upper_edge(slot(value));
            assert!(edge >= value, "{value}");
            assert!(edge - value <= value / 100, "{value}: {edge}");
            assert!(slot(value) == 0 || upper_edge(slot(value) - 1) < value, "{value}");
        }
        assert_eq!(slot(u64::MAX), SLOTS - 1);
    }

    #[test]
    fn quantiles_of_a_known_series() {
        let mut histogram = Histogram::new();
        for microseconds in 1..=1000 {
            histogram.record(Duration::from_micros(microseconds));
        }
        assert_eq!(histogram.count(), 1000);
        assert_eq!(histogram.max(), Duration::from_millis(1));
        assert_eq!(histogram.mean(), Duration::from_nanos(500_500));
        for (per_mille, microseconds) in [(500, 500.0), (990, 990.0), (999, 999.0), (1000, 1000.0)] {
            let found = histogram.quantile(per_mille).as_secs_f64() * 1e6;
            assert!((found / microseconds - 1.0).abs() < 0.01, "{per_mille}: {found}");
        }
        assert_eq!(Histogram::new().quantile(500), Duration::ZERO);
    }
}
