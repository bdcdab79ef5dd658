// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of each kind of work one sweep of the shell's loop does, by what the work has cost lately.
//!
//! Nobody has a result before all of a sweep have it, and who comes meanwhile waits in the kernel's queue, which is served in order:
//! so a sweep is bounded by time, not by a number. Where a handshake costs milliseconds, a sweep is one handshake.

/// Nanoseconds that the handshakes of one sweep may take, unless that many come out of the lanes together.
const SWEEP: u32 = 10_000_000;
/// Connections taken in for each handshake computed, at least. More than one, so that who waits does so in the line of
/// handshakes, which knows whom to serve, and not in the kernel's queue.
const AHEAD: u32 = 4;
/// Most connections taken in at a time: what others wait for them. And as many before it is known what handshakes cost.
const MOST: u32 = 1024;
const UNKNOWN: u32 = 256;

/// What the work has cost lately.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Nanoseconds of public-key work for a handshake; 0 before the first.
    handshake: u32,
    /// Nanoseconds for taking a connection in, up to its hello; 0 before the first.
    intake: u32,
}

impl Pace {
    /// The public-key work of `count` handshakes took so many nanoseconds.
    pub fn computed(&mut self, count: u32, nanoseconds: u64) {
        follow(&mut self.handshake, count, nanoseconds);
    }

    /// Taking in `count` connections took so many nanoseconds.
    pub fn took_in(&mut self, count: u32, nanoseconds: u64) {
        follow(&mut self.intake, count, nanoseconds);
    }

    /// Microseconds of public-key work that a handshake has cost lately; `None` before the first.
    pub fn handshake(&self) -> Option<u32> {
        (self.handshake > 0).then_some(self.handshake / 1000)
    }

    /// Handshakes to compute in one sweep: at most `most`, and not fewer than `lanes`, which cost what one does. As few before it is
    /// known what they cost.
    pub fn handshakes(&self, lanes: u32, most: u32) -> u32 {
        SWEEP.checked_div(self.handshake).unwrap_or(lanes).max(lanes).min(most)
    }

    /// Connections to take in beside so many handshakes: a quarter of their time goes for it, and more if that is too little
    /// to have some to choose from.
    pub fn intake(&self, handshakes: u32) -> u32 {
        let quarter = u64::from(self.handshake) * u64::from(handshakes) / 4;
        let by_time = quarter.checked_div(self.intake.into()).and_then(|count| u32::try_from(count).ok());
        let by_time = if self.handshake == 0 { Some(UNKNOWN) } else { by_time };
        by_time.unwrap_or(0).max(handshakes.saturating_mul(AHEAD)).min(MOST)
    }
}

/// Goes a quarter of the way to what each of the last `count` took.
fn follow(cost: &mut u32, count: u32, nanoseconds: u64) {
    let Some(each) = nanoseconds.checked_div(count.into()) else { return };
    let each = u32::try_from(each).unwrap_or(u32::MAX).max(1);
    *cost = match *cost {
        0 => each,
        before => before - before / 4 + each / 4,
    }
    .max(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_bounded_by_time() {
        let mut pace = Pace::default();
        assert_eq!((pace.handshakes(8, 64), pace.handshake()), (8, None));
        for (nanoseconds, handshakes) in [(30_000, 64), (1_000_000, 10), (6_300_000, 1), (100_000_000, 1)] {
            (0..100).for_each(|_| pace.computed(1, nanoseconds));
            let sweep = pace.handshakes(1, 64);
            assert!(sweep.abs_diff(handshakes) <= handshakes / 8, "{sweep} of {nanoseconds} ns");
            assert_eq!(pace.handshakes(8, 64), sweep.max(8), "lanes cost the same for eight as for one");
            assert_eq!(pace.handshakes(8, 4), 4);
        }
    }

    #[test]
    fn where_handshakes_are_dear_all_who_come_are_taken_in() {
        let mut pace = Pace::default();
        assert_eq!(pace.intake(8), UNKNOWN);
        pace.took_in(100, 800_000);
        pace.computed(8, 240_000);
        assert_eq!(pace.intake(8), 32, "cheap handshakes: some to choose from");
        (0..100).for_each(|_| pace.computed(1, 6_300_000));
        let taken = pace.intake(1);
        assert!((150..200).contains(&taken), "a quarter of 6.3 ms, at 8 us each: {taken}");
    }

    #[test]
    fn nothing_that_is_measured_breaks_it() {
        let mut pace = Pace::default();
        for count in [0, 1, u32::MAX] {
            for nanoseconds in [0, 1, u64::MAX] {
                pace.computed(count, nanoseconds);
                pace.took_in(count, nanoseconds);
                assert!((1..=64).contains(&pace.handshakes(1, 64)));
                assert!((1..=MOST).contains(&pace.intake(1)));
                assert_eq!(pace.intake(u32::MAX), MOST);
            }
        }
    }
}
