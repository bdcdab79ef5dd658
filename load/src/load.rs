// SPDX-License-Identifier: MIT OR Apache-2.0
//! The load: one event loop that opens connections when they are due and works off what they receive.
//!
use super::agreements::Agreements;
use super::client::{Fault, Session};
use super::connection::{Connection, Failure, News, Plan};
use super::histogram::Histogram;
use super::options::Mode;
use super::random::Random;
use rustix::event::{Timespec, epoll};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

/// Bytes received at once: 16 of the longest records.
const SCRATCH: usize = 256 * 1024;
/// Connections opened between two looks at the sockets: those that are under way go first.
const BURST: usize = 32;
/// Handshakes at a time while idle connections are made.
const IDLE_HANDSHAKES: usize = 64;
/// Without one success, so many failures end the run.
const HOPELESS: u64 = 20;
/// How often time-outs are looked for.
const SWEEP: Duration = Duration::from_millis(100);

/// How much load.
pub(super) struct Amount {
    /// Closed loop: connections at a time. Open loop: the most at a time.
    pub(super) connections: usize,
    /// New connections per second.
    pub(super) rate: Option<f64>,
    pub(super) duration: Duration,
    pub(super) count: Option<u64>,
    pub(super) timeout: Duration,
    /// One signature in so many is checked; 0: none.
    pub(super) verify: u64,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) elapsed: Duration,
    /// Connections opened.
    pub(super) started: u64,
    pub(super) handshakes: u64,
    pub(super) resumed: u64,
    /// Connections whose signature was checked.
    pub(super) verified: u64,
    pub(super) responses: u64,
    pub(super) bytes: u64,
    /// Connections that did all they should.
    pub(super) done: u64,
    pub(super) failures: BTreeMap<String, u64>,
    /// Open loop: connections that were due and could not be opened or finished before the end. Their
    /// latency is counted up to then: it is at least that.
    pub(super) unfinished: u64,
    /// The most that a connection was opened after it was due.
    pub(super) latest_start: Duration,
    /// From when the connection was due to the handshake's end.
    pub(super) handshake_latency: Histogram,
    /// From when the connection was due, or the request on a kept connection, to the response's end.
    pub(super) response_latency: Histogram,
    pub(super) holding: usize,
    pub(super) session: Option<Session>,
}

impl Outcome {
    fn new() -> Self {
        Self {
            elapsed: Duration::ZERO,
            started: 0,
            handshakes: 0,
            resumed: 0,
            verified: 0,
            responses: 0,
            bytes: 0,
            done: 0,
            failures: BTreeMap::new(),
            unfinished: 0,
            latest_start: Duration::ZERO,
            handshake_latency: Histogram::new(),
            response_latency: Histogram::new(),
            holding: 0,
            session: None,
        }
    }

    /// Failed connections.
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// What the run counts: handshakes, or responses where those are asked for.
    pub(super) const fn operations(&self, mode: Mode) -> u64 {
        match mode {
            Mode::Handshake => self.done,
            Mode::Request | Mode::KeepAlive | Mode::Attack => self.responses,
            Mode::Idle => self.handshakes,
        }
    }
}

/// Why a run gave no result.
pub(super) enum Void {
    System(io::Error),
    /// The server answered something false.
    Wrong(&'static str),
    /// Nothing succeeds.
    Hopeless(String),
}

impl From<io::Error> for Void {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<rustix::io::Errno> for Void {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

/// A run under way.
pub(super) struct Load<'p> {
    plan: &'p Plan,
    amount: Amount,
    epoll: std::os::fd::OwnedFd,
    slots: Vec<Connection>,
    free: Vec<usize>,
    agreements: Agreements,
    news: Vec<News>,
    scratch: Vec<u8>,
    random: Random,
    start: Instant,
    pub(super) outcome: Outcome,
}

impl<'p> Load<'p> {
    pub(super) fn new(plan: &'p Plan, amount: Amount) -> Result<Self, Void> {
        let mut seed = [0; 8];
        graviola::random::fill(&mut seed).map_err(|_| io::Error::other("no random bytes"))?;
        let start = Instant::now();
        Ok(Self {
            plan,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            slots: Vec::new(),
            free: Vec::new(),
            agreements: Agreements::new(),
            news: Vec::new(),
            scratch: vec![0; SCRATCH],
            random: Random::new(u64::from_ne_bytes(seed)),
            amount,
            start,
            outcome: Outcome::new(),
        })
    }

    /// Runs to the end. `tell` is called about once a second, and once when all idle connections are held.
    pub(super) fn run(mut self, mut tell: impl FnMut(&Outcome, Duration)) -> Result<Outcome, Void> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        self.start = Instant::now();
        let mut told = self.start;
        let mut swept = self.start;
        let mut held_since = None;
        loop {
            let now = Instant::now();
            let mut starting = self.open_what_is_due(now)?;
            if self.plan.mode == Mode::Idle {
                let all = self.outcome.holding >= self.amount.connections;
                if all && held_since.is_none() {
                    held_since = Some(now);
                    tell(&self.outcome, now - self.start);
                }
                starting = held_since.is_none_or(|since| now - since < self.amount.duration);
            }
            if self.plan.mode == Mode::KeepAlive && !starting {
                break;
            }
            if !starting && (self.open() == 0 || self.plan.mode == Mode::Idle) {
                break;
            }
            let wait = self.wait_at_most(starting);
            events.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait))?;
            for event in &events {
                let (flags, slot) = (event.flags, event.data.u64());
                self.ready(usize::try_from(slot).unwrap_or(usize::MAX), flags)?;
            }
            self.agree()?;
            let now = Instant::now();
            if now - swept >= SWEEP {
                swept = now;
                self.time_out(now)?;
            }
            if now - told >= Duration::from_secs(1) {
                told = now;
                tell(&self.outcome, now - self.start);
            }
        }
        self.outcome.elapsed = self.start.elapsed();
        Ok(self.outcome)
    }

    fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many connections were due by `now`, and whether any will be due later.
    fn due(&self, now: Instant) -> (u64, bool) {
        let wanted = self.amount.count.unwrap_or(u64::MAX);
        let elapsed = now - self.start;
        match self.amount.rate {
            Some(rate) => {
                let seconds = elapsed.min(self.amount.duration).as_secs_f64();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 <= rate * seconds
                let due = (rate * seconds) as u64 + 1;
                (due.min(wanted), elapsed < self.amount.duration && due < wanted)
            }
            None if self.plan.mode == Mode::Idle => (self.amount.connections as u64, true),
            None if self.plan.mode == Mode::KeepAlive => {
                let more = elapsed < self.amount.duration && self.outcome.responses < wanted;
                (if more { u64::MAX } else { 0 }, more)
            }
            None => {
                let more = elapsed < self.amount.duration && self.outcome.started < wanted;
                (if more { wanted } else { 0 }, more)
            }
        }
    }

    /// Opens connections; returns whether more are to come.
    fn open_what_is_due(&mut self, now: Instant) -> Result<bool, Void> {
        let (due, more) = self.due(now);
        let most = match self.plan.mode {
            Mode::Idle => (self.outcome.holding + IDLE_HANDSHAKES).min(self.amount.connections),
            _ => self.amount.connections,
        };
        let mut burst = 0;
        while self.outcome.started < due && self.open() < most && burst < BURST {
            burst += 1;
            let when = match self.amount.rate {
                #[allow(clippy::cast_precision_loss)] // exact to 2^53 connections
                Some(rate) => self.start + Duration::from_secs_f64(self.outcome.started as f64 / rate),
                None => now,
            };
            self.outcome.latest_start = self.outcome.latest_start.max(now.saturating_duration_since(when));
            self.open_one(when, now)?;
        }
        let late = self.amount.rate.is_some() && !more && self.outcome.started < due;
        if late && now - self.start >= self.amount.duration + self.amount.timeout {
            self.never_started(due, now);
        }
        Ok(more || late)
    }

    /// Counts what was due and is now given up.
    fn never_started(&mut self, due: u64, now: Instant) {
        let rate = self.amount.rate.unwrap_or(1.0);
        for number in self.outcome.started..due {
            #[allow(clippy::cast_precision_loss)] // exact to 2^53 connections
            let when = self.start + Duration::from_secs_f64(number as f64 / rate);
            self.outcome.unfinished += 1;
            self.outcome.handshake_latency.record(now.saturating_duration_since(when));
        }
        self.amount.count = Some(self.outcome.started);
    }

    fn open_one(&mut self, when: Instant, now: Instant) -> Result<(), Void> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Connection::new(now));
            self.slots.len() - 1
        });
        let verify = self.amount.verify != 0 && self.outcome.started.is_multiple_of(self.amount.verify);
        self.outcome.started += 1;
        let fresh = self.random.fresh();
        let connection = &mut self.slots[slot];
        connection.deadline = now + self.amount.timeout;
        let opened = connection.open(self.plan, &fresh, verify, when, now);
        if let (Ok(()), Some(socket)) = (&opened, &connection.socket) {
            let mut interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
            if connection.wants_to_send() {
                interest |= epoll::EventFlags::OUT;
            }
            epoll::add(&self.epoll, socket, epoll::EventData::new_u64(slot as u64), interest)?;
        }
        self.settle(slot, opened)
    }

    fn ready(&mut self, slot: usize, flags: epoll::EventFlags) -> Result<(), Void> {
        use epoll::EventFlags as Flags;
        let Some(connection) = self.slots.get_mut(slot) else { return Ok(()) };
        let mut result = Ok(());
        if flags.contains(Flags::OUT) && connection.wants_to_send() {
            result = connection.flush();
            if let (false, Some(socket)) = (connection.wants_to_send(), &connection.socket) {
                let interest = Flags::IN | Flags::RDHUP;
                epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(slot as u64), interest)?;
            }
        }
        if result.is_ok() && flags.intersects(Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR) {
            let ending = flags.intersects(Flags::RDHUP | Flags::HUP);
            result = connection.receive(self.plan, &mut self.scratch, ending, &mut self.news);
        }
        self.settle(slot, result)
    }

    /// Computes the agreements that are due.
    fn agree(&mut self) -> Result<(), Void> {
        for (slot, shared) in self.agreements.compute() {
            let result = match shared {
                Ok(shared) => self.slots[slot].agreed(self.plan, &shared, &mut self.scratch, &mut self.news),
                Err(fault) => Err(fault.into()),
            };
            self.settle(slot, result)?;
        }
        Ok(())
    }

    /// Acts on what a connection told, or on its failure.
    fn settle(&mut self, slot: usize, result: Result<(), Failure>) -> Result<(), Void> {
        let mut done = false;
        let mut news = core::mem::take(&mut self.news);
        for news in news.drain(..) {
            match news {
                News::Agree(agreement) => self.agreements.push(slot, agreement),
                News::Established { after, resumed, verified } => {
                    self.outcome.verified += u64::from(verified);
                    self.outcome.handshakes += 1;
                    self.outcome.resumed += u64::from(resumed);
                    self.outcome.handshake_latency.record(after);
                    self.outcome.holding += usize::from(self.slots[slot].is_holding());
                }
                News::Response { after, bytes } => {
                    self.outcome.responses += 1;
                    self.outcome.bytes += bytes;
                    self.outcome.response_latency.record(after);
                    self.slots[slot].deadline += after;
                }
                News::Done => done = true,
            }
        }
        self.news = news;
        match result {
            Ok(()) if done => {
                self.outcome.done += 1;
                self.close(slot);
            }
            Ok(()) => {}
            Err(Failure::Tls(Fault::Wrong(what))) => return Err(Void::Wrong(what)),
            Err(failure) => self.fail(slot, failure)?,
        }
        Ok(())
    }

    fn fail(&mut self, slot: usize, failure: Failure) -> Result<(), Void> {
        if self.slots[slot].is_holding() {
            self.outcome.holding -= 1;
        }
        self.close(slot);
        *self.outcome.failures.entry(failure.to_string()).or_default() += 1;
        if self.outcome.failed() >= HOPELESS && self.outcome.handshakes + self.outcome.responses == 0 {
            return Err(Void::Hopeless(failure.to_string()));
        }
        Ok(())
    }

    fn close(&mut self, slot: usize) {
        if let Some(session) = self.slots[slot].close() {
            self.outcome.session = Some(session);
        }
        self.free.push(slot);
    }

    fn time_out(&mut self, now: Instant) -> Result<(), Void> {
        for slot in 0..self.slots.len() {
            let connection = &self.slots[slot];
            if connection.is_open() && !connection.is_holding() && connection.deadline < now {
                if self.amount.rate.is_some() && connection.is_in_handshake() {
                    self.outcome.unfinished += 1;
                    self.outcome.handshake_latency.record(connection.waiting_since(now));
                }
                self.fail(slot, Failure::TimedOut)?;
            }
        }
        Ok(())
    }

    /// In an open loop the next connection is due soon: the processor is kept rather than given up for
    /// less than the millisecond that a wait may overshoot.
    fn wait_at_most(&self, starting: bool) -> Timespec {
        let room = self.open() < self.amount.connections;
        let busy = self.amount.rate.is_some() && starting && room;
        let nanoseconds = if busy { 0 } else { 20_000_000 };
        Timespec { tv_sec: 0, tv_nsec: nanoseconds }
    }
}
