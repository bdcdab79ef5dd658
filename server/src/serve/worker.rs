// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker: one thread, one event loop, its own listening sockets.
//!
//! One sweep: wait; take note of all events; serve established connections; advance up to a batch of
//! handshakes, computing their public-key work together; write what that made; log; again.

use super::admission::Admission;
use super::clock::{monotonic, unix_time};
use super::connection::{Connection, Side, of_token};
use super::context::{Active, Context, Fate, Shared};
use super::count::Count;
use super::jobs::{BATCH, Jobs};
use super::listener;
use super::log::Log;
use super::log::sink::Sink;
use super::memory::{Memory, Purpose};
use super::metrics::Counters;
use super::negotiation::Negotiation;
use super::outcome::Outcome;
use super::pool::Pool;
use super::random::Buffered;
use super::slab::{Key, Slab};
use super::stalled::Stalls;
use super::timers::Wheel;
use crate::config::schema::FromClient;
use crate::keylog::KeyLogFile;
use crate::settings::Settings;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};
use ttls::admission::Level;
use ttls_crypto::cpu::Cpu;
use ttls_crypto::wipe::{Depth, wipe_stack};

/// Events taken from the kernel at a time.
const EVENTS: usize = 512;
/// Handshakes computed in one sweep while established connections have something to do, or in overload: what established connections,
/// and who comes next, may have to wait for. Lanes lose nothing by it.
const SMALL_BATCH: u32 = 8;
/// The length of the accept queue in overload: the kernel's queue is served in order, and blind to patience. Who is in it is taken in
/// within some milliseconds; a shorter one loses SYNs of those who are to be served.
const SHORT_BACKLOG: i32 = 512;
/// Instructions of the longest program for listening sockets.
const LONGEST_FILTER: usize = 4096;
/// Signatures of clients' certificates checked in one sweep, before what waits for them waits for the next: what others wait for
/// them. One client may have begun when the last is left, and takes its own.
const CHECKS_PER_SWEEP: u64 = 8;
/// Boxes of each kind that stay ready.
const READY: usize = 256;
/// Milliseconds for which a retired listening socket waits for clients half-way through TCP's handshake.
const RETIREMENT: u64 = 500;
/// Milliseconds without accepting when the process has no descriptors left.
const EXHAUSTED: u64 = 100;

/// Milliseconds for which secrets of connections may stay on the stack where they were moved: wiping it after each sweep would cost
/// as much as some of a handshake.
const WIPED_AFTER: u64 = 10;

/// Token of the eventfd; listening sockets have the numbers after it. No connection has generation 0.
const WAKE: u64 = 0;

/// What the supervisor tells a worker.
pub enum Message {
    /// New settings, listening sockets that are new, and addresses to listen on no longer.
    Reload {
        /// For connections accepted from now on.
        settings: Arc<Settings>,
        /// New listening sockets.
        add: Vec<(SocketAddr, OwnedFd)>,
        /// Addresses to retire.
        retire: Vec<SocketAddr>,
    },
    /// Stop accepting, and end when all connections have ended, at the latest after so many milliseconds.
    Drain(u64),
}

/// The supervisor's end of the line to a worker.
pub struct Handle {
    /// Messages.
    pub sender: Sender<Message>,
    /// Wakes the worker.
    pub wake: Arc<OwnedFd>,
}

impl Handle {
    /// Sends a message. A worker that has ended hears nothing.
    pub fn send(&self, message: Message) {
        if self.sender.send(message).is_ok() {
            let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }
}

/// What a worker is made of.
pub struct Parts {
    /// Settings.
    pub settings: Arc<Settings>,
    /// Number of workers, which share the limits.
    pub workers: usize,
    /// Its listening sockets.
    pub listeners: Vec<(SocketAddr, OwnedFd)>,
    /// Messages.
    pub receiver: Receiver<Message>,
    /// Wakes it.
    pub wake: Arc<OwnedFd>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// Shared with the other workers.
    pub shared: Arc<Shared>,
    /// Log.
    pub sink: Arc<Sink>,
    /// Secrets for debugging.
    pub keylog: Option<KeyLogFile>,
    /// Public-key code.
    pub cpu: Cpu,
}

/// A worker.
pub struct Worker {
    connections: Slab<Connection>,
    timers: Wheel,
    cx: Context,
    active: Rc<Active>,
    listeners: Vec<Listener>,
    receiver: Receiver<Message>,
    wake: Arc<OwnedFd>,
    /// Who waits with storage, and who for it.
    stalled: Stalls,
    half_open_limit: usize,
    workers: usize,
    /// Established connections had something to do in this sweep.
    served: bool,
    /// Connections accepted in this sweep, and how long that took.
    newcomers: u32,
    accepting: Duration,
    /// Handshakes whose RSA signatures take together what one takes.
    lanes: u32,
    /// Secrets of connections were moved over the stack since it was wiped.
    secretive: bool,
    /// When it was.
    wiped_until: u64,
    /// There is more to do than can be done.
    overloaded: bool,
    /// Instructions that the kernel takes from this process for a listening socket.
    filter_room: usize,
    /// When the drain ends.
    drain_until: Option<u64>,
    accept_again: Option<u64>,
}

struct Listener {
    address: SocketAddr,
    fd: Option<OwnedFd>,
    /// When it closes.
    retires: Option<u64>,
}

impl Listener {
    /// Its socket, unless it is to close.
    const fn listens(&self) -> Option<&OwnedFd> {
        if self.retires.is_none() { self.fd.as_ref() } else { None }
    }
}

/// An eventfd for [`Parts::wake`].
///
/// # Errors
/// The process has no descriptors left.
pub fn wake_fd() -> Result<OwnedFd, Errno> {
    eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
}

/// Since when a connection has stood still with storage for `purpose`. If it holds none, it leaves the queue.
fn stalls(connections: &mut Slab<Connection>, key: Key, purpose: Purpose) -> Option<u64> {
    let connection = connections.get(key)?;
    let since = connection.stalled_since();
    connection.stalls &= since.is_some();
    since.filter(|(other, _)| *other == purpose).map(|(_, since)| since)
}

impl Worker {
    /// Makes a worker, with all the memory it reserves.
    ///
    /// # Errors
    /// The kernel refuses an epoll descriptor or a watch.
    pub fn new(parts: Parts) -> Result<Self, Errno> {
        let Parts { settings, workers, listeners, receiver, wake, counters, shared, sink, keylog, cpu } =
            parts;
        let (now, clock) = (unix_time(), monotonic());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        // SO_REUSEPORT spreads connections unevenly: each worker may hold them all, the shared count decides.
        let limit = settings.limits.connections;
        let half_open_limit = settings.limits.half_open.div_ceil(workers);
        let capacity = u32::try_from(limit).unwrap_or(u32::MAX >> 1);
        let log = Log::new(sink, settings.log.format, settings.log.errors_per_second);
        let routes = shared.routes.of(&settings, &[]);
        let mut worker = Self {
            connections: Slab::new(capacity),
            timers: Wheel::new(limit, clock),
            cx: Context {
                epoll,
                memory: Memory::new(settings.limits.buffer_memory.0 / workers),
                negotiations: Pool::new(READY.min(limit), Box::<Negotiation>::default),
                relays: Pool::new(READY.min(limit), || Box::new(None)),
                random: Buffered::default(),
                log,
                counters,
                keylog,
                now,
                clock,
                jobs: Jobs::new(cpu),
                admission: Admission::new(limit, &settings.overload, clock),
                certificate_checks: 0,
                half_open: Count::default(),
                // Whole from the start: queues that grew in a flood would stay at the end of the heap, and pin all of it.
                pending: VecDeque::with_capacity(limit),
                again: VecDeque::with_capacity(limit),
                draining: false,
                shared,
            },
            active: Active::new(settings, workers, clock, routes),
            listeners: Vec::new(),
            receiver,
            wake,
            stalled: Stalls::new(limit),
            half_open_limit,
            workers,
            served: false,
            newcomers: 0,
            accepting: Duration::ZERO,
            lanes: if matches!(cpu, Cpu::Ifma(_)) { SMALL_BATCH } else { 1 },
            secretive: false,
            wiped_until: 0,
            overloaded: false,
            filter_room: LONGEST_FILTER,
            drain_until: None,
            accept_again: None,
        };
        worker.show_shares();
        let Context { counters, memory, .. } = &worker.cx;
        counters.buffer_limit_handshakes.set(memory.limit(Purpose::Handshake) as u64);
        counters.buffer_limit_relays.set(memory.limit(Purpose::Relay) as u64);
        counters.buffer_limit_transfers.set(memory.limit(Purpose::Transfer) as u64);
        for (address, fd) in listeners {
            worker.listen(address, fd)?;
        }
        Ok(worker)
    }

    /// Serves until the drain is over.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let timeout = self.timeout();
            match self.sweep(&mut events, timeout, || (unix_time(), monotonic())) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.cx.log.line(self.cx.now, "error", "epoll").display("error", error).end();
                    self.cx.log.flush(self.cx.now);
                    return;
                }
            }
        }
    }

    /// One sweep, which waits up to `timeout` milliseconds (`None`: for as long as nothing happens) and then asks what the Unix time is
    /// and what [`Context::clock`], in milliseconds. `events` is its scratch space. `false` if the drain is over.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn sweep(
        &mut self,
        events: &mut Vec<Event>,
        timeout: Option<u64>,
        time: impl FnOnce() -> (u64, u64),
    ) -> Result<bool, Errno> {
        let timeout = timeout.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ms % 1000 * 1_000_000).unwrap_or(0),
        });
        events.clear();
        let idle = (timeout != Some(Timespec::default())).then(Instant::now);
        match epoll::wait(&self.cx.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        if let Some(since) = idle {
            self.cx.admission.idled(since.elapsed());
        }
        (self.cx.now, self.cx.clock) = time();
        self.work(events);
        if self.secretive && self.wiped_until + WIPED_AFTER <= self.cx.clock {
            wipe_stack(Depth::Rsa);
            (self.secretive, self.wiped_until) = (false, self.cx.clock);
        }
        let over = self.is_over();
        if over {
            self.cx.log.flush(self.cx.now);
        }
        Ok(!over)
    }

    /// What there is to do in a sweep. Its stack is its own: what is moved leaves its bytes there.
    #[inline(never)]
    fn work(&mut self, events: &[Event]) {
        self.served = !self.cx.again.is_empty();
        self.cx.certificate_checks = CHECKS_PER_SWEEP;
        for event in events {
            let (data, flags) = (event.data, event.flags);
            self.event(data.u64(), flags);
        }
        self.continue_relays();
        self.feed();
        self.handshakes();
        self.expire();
        self.publish();
    }

    /// Milliseconds to sleep at most; `None` for as long as nothing happens.
    pub fn timeout(&self) -> Option<u64> {
        let cx = &self.cx;
        if !cx.pending.is_empty() || !cx.again.is_empty() || cx.admission.waiting() > 0 {
            return Some(0);
        }
        let own = [self.drain_until, self.accept_again];
        let fed = self.stalled.wait(&cx.memory);
        let retirements = self.listeners.iter().filter_map(|listener| listener.retires);
        let own = own.into_iter().flatten().chain(retirements).map(|at| at.saturating_sub(cx.clock));
        let wipe = self.secretive.then(|| (self.wiped_until + WIPED_AFTER).saturating_sub(cx.clock));
        let own = own.chain(wipe);
        own.chain(self.timers.wait(cx.clock)).chain(fed).chain(cx.admission.wait(cx.clock)).min()
    }

    fn event(&mut self, token: u64, flags: EventFlags) {
        let (key, side) = of_token(token);
        if key.generation == 0 {
            return match usize::try_from(token) {
                Ok(0) => self.messages(),
                Ok(number) => self.accept(number - 1),
                Err(_) => {}
            };
        }
        let Some(connection) = self.connections.get(key) else { return };
        if let Err(outcome) = connection.event(side, flags) {
            return self.end(key, outcome);
        }
        if !connection.is_half_open() {
            self.served = true;
            self.turn(key);
        } else if !connection.queued {
            debug_assert_eq!(side, Side::Client);
            connection.queued = true;
            self.cx.pending.push_back(key);
        }
    }

    /// Lets established connections go on that had more to do.
    fn continue_relays(&mut self) {
        for _ in 0..self.cx.again.len() {
            let Some(key) = self.cx.again.pop_front() else { break };
            self.unqueue_and_turn(key);
        }
    }

    /// Lets connections go on that waited for storage. Where there is none, who stands still the longest makes room.
    fn feed(&mut self) {
        for purpose in [Purpose::Handshake, Purpose::Relay] {
            let (connections, clock) = (&mut self.connections, self.cx.clock);
            let stalled = self.stalled.of(purpose);
            let leaving = stalled.make_room(&self.cx.memory, clock, |key| stalls(connections, key, purpose));
            for key in leaving {
                self.end(key, Outcome::Stalled);
            }
            for _ in 0..self.stalled.of(purpose).starving() {
                let Some(key) = self.stalled.of(purpose).fed(&self.cx.memory) else { break };
                self.unqueue_and_turn(key);
            }
        }
    }

    fn unqueue_and_turn(&mut self, key: Key) {
        if let Some(connection) = self.connections.get(key) {
            connection.queued = false;
            self.turn(key);
        }
    }

    fn turn(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let fate = connection.turn(&mut self.cx, key);
        self.apply(key, fate);
    }

    /// Advances up to a batch of handshakes, with all the public-key work that they ask for.
    fn handshakes(&mut self) {
        let most = self.portion();
        let begun = (self.newcomers > 0).then(Instant::now);
        let turns = u32::try_from(self.cx.pending.len()).unwrap_or(u32::MAX);
        self.secretive |= !self.cx.pending.is_empty();
        // All of them: accept() has bounded how many there are.
        for _ in 0..self.cx.pending.len() {
            let Some(key) = self.cx.pending.pop_front() else { break };
            self.unqueue_and_turn(key);
        }
        if let Some(begun) = begun {
            // The first turns' part of all: those in which hellos are read.
            let first = begun.elapsed() * self.newcomers / turns.max(self.newcomers);
            self.cx.admission.took(self.newcomers, self.accepting + first);
            (self.newcomers, self.accepting) = (0, Duration::ZERO);
        }
        while let Some(due) = self.cx.admission.overdue(self.cx.clock) {
            if let Some(key) = self.connections.key(due.id) {
                self.end(key, Outcome::Overdue);
            }
        }
        let mut called = 0;
        while self.cx.jobs.waiting() < most {
            let Some(due) = self.cx.admission.call_next() else { break };
            let Some(key) = self.connections.key(due.id) else { continue };
            let Some(connection) = self.connections.get(key) else { continue };
            let fate = connection.called(&mut self.cx, key, due.since);
            called += u32::from(fate == Fate::Job);
            self.apply(key, fate);
        }
        let mut time = Duration::ZERO;
        while self.cx.jobs.waiting() > 0 {
            self.cx.counters.jobs.add(self.cx.jobs.waiting() as u64);
            self.cx.counters.batches.add(1);
            self.secretive = true;
            let computed = self.cx.jobs.run();
            time += computed.time();
            for (key, cost, result) in computed.results() {
                let Some(connection) = self.connections.get(key) else { continue };
                let fate = connection.resume(&mut self.cx, key, cost, result);
                self.apply(key, fate);
            }
            self.cx.jobs.recycle(computed);
        }
        self.cx.admission.worked(called, time);
    }

    /// Handshakes to compute before established connections, and who comes next, are looked at again.
    fn portion(&self) -> usize {
        let most = if self.served || self.overloaded { SMALL_BATCH } else { BATCH };
        usize::try_from(self.cx.admission.pace().handshakes(self.lanes, most)).unwrap_or(1)
    }

    fn apply(&mut self, key: Key, fate: Fate) {
        let Some(connection) = self.connections.get(key) else { return };
        match fate {
            Fate::Job => {}
            Fate::Due => connection.enter_line(&mut self.cx, key),
            Fate::End(outcome) => self.end(key, outcome),
            Fate::Serve => {
                // The deadline of the handshake is over.
                connection.armed = u64::MAX;
                self.timers.disarm(key.id);
                let fate = connection.turn(&mut self.cx, key);
                if fate != Fate::Serve {
                    self.apply(key, fate);
                }
            }
            Fate::Wait | Fate::Again | Fate::Starved(_) => self.wait(key, fate),
        }
    }

    /// Queues a connection where it waits, for as long as it may.
    fn wait(&mut self, key: Key, fate: Fate) {
        let Some(connection) = self.connections.get(key) else { return };
        if let Err(outcome) = connection.watch(&self.cx) {
            return self.end(key, outcome);
        }
        // Not now: who has just had a turn because of it would have the next one at once, and nobody else any.
        if let Some(deadline) = connection.deadline().map(|deadline| deadline.max(self.cx.clock + 1))
            && deadline < connection.armed
        {
            connection.armed = deadline;
            self.timers.arm(key.id, deadline);
        }
        match fate {
            Fate::Again | Fate::Starved(_) if std::mem::replace(&mut connection.queued, true) => {}
            Fate::Starved(purpose) => {
                self.cx.counters.buffer_waits.add(1);
                self.stalled.of(purpose).starves(key);
            }
            Fate::Again => self.cx.again.push_back(key),
            _ => {
                if !connection.stalls
                    && let Some((purpose, _)) = connection.stalled_since()
                {
                    connection.stalls = true;
                    let (count, connections) = (self.connections.len(), &mut self.connections);
                    self.stalled
                        .of(purpose)
                        .holds(key, count, |key| stalls(connections, *key, purpose).is_some());
                }
            }
        }
    }

    fn end(&mut self, key: Key, outcome: Outcome) {
        let Some(connection) = self.connections.get(key) else { return };
        if let Some(fate) = connection.end(&mut self.cx, outcome) {
            // The deadline of what it did before is over.
            connection.armed = u64::MAX;
            return self.apply(key, fate);
        }
        self.secretive = true;
        self.timers.disarm(key.id);
        self.cx.admission.leave(key.id);
        self.cx.admission.half_open.leave(key.id);
        self.connections.remove(key.id);
    }

    fn accept(&mut self, number: usize) {
        let portion = u32::try_from(self.portion()).unwrap_or(1);
        let most = self.cx.admission.pace().intake(portion);
        let begun = Instant::now();
        let all = self.accept_some(number, most);
        self.accepting += begun.elapsed();
        self.cx.admission.left(all);
    }

    /// Accepts up to `most` connections. Whether no more have come.
    fn accept_some(&mut self, number: usize, most: u32) -> bool {
        for _ in 0..most {
            let Some(fd) = self.listeners.get(number).and_then(|listener| listener.fd.as_ref()) else {
                return true;
            };
            match acceptfrom_with(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((fd, _)) if fd.as_raw_fd() >= self.cx.shared.descriptors => {
                    self.pause_accepting(Errno::MFILE);
                    return false;
                }
                Ok((fd, peer)) => {
                    let peer = peer.and_then(|peer| peer.try_into().ok());
                    self.newcomers += 1;
                    self.admit(fd, peer.unwrap_or(super::proxy_protocol::UNKNOWN));
                }
                Err(Errno::AGAIN) => return true,
                // The client went away in the queue (accept(2)).
                Err(
                    Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::HOSTUNREACH | Errno::NETUNREACH,
                ) => {}
                Err(error) => {
                    self.pause_accepting(error);
                    return false;
                }
            }
        }
        false
    }

    /// Out of descriptors or memory: the queue waits a little while connections end.
    fn pause_accepting(&mut self, error: Errno) {
        // Once a second for all workers: whoever causes it could fill the log.
        let second = self.cx.clock / 1000;
        if self.cx.shared.shortage_told.swap(second, Relaxed) != second {
            let message = "no new connections while descriptors or memory are short";
            self.cx
                .log
                .line(self.cx.now, "error", "accept")
                .text("message", message)
                .display("error", error)
                .end();
        }
        if self.accept_again.is_none() {
            for (number, listener) in self.listeners.iter().enumerate() {
                if let Some(fd) = &listener.fd {
                    let _ = epoll::modify(
                        &self.cx.epoll,
                        fd,
                        EventData::new_u64(1 + number as u64),
                        EventFlags::empty(),
                    );
                }
            }
            self.accept_again = Some(self.cx.clock + EXHAUSTED);
        }
    }

    fn resume_accepting(&mut self) {
        if self.accept_again.is_some_and(|at| at <= self.cx.clock) {
            self.accept_again = None;
            for (number, listener) in self.listeners.iter().enumerate() {
                if let Some(fd) = &listener.fd {
                    let _ = epoll::modify(
                        &self.cx.epoll,
                        fd,
                        EventData::new_u64(1 + number as u64),
                        EventFlags::IN,
                    );
                }
            }
        }
    }

    /// Takes in a connection that was accepted, whose socket does not block, or refuses it.
    pub fn admit(&mut self, fd: OwnedFd, peer: SocketAddr) {
        let counters = &self.cx.counters;
        counters.accepted.add(1);
        let shared = Arc::clone(&self.cx.shared);
        let counted = shared.connections.enter(self.active.settings.limits.connections);
        let Some(counted) = counted.filter(|_| !self.connections.is_full()) else {
            counters.refused_total.add(1);
            return self.refused(&fd, peer, "limits.connections");
        };
        // With the PROXY protocol the peer is a load balancer: the source in its header is what counts.
        let entry = match self.active.settings.proxy.from_client {
            FromClient::Required => None,
            FromClient::Off => {
                if self.active.settings.rules.refuses(peer.ip()).is_some() {
                    counters.refused_rule.add(1);
                    return self.refused(&fd, peer, "rule");
                }
                let Some(entry) = shared.sources.enter(peer.ip()) else {
                    counters.refused_prefix.add(1);
                    return self.refused(&fd, peer, "limits.per_prefix");
                };
                if !self.active.may_connect(entry.place().hash(), self.cx.clock) {
                    counters.refused_connection_rate.add(1);
                    return self.refused(&fd, peer, "limits.connection_rate");
                }
                Some(entry)
            }
        };
        let address = self.cx.admission.address(peer.ip());
        let random = self.cx.random.number();
        if entry.is_some() && !self.cx.admission.taken_in(address, random, self.cx.clock) {
            self.cx.counters.refused_heavy.add(1);
            return self.close_refused(&fd);
        }
        if self.cx.half_open.get() >= self.half_open_limit {
            self.evict();
        }
        let connection = Connection::new(fd, peer, entry, address, counted, &self.active, &self.cx);
        let Ok(key) = self.connections.insert(connection) else { return };
        self.cx.admission.half_open.enter(key.id);
        if let Some(connection) = self.connections.get(key) {
            connection.set_key(key);
            connection.queued = true;
            if let Some(deadline) = connection.deadline() {
                connection.armed = deadline;
                self.timers.arm(key.id, deadline);
            }
        }
        self.cx.pending.push_back(key);
    }

    /// Has a socket that is about to close say what the refused are told.
    fn close_refused(&self, fd: &OwnedFd) {
        if self.active.resets_refused() {
            let _ = rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO));
        }
    }

    fn refused(&mut self, fd: &OwnedFd, peer: SocketAddr, limit: &str) {
        self.close_refused(fd);
        if let Some(mut line) = self.cx.log.rated_line(self.cx.now, "warn", "refused") {
            line.display("peer", peer).text("limit", limit).end();
        }
    }

    /// A half-open connection makes room: of a few the one that is the greatest burden.
    fn evict(&mut self) {
        let Context { admission, random, clock, .. } = &mut self.cx;
        let connections = &mut self.connections;
        let burden = |id| {
            let connection = connections.key(id).and_then(|key| connections.get(key));
            connection.map_or(0, |connection| connection.burden(admission, *clock))
        };
        let leaving = admission.half_open.heaviest(|| random.number(), burden);
        if let Some(key) = leaving.and_then(|id| self.connections.key(id)) {
            self.end(key, Outcome::Evicted);
        }
    }

    fn expire(&mut self) {
        while let Some(id) = self.timers.fired(self.cx.clock) {
            let Some(key) = self.connections.key(id) else { continue };
            let Some(connection) = self.connections.get(key) else { continue };
            connection.armed = u64::MAX;
            let clock = self.cx.clock;
            match connection.deadline() {
                None => {}
                Some(deadline) if deadline > clock => {
                    connection.armed = deadline;
                    self.timers.arm(id, deadline);
                }
                Some(_) => match connection.timeout(clock) {
                    Some(outcome) => self.end(key, outcome),
                    None => self.turn(key),
                },
            }
        }
        self.resume_accepting();
        for listener in &mut self.listeners {
            if listener.retires.is_some_and(|at| at <= self.cx.clock) {
                (listener.fd, listener.retires) = (None, None);
            }
        }
        if self.drain_until.is_some_and(|at| at <= self.cx.clock) {
            for id in self.connections.numbers() {
                if let Some(key) = self.connections.key(id) {
                    self.end(key, Outcome::Drained);
                }
            }
        }
    }

    fn publish(&mut self) {
        let cx = &mut self.cx;
        cx.counters.connections.set(self.connections.len() as u64);
        cx.counters.half_open.set(cx.half_open.get() as u64);
        cx.counters.buffers.set(cx.memory.in_use() as u64);
        cx.counters.due.set(cx.admission.waiting() as u64);
        let Context { counters, memory, .. } = cx;
        counters.buffer_handshakes.set(memory.used(Purpose::Handshake) as u64);
        counters.buffer_relays.set(memory.used(Purpose::Relay) as u64);
        counters.buffer_transfers.set(memory.used(Purpose::Transfer) as u64);
        self.judge();
        let cx = &mut self.cx;
        cx.counters.lines_limited.set(cx.log.limited());
        cx.log.flush(cx.now);
    }

    /// Whether there is more to do than can be done, and what follows from it.
    fn judge(&mut self) {
        let verdict = self.cx.admission.judge(self.cx.clock);
        if let Some(level) = verdict.level {
            self.cx.counters.level.set(level as u64);
            let overloaded = level == Level::Overloaded;
            if std::mem::replace(&mut self.overloaded, overloaded) != overloaded {
                self.log_level();
                let backlog = i32::from(self.active.settings.listener.backlog);
                let length = if overloaded { backlog.min(SHORT_BACKLOG) } else { backlog };
                for fd in self.listeners.iter().filter_map(Listener::listens) {
                    let _ = rustix::net::listen(fd, length);
                }
            }
        }
        if verdict.filter && self.active.settings.overload.refuse_syn {
            self.choose_whom_to_answer();
        }
    }

    fn log_level(&mut self) {
        let cx = &mut self.cx;
        let name = if self.overloaded { "overloaded" } else { "calm" };
        cx.log
            .line(cx.now, "warn", "load")
            .text("level", name)
            .number("waiting", cx.admission.waiting() as u64)
            .number("half_open", cx.half_open.get() as u64)
            .end();
    }

    /// Has the listening sockets answer whom admission wants in now.
    fn choose_whom_to_answer(&mut self) {
        self.show_shares();
        loop {
            let mut program = self.cx.admission.filter(self.filter_room, self.cx.clock);
            let sockets = self.listeners.iter().filter_map(Listener::listens);
            let results = sockets.map(|fd| listener::set_filter(fd, program.as_deref_mut()));
            match results.collect::<Result<(), Errno>>() {
                // net.core.optmem_max bounds the program.
                Err(Errno::NOMEM | Errno::NOBUFS) if self.filter_room > 64 => self.filter_room /= 2,
                Ok(()) => return,
                Err(error) => {
                    if let Some(mut line) = self.cx.log.rated_line(self.cx.now, "error", "syn_filter") {
                        line.display("error", error).end();
                    }
                    return;
                }
            }
        }
    }

    fn show_shares(&self) {
        let (others, heavy) = self.cx.admission.shares();
        self.cx.counters.answered_others.set(others);
        self.cx.counters.answered_heavy.set(heavy);
    }

    fn is_over(&self) -> bool {
        self.drain_until.is_some()
            && self.connections.is_empty()
            && self.listeners.iter().all(|l| l.fd.is_none())
    }

    fn messages(&mut self) {
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        while let Ok(message) = self.receiver.try_recv() {
            match message {
                Message::Reload { settings, add, retire } => {
                    self.cx.log.reconfigure(settings.log.format, settings.log.errors_per_second);
                    self.half_open_limit = settings.limits.half_open.div_ceil(self.workers);
                    for listener in &self.listeners {
                        if let Some(fd) = &listener.fd {
                            let _ = listener::apply(fd, &settings.listener);
                        }
                    }
                    self.cx.admission.set_limits(&settings.overload);
                    let routes = self.cx.shared.routes.of(&settings, &self.active.routes);
                    self.active = Active::new(settings, self.workers, self.cx.clock, routes);
                    for (address, fd) in add {
                        if let Err(error) = self.listen(address, fd) {
                            self.cx.log.line(self.cx.now, "error", "listen").display("error", error).end();
                        }
                    }
                    self.retire(|address| retire.contains(address));
                }
                Message::Drain(ms) => {
                    self.cx.draining = true;
                    self.drain_until = Some(self.cx.clock + ms);
                    self.retire(|_| true);
                    for id in self.connections.numbers() {
                        if let Some(key) = self.connections.key(id)
                            && self.connections.get(key).is_some_and(Connection::drain)
                        {
                            self.turn(key);
                        }
                    }
                }
            }
        }
    }

    fn listen(&mut self, address: SocketAddr, fd: OwnedFd) -> Result<(), Errno> {
        let token = 1 + self.listeners.len() as u64;
        epoll::add(&self.cx.epoll, &fd, EventData::new_u64(token), EventFlags::IN)?;
        self.listeners.push(Listener { address, fd: Some(fd), retires: None });
        Ok(())
    }

    fn retire(&mut self, which: impl Fn(&SocketAddr) -> bool) {
        for listener in &mut self.listeners {
            if let Some(fd) = &listener.fd
                && which(&listener.address)
            {
                let _ = listener::turn_away(fd);
                listener.retires = Some(self.cx.clock + RETIREMENT);
            }
        }
    }
}
