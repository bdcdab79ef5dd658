// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attackers: an event loop, in as many processes as it takes, that costs as little as it can. What goes no
//! further than a ClientHello is copied from one that was prepared; what goes further reuses key pairs.

use super::arrivals::Arrivals;
use super::attack::{Act, Arsenal};
use super::options::{Options, Parts};
use super::samples::Samples;
use crate::agreements::Agreements;
use crate::client::Fault;
use crate::connection::{Connection, Failure, News, Plan};
use crate::options::Mode;
use crate::random::Random;
use crate::socket::{Leaving, connect};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Seconds after which [`Act::Leave`] leaves.
const LEAVES: f64 = 0.2;
/// Seconds between the bytes of [`Act::Drip`].
const DRIPS: f64 = 1.0;
/// Seconds after which [`Act::Comeback`] comes back.
const COMES_BACK: f64 = 0.5;
/// Connections of a process that send KeyUpdates.
const UPDATING: usize = 32;
/// Within so many seconds all come who come at once.
const AT_ONCE: f64 = 0.01;
/// A start later than this counts as late, in seconds; one later than [`LOST`] is left out.
const LATE: f64 = 0.1;
const LOST: f64 = 1.0;
const SCRATCH: usize = 256 * 1024;
const BURST: usize = 32;

/// What attackers did and met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) due: u64,
    pub(crate) started: u64,
    /// Started more than [`LATE`] after they were due.
    pub(crate) late: u64,
    /// Not started at all: the generator could not keep up.
    pub(crate) left_out: u64,
    /// Connections that got the server's flight, or its beginning.
    pub(crate) flights: u64,
    /// Handshakes completed.
    pub(crate) handshakes: u64,
    /// Connections that the server ended before they did.
    pub(crate) refused: u64,
    /// Connections that waited in vain.
    pub(crate) gave_up: u64,
    /// The oldest, left to make room.
    pub(crate) recycled: u64,
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Counts {
    const NAMES: [&'static str; 9] =
        ["due", "started", "late", "left_out", "flights", "handshakes", "refused", "gave_up", "recycled"];

    const fn numbers(&mut self) -> [&mut u64; 9] {
        [
            &mut self.due,
            &mut self.started,
            &mut self.late,
            &mut self.left_out,
            &mut self.flights,
            &mut self.handshakes,
            &mut self.refused,
            &mut self.gave_up,
            &mut self.recycled,
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let mut value = json!({ "failures": self.failures });
        for (name, number) in Self::NAMES.into_iter().zip(self.clone().numbers()) {
            value[name] = json!(*number);
        }
        value
    }

    /// Adds what [`Counts::json`] wrote.
    pub(crate) fn add(&mut self, value: &Value) {
        for (name, number) in Self::NAMES.into_iter().zip(self.numbers()) {
            *number += value[name].as_u64().unwrap_or(0);
        }
        for (failure, count) in value["failures"].as_object().into_iter().flatten() {
            *self.failures.entry(failure.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
    }
}

/// What a process tells at its end.
pub(crate) struct Told {
    /// Within the span that is measured.
    pub(crate) window: Counts,
    /// Those of [`Act::Comeback`].
    pub(crate) comebacks: Samples,
}

struct Slot {
    generation: u32,
    act: Act,
    number: u64,
    /// Without a TLS client: what goes no further than a ClientHello.
    socket: Option<OwnedFd>,
    out: Vec<u8>,
    sent: usize,
    flight: bool,
    /// With one.
    connection: Option<Box<Connection>>,
    sample: Option<usize>,
}

/// A moment for a slot, if that still holds the same connection then.
type Moment = (f64, usize, u32);

/// One process's attackers.
pub(crate) struct Attackers<'o> {
    options: &'o Options,
    parts: Parts,
    epoch: Instant,
    epoll: OwnedFd,
    arsenal: Arsenal,
    plans: Vec<Plan>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    #[allow(clippy::vec_box)] // moved to a slot and back, which shall cost a pointer
    spare: Vec<Box<Connection>>,
    agreements: Agreements,
    news: Vec<News>,
    scratch: Vec<u8>,
    random: Random,
    /// By when each was opened.
    order: VecDeque<(usize, u32)>,
    patience: VecDeque<Moment>,
    holds: VecDeque<Moment>,
    leaves: VecDeque<Moment>,
    drips: VecDeque<Moment>,
    comebacks: VecDeque<(f64, u64, usize)>,
    updating: Vec<Option<(usize, u32)>>,
    next_update: usize,
    most: usize,
    process: u64,
    processes: u64,
    counts: Counts,
    samples: Samples,
}

type Void = String;

fn system(error: impl std::fmt::Display) -> Void {
    error.to_string()
}

impl<'o> Attackers<'o> {
    /// Those of process `process` of so many, which may hold `most` connections.
    pub(crate) fn new(
        options: &'o Options,
        process: usize,
        processes: usize,
        most: usize,
    ) -> Result<Self, Void> {
        let mut random = Random::new(options.seed ^ 0x00a7_7ac4 ^ ((process as u64 + 1) << 32));
        let mut arsenal = Arsenal::new(&options.attack, &options.name, &mut random)
            .map_err(|fault| Failure::from(fault).to_string())?;
        let mode = match options.attack.acts.first() {
            Some(Act::KeyUpdates) => Mode::Idle,
            Some(Act::Comeback) => Mode::Request,
            _ => Mode::Handshake,
        };
        let close = if mode == Mode::Request { "Connection: close\r\n" } else { "" };
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n{close}\r\n", options.path, options.name);
        let plans = arsenal
            .take_offers()
            .into_iter()
            .map(|offer| Plan {
                address: options.address,
                mode,
                offer: Some(offer),
                request: request.clone().into_bytes(),
                want_ticket: false,
            })
            .collect();
        Ok(Self {
            options,
            parts: options.parts(),
            epoch: Instant::now(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system)?,
            arsenal,
            plans,
            slots: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            agreements: Agreements::new(),
            news: Vec::new(),
            scratch: vec![0; SCRATCH],
            random,
            order: VecDeque::new(),
            patience: VecDeque::new(),
            holds: VecDeque::new(),
            leaves: VecDeque::new(),
            drips: VecDeque::new(),
            comebacks: VecDeque::new(),
            updating: vec![None; UPDATING],
            next_update: 0,
            most,
            process: process as u64,
            processes: processes as u64,
            counts: Counts::default(),
            samples: Samples::default(),
        })
    }

    /// Attacks when the run, which began at `epoch`, is at that.
    pub(crate) fn run(mut self, epoch: Instant) -> Result<Told, Void> {
        self.epoch = epoch;
        let Parts { attack, after, .. } = self.parts;
        let told = |attackers: Self| Told { window: attackers.counts, comebacks: attackers.samples };
        if self.options.attack.acts.is_empty() {
            return Ok(told(self));
        }
        std::thread::sleep(Duration::from_secs_f64((attack - self.now()).max(0.0)));
        #[allow(clippy::cast_precision_loss)] // few
        let rate = self.options.attack_rate / self.processes as f64;
        let mut arrivals = if self.options.attack.at_once {
            Arrivals::even(rate / AT_ONCE, attack, attack + AT_ONCE)
        } else {
            Arrivals::poisson(rate, attack, after, Random::new(self.random.next()))
        };
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        let mut number = self.process;
        loop {
            let now = self.now();
            if now >= after {
                return Ok(told(self));
            }
            let mut burst = 0;
            while burst < BURST
                && let Some(due) = arrivals.due(now)
            {
                burst += 1;
                self.arrive(number, due)?;
                number += self.processes;
            }
            let wait = if burst > 0 {
                0.0
            } else {
                arrivals.next().map_or(0.005, |next| next - now).clamp(0.0, 0.005)
            };
            let timeout = Timespec::try_from(Duration::from_secs_f64(wait)).map_err(system)?;
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(system(error)),
            }
            for event in &events {
                let (flags, data) = (event.flags, event.data.u64());
                #[allow(clippy::cast_possible_truncation)] // two halves
                let (generation, slot) = ((data >> 32) as u32, data as u32 as usize);
                if self.slots.get(slot).is_some_and(|slot| slot.generation == generation) {
                    self.ready(slot, flags)?;
                }
            }
            self.agree()?;
            self.timers()?;
        }
    }

    fn now(&self) -> f64 {
        self.epoch.elapsed().as_secs_f64()
    }

    /// Counts, if it is the time that is measured.
    fn count(&mut self, count: impl FnOnce(&mut Counts)) {
        if (self.parts.window..self.parts.end).contains(&self.now()) {
            count(&mut self.counts);
        }
    }

    fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn arrive(&mut self, number: u64, due: f64) -> Result<(), Void> {
        let acts = self.options.attack.acts;
        let act = acts[usize::try_from(number / self.processes).unwrap_or(0) % acts.len()];
        let late = self.now() - due;
        self.count(|counts| {
            counts.due += 1;
            counts.late += u64::from(late > LATE);
        });
        if late > LOST && act != Act::Comeback {
            self.count(|counts| counts.left_out += 1);
            return Ok(());
        }
        match act {
            Act::KeyUpdates => self.update(number),
            Act::Comeback => {
                let sample = self.samples.due(due);
                self.start(act, number, Some(sample)).map(|_| ())
            }
            _ => self.start(act, number, None).map(|_| ()),
        }
    }

    /// Opens a connection; returns its slot, unless it has ended already.
    fn start(&mut self, act: Act, number: u64, sample: Option<usize>) -> Result<Option<(usize, u32)>, Void> {
        self.make_room();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                act,
                number,
                socket: None,
                out: Vec::new(),
                sent: 0,
                flight: false,
                connection: None,
                sample,
            });
            self.slots.len() - 1
        });
        let now = self.now();
        let held = &mut self.slots[slot];
        held.generation = held.generation.wrapping_add(1);
        (held.act, held.number, held.sample, held.sent, held.flight) = (act, number, sample, 0, false);
        let generation = held.generation;
        let moment = (0.0, slot, generation);
        let at = |seconds: f64| (now + seconds, moment.1, moment.2);
        match act {
            Act::Silent => self.holds.push_back(at(self.options.hold)),
            Act::Drip => {
                self.holds.push_back(at(self.options.hold));
                self.drips.push_back(at(DRIPS));
            }
            Act::Leave => self.leaves.push_back(at(LEAVES)),
            _ => self.patience.push_back(at(self.options.timeout)),
        }
        self.order.push_back((slot, generation));
        self.count(|counts| counts.started += 1);
        let source = self.options.attack.source(number);
        if matches!(act, Act::Full | Act::KeyUpdates | Act::Comeback) {
            let mut connection =
                self.spare.pop().unwrap_or_else(|| Box::new(Connection::new(Instant::now())));
            let fresh = self.random.fresh();
            let instant = Instant::now();
            let plan = &self.plans[look(&self.plans, number)];
            let opened = connection.open_from(plan, Some(source), &fresh, false, instant, instant);
            if let (Ok(()), Some(socket)) = (&opened, &connection.socket) {
                watch(&self.epoll, socket, slot, generation, connection.wants_to_send(), false)?;
            }
            self.slots[slot].connection = Some(connection);
            if let Err(failure) = opened {
                self.failed(slot, &failure);
            }
        } else {
            // Some leave with a reset, some with a FIN.
            let fin = act == Act::Leave && number.is_multiple_of(2);
            match connect(
                &self.options.address,
                Some(source),
                if fin { Leaving::Fin } else { Leaving::Reset },
            ) {
                Ok(socket) => {
                    let mut out = core::mem::take(&mut self.slots[slot].out);
                    out.clear();
                    self.arsenal.write(act, number, &mut self.random, &mut out);
                    self.slots[slot].out = out;
                    self.slots[slot].socket = Some(socket);
                    let waits = self.send(slot, act == Act::Drip);
                    if let Some(socket) = &self.slots[slot].socket {
                        watch(&self.epoll, socket, slot, generation, waits == Ok(true), false)?;
                    }
                    if waits.is_err() {
                        self.refused(slot)?;
                    }
                }
                Err(error) => self.failed(slot, &error),
            }
        }
        let still = self.slots[slot].generation == generation && self.is_open(slot);
        Ok(still.then_some((slot, generation)))
    }

    fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].socket.is_some() || self.slots[slot].connection.is_some()
    }

    /// Leaves the oldest, if there are as many as may be.
    fn make_room(&mut self) {
        while let Some(&(slot, generation)) = self.order.front() {
            let stale = self.slots[slot].generation != generation || !self.is_open(slot);
            if !stale && self.open() < self.most {
                break;
            }
            self.order.pop_front();
            if !stale {
                self.count(|counts| counts.recycled += 1);
                self.close(slot);
            }
        }
    }

    /// Sends what is left, or one byte of it; whether the socket shall tell when it takes more.
    fn send(&mut self, slot: usize, one: bool) -> Result<bool, Errno> {
        let held = &mut self.slots[slot];
        let Some(socket) = &held.socket else { return Ok(false) };
        while held.sent < held.out.len() {
            let end = if one { held.sent + 1 } else { held.out.len() };
            match send(socket, &held.out[held.sent..end], SendFlags::NOSIGNAL) {
                Ok(sent) => held.sent += sent,
                Err(Errno::AGAIN | Errno::NOTCONN) => return Ok(!one),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            if one {
                return Ok(false);
            }
        }
        held.out = Vec::new();
        held.sent = 0;
        Ok(false)
    }

    fn ready(&mut self, slot: usize, flags: epoll::EventFlags) -> Result<(), Void> {
        use epoll::EventFlags as Flags;
        let receives = flags.intersects(Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR);
        let generation = self.slots[slot].generation;
        if self.slots[slot].connection.is_some() {
            return self.ready_connection(slot, flags, receives);
        }
        if flags.contains(Flags::OUT) && self.slots[slot].act != Act::Drip {
            match self.send(slot, false) {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(socket) = &self.slots[slot].socket {
                        watch(&self.epoll, socket, slot, generation, false, true)?;
                    }
                }
                Err(_) => return self.refused(slot),
            }
        }
        if !receives {
            return Ok(());
        }
        let Some(socket) = &self.slots[slot].socket else { return Ok(()) };
        let first = match recv(socket, &mut self.scratch[..], RecvFlags::empty()) {
            Ok((received, _)) if received > 0 => self.scratch[0],
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Ok(_) | Err(_) => return self.refused(slot),
        };
        if first == 21 {
            return self.refused(slot);
        }
        let held = &mut self.slots[slot];
        let seen = core::mem::replace(&mut held.flight, true);
        let stays = matches!(held.act, Act::Leave | Act::Drip | Act::Silent);
        if !seen {
            self.count(|counts| counts.flights += 1);
        }
        if !stays {
            self.close(slot);
        }
        Ok(())
    }

    fn ready_connection(
        &mut self,
        slot: usize,
        flags: epoll::EventFlags,
        receives: bool,
    ) -> Result<(), Void> {
        use epoll::EventFlags as Flags;
        let held = &mut self.slots[slot];
        let generation = held.generation;
        let Some(connection) = &mut held.connection else { return Ok(()) };
        let mut result = Ok(());
        if flags.contains(Flags::OUT) && connection.wants_to_send() {
            result = connection.flush();
            if let Some(socket) = &connection.socket {
                let waits = connection.wants_to_send();
                watch(&self.epoll, socket, slot, generation, waits, true)?;
            }
        }
        if result.is_ok() && receives {
            let held = &mut self.slots[slot];
            let plan = &self.plans[look(&self.plans, held.number)];
            let Some(connection) = &mut held.connection else { return Ok(()) };
            result = if held.act == Act::KeyUpdates && held.flight {
                // Established: whatever the server answers is of no interest.
                connection.discard(&mut self.scratch)
            } else {
                let ending = flags.intersects(Flags::RDHUP | Flags::HUP);
                connection.receive(plan, &mut self.scratch, ending, &mut self.news)
            };
        }
        self.settle(slot, result)
    }

    fn agree(&mut self) -> Result<(), Void> {
        for (slot, shared) in self.agreements.compute() {
            let held = &mut self.slots[slot];
            // A slot may have been left meanwhile.
            let Some(connection) = &mut held.connection else { continue };
            let plan = &self.plans[look(&self.plans, held.number)];
            let result = match shared {
                Ok(shared) => connection.agreed(plan, &shared, &mut self.scratch, &mut self.news),
                Err(fault) => Err(fault.into()),
            };
            self.settle(slot, result)?;
        }
        Ok(())
    }

    fn settle(&mut self, slot: usize, result: Result<(), Failure>) -> Result<(), Void> {
        let mut done = false;
        let mut news = core::mem::take(&mut self.news);
        for news in news.drain(..) {
            match news {
                News::Agree(agreement) => {
                    self.agreements.push(slot, agreement);
                    self.count(|counts| counts.flights += 1);
                }
                News::Established { .. } => {
                    self.slots[slot].flight = true;
                    self.count(|counts| counts.handshakes += 1);
                }
                News::Response { .. } => {
                    if let Some(sample) = self.slots[slot].sample.take() {
                        self.samples.served(sample, self.epoch.elapsed().as_secs_f64(), f64::INFINITY);
                    }
                }
                News::Done => done = true,
            }
        }
        self.news = news;
        match result {
            Ok(()) if done => self.close(slot),
            Ok(()) => {}
            Err(Failure::Tls(Fault::Wrong(what))) => return Err(format!("{what}: the run is void")),
            Err(_) => return self.refused(slot),
        }
        Ok(())
    }

    /// The generator could not begin it.
    fn failed(&mut self, slot: usize, why: &dyn std::fmt::Display) {
        self.count(|counts| *counts.failures.entry(why.to_string()).or_default() += 1);
        self.close(slot);
    }

    /// The server has ended it.
    fn refused(&mut self, slot: usize) -> Result<(), Void> {
        self.count(|counts| counts.refused += 1);
        self.close(slot);
        Ok(())
    }

    fn close(&mut self, slot: usize) {
        let held = &mut self.slots[slot];
        held.socket = None;
        held.out = Vec::new();
        held.generation = held.generation.wrapping_add(1);
        if let Some(sample) = held.sample.take() {
            let number = held.number;
            self.comebacks.push_back((self.epoch.elapsed().as_secs_f64() + COMES_BACK, number, sample));
        }
        let held = &mut self.slots[slot];
        if let Some(mut connection) = held.connection.take() {
            connection.close();
            self.spare.push(connection);
        }
        self.free.push(slot);
    }

    /// The next connection that sends KeyUpdates sends one, and a byte of its request.
    fn update(&mut self, number: u64) -> Result<(), Void> {
        let turn = self.next_update;
        self.next_update = (turn + 1) % UPDATING;
        let open =
            self.updating[turn].filter(|&(slot, generation)| self.slots[slot].generation == generation);
        let Some((slot, generation)) = open else {
            self.updating[turn] = self.start(Act::KeyUpdates, number, None)?;
            return Ok(());
        };
        let held = &mut self.slots[slot];
        let Some(connection) = &mut held.connection else { return Ok(()) };
        // Not while the handshake lasts, nor faster than the server takes them.
        if !held.flight || connection.wants_to_send() {
            self.count(|counts| counts.left_out += 1);
            return Ok(());
        }
        let plan = &self.plans[look(&self.plans, held.number)];
        let byte = plan.request[held.sent % plan.request.len()];
        held.sent += 1;
        let sent = connection.update_key_and_send(&[byte]);
        let waits = connection.wants_to_send();
        if waits && let Some(socket) = &connection.socket {
            watch(&self.epoll, socket, slot, generation, true, true)?;
        }
        self.count(|counts| counts.started += 1);
        self.settle(slot, sent)
    }

    fn timers(&mut self) -> Result<(), Void> {
        let now = self.now();
        let due = |queue: &mut VecDeque<Moment>| queue.pop_front_if(|moment| moment.0 <= now);
        while let Some((_, slot, generation)) = due(&mut self.patience) {
            // Those that send KeyUpdates stay once they are established.
            let held = &self.slots[slot];
            if held.generation == generation && !(held.act == Act::KeyUpdates && held.flight) {
                self.count(|counts| counts.gave_up += 1);
                self.close(slot);
            }
        }
        while let Some((_, slot, generation)) = due(&mut self.leaves) {
            if self.slots[slot].generation == generation {
                self.close(slot);
            }
        }
        while let Some((_, slot, generation)) = due(&mut self.holds) {
            if self.slots[slot].generation == generation {
                self.close(slot);
            }
        }
        while let Some((_, slot, generation)) = due(&mut self.drips) {
            if self.slots[slot].generation == generation {
                self.drips.push_back((now + DRIPS, slot, generation));
                if self.send(slot, true).is_err() {
                    self.refused(slot)?;
                }
            }
        }
        while let Some((_, number, sample)) = self.comebacks.pop_front_if(|comeback| comeback.0 <= now) {
            self.start(Act::Comeback, number, Some(sample))?;
        }
        Ok(())
    }
}

/// Which plan connection `number` follows.
fn look(plans: &[Plan], number: u64) -> usize {
    usize::try_from(number % plans.len() as u64).unwrap_or(0)
}

/// Has the kernel tell of what the connection receives, and when it can send if it wants `to_send`; `again` if it does so
/// already.
fn watch(
    epoll: &OwnedFd,
    socket: &OwnedFd,
    slot: usize,
    generation: u32,
    to_send: bool,
    again: bool,
) -> Result<(), Void> {
    let mut interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
    if to_send {
        interest |= epoll::EventFlags::OUT;
    }
    let data = epoll::EventData::new_u64(u64::from(generation) << 32 | slot as u64);
    if again {
        epoll::modify(epoll, socket, data, interest).map_err(system)
    } else {
        epoll::add(epoll, socket, data, interest).map_err(system)
    }
}
