// SPDX-License-Identifier: MIT OR Apache-2.0
//! One client's connection, from accept to its end.

use super::admission::{Address, Admission};
use super::context::{Active, Applicant, Context, Fate};
use super::count::Counted;
use super::memory::Purpose;
use super::metrics::Ended;
use super::negotiation::{Completed, Negotiation, Turn};
use super::outcome::{Level, Outcome, Progress};
use super::page::{Builtin, Content};
use super::proxy_protocol::{self, MAX_WRITTEN};
use super::relay::{Backend, Relay};
use super::remote::{self, Remote};
use super::slab::Key;
use super::socket::{Moved, Socket};
use super::sources::Entry;
use crate::config::schema::{Connections, ToBackend};
use crate::settings::routes::Target;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use std::net::SocketAddr;
use std::rc::Rc;
use ttls::admission::Class;
use ttls::alert::Alert;
use ttls::fingerprint::Ja4;
use ttls::suite::{Version, group_name};
use ttls_crypto::job::{Failed, Output};
use ttls_crypto::wipe::{Depth, clear, wipe_stack};

/// Milliseconds of waiting after which it pays to ask whether the client is still there before its handshake is computed: a
/// client that is slow to lose patience has not left before, and asking costs a system call.
const LONG: u64 = 10;

/// Milliseconds to a client and back where the kernel does not know.
const UNKNOWN_DISTANCE: u64 = 100;

/// Which of a connection's sockets an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Client,
    /// The backend's.
    Backend,
}

/// The number by which events name a connection's socket.
pub fn token(key: Key, side: Side) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.id) << 1 | u64::from(side == Side::Backend)
}

/// Whose socket an event names.
pub fn of_token(token: u64) -> (Key, Side) {
    let side = if token & 1 == 0 { Side::Client } else { Side::Backend };
    let [g3, g2, g1, g0, i3, i2, i1, i0] = token.to_be_bytes();
    let id = u32::from_be_bytes([i3, i2, i1, i0]) >> 1;
    (Key { id, generation: u32::from_be_bytes([g3, g2, g1, g0]) }, side)
}

/// A client's connection.
pub struct Connection {
    client: Socket,
    stage: Stage,
    /// The client's address, as the kernel or the PROXY header gives it.
    peer: SocketAddr,
    /// The address it connected to, if a PROXY header says so.
    destination: Option<SocketAddr>,
    /// Its place in the count of sources; with a PROXY header, once that is read.
    entry: Option<Entry>,
    /// How admission knows its source.
    address: Address,
    /// What spoke for it when it entered the line of handshakes.
    class: Option<Class>,
    /// The number of its route, once it is established.
    route: usize,
    /// Plaintext bytes, in and out, that its route's counters know of.
    told: (u64, u64),
    /// Its source has not been noted as one that used a connection.
    unproven: bool,
    active: Rc<Active>,
    /// When it was accepted; [`Context::clock`].
    accepted: u64,
    /// Since when the client has been owing an answer; `u64::MAX` while it is the client that waits.
    silent_since: u64,
    /// Milliseconds to the client and back, once somebody had to know.
    round_trip: Option<u64>,
    /// When its timer fires at the latest, as its owner has armed it.
    pub armed: u64,
    /// It is in one of the queues of those that have something to do.
    pub queued: bool,
    /// It is in the queue of those that hold storage while they wait.
    pub stalls: bool,
    /// It counts as a connection.
    _counted: Counted,
    /// It counts as half-open.
    half_open: Option<Counted>,
}

enum Stage {
    /// Nothing was received yet.
    Silent,
    Handshake(Box<Negotiation>),
    Established(Box<Option<Relay>>),
    /// Everything is sent, and FIN; what the client still sends is dropped, until it has ended or this time has come.
    Lingering(u64),
}

impl Connection {
    /// A connection just accepted. Its key comes when it has its slot.
    pub fn new(
        fd: OwnedFd,
        peer: SocketAddr,
        entry: Option<Entry>,
        address: Address,
        counted: Counted,
        active: &Rc<Active>,
        cx: &Context,
    ) -> Self {
        Self {
            client: Socket::new(fd, 0),
            stage: Stage::Silent,
            peer,
            destination: None,
            entry,
            address,
            class: None,
            route: 0,
            told: (0, 0),
            unproven: true,
            active: Rc::clone(active),
            accepted: cx.clock,
            silent_since: cx.clock,
            round_trip: None,
            armed: u64::MAX,
            queued: false,
            stalls: false,
            _counted: counted,
            half_open: Some(cx.half_open.add()),
        }
    }

    /// Tells the connection its key.
    pub fn set_key(&mut self, key: Key) {
        self.client.set_token(token(key, Side::Client));
    }

    /// Whether the handshake is not complete.
    pub const fn is_half_open(&self) -> bool {
        self.half_open.is_some()
    }

    /// The process is to end. `true` if the connection can go on to its end now: it waits for a request to a built-in backend.
    pub fn drain(&mut self) -> bool {
        let Stage::Established(relay) = &mut self.stage else { return false };
        relay.as_mut().as_mut().is_some_and(Relay::drain)
    }

    /// When it will have taken too long, on [`Context::clock`]; `None` if it may stay as it is.
    pub fn deadline(&self) -> Option<u64> {
        let timeouts = &self.active.settings.timeouts;
        match &self.stage {
            Stage::Handshake(negotiation) if negotiation.has_hello() => {
                Some(self.accepted + timeouts.handshake)
            }
            Stage::Silent | Stage::Handshake(_) => {
                Some(self.accepted + timeouts.hello.min(timeouts.handshake))
            }
            Stage::Established(relay) => relay.as_ref().as_ref()?.deadline(timeouts, self.accepted),
            Stage::Lingering(until) => Some(*until),
        }
    }

    /// What it means that its deadline is over; `None` if it is to have another turn.
    pub fn timeout(&self, clock: u64) -> Option<Outcome> {
        match &self.stage {
            Stage::Silent | Stage::Handshake(_) => Some(Outcome::HandshakeTimeout),
            Stage::Established(relay) => {
                let timeouts = &self.active.settings.timeouts;
                relay.as_ref().as_ref()?.timeout(timeouts, self.accepted, &self.client, clock)
            }
            Stage::Lingering(_) => Some(Outcome::CloseTimeout),
        }
    }

    /// For what it holds storage while it waits, and since when.
    pub fn stalled_since(&self) -> Option<(Purpose, u64)> {
        match &self.stage {
            Stage::Handshake(negotiation) => {
                negotiation.holds_storage().then_some((Purpose::Handshake, self.accepted))
            }
            Stage::Established(relay) => {
                relay.as_ref().as_ref()?.stalled_since().map(|since| (Purpose::Relay, since))
            }
            Stage::Silent | Stage::Lingering(_) => None,
        }
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// The backend is not there.
    pub fn event(&mut self, side: Side, flags: EventFlags) -> Result<(), Outcome> {
        match (side, &mut self.stage) {
            (Side::Client, _) => self.client.event(flags),
            (Side::Backend, Stage::Established(relay)) => {
                if let Some(Relay { backend: Backend::Remote(remote), session, .. }) = relay.as_mut() {
                    let route = self.active.settings.routes.find(session.server_name.as_ref());
                    remote.event(flags, &route.target)?;
                }
            }
            (Side::Backend, _) => {}
        }
        Ok(())
    }

    /// Does what can be done now.
    pub fn turn(&mut self, cx: &mut Context, key: Key) -> Fate {
        if let Stage::Silent = self.stage {
            let mut negotiation = cx.negotiations.take();
            // Without an entry the PROXY header is still to come, and with it the source.
            let prefix = self.entry.as_ref().map_or(0, |entry| entry.place().hash());
            negotiation.begin(&self.active, Applicant { address: self.peer.ip(), prefix });
            self.stage = Stage::Handshake(negotiation);
        }
        let fate = match &mut self.stage {
            Stage::Handshake(negotiation) => {
                let turn = negotiation.turn(cx, key, &mut self.client, &self.active);
                self.after(cx, key, turn)
            }
            Stage::Established(relay) => match relay.as_mut() {
                Some(relay) => {
                    if let Backend::Remote(remote) = &mut relay.backend
                        && remote.again_at() <= cx.clock
                    {
                        let name = relay.session.server_name.as_ref();
                        if let Err(outcome) = remote.again(&self.active.settings.routes.find(name).target) {
                            return Fate::End(outcome);
                        }
                    }
                    if let Backend::Remote(remote) = &mut relay.backend
                        && let Some(begun) = remote.has_connected()
                    {
                        cx.counters.connect_time.observe(cx.clock.saturating_sub(begun));
                    }
                    let fate = relay.turn(cx, &mut self.client);
                    if let Some(route) = self.active.routes.get(self.route) {
                        let (told_in, told_out) = self.told;
                        route.moved(relay.bytes_in - told_in, relay.bytes_out - told_out);
                        self.told = (relay.bytes_in, relay.bytes_out);
                    }
                    if self.unproven && relay.bytes_in > 0 && relay.bytes_out > 0 {
                        self.unproven = false;
                        cx.admission.used(self.address, cx.clock);
                    }
                    fate
                }
                None => Fate::Wait,
            },
            Stage::Lingering(_) => self.linger(),
            Stage::Silent => Fate::Wait,
        };
        if let (Fate::Wait, Stage::Handshake(negotiation)) = (fate, &self.stage)
            && !negotiation.is_touched()
        {
            self.leave_stage(cx);
        }
        self.note_silence(fate, cx.clock);
        fate
    }

    /// After the server's flight it is the client's turn.
    const fn note_silence(&mut self, fate: Fate, clock: u64) {
        if matches!(fate, Fate::Wait) && self.silent_since == u64::MAX {
            self.silent_since = clock;
        }
    }

    /// What keeping it in its handshake costs others.
    pub fn burden(&mut self, admission: &Admission, clock: u64) -> u64 {
        let client = &self.client;
        let round_trip =
            *self.round_trip.get_or_insert_with(|| client.round_trip().unwrap_or(UNKNOWN_DISTANCE));
        admission.burden(self.address, clock.saturating_sub(self.silent_since), round_trip, clock)
    }

    /// Enters the line of handshakes that are due for public-key work.
    pub fn enter_line(&mut self, cx: &mut Context, key: Key) {
        self.silent_since = u64::MAX;
        if let Stage::Handshake(negotiation) = &self.stage {
            let clock = cx.clock;
            // From when its ClientHello was here: what the client took for that is no load, and no waiting.
            let class = cx.admission.enter(key.id, self.address, negotiation.resumes(), clock, clock);
            self.class = Some(class);
        }
    }

    /// Its turn has come, for which it has waited since `since`. Nothing is computed for a client that has gone meanwhile.
    pub fn called(&mut self, cx: &mut Context, key: Key, since: u64) -> Fate {
        let Stage::Handshake(negotiation) = &mut self.stage else { return Fate::Wait };
        if cx.clock.saturating_sub(since) >= LONG && self.client.is_gone() {
            cx.counters.gone.add(1);
            return Fate::End(Outcome::ClosedInHandshake);
        }
        negotiation.call();
        cx.admission.called(self.address, cx.clock);
        cx.counters.wait_time.observe(cx.clock.saturating_sub(since));
        self.turn(cx, key)
    }

    /// Drops what the client still sends.
    fn linger(&mut self) -> Fate {
        match self.client.discard() {
            Moved::Bytes(_) => Fate::Again,
            Moved::Blocked => Fate::Wait,
            Moved::End | Moved::Lost(_) => Fate::End(Outcome::Ok),
        }
    }

    /// Goes on with the result of a public-key job, which took `cost` microseconds.
    pub fn resume(&mut self, cx: &mut Context, key: Key, cost: u32, done: &Result<Output, Failed>) -> Fate {
        cx.admission.computed(self.address, cost, cx.clock);
        let Stage::Handshake(negotiation) = &mut self.stage else { return Fate::Wait };
        let turn = negotiation.resume(cx, key, &mut self.client, &self.active, done);
        let fate = self.after(cx, key, turn);
        self.note_silence(fate, cx.clock);
        fate
    }

    /// Makes sure that events come for what the connection waits for.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&mut self, cx: &Context) -> Result<(), Outcome> {
        self.client.watch(&cx.epoll).map_err(Outcome::Local)?;
        if let Stage::Established(relay) = &mut self.stage
            && let Some(Relay { backend: Backend::Remote(remote), .. }) = relay.as_mut()
        {
            remote.watch(&cx.epoll).map_err(Outcome::Local)?;
        }
        Ok(())
    }

    fn after(&mut self, cx: &mut Context, key: Key, turn: Turn) -> Fate {
        match turn {
            Turn::Fate(fate) => fate,
            Turn::Header => self.identified(cx, key),
            Turn::Completed => {
                // The relay takes along what lies where it is made.
                wipe_stack(Depth::Curves);
                self.establish(cx, key).unwrap_or_else(Fate::End)
            }
        }
    }

    /// The PROXY header has come: its source is asked for its limit before any work is done.
    fn identified(&mut self, cx: &mut Context, key: Key) -> Fate {
        let Stage::Handshake(negotiation) = &mut self.stage else { return Fate::Wait };
        if let Some((source, _)) = negotiation.addresses {
            self.entry = cx.shared.sources.enter(source.ip());
            let Some(entry) = &self.entry else { return Fate::End(Outcome::PrefixFull) };
            if !self.active.may_connect(entry.place().hash(), cx.clock) {
                return Fate::End(Outcome::TooFast);
            }
            let applicant = Applicant { address: source.ip(), prefix: entry.place().hash() };
            negotiation.set_applicant(applicant);
            self.address = cx.admission.address(source.ip());
            if !cx.admission.taken_in(self.address, cx.random.number(), cx.clock) {
                return Fate::End(Outcome::Heavy);
            }
        }
        let turn = negotiation.turn(cx, key, &mut self.client, &self.active);
        self.after(cx, key, turn)
    }

    /// The handshake is complete: on to the backend.
    #[inline(never)]
    fn establish(&mut self, cx: &mut Context, key: Key) -> Result<Fate, Outcome> {
        self.adopt_addresses();
        let Stage::Handshake(negotiation) = &mut self.stage else { return Ok(Fate::Wait) };
        let Some(completed) = negotiation.complete(&cx.memory)? else {
            return Ok(Fate::Starved(Purpose::Relay));
        };
        self.leave_stage(cx);
        let session = &completed.established.session;
        let counter = match (session.version, session.resumed) {
            (Version::Tls13, false) => &cx.counters.full_tls13,
            (Version::Tls13, true) => &cx.counters.resumed_tls13,
            (Version::Tls12, false) => &cx.counters.full_tls12,
            (Version::Tls12, true) => &cx.counters.resumed_tls12,
        };
        counter.add(1);
        cx.counters.agreed.count(session);
        if let Some(class) = self.class {
            cx.counters.by_class.count(class, Ended::Completed);
        }
        cx.counters.handshake_time.observe(cx.clock - self.accepted);
        let settings = Rc::clone(&self.active);
        let route = settings.settings.routes.find(session.server_name.as_ref());
        let target = &route.target;
        self.route = route.number;
        if let Some(counts) = settings.routes.get(self.route) {
            counts.connected();
        }
        let backend = match target {
            Target::Demo => Ok(Backend::Builtin(Builtin::new(Content::Parameters))),
            Target::Static(size) => Ok(Backend::Builtin(Builtin::new(Content::Bytes(*size)))),
            Target::Tcp(..) | Target::Unix(..) => {
                let header = self.proxy_header(&completed);
                let options = remote::Options {
                    keepalive: settings.settings.listener.keepalive,
                    unacknowledged: settings.settings.timeouts.idle,
                    descriptors: cx.shared.descriptors,
                };
                Remote::connect(target, options, token(key, Side::Backend), header).map(Backend::Remote)
            }
        };
        let (backend, failed) = match backend {
            Ok(backend) => (backend, None),
            Err(outcome) => (Backend::Builtin(Builtin::new(Content::Bytes(0))), Some(outcome)),
        };
        let mut place = cx.relays.take();
        let relay = place.insert(Relay::new(completed, backend, cx.clock - self.accepted, cx.clock));
        if let Some(outcome) = failed {
            relay.fail(cx, outcome);
        }
        self.stage = Stage::Established(place);
        self.half_open = None;
        cx.admission.half_open.leave(key.id);
        // It leaves the queue of handshakes.
        self.stalls = false;
        Ok(Fate::Serve)
    }

    /// From here on the client is who the PROXY header says.
    fn adopt_addresses(&mut self) {
        if let Stage::Handshake(negotiation) = &self.stage
            && let Some((source, destination)) = negotiation.addresses
        {
            self.peer = source;
            self.destination = Some(destination);
        }
    }

    fn proxy_header(&self, completed: &Completed) -> Option<(Box<[u8; MAX_WRITTEN]>, usize)> {
        let to_backend = self.active.settings.proxy.to_backend;
        if to_backend == ToBackend::Off {
            return None;
        }
        let destination = self.destination.unwrap_or_else(|| {
            let local = rustix::net::getsockname(self.client.fd()).ok().and_then(|a| a.try_into().ok());
            local.unwrap_or(proxy_protocol::UNKNOWN)
        });
        let mut header = Box::new([0; MAX_WRITTEN]);
        let len = if to_backend == ToBackend::V1 {
            proxy_protocol::write_v1(self.peer, destination, &mut *header)
        } else {
            let session = &completed.established.session;
            let identity = completed.verifier.as_ref().and_then(|verifier| verifier.identity());
            let tls = proxy_protocol::Tls {
                version: session.version.name(),
                cipher: session.suite.openssl_name(),
                alpn: session.alpn.as_ref().map(|alpn| alpn.as_bytes()),
                server_name: session.server_name.as_ref().map(|name| name.as_str()),
                client_verified: session.client_authenticated,
                resumed: session.resumed,
                client_cn: identity.and_then(|identity| identity.common_name.as_deref()),
                client_subject: identity.map(|identity| identity.subject.as_str()),
                fingerprint: session.fingerprint.as_ref().map(Ja4::as_str),
            };
            let numbers = &self.active.settings.tlvs;
            proxy_protocol::write_v2(self.peer, destination, &tls, numbers, &mut *header)
        };
        Some((header, len))
    }

    /// Gives back what the present stage holds.
    fn leave_stage(&mut self, cx: &mut Context) {
        match std::mem::replace(&mut self.stage, Stage::Silent) {
            Stage::Silent | Stage::Lingering(_) => {}
            Stage::Handshake(mut negotiation) => {
                negotiation.end();
                cx.negotiations.put(negotiation);
            }
            Stage::Established(mut place) => {
                clear(&mut *place);
                cx.relays.put(place);
            }
        }
    }

    /// Says goodbye, counts, logs, and gives back what it holds. `None` if it can be dropped now; what it does next, if it still has to
    /// see to it that its last bytes arrive.
    pub fn end(&mut self, cx: &mut Context, outcome: Outcome) -> Option<Fate> {
        let (outcome, lingers) = match &mut self.stage {
            Stage::Lingering(_) => return None,
            Stage::Silent => (outcome, false),
            Stage::Handshake(negotiation) => {
                let alert = match outcome {
                    Outcome::HandshakeTimeout | Outcome::Drained => Some(Alert::USER_CANCELED),
                    Outcome::NoBuffer | Outcome::Stalled | Outcome::Local(_) => Some(Alert::INTERNAL_ERROR),
                    _ => None,
                };
                if let Some(alert) = alert {
                    negotiation.abort(alert, cx, &mut self.client);
                }
                (outcome, matches!(outcome, Outcome::Tls(error) if error.alert().is_some()))
            }
            Stage::Established(relay) => match relay.as_mut() {
                Some(relay) if relay.ends_later(outcome) => {
                    relay.fail(cx, outcome);
                    return Some(Fate::Again);
                }
                Some(relay) => {
                    let outcome = relay.stop(cx, &mut self.client, outcome);
                    relay.let_backend_go(outcome);
                    (outcome, relay.lingers(&self.client))
                }
                None => (outcome, false),
            },
        };
        self.adopt_addresses();
        self.count(cx, outcome);
        self.log(cx, outcome);
        self.leave_stage(cx);
        if outcome.is_refusal() && self.active.resets_refused() {
            self.client.abort_on_close();
            return None;
        }
        if !lingers {
            if let Outcome::Tls(_) | Outcome::NotProxy = outcome {
                // A client that is told nothing sees an end, not a reset, of what it has sent so far.
                self.client.shut_down();
                self.client.discard();
            }
            return None;
        }
        // Unread bytes would turn the close into a reset, which could overtake what was sent last.
        self.client.shut_down();
        self.stage = Stage::Lingering(cx.clock + self.active.settings.timeouts.close);
        match self.linger() {
            Fate::End(_) => None,
            fate => Some(fate),
        }
    }

    fn count(&self, cx: &Context, outcome: Outcome) {
        use ttls::error::Culprit;
        let counters = &cx.counters;
        if self.is_half_open() && outcome != Outcome::Ok {
            let counter = match outcome {
                Outcome::Tls(ttls::Error::NotAdmitted) if self.refused_by().is_some() => {
                    &counters.refused_rule
                }
                Outcome::Tls(ttls::Error::NotAdmitted) => &counters.refused_rate,
                Outcome::Tls(error) => match error.culprit() {
                    Culprit::Peer => &counters.failed_peer,
                    Culprit::Mismatch => &counters.failed_mismatch,
                    Culprit::Local => &counters.failed_local,
                },
                Outcome::NotProxy => &counters.failed_peer,
                Outcome::HandshakeTimeout => &counters.failed_timeout,
                Outcome::NoBuffer | Outcome::Stalled | Outcome::Local(_) => &counters.failed_local,
                _ => &counters.failed_closed,
            };
            counter.add(1);
        }
        if let Some(class) = self.class.filter(|_| self.is_half_open()) {
            let ended = match outcome {
                Outcome::Overdue | Outcome::Evicted => Ended::Dropped,
                Outcome::ClosedInHandshake | Outcome::ClientLost(_) | Outcome::Ok => Ended::Left,
                _ => Ended::Failed,
            };
            counters.by_class.count(class, ended);
        }
        if let (Stage::Established(relay), Some(route)) = (&self.stage, self.active.routes.get(self.route)) {
            if let Some(relay) = relay.as_ref() {
                let (told_in, told_out) = self.told;
                route.moved(relay.bytes_in - told_in, relay.bytes_out - told_out);
            }
            if outcome.level(self.progress()) != Level::Info {
                route.failed(outcome);
            }
        }
        match outcome {
            Outcome::Evicted => counters.evicted.add(1),
            Outcome::PrefixFull => counters.refused_prefix.add(1),
            Outcome::TooFast => counters.refused_connection_rate.add(1),
            Outcome::Heavy => counters.refused_heavy.add(1),
            Outcome::Overdue => counters.overdue.add(1),
            Outcome::Stalled => counters.refused_memory.add(1),
            Outcome::IdleTimeout => counters.idle_timeouts.add(1),
            Outcome::Drained => counters.cut.add(1),
            Outcome::BackendRefused(_) | Outcome::BackendUnknown | Outcome::BackendTimeout => {
                counters.backend_failed.add(1);
            }
            _ => {}
        }
    }

    /// The number of the rule that refused it.
    const fn refused_by(&self) -> Option<usize> {
        match &self.stage {
            Stage::Handshake(negotiation) => negotiation.refused_by(),
            _ => None,
        }
    }

    /// What has happened so far, for the log.
    fn progress(&self) -> Progress {
        match &self.stage {
            Stage::Silent | Stage::Lingering(_) => Progress::Silent,
            Stage::Handshake(negotiation) if !negotiation.is_touched() => Progress::Silent,
            Stage::Established(relay) if relay.as_ref().as_ref().is_some_and(Relay::has_answered) => {
                Progress::Answered
            }
            Stage::Handshake(_) | Stage::Established(_) => Progress::Some,
        }
    }

    fn log(&self, cx: &mut Context, outcome: Outcome) {
        let log = &self.active.settings.log;
        let level = outcome.level(self.progress());
        let wanted = match log.connections {
            Connections::All => true,
            Connections::Errors => level != Level::Info,
            Connections::Off => false,
        };
        if !wanted {
            return;
        }
        let (now, ms) = (cx.now, cx.clock - self.accepted);
        let line = if outcome.is_ok() {
            Some(cx.log.line(now, level.name(), "connection"))
        } else {
            cx.log.rated_line(now, level.name(), "connection")
        };
        let Some(mut line) = line else { return };
        line.display("peer", self.peer);
        if let Stage::Established(relay) = &self.stage
            && let Some(relay) = relay.as_ref()
        {
            let session = &relay.session;
            line.some("server_name", session.server_name.as_ref().map(|name| name.as_str()))
                .text("version", session.version.name())
                .text("suite", session.suite.name())
                .some("group", session.group.map(group_name))
                .switch("resumed", session.resumed)
                .some("fingerprint", session.fingerprint.as_ref().map(Ja4::as_str));
            if let Some(alpn) = &session.alpn {
                line.display("alpn", alpn.as_bytes().escape_ascii());
            }
            let identity = relay.verifier.as_ref().and_then(|verifier| verifier.identity());
            if session.client_authenticated {
                line.some("client", identity.map(|identity| identity.subject.as_str()));
            }
            let route = self.active.settings.routes.find(session.server_name.as_ref());
            line.text("backend", route.target.name())
                .number("in", relay.bytes_in)
                .number("out", relay.bytes_out)
                .number("handshake_ms", relay.handshake_ms);
        }
        if let Stage::Handshake(negotiation) = &self.stage {
            let offer = negotiation.offer();
            if let Some(name) = offer.server_name() {
                line.display("server_name", name);
            }
            if let Some(offer) = offer.told() {
                line.display("offered", offer);
            }
            line.some("refused", negotiation.refusal());
            if let Some(rule) = negotiation.refused_by() {
                line.number("rule", rule as u64 + 1);
            }
        }
        line.number("ms", ms).display("result", outcome).end();
    }
}
