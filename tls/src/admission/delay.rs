// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far behind the server is, by the delay of its line of handshakes: CoDel's rule (RFC 8289 §4), and whether the line grows.
//!
//! A delay alone is no overload: of a number of clients that each wait for their turn before they come again, all have
//! theirs in order of arrival, and the newest first would serve few of them over and over. Where more enter than are computed, no
//! order serves all.

/// How busy the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Handshakes are computed as they come.
    #[default]
    Calm,
    /// The line's delay is above its target, and all can have their turn in time.
    Busy,
    /// More come than can be computed: the newest come first, and whoever waited too long is dropped.
    Overloaded,
}

/// The line at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Milliseconds that the one which came first has been waiting; 0 if nobody waits.
    pub waited: u64,
    /// Milliseconds of work that wait in it.
    pub work: u64,
    /// All that have ever entered it, and of them those whose turn came; both may wrap around.
    pub entered: u32,
    /// See there.
    pub computed: u32,
    /// Some are refused before they can enter it ([`super::Shed::refuses`]).
    pub refuses: bool,
}

/// Handshakes computed after which it shows whether the line grows; intervals after which it has to.
const ENOUGH: u32 = 16;
const AT_LAST: u64 = 10;

/// A time over which entered and computed are compared.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: u64,
    entered: u32,
    computed: u32,
}

/// Judges the delay.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// Milliseconds that a handshake may wait.
    target: u64,
    /// Milliseconds for which the delay may stand above it while the line grows.
    interval: u64,
    /// Milliseconds that clients wait.
    patience: u64,
    /// Runs while the delay is above the target.
    window: Option<Window>,
    level: Level,
}

impl Delay {
    /// A judge with `target`, `interval` and `patience`, in milliseconds.
    pub const fn new(target: u64, interval: u64, patience: u64) -> Self {
        Self { target, interval, patience, window: None, level: Level::Calm }
    }

    /// Follows new limits, and keeps the level.
    pub const fn set(&mut self, target: u64, interval: u64, patience: u64) {
        (self.target, self.interval, self.patience) = (target, interval, patience);
    }

    /// Tells how the line is at `now`, in milliseconds. Gives the level that follows.
    pub fn observe(&mut self, seen: &Seen, now: u64) -> Level {
        if seen.waited <= self.target {
            (self.window, self.level) = (None, Level::Calm);
            return self.level;
        }
        let opened = Window { since: now, entered: seen.entered, computed: seen.computed };
        // A clock that stepped back begins the interval again.
        let Some(window) = self.window.filter(|window| window.since <= now) else {
            self.window = Some(opened);
            self.level = self.level.max(Level::Busy);
            return self.level;
        };
        let lasted = now - window.since;
        let entered = seen.entered.wrapping_sub(window.entered);
        let computed = seen.computed.wrapping_sub(window.computed);
        let shows = computed >= ENOUGH || lasted >= self.interval.saturating_mul(AT_LAST);
        if lasted >= self.interval && shows {
            self.window = Some(opened);
            // Two, because it may have been the turn of one, and of the next not.
            let grows = seen.refuses || entered > computed.saturating_add(computed / 8).saturating_add(2);
            if grows || seen.work >= self.patience / 2 {
                self.level = Level::Overloaded;
            } else if seen.work <= self.patience / 4 {
                self.level = Level::Busy;
            }
        }
        self.level
    }

    /// What [`Self::observe`] gave last.
    pub const fn level(&self) -> Level {
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line in which so many of those that `entered` were `computed`.
    const fn seen(waited: u64, entered: u32, computed: u32) -> Seen {
        Seen { waited, work: (entered - computed) as u64, entered, computed, refuses: false }
    }

    #[test]
    fn a_delay_that_stands_while_the_line_grows_is_overload() {
        let mut delay = Delay::new(5, 100, 2000);
        assert_eq!(delay.observe(&seen(5, 10, 0), 0), Level::Calm);
        assert_eq!(delay.observe(&seen(6, 100, 80), 1000), Level::Busy);
        assert_eq!(delay.observe(&seen(50, 400, 180), 1099), Level::Busy);
        assert_eq!(delay.observe(&seen(0, 400, 400), 1099), Level::Calm, "a peak");
        assert_eq!(delay.observe(&seen(50, 500, 400), 1150), Level::Busy);
        assert_eq!(delay.observe(&seen(50, 800, 500), 1250), Level::Overloaded);
        assert_eq!(delay.observe(&seen(600, 1100, 600), 1350), Level::Overloaded);
        assert_eq!(delay.observe(&seen(5, 1200, 1200), 9001), Level::Calm);
    }

    #[test]
    fn clients_that_take_turns_are_none() {
        let mut delay = Delay::new(5, 100, 2000);
        for interval in 0..100 {
            let computed = u32::try_from(interval).unwrap() * 20;
            assert_eq!(delay.observe(&seen(200, computed + 32, computed), interval * 100), Level::Busy);
        }
    }

    #[test]
    fn overload_ends_when_all_can_have_their_turn() {
        let mut delay = Delay::new(5, 100, 2000);
        delay.observe(&seen(6, 0, 0), 0);
        assert_eq!(delay.observe(&seen(6, 100, 20), 100), Level::Overloaded);
        // No more enter than are computed, but those that wait are many.
        let much = Seen { work: 501, ..seen(900, 120, 40) };
        assert_eq!(delay.observe(&much, 200), Level::Overloaded);
        let refuses = Seen { work: 300, refuses: true, ..seen(1000, 140, 60) };
        assert_eq!(delay.observe(&refuses, 300), Level::Overloaded);
        let little = Seen { work: 500, ..seen(1900, 160, 80) };
        assert_eq!(delay.observe(&little, 400), Level::Busy);
        let much = Seen { work: 1000, ..seen(1900, 180, 100) };
        assert_eq!(delay.observe(&much, 500), Level::Overloaded, "however slowly it has become as much");
    }

    #[test]
    fn slow_work_takes_longer_to_show() {
        let mut delay = Delay::new(5, 100, 2000);
        delay.observe(&seen(6, 10, 5), 0);
        assert_eq!(delay.observe(&seen(100, 30, 6), 100), Level::Busy);
        assert_eq!(delay.observe(&seen(900, 40, 15), 999), Level::Busy);
        assert_eq!(delay.observe(&seen(900, 40, 15), 1000), Level::Overloaded);
    }

    #[test]
    fn a_clock_may_step_either_way_and_counts_may_wrap() {
        let mut delay = Delay::new(5, 100, 2000);
        let at = |waited, entered: u32, computed: u32| Seen {
            waited,
            work: 0,
            entered: entered.wrapping_sub(50),
            computed: computed.wrapping_sub(50),
            refuses: false,
        };
        assert_eq!(delay.observe(&at(6, 0, 0), 5000), Level::Busy);
        assert_eq!(delay.observe(&at(6, 0, 0), 10), Level::Busy);
        assert_eq!(delay.observe(&at(6, 200, 100), 109), Level::Busy);
        assert_eq!(delay.observe(&at(6, 200, 100), 110), Level::Overloaded);
        assert_eq!(delay.observe(&at(u64::MAX, 400, 200), u64::MAX), Level::Overloaded);
        assert_eq!(delay.observe(&at(0, 200, 100), u64::MAX), Level::Calm);
    }
}
