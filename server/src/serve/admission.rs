// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who comes next: a worker's tables of sources, its line of handshakes, and what it refuses in overload.
//!
//! The policy is [`ttls::admission`]'s. Here are the tables' memory, the keyed hashes and the clock.

use super::random::kernel;
use super::syn_filter::{Keys, Thresholds, Writer};
use crate::settings::Overload;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;
use ttls::admission::{
    Cell, Class, Delay, Demand, Due, HalfOpen, Heaviest, Interval, Level, Line, Link, Pace, Place, ROWS,
    Rank, Seen, Set, Shed, Source, Standing,
};

/// Microseconds charged for taking a connection in with its hello. One that gets no further costs about that; measured on
/// Zen 3, and only its proportion to the rest matters.
const INTAKE: u32 = 8;
/// Microseconds charged for a handshake besides its public-key work.
const HANDSHAKE: u32 = 25;
/// What one user may cost lately without waiting behind others, in microseconds: a browser's connections to a page, with ECDSA.
const LIGHT: u32 = 16 * (INTAKE + HANDSHAKE + 20);
/// And in any case so many handshakes, where they are dearer.
const HANDSHAKES: u32 = 2;

/// Cells of a row of the demand: 512 KiB for all.
const CELLS: usize = 1 << 14;
/// Sets of addresses in good standing: 512 KiB for 65,536 addresses.
const SETS: usize = 1 << 13;
/// Sources that can be refused at once.
const HEAVIEST: usize = 256;

/// Milliseconds between two judgements of the share of strangers.
const INTERVAL: u64 = 100;
/// A prefix of several addresses may cost as much as so many users.
const PREFIX_USERS: u32 = 16;

/// A source as the tables know it.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    hash: u64,
    /// Of the prefix around it: an IPv4 /24, an IPv6 /48.
    prefix: u64,
    key: u32,
}

/// What the policy keeps of a worker's connections.
pub struct Admission {
    hasher: RandomState,
    keys: Keys,
    filters: Writer,
    demand: Demand<Box<[Cell]>>,
    standing: Standing<Box<[Set]>>,
    heaviest: Heaviest<Box<[Source]>>,
    line: Line<Box<[Link]>>,
    /// Connections in their handshake.
    pub half_open: HalfOpen<Box<[Place]>>,
    delay: Delay,
    /// All that have ever entered the line, and of them those whose turn came.
    entered: u32,
    called: u32,
    pace: Pace,
    shed: Shed,
    interval: Interval,
    interval_began: u64,
    interval_ends: u64,
    /// Connections had come that were not taken in.
    left_over: bool,
    /// When programs were last renewed without another reason.
    renewed: u64,
    patience: u64,
}

/// What a judgement asks the worker to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The level, if it has changed.
    pub level: Option<Level>,
    /// Listening sockets are to answer others than before: see [`Admission::filter`].
    pub filter: bool,
}

impl Admission {
    /// Tables for at most `connections`, at `clock` (milliseconds).
    pub fn new(connections: usize, overload: &Overload, clock: u64) -> Self {
        let mut random = [0; 8];
        kernel(&mut random);
        let [a, b, c, d, e, f, g, h] = random;
        let keys = Keys::new([u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]);
        Self {
            hasher: RandomState::new(),
            keys,
            filters: Writer::new(keys),
            demand: Demand::new(vec![Cell::EMPTY; ROWS * CELLS].into()),
            standing: Standing::new(vec![Set::EMPTY; SETS].into(), overload.standing),
            heaviest: Heaviest::new(vec![Source::default(); HEAVIEST].into()),
            line: Line::new(vec![Link::OUTSIDE; connections].into()),
            half_open: HalfOpen::new(vec![Place::FREE; connections].into()),
            delay: Delay::new(overload.target, overload.interval, overload.patience),
            entered: 0,
            called: 0,
            pace: Pace::default(),
            shed: Shed::default(),
            interval: Interval::default(),
            interval_began: clock,
            interval_ends: clock + INTERVAL,
            left_over: false,
            renewed: clock,
            patience: overload.patience,
        }
    }

    /// Follows new settings; how long good standing lasts stays as it is.
    pub const fn set_limits(&mut self, overload: &Overload) {
        self.delay.set(overload.target, overload.interval, overload.patience);
        self.patience = overload.patience;
    }

    /// How the tables know a source.
    pub fn address(&self, source: IpAddr) -> Address {
        let (own, around) = match source.to_canonical() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), u128::from(v4.to_bits() >> 8)),
            IpAddr::V6(v6) => (v6.to_bits() >> 64, v6.to_bits() >> 80),
        };
        let family = source.to_canonical().is_ipv6();
        Address {
            hash: self.hasher.hash_one((family, false, own)),
            prefix: self.hasher.hash_one((family, true, around)),
            key: self.keys.of(source),
        }
    }

    /// What one user may cost lately without waiting behind others, in microseconds.
    fn light(&self) -> u32 {
        self.pace.handshake().map_or(LIGHT, |handshake| handshake.saturating_mul(HANDSHAKES).max(LIGHT))
    }

    /// A connection from a source has been taken in. `false` if it is to end at once: the source has cost so much
    /// lately that nothing speaks for it, there is more to do than can be done, and `random`, of 32 bits, decides against it.
    pub fn taken_in(&mut self, address: Address, random: u32, clock: u64) -> bool {
        self.interval.taken = self.interval.taken.saturating_add(1);
        let demand = self.charge(address, INTAKE, clock);
        random <= self.shed.heavy().threshold()
            || demand < Rank::heavy(self.light())
            || self.standing.is_good(address.hash, address.key, clock)
    }

    /// How long it took to take `count` connections in, up to their hello.
    pub fn took(&mut self, count: u32, time: Duration) {
        self.pace.took_in(count, nanoseconds(time));
        self.interval.intake += nanoseconds(time) / 1000;
    }

    /// How long there was nothing to do.
    pub fn idled(&mut self, time: Duration) {
        self.interval.idle += nanoseconds(time) / 1000;
    }

    /// How long the public-key work of `count` handshakes took.
    pub fn worked(&mut self, count: u32, time: Duration) {
        self.pace.computed(count, nanoseconds(time));
    }

    /// How much a sweep does.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Connections have been taken in: all that had come, or not.
    pub const fn left(&mut self, all: bool) {
        self.left_over = !all;
        self.interval.drained |= all;
    }

    /// Milliseconds from `clock` until [`Self::judge`] is due although nothing happens; `None` if it is not: where
    /// strangers are refused, nobody else may come to wake the worker.
    pub fn wait(&self, clock: u64) -> Option<u64> {
        let watches = self.shed.refuses() || self.level() != Level::Calm;
        watches.then(|| self.interval_ends.saturating_sub(clock))
    }

    /// A connection's handshake is due for public-key work, and enters the line. It `resumes` where it brought a ticket that opened. Gives what
    /// speaks for it.
    pub fn enter(&mut self, id: u32, address: Address, resumes: bool, since: u64, clock: u64) -> Class {
        let class = if resumes {
            Class::Ticket
        } else if self.standing.is_good(address.hash, address.key, clock) {
            Class::Standing
        } else {
            Class::New
        };
        let rank = Rank::new(class, self.demand_of(address, clock), self.light());
        if self.line.enter(id, rank, since) {
            self.entered = self.entered.wrapping_add(1);
        }
        class
    }

    /// The connection waits no more for public-key work.
    pub fn leave(&mut self, id: u32) {
        self.line.leave(id);
    }

    /// Whose turn it is.
    pub fn call_next(&mut self) -> Option<Due> {
        self.line.next(self.level() == Level::Overloaded)
    }

    /// One who has waited for longer than clients do.
    pub fn overdue(&mut self, clock: u64) -> Option<Due> {
        self.line.overdue(clock.saturating_sub(self.patience))
    }

    /// The turn of a source's handshake has come.
    pub fn called(&mut self, address: Address, clock: u64) {
        self.interval.computed = self.interval.computed.saturating_add(1);
        self.called = self.called.wrapping_add(1);
        self.charge(address, HANDSHAKE, clock);
    }

    /// Public-key work of a source's handshake took `cost` microseconds.
    pub fn computed(&mut self, address: Address, cost: u32, clock: u64) {
        self.charge(address, cost, clock);
    }

    /// A source has completed a handshake and used the connection.
    pub fn used(&mut self, address: Address, clock: u64) {
        self.standing.used(address.hash, address.key, clock);
    }

    /// Handshakes that wait.
    pub const fn waiting(&self) -> usize {
        self.line.len()
    }

    /// How busy the worker is.
    pub const fn level(&self) -> Level {
        self.delay.level()
    }

    /// What a source and the prefix around it have cost lately, as far as it weighs.
    pub fn demand_of(&self, address: Address, clock: u64) -> u32 {
        let around = self.demand.of(address.prefix, clock) / PREFIX_USERS;
        self.demand.of(address.hash, clock).max(around)
    }

    /// What keeping a half-open connection costs others: see [`ttls::admission::burden`].
    pub fn burden(&self, address: Address, silent: u64, round_trip: u64, clock: u64) -> u64 {
        ttls::admission::burden(self.demand_of(address, clock), self.light(), silent, round_trip)
    }

    /// Judges the delay after a sweep, and once an interval how many strangers may come.
    pub fn judge(&mut self, clock: u64) -> Verdict {
        let before = self.level();
        let level = self.delay.observe(&self.seen(clock), clock);
        let mut filter = false;
        if clock >= self.interval_ends {
            let mut interval = std::mem::take(&mut self.interval);
            interval.length = clock.saturating_sub(self.interval_began).saturating_mul(1000);
            interval.overloaded = level == Level::Overloaded;
            // Where nobody has come, nobody is left over.
            interval.drained |= !self.left_over;
            let had = self.heaviest.iter().count();
            let (demand, heavy) = (&self.demand, Rank::heavy(self.light()));
            self.heaviest.refresh(heavy, |hash| demand.of(hash, clock));
            let heavy = self.heaviest.iter().count();
            interval.heavy = heavy > 0;
            let moved = self.shed.observe(&interval);
            (self.interval_began, self.interval_ends) = (clock, clock + INTERVAL);
            // Who is good or heavy changes all the time; the programs need not follow each change at once.
            filter = moved || self.shed.refuses() && (heavy != had || self.renew(clock));
        }
        let changed = level != before;
        Verdict { level: changed.then_some(level), filter }
    }

    /// The line as it is.
    fn seen(&self, clock: u64) -> Seen {
        let handshake = u64::from(self.pace.handshake().unwrap_or(0));
        Seen {
            waited: self.line.oldest().map_or(0, |since| clock.saturating_sub(since)),
            work: handshake.saturating_mul(self.line.len() as u64) / 1000,
            entered: self.entered,
            computed: self.called,
            refuses: self.shed.refuses(),
        }
    }

    /// Whether a second has passed since programs were renewed last.
    const fn renew(&mut self, clock: u64) -> bool {
        let due = clock >= self.renewed + 1000;
        if due {
            self.renewed = clock;
        }
        due
    }

    /// Whom listening sockets answer now, as a program of at most `len` instructions; `None` for everybody.
    pub fn filter(&mut self, len: usize, clock: u64) -> Option<&mut [libc::sock_filter]> {
        if !self.shed.refuses() {
            return None;
        }
        let thresholds =
            Thresholds { heavy: self.shed.heavy().threshold(), others: self.shed.others().threshold() };
        let heavy = self.heaviest.iter().map(|source| source.key);
        let good = self.standing.iter(clock);
        Some(self.filters.program(good, heavy, thresholds, len))
    }

    /// The shares of strangers and of heavy sources that listening sockets answer, in thousandths.
    pub fn shares(&self) -> (u64, u64) {
        let thousandths = |threshold| u64::from(threshold) * 1000 / u64::from(u32::MAX);
        (thousandths(self.shed.others().threshold()), thousandths(self.shed.heavy().threshold()))
    }

    fn charge(&mut self, address: Address, cost: u32, clock: u64) -> u32 {
        let around = self.demand.charge(address.prefix, cost, clock) / PREFIX_USERS;
        let demand = self.demand.charge(address.hash, cost, clock);
        if demand >= Rank::heavy(self.light()) {
            self.heaviest.note(Source { hash: address.hash, key: address.key, demand });
        }
        demand.max(around)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        let overload =
            Overload { target: 5, interval: 100, patience: 2000, standing: 3_600_000, refuse_syn: true };
        Admission::new(1000, &overload, 0)
    }

    fn source(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Has a handshake wait while more and more come, until the worker is overloaded at 1010 ms.
    fn overload(admission: &mut Admission) {
        let stranger = admission.address(source("198.51.100.1"));
        admission.enter(999, stranger, false, 0, 0);
        assert_eq!(admission.judge(10).level, Some(Level::Busy));
        for id in 990..999 {
            admission.enter(id, stranger, false, 10, 10);
        }
        assert_eq!(
            admission.judge(110).level,
            None,
            "nobody was computed yet: it may be one that takes long"
        );
        assert_eq!(admission.judge(1010).level, Some(Level::Overloaded));
        for id in 990..999 {
            admission.leave(id);
        }
    }

    /// A second in which taking in is all that was done.
    fn intake(admission: &mut Admission, address: Address, clock: u64) {
        for interval in 1..=10 {
            for _ in 0..1000 {
                admission.taken_in(address, 0, clock + interval * INTERVAL);
            }
            admission.took(1000, Duration::from_millis(INTERVAL));
            admission.left(true);
            admission.judge(clock + interval * INTERVAL);
        }
    }

    #[test]
    fn tickets_then_good_standing_then_strangers_then_the_heavy() {
        let mut admission = admission();
        let regular = admission.address(source("192.0.2.1"));
        let stranger = admission.address(source("203.0.113.1"));
        let heavy = admission.address(source("203.0.113.200"));
        admission.used(regular, 0);
        for _ in 0..1000 {
            admission.computed(heavy, 100, 0);
        }
        admission.enter(1, heavy, true, 0, 0);
        admission.enter(2, stranger, false, 1, 1);
        admission.enter(3, regular, false, 2, 2);
        admission.enter(4, stranger, true, 3, 3);
        let order: Vec<u32> = std::iter::from_fn(|| admission.call_next()).map(|due| due.id).collect();
        assert_eq!(order, [4, 3, 2, 1]);
    }

    #[test]
    fn who_is_heavy_is_refused_where_taking_in_is_too_much() {
        let mut admission = admission();
        let heavy = admission.address(source("192.0.2.1"));
        for _ in 0..1000 {
            admission.computed(heavy, 100, 0);
        }
        overload(&mut admission);
        assert!(
            admission.taken_in(heavy, u32::MAX, 1010),
            "the line has it wait, which costs next to nothing"
        );
        assert!(admission.filter(4096, 1010).is_none());
        intake(&mut admission, heavy, 1010);
        assert!(!admission.taken_in(heavy, u32::MAX, 2010) && admission.taken_in(heavy, 0, 2010));
        assert!(admission.taken_in(admission.address(source("192.0.3.1")), u32::MAX, 2010));
        let (_, answered) = admission.shares();
        assert!(answered < 10 && admission.filter(4096, 2010).is_some(), "{answered} of 1000 answered");
        admission.used(heavy, 2010);
        assert!(admission.taken_in(heavy, u32::MAX, 2010), "good standing");
    }

    #[test]
    fn nobody_is_refused_while_there_is_nothing_to_do() {
        let mut admission = admission();
        let heavy = admission.address(source("192.0.2.1"));
        for _ in 0..1000 {
            admission.computed(heavy, 100, 0);
        }
        overload(&mut admission);
        intake(&mut admission, heavy, 1010);
        let mut clock = 2010;
        // As if one that is never called kept the delay up.
        while admission.filter(4096, clock).is_some() {
            assert!(clock < 5000, "{:?} of 1000 answered", admission.shares());
            admission.idled(Duration::from_millis(INTERVAL / 2));
            clock += INTERVAL;
            admission.judge(clock);
        }
        assert!(admission.taken_in(heavy, u32::MAX, clock));
    }

    #[test]
    fn a_prefix_weighs_like_sixteen_users() {
        let mut admission = admission();
        for host in 1..=250 {
            let address = admission.address(source(&format!("192.0.2.{host}")));
            for _ in 0..20 {
                admission.computed(address, 20, 0);
            }
        }
        let neighbour = admission.address(source("192.0.2.251"));
        let stranger = admission.address(source("192.0.3.1"));
        assert!(admission.demand_of(neighbour, 0) > 10 * admission.demand_of(stranger, 0).max(100));
        let v6 = admission.address(source("2001:db8::1"));
        assert_eq!(v6.hash, admission.address(source("2001:db8::2")).hash);
        assert_ne!(v6.hash, admission.address(source("2001:db8:0:1::1")).hash);
        assert_eq!(v6.prefix, admission.address(source("2001:db8:0:1::1")).prefix);
    }

    #[test]
    fn strangers_are_answered_again_although_nobody_comes() {
        let mut admission = admission();
        overload(&mut admission);
        let mut clock = 1010;
        for number in 0..20 {
            // Each thousand from another network.
            let stranger = admission.address(source(&format!("203.0.{number}.1")));
            for _ in 0..1000 {
                admission.taken_in(stranger, 0, clock);
            }
            admission.took(1000, Duration::from_millis(INTERVAL));
            admission.left(false);
            clock += INTERVAL;
            admission.judge(clock);
        }
        admission.left(true);
        assert!(admission.shares().0 < 10, "{:?} of 1000 answered", admission.shares());
        let mut intervals = 0;
        admission.leave(999);
        while let Some(wait) = admission.wait(clock) {
            assert!(wait <= INTERVAL);
            clock += wait;
            admission.judge(clock);
            intervals += 1;
            assert!(intervals <= 24, "{:?} of 1000 answered", admission.shares());
        }
        assert_eq!(admission.shares(), (1000, 1000));
        assert!(admission.filter(4096, clock).is_none());
    }

    #[test]
    fn the_newest_in_overload_and_nobody_beyond_patience() {
        let mut admission = admission();
        overload(&mut admission);
        let stranger = admission.address(source("203.0.113.1"));
        for id in 0..3 {
            admission.enter(id, stranger, false, 1100 + u64::from(id), 1110);
        }
        assert_eq!(admission.overdue(2000), None);
        assert_eq!(admission.overdue(2001).map(|due| due.id), Some(999));
        assert_eq!(admission.call_next().map(|due| due.id), Some(2));
        admission.leave(1);
        assert_eq!(admission.call_next().map(|due| due.id), Some(0));
        assert_eq!(admission.call_next(), None);
        assert_eq!(admission.judge(3100).level, Some(Level::Calm));
    }
}
