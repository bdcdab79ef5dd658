// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many may still connect, where the shell can refuse others before TCP answers them.
//!
//! Taking connections in takes time from handshakes. Where that is more than a part of the time, it serves more clients to refuse
//! some: the heavy first, others only when next to no heavy one is let in. Whom the shell knows (good standing) is let in
//! whatever the shares. Nobody is refused while the server has time left, and nobody because handshakes are dear:
//! the line chooses better than a random number, as long as it costs little to enter it.

/// The share of those that come which is let in.
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

    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    fn times(self, (numerator, denominator): (u64, u64)) -> Self {
        let scaled = u128::from(self.0) * u128::from(numerator) / u128::from(denominator.max(1));
        Self(u32::try_from(scaled).unwrap_or(u32::MAX).max(Self::LEAST.0))
    }
}

/// What happened in an interval; times in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Its length.
    pub length: u64,
    /// How long the shell had nothing to do.
    pub idle: u64,
    /// Connections taken in.
    pub taken: u32,
    /// How long that took.
    pub intake: u64,
    /// Handshakes computed.
    pub computed: u32,
    /// All that had come were taken in at least once.
    pub drained: bool,
    /// More come than can be computed: [`super::Level::Overloaded`].
    pub overloaded: bool,
    /// Sources are known that are heavy.
    pub heavy: bool,
}

impl Interval {
    /// By how much more or less may be taken in, as a fraction: as many as are computed and a quarter more, from whom the line
    /// chooses, and whatever fits into an eighth of the time.
    fn room(&self) -> (u64, u64) {
        let taken = u64::from(self.taken.max(1));
        let enough = u64::from(self.computed).saturating_mul(5) / 4;
        let in_time = taken.saturating_mul(self.length / 8) / self.intake.max(1);
        (enough.max(in_time).clamp(taken / 8, taken.saturating_mul(2)), taken)
    }
}

/// The shares, moved once an interval of some 100 ms.
#[derive(Clone, Copy, Debug)]
pub struct Shed {
    heavy: Share,
    others: Share,
}

impl Default for Shed {
    fn default() -> Self {
        Self { heavy: Share::ALL, others: Share::ALL }
    }
}

impl Shed {
    /// The share of heavy sources now.
    pub const fn heavy(&self) -> Share {
        self.heavy
    }

    /// The share of all others of whom nothing is known.
    pub const fn others(&self) -> Share {
        self.others
    }

    /// Whether somebody is refused.
    pub fn refuses(&self) -> bool {
        self.heavy != Share::ALL
    }

    /// Judges an interval. `true` if a share changes. It falls to an eighth at most in one step, and doubles where the server
    /// keeps up: back from the least to all in nine intervals each.
    pub fn observe(&mut self, interval: &Interval) -> bool {
        let before = (self.heavy, self.others);
        let left = interval.idle > interval.length / 32;
        if left || !interval.overloaded && interval.drained {
            self.move_by((2, 1), interval.heavy);
        } else {
            let (room, taken) = interval.room();
            // Taken in is what time allowed, not what came.
            let room = if interval.drained { room } else { room.min(taken / 2) };
            self.move_by((room, taken), interval.heavy);
        }
        before != (self.heavy, self.others)
    }

    /// The heavy are the first to be refused, and the last to be let in again.
    fn move_by(&mut self, (numerator, denominator): (u64, u64), is_heavy: bool) {
        let others_move = if numerator > denominator {
            self.others != Share::ALL
        } else {
            !is_heavy || self.heavy == Share::LEAST
        };
        if others_move {
            self.others = self.others.times((numerator, denominator));
            self.heavy = if is_heavy { self.heavy } else { self.others }.min(self.others);
        } else {
            self.heavy = self.heavy.times((numerator, denominator));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 ms of a flood of ECDSA handshakes, taken in at 8 us each, while 32 us each go for what is computed.
    fn flood(taken: u32, heavy: bool) -> Interval {
        let intake = u64::from(taken) * 8;
        let computed = u32::try_from((100_000 - intake) / 32).unwrap();
        Interval { length: 100_000, idle: 0, taken, intake, computed, drained: true, overloaded: true, heavy }
    }

    #[test]
    fn as_many_come_in_as_there_is_time_for_and_all_come_back() {
        let mut shed = Shed::default();
        assert!(!shed.observe(&Interval { overloaded: false, ..flood(1000, false) }));
        assert!(shed.observe(&flood(6250, false)));
        let share = shed.others().threshold() / (u32::MAX / 100);
        assert!((30..=32).contains(&share), "five for four of the 1562 that were computed: {share} %");
        assert_eq!(shed.heavy(), shed.others());
        let dear = Interval { computed: 100, ..flood(1562, false) };
        assert!(!shed.observe(&dear) && dear.intake <= dear.length / 8, "an eighth of the time");
        for _ in 0..100 {
            shed.observe(&flood(12_499, false));
        }
        assert_eq!(shed.others(), Share::LEAST);
        let calm = Interval { overloaded: false, ..flood(10, false) };
        assert_eq!((0..20).filter(|_| shed.observe(&calm)).count(), 9);
        assert!(!shed.refuses());
    }

    #[test]
    fn nobody_is_refused_because_handshakes_are_dear() {
        let mut shed = Shed::default();
        for taken in [16, 48, 160, 800] {
            assert!(
                !shed.observe(&Interval { computed: 16, ..flood(taken, true) }),
                "{taken} for 16 computed"
            );
        }
    }

    #[test]
    fn nobody_is_refused_while_there_is_time_left() {
        let mut shed = Shed::default();
        (0..100).for_each(|_| assert!(!shed.observe(&Interval { idle: 5000, ..flood(10_000, true) })));
        while shed.observe(&flood(10_000, true)) {}
        assert!(shed.refuses());
        // Although the line's delay is above its target, which in the worst case one who waits for long sees to.
        while shed.observe(&Interval { idle: 5000, ..flood(10, true) }) {}
        assert!(!shed.refuses());
    }

    #[test]
    fn the_heavy_go_first_and_come_back_last() {
        let mut shed = Shed::default();
        while shed.heavy() != Share::LEAST {
            assert!(shed.observe(&flood(12_499, true)));
            assert_eq!(shed.others(), Share::ALL);
        }
        shed.observe(&flood(6250, true));
        assert!(shed.others() != Share::ALL);
        while shed.others() != Share::ALL {
            assert_eq!(shed.heavy(), Share::LEAST);
            assert!(shed.observe(&flood(1000, true)));
        }
        assert!(shed.observe(&flood(1000, true)) && shed.heavy() != Share::LEAST);
    }

    #[test]
    fn what_is_left_over_was_too_much() {
        let mut shed = Shed::default();
        assert!(shed.observe(&Interval { drained: false, overloaded: false, ..flood(3000, false) }));
        assert!(shed.others().threshold() <= u32::MAX / 2);
    }

    #[test]
    fn nothing_that_is_reported_breaks_it() {
        let mut shed = Shed::default();
        let times = [0, 1, 100_000, u64::MAX];
        for (taken, computed) in [0, 1, u32::MAX].into_iter().flat_map(|a| [0, 1, u32::MAX].map(|b| (a, b))) {
            for (length, intake) in times.into_iter().flat_map(|a| times.map(|b| (a, b))) {
                for flags in 0..16 {
                    let [drained, overloaded, heavy, is_idle] = [1, 2, 4, 8].map(|flag| flags & flag != 0);
                    let idle = if is_idle { length } else { 0 };
                    shed.observe(&Interval {
                        length,
                        idle,
                        taken,
                        intake,
                        computed,
                        drained,
                        overloaded,
                        heavy,
                    });
                    assert!(shed.heavy().threshold() >= Share::LEAST.threshold());
                    assert!(shed.heavy().threshold() <= shed.others().threshold());
                }
            }
        }
    }
}
