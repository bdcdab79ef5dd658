// SPDX-License-Identifier: MIT OR Apache-2.0
//! The legitimate clients: one event loop for all classes, in a process of its own so that no attacker delays it.

use super::addresses::{CAPACITY, ESTABLISHED, KNOWN, NAT, NEW, RETURNING};
use super::arrivals::Arrivals;
use super::attack::{From, profile};
use super::options::Options;
use super::samples::Samples;
use crate::agreements::Agreements;
use crate::client::{Fault, Look, Offer, Signature, Version};
use crate::connection::{Connection, Failure, News, Plan};
use crate::options::Mode;
use crate::random::Random;
use rustix::event::{Timespec, epoll};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Bytes received at once: 16 of the longest records.
const SCRATCH: usize = 256 * 1024;
/// Connections opened between two looks at the sockets.
const BURST: usize = 16;
/// Handshakes at a time while the run is prepared.
const PREPARING: usize = 4;
/// Connections at a time while capacity is measured.
const AT_A_TIME: usize = 64;
/// A start later than this counts as late, in seconds.
const LATE: f64 = 0.005;
/// How long a served client waits for the server to close.
const CLOSES: Duration = Duration::from_secs(1);
/// How often time-outs are looked for, in seconds.
const SWEEP: f64 = 0.02;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Never seen before.
    New,
    /// With a ticket, from the address that got it.
    Returning,
    /// From an address that was served before, without a ticket.
    Known,
    /// A request on a kept connection.
    Established,
}

impl Class {
    pub(crate) const ALL: [Self; 4] = [Self::New, Self::Returning, Self::Known, Self::Established];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returning => "returning",
            Self::Known => "known",
            Self::Established => "established",
        }
    }
}

/// What is known of a class at the end.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) samples: Samples,
    pub(crate) resumed: u64,
    pub(crate) late: u64,
    /// The latest start after it was due, in seconds.
    pub(crate) latest: f64,
    pub(crate) failures: BTreeMap<String, u64>,
    next_client: u64,
}

/// Whose connection a slot holds. Numbers are of the class.
#[derive(Clone, Copy, Debug)]
struct Who {
    class: Class,
    client: usize,
    /// Its sample; none while the run is prepared.
    sample: Option<usize>,
}

struct Slot {
    connection: Connection,
    who: Who,
}

/// A kept connection.
struct Kept {
    slot: Option<usize>,
    arrivals: Arrivals,
    /// Requests that are due, in their order; the first is under way if `asking`.
    waiting: VecDeque<usize>,
    asking: bool,
}

/// A client that comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visitor {
    Away,
    Here,
}

/// What the clients of each class do.
struct Plans {
    /// One for each look.
    strangers: Vec<Plan>,
    established: Vec<Plan>,
    /// One for each client.
    returning: Vec<Plan>,
}

impl Plans {
    fn of(&self, who: Who) -> &Plan {
        let look = |plans: &'_ [Plan]| who.client % plans.len();
        match who.class {
            Class::New | Class::Known => &self.strangers[look(&self.strangers)],
            Class::Returning => &self.returning[who.client],
            Class::Established => &self.established[look(&self.established)],
        }
    }
}

/// The clients, their connections and what became of them.
pub(crate) struct Clients<'o> {
    options: &'o Options,
    epoch: Instant,
    epoll: std::os::fd::OwnedFd,
    slots: Vec<Slot>,
    free: Vec<usize>,
    agreements: Agreements,
    news: Vec<News>,
    scratch: Vec<u8>,
    events: Vec<epoll::Event>,
    random: Random,
    swept: f64,
    plans: Plans,
    visitors: [Vec<Visitor>; 2],
    kept: Vec<Kept>,
    records: BTreeMap<Class, Record>,
    prepared: usize,
}

/// A run that can not be made.
pub(crate) type Void = String;

fn system(error: impl std::fmt::Display) -> Void {
    error.to_string()
}

impl<'o> Clients<'o> {
    pub(crate) fn new(options: &'o Options) -> Result<Self, Void> {
        // As many as come within the longest visit, and some.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked by the options
        let visitors = |rate: f64| (rate * 2.0 * options.timeout).ceil() as usize + 8;
        let looks = Look::browsers();
        let plan = |look: &Look, mode: Mode, want_ticket: bool| -> Result<Plan, Fault> {
            let offer =
                Offer::new(profile(&options.name, Version::Tls13, Signature::Any, Some(look.clone())))?;
            let close = if mode == Mode::Request { "Connection: close\r\n" } else { "" };
            Ok(Plan {
                address: options.address,
                mode,
                offer: Some(offer),
                request: format!("GET {} HTTP/1.1\r\nHost: {}\r\n{close}\r\n", options.path, options.name)
                    .into_bytes(),
                want_ticket,
            })
        };
        let plans = |mode| looks.iter().map(|look| plan(look, mode, false)).collect::<Result<Vec<_>, _>>();
        let void = |fault: Fault| Failure::from(fault).to_string();
        let returning = (0..visitors(options.returning_rate))
            .map(|client| plan(&looks[client % looks.len()], Mode::Request, true))
            .collect::<Result<Vec<_>, _>>()
            .map_err(void)?;
        let known = visitors(options.known_rate);
        Ok(Self {
            options,
            epoch: Instant::now(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system)?,
            slots: Vec::new(),
            free: Vec::new(),
            agreements: Agreements::new(),
            news: Vec::new(),
            scratch: vec![0; SCRATCH],
            events: Vec::with_capacity(256),
            random: Random::new(options.seed),
            swept: 0.0,
            visitors: [vec![Visitor::Away; returning.len()], vec![Visitor::Away; known]],
            plans: Plans {
                strangers: plans(Mode::Request).map_err(void)?,
                established: plans(Mode::Idle).map_err(void)?,
                returning,
            },
            kept: Vec::new(),
            records: Class::ALL.into_iter().map(|class| (class, Record::default())).collect(),
            prepared: 0,
        })
    }

    /// New clients, [`AT_A_TIME`] of them: how many a second the server serves.
    pub(crate) fn capacity(mut self) -> Result<f64, Void> {
        self.epoch = Instant::now();
        // The first second warms up.
        let (from, to) = (1.0, 1.0 + self.options.seconds);
        let mut number = 0;
        loop {
            let now = self.now();
            if now >= to {
                break;
            }
            // Few at once: from a server that refuses, all come back at once.
            let mut burst = 0;
            while self.open() < AT_A_TIME && burst < BURST {
                burst += 1;
                let record = self.records.entry(Class::New).or_default();
                let sample = record.samples.due(now);
                let who = Who { class: Class::New, client: number, sample: Some(sample) };
                #[allow(clippy::cast_possible_truncation)] // wraps never
                self.start(who, CAPACITY.address(number as u64))?;
                number += 1;
            }
            self.step(Duration::from_millis(5))?;
        }
        let record = &self.records[&Class::New];
        let figures = record.samples.figures(0.0, to);
        if figures.served < 10 {
            return Err(format!("nobody is served: {:?}", record.failures));
        }
        Ok(record.samples.figures(from, to).per_second)
    }

    /// Makes the kept connections, and lets those who will come back come for the first time.
    pub(crate) fn prepare(&mut self) -> Result<(), Void> {
        self.epoch = Instant::now();
        let mut jobs: VecDeque<Who> = VecDeque::new();
        let mut add = |class, count| {
            jobs.extend((0..count).map(|client| Who { class, client, sample: None }));
        };
        add(Class::Established, self.options.kept);
        add(Class::Returning, self.plans.returning.len());
        add(Class::Known, self.visitors[1].len());
        let wanted = jobs.len();
        self.kept = (0..self.options.kept)
            .map(|_| Kept {
                slot: None,
                arrivals: Arrivals::even(0.0, 0.0, 0.0),
                waiting: VecDeque::new(),
                asking: false,
            })
            .collect();
        while self.prepared < wanted {
            if self.now() > 30.0 + 20.0 * self.options.timeout {
                return Err(format!(
                    "only {} of {wanted} clients are served before anybody attacks: {:?}",
                    self.prepared,
                    self.records[&Class::Returning].failures
                ));
            }
            while self.open() - self.holding() < PREPARING {
                let Some(who) = jobs.pop_front() else { break };
                self.start(who, self.source(who.class, who.client as u64))?;
            }
            let before = self.prepared;
            self.step(Duration::from_millis(5))?;
            // Whoever was not served comes again.
            if jobs.is_empty() && self.open() == self.holding() && self.prepared == before {
                jobs.extend(self.unprepared());
            }
        }
        for record in self.records.values_mut() {
            record.failures.clear();
            record.resumed = 0;
        }
        Ok(())
    }

    fn unprepared(&self) -> Vec<Who> {
        let kept = self.kept.iter().enumerate().filter(|(_, kept)| kept.slot.is_none());
        let kept = kept.map(|(client, _)| (Class::Established, client));
        let returning = self.plans.returning.iter().enumerate();
        let returning = returning
            .filter(|(_, plan)| plan.offer.as_ref().is_none_or(|offer| !offer.resumes()))
            .map(|(client, _)| (Class::Returning, client));
        let known = self.visitors[1].iter().enumerate();
        let known =
            known.filter(|(_, visitor)| **visitor == Visitor::Away).map(|(client, _)| (Class::Known, client));
        kept.chain(returning)
            .chain(known)
            .map(|(class, client)| Who { class, client, sample: None })
            .collect()
    }

    /// The run, from `epoch` on. `tell` is called as each part begins.
    pub(crate) fn run(
        mut self,
        epoch: Instant,
        mut tell: impl FnMut(&'static str),
    ) -> Result<BTreeMap<Class, Record>, Void> {
        self.epoch = epoch;
        self.swept = 0.0;
        for visitors in &mut self.visitors {
            visitors.fill(Visitor::Away);
        }
        let parts = self.options.parts();
        let mut parts_to_tell = VecDeque::from([
            (0.0, "calm"),
            (parts.attack, "attack"),
            (parts.window, "window"),
            (parts.end, "end"),
            (parts.after, "after"),
        ]);
        let end = parts.done;
        let mut streams = [
            (Class::New, self.options.new_rate),
            (Class::Returning, self.options.returning_rate),
            (Class::Known, self.options.known_rate),
        ]
        .map(|(class, rate)| (class, Arrivals::poisson(rate, 0.0, end, Random::new(self.random.next()))));
        #[allow(clippy::cast_precision_loss)] // few
        let (count, each) = (self.kept.len() as f64, self.options.kept_rate / self.kept.len() as f64);
        for (number, kept) in self.kept.iter_mut().enumerate() {
            #[allow(clippy::cast_precision_loss)] // few
            let first = number as f64 / count / each;
            kept.arrivals = Arrivals::even(each, first, end);
        }
        loop {
            let now = self.now();
            while let Some(&(begins, part)) = parts_to_tell.front()
                && begins <= now
            {
                parts_to_tell.pop_front();
                tell(part);
            }
            // Then the last ones get their time.
            let waiting = self.kept.iter().any(|kept| !kept.waiting.is_empty());
            if now >= end
                && (now >= end + self.options.timeout || (self.open() == self.holding() && !waiting))
            {
                break;
            }
            let mut burst = 0;
            for (class, arrivals) in &mut streams {
                while burst < BURST
                    && let Some(due) = arrivals.due(now)
                {
                    burst += 1;
                    self.arrive(*class, due)?;
                }
            }
            self.requests(now)?;
            let next = streams.iter().filter_map(|(_, arrivals)| arrivals.next());
            let next = next
                .chain(self.kept.iter().filter_map(|kept| kept.arrivals.next()))
                .fold(now + 0.005, f64::min);
            self.step(Duration::from_secs_f64((next - now).max(0.0)))?;
        }
        tell("done");
        Ok(self.records)
    }

    fn now(&self) -> f64 {
        self.epoch.elapsed().as_secs_f64()
    }

    fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Kept connections.
    fn holding(&self) -> usize {
        self.kept.iter().filter(|kept| kept.slot.is_some()).count()
    }

    fn record(&mut self, class: Class) -> &mut Record {
        self.records.entry(class).or_default()
    }

    fn source(&self, class: Class, client: u64) -> Ipv4Addr {
        if self.options.attack.from == From::Shared {
            return NAT;
        }
        match class {
            Class::New => NEW.address(client),
            Class::Returning => RETURNING.address(client),
            Class::Known => KNOWN.address(client),
            Class::Established => ESTABLISHED.address(client),
        }
    }

    /// A client of `class` was due at `due`.
    fn arrive(&mut self, class: Class, due: f64) -> Result<(), Void> {
        let late = self.now() - due;
        let record = self.record(class);
        record.latest = record.latest.max(late);
        record.late += u64::from(late > LATE);
        let sample = record.samples.due(due);
        let next = record.next_client;
        record.next_client += 1;
        let client = match class {
            Class::New | Class::Established => usize::try_from(next).unwrap_or(0),
            Class::Returning | Class::Known => {
                let visitors = &mut self.visitors[usize::from(class == Class::Known)];
                // The one whose turn it is, or the next who is away: there are more than can be here.
                let count = visitors.len();
                let first = usize::try_from(next).unwrap_or(0) % count;
                let mut turns = (first..first + count).map(|client| client % count);
                let Some(client) = turns.find(|&client| visitors[client] == Visitor::Away) else {
                    return Err("more clients came back than there are".to_owned());
                };
                visitors[client] = Visitor::Here;
                client
            }
        };
        self.start(Who { class, client, sample: Some(sample) }, self.source(class, client as u64))
    }

    /// Lets kept connections ask for what is due.
    fn requests(&mut self, now: f64) -> Result<(), Void> {
        for number in 0..self.kept.len() {
            while let Some(due) = self.kept[number].arrivals.due(now) {
                let sample = self.record(Class::Established).samples.due(due);
                if self.kept[number].slot.is_some() {
                    self.kept[number].waiting.push_back(sample);
                }
            }
            self.ask(number, now)?;
        }
        Ok(())
    }

    /// Asks for the next thing that is due on kept connection `number`, if nothing is under way there.
    fn ask(&mut self, number: usize, now: f64) -> Result<(), Void> {
        let kept = &mut self.kept[number];
        let (Some(slot), false) = (kept.slot, kept.asking) else { return Ok(()) };
        let record = self.records.entry(Class::Established).or_default();
        // What was due too long ago nobody waits for any more.
        while let Some(&sample) = kept.waiting.front()
            && now - record.samples.since(sample) > self.options.timeout
        {
            kept.waiting.pop_front();
        }
        let Some(&sample) = kept.waiting.front() else { return Ok(()) };
        kept.asking = true;
        let Slot { connection, who } = &mut self.slots[slot];
        who.sample = Some(sample);
        connection.ask(self.plans.of(*who));
        let sent = connection.flush();
        self.watch_again(slot)?;
        self.settle(slot, sent)
    }

    /// Begins a connection.
    fn start(&mut self, who: Who, source: Ipv4Addr) -> Result<(), Void> {
        let now = Instant::now();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { connection: Connection::new(now), who });
            self.slots.len() - 1
        });
        let fresh = self.random.fresh();
        self.slots[slot].who = who;
        let due = match who.sample {
            Some(sample) => self.records[&who.class].samples.since(sample),
            None => self.now(),
        };
        let due = self.epoch + Duration::from_secs_f64(due);
        let connection = &mut self.slots[slot].connection;
        connection.deadline = due + Duration::from_secs_f64(self.options.timeout);
        let opened = connection.open_from(self.plans.of(who), Some(source), &fresh, false, due, now);
        if let (Ok(()), Some(socket)) = (&opened, &connection.socket) {
            let mut interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
            if connection.wants_to_send() {
                interest |= epoll::EventFlags::OUT;
            }
            epoll::add(&self.epoll, socket, epoll::EventData::new_u64(slot as u64), interest)
                .map_err(system)?;
        }
        self.settle(slot, opened)
    }

    /// Waits for at most `wait`, and works off what is there.
    fn step(&mut self, wait: Duration) -> Result<(), Void> {
        let timeout = Timespec::try_from(wait).map_err(system)?;
        let mut events = core::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(system(error)),
        }
        for event in &events {
            let (flags, slot) = (event.flags, event.data.u64());
            self.ready(usize::try_from(slot).unwrap_or(usize::MAX), flags)?;
        }
        self.events = events;
        self.agree()?;
        let now = self.now();
        if now - self.swept >= SWEEP {
            self.swept = now;
            self.time_out()?;
        }
        Ok(())
    }

    fn ready(&mut self, slot: usize, flags: epoll::EventFlags) -> Result<(), Void> {
        use epoll::EventFlags as Flags;
        let Some(Slot { connection, who }) = self.slots.get_mut(slot) else { return Ok(()) };
        let who = *who;
        let mut result = Ok(());
        if flags.contains(Flags::OUT) && connection.wants_to_send() {
            result = connection.flush();
            self.watch_again(slot)?;
        }
        if result.is_ok() && flags.intersects(Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR) {
            let ending = flags.intersects(Flags::RDHUP | Flags::HUP);
            let connection = &mut self.slots[slot].connection;
            result = connection.receive(self.plans.of(who), &mut self.scratch, ending, &mut self.news);
        }
        self.settle(slot, result)
    }

    /// Tells the kernel whether the connection waits to send.
    fn watch_again(&self, slot: usize) -> Result<(), Void> {
        let connection = &self.slots[slot].connection;
        let Some(socket) = &connection.socket else { return Ok(()) };
        let mut interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        if connection.wants_to_send() {
            interest |= epoll::EventFlags::OUT;
        }
        epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(slot as u64), interest).map_err(system)
    }

    fn agree(&mut self) -> Result<(), Void> {
        for (slot, shared) in self.agreements.compute() {
            let Slot { connection, who } = &mut self.slots[slot];
            let result = match shared {
                Ok(shared) => {
                    connection.agreed(self.plans.of(*who), &shared, &mut self.scratch, &mut self.news)
                }
                Err(fault) => Err(fault.into()),
            };
            self.settle(slot, result)?;
        }
        Ok(())
    }

    /// Acts on what a connection told, or on its failure.
    fn settle(&mut self, slot: usize, result: Result<(), Failure>) -> Result<(), Void> {
        let mut done = false;
        let now = self.now();
        let patience = self.options.timeout;
        let mut news = core::mem::take(&mut self.news);
        for news in news.drain(..) {
            let who = self.slots[slot].who;
            match news {
                News::Agree(agreement) => self.agreements.push(slot, agreement),
                News::Established { resumed, .. } => {
                    let record = self.record(who.class);
                    record.resumed += u64::from(resumed);
                    if let Some(sample) = who.sample {
                        record.samples.established(sample, now);
                    } else if who.class == Class::Established {
                        self.prepared += 1;
                        self.kept[who.client].slot = Some(slot);
                    }
                }
                News::Response { .. } => {
                    if let Some(sample) = who.sample {
                        self.record(who.class).samples.served(sample, now, patience);
                    }
                    if who.class == Class::Established {
                        let kept = &mut self.kept[who.client];
                        kept.asking = false;
                        kept.waiting.pop_front();
                    } else {
                        // For what the server still says before it closes.
                        self.slots[slot].connection.deadline = Instant::now() + CLOSES;
                    }
                }
                News::Done => done = true,
            }
        }
        self.news = news;
        match result {
            Ok(()) if done => self.close(slot, true),
            Ok(()) => {}
            Err(Failure::Tls(Fault::Wrong(what))) => return Err(format!("{what}: the run is void")),
            Err(failure) => self.fail(slot, failure),
        }
        Ok(())
    }

    fn fail(&mut self, slot: usize, failure: Failure) {
        let who = self.slots[slot].who;
        let record = self.record(who.class);
        let served = who.sample.is_some_and(|sample| record.samples.is_served(sample));
        // Of one that has all it wanted, how the server closes is of no account.
        if !served || who.class == Class::Established {
            *record.failures.entry(failure.to_string()).or_default() += 1;
        }
        if who.class == Class::Established
            && let Some(kept) = self.kept.get_mut(who.client)
        {
            if kept.slot.take().is_some() {
                // Before the run, it is made again.
                self.prepared = self.prepared.saturating_sub(1);
            }
            kept.asking = false;
            kept.waiting.clear();
        }
        self.close(slot, served);
    }

    fn close(&mut self, slot: usize, well: bool) {
        let session = self.slots[slot].connection.close();
        let who = self.slots[slot].who;
        match who.class {
            Class::New | Class::Established => {}
            Class::Returning => {
                self.visitors[0][who.client] = Visitor::Away;
                let offer = self.plans.returning[who.client].offer.as_mut();
                if let (Some(session), Some(offer)) = (session, offer)
                    && offer.resume(session).is_ok()
                {
                    self.prepared += usize::from(who.sample.is_none());
                }
            }
            Class::Known if who.sample.is_none() => {
                // While the run is prepared: whether it has been here.
                if well {
                    self.visitors[1][who.client] = Visitor::Here;
                    self.prepared += 1;
                }
            }
            Class::Known => self.visitors[1][who.client] = Visitor::Away,
        }
        self.free.push(slot);
    }

    fn time_out(&mut self) -> Result<(), Void> {
        let now = Instant::now();
        for slot in 0..self.slots.len() {
            let Slot { connection, who } = &self.slots[slot];
            // A kept connection stays, whatever became of a request.
            let kept =
                who.class == Class::Established && self.kept.iter().any(|kept| kept.slot == Some(slot));
            if connection.is_open() && !kept && connection.deadline < now {
                self.settle(slot, Err(Failure::TimedOut))?;
            }
        }
        Ok(())
    }
}
