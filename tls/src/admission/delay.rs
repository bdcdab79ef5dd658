// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far behind the server is, by the delay of its line of handshakes: CoDel's rule (RFC 8289 §4).

/// How busy the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Handshakes are computed as they come.
    #[default]
    Calm,
    /// The line's delay is above its target, but not for an interval yet.
    Busy,
    /// It has been for an interval: the newest come first, and whoever waited too long is dropped.
    Overloaded,
}

/// Judges the delay.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// Milliseconds that a handshake may wait.
    target: u64,
    /// Milliseconds for which the delay may stand above it.
    interval: u64,
    /// Since when it has been above.
    above: Option<u64>,
    level: Level,
}

impl Delay {
    /// A judge with `target` and `interval`, in milliseconds.
    pub const fn new(target: u64, interval: u64) -> Self {
        Self { target, interval, above: None, level: Level::Calm }
    }

    /// Tells for how long the one that came first has been waiting at `now`, in milliseconds; 0 if nobody waits.
    /// Gives the level that follows.
    pub fn observe(&mut self, waited: u64, now: u64) -> Level {
        if waited <= self.target {
            self.above = None;
            self.level = Level::Calm;
            return self.level;
        }
        // A clock that stepped back begins the interval again.
        let since = self.above.filter(|&since| since <= now).unwrap_or(now);
        self.above = Some(since);
        self.level = if now - since >= self.interval { Level::Overloaded } else { Level::Busy };
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

    #[test]
    fn a_delay_that_stands_is_overload_and_a_peak_is_not() {
        let mut delay = Delay::new(5, 100);
        assert_eq!(delay.observe(5, 0), Level::Calm);
        assert_eq!(delay.observe(6, 1000), Level::Busy);
        assert_eq!(delay.observe(50, 1099), Level::Busy);
        assert_eq!(delay.observe(0, 1099), Level::Calm);
        assert_eq!(delay.observe(50, 1150), Level::Busy);
        assert_eq!(delay.observe(50, 1250), Level::Overloaded);
        assert_eq!(delay.observe(6, 9000), Level::Overloaded);
        assert_eq!(delay.observe(5, 9001), Level::Calm);
    }

    #[test]
    fn a_clock_may_step_either_way() {
        let mut delay = Delay::new(5, 100);
        assert_eq!(delay.observe(6, 5000), Level::Busy);
        assert_eq!(delay.observe(6, 10), Level::Busy);
        assert_eq!(delay.observe(6, 109), Level::Busy);
        assert_eq!(delay.observe(6, 110), Level::Overloaded);
        assert_eq!(delay.observe(u64::MAX, u64::MAX), Level::Overloaded);
        assert_eq!(delay.observe(0, u64::MAX), Level::Calm);
    }
}
