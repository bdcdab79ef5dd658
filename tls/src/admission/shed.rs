// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many strangers may still connect, where the shell can refuse the others before TCP answers them.
//!
//! Taking a connection in costs a quarter of a handshake. Where more come than can be computed, each that is taken in and
//! dropped later takes time from one that could have been served; so as many are let in as can be computed, and some
//! more, from whom the line chooses. Whom the shell knows (good standing) is let in whatever the share.

/// The share of strangers that is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// Everybody.
    pub const ALL: Self = Self(u32::MAX);
    /// Nobody is refused for longer than the few tries that TCP makes: one of 256 always comes in.
    const LEAST: Self = Self(u32::MAX >> 8);

    /// The share as a threshold: whose random number, of 32 bits, is above it is refused.
    pub const fn threshold(self) -> u32 {
        self.0
    }

    fn times(self, numerator: u32, denominator: u32) -> Self {
        let scaled = u64::from(self.0) * u64::from(numerator) / u64::from(denominator.max(1));
        Self(u32::try_from(scaled).unwrap_or(u32::MAX).max(Self::LEAST.0))
    }
}

/// What happened in an interval.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Connections taken in.
    pub taken: u32,
    /// Handshakes computed.
    pub computed: u32,
    /// All that had come were taken in at least once.
    pub drained: bool,
    /// The line's delay was above its target at the end.
    pub behind: bool,
}

/// Moves the share, once an interval of some 100 ms.
#[derive(Clone, Copy, Debug)]
pub struct Shed {
    share: Share,
}

impl Default for Shed {
    fn default() -> Self {
        Self { share: Share::ALL }
    }
}

impl Shed {
    /// The share now.
    pub const fn share(&self) -> Share {
        self.share
    }

    /// Judges an interval; gives the share if it changes. It falls to what can be computed and a quarter more, to an eighth
    /// at most in one step, and doubles where the server keeps up: back from the least to all in nine intervals.
    pub fn observe(&mut self, interval: &Interval) -> Option<Share> {
        let Interval { taken, computed, drained, behind } = *interval;
        let enough = computed.saturating_add(computed / 4).max(1);
        let next = if !behind && drained {
            self.share.times(2, 1)
        } else if taken > enough {
            self.share.times(enough.max(taken / 8), taken)
        } else if !drained {
            // Taken in is what time allowed, not what came.
            self.share.times(1, 2)
        } else {
            self.share
        };
        (core::mem::replace(&mut self.share, next) != next).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_with_what_can_be_computed_and_comes_back() {
        let mut shed = Shed::default();
        assert_eq!(shed.observe(&Interval { taken: 50, computed: 50, drained: true, behind: false }), None);
        let flood = Interval { taken: 500, computed: 200, drained: true, behind: true };
        let share = shed.observe(&flood).unwrap();
        assert!(share.threshold() / (u32::MAX / 100) == 50, "{share:?}");
        for _ in 0..100 {
            shed.observe(&Interval { taken: u32::MAX, computed: 0, drained: false, behind: true });
        }
        assert_eq!(shed.share(), Share::LEAST);
        let calm = Interval { taken: 1, computed: 1, drained: true, behind: false };
        assert_eq!((0..20).filter(|_| shed.observe(&calm).is_some()).count(), 9);
        assert_eq!(shed.share(), Share::ALL);
    }

    #[test]
    fn nothing_that_is_reported_breaks_it() {
        let mut shed = Shed::default();
        for taken in [0, 1, u32::MAX] {
            for computed in [0, 1, u32::MAX] {
                for (drained, behind) in [(false, false), (false, true), (true, false), (true, true)] {
                    shed.observe(&Interval { taken, computed, drained, behind });
                    assert!(shed.share().threshold() >= Share::LEAST.threshold());
                }
            }
        }
    }
}
