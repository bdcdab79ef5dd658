// SPDX-License-Identifier: MIT OR Apache-2.0
//! An established connection: records in, plaintext out, and the way back.
//!
//! ```text
//! client ─► receiving: receive, open in place ─► send the plaintext from there ─► backend
//! client ◄─ sending: send ◄─ seal in place ◄─ receive at the records' headroom ◄─ backend
//! ```
//!
//! Storage is held only while it has bytes in it. A direction that can not get rid of its bytes stops
//! reading: that is all the backpressure there is, and it bounds the memory.
//!
//! A connection that fails is not dropped. What had arrived whole still goes to the backend, which is then reset: it must not take a part
//! for the whole. What was sealed still goes to the client, and the alert after it, if one is due.

use super::context::{Context, Fate};
use super::memory::Purpose;
use super::negotiation::Completed;
use super::outcome::Outcome;
use super::page::Builtin;
use super::receiving::Receiving;
use super::record_plan::Plan;
use super::remote::Remote;
use super::sending::{Sending, Unsent};
use super::socket::{Moved, Socket};
use crate::client_auth::Verifier;
use crate::settings::Timeouts;
use rustix::io::Errno;
use std::io::IoSliceMut;
use ttls::{Opened, Session, Traffic};

/// Steps in both directions in one turn, before others have theirs.
const TURN: usize = 32;
/// The same in bytes of plaintext.
const TURN_BYTES: u64 = 512 << 10;
/// Steps up for one down with a built-in backend: open, hand over, open, take note of the end.
const BUILTIN_UPS: usize = 4;
/// Milliseconds between two questions whether a backend has acknowledged everything.
const DELIVERY: u64 = 50;

/// An established connection.
pub struct Relay {
    /// Its record layer.
    traffic: Traffic,
    /// What was negotiated.
    pub session: Session,
    /// The client's certificate.
    pub verifier: Option<Box<Verifier>>,
    /// Where its bytes go.
    pub backend: Backend,
    receiving: Receiving,
    sending: Sending,
    up: Up,
    down: Down,
    /// Why it ends, once that is known and not in order.
    failed: Option<Outcome>,
    plan: Plan,
    /// When a byte last moved that matters; [`Context::clock`].
    moved: u64,
    /// Since when what was received waits to become a whole record, or to be passed on.
    waits_up: u64,
    /// Since when what is to be sent waits for the client.
    waits_down: u64,
    /// Bytes for the client were given up.
    unsent_is_lost: bool,
    /// When to ask again whether the backend has acknowledged everything.
    look: u64,
    /// Plaintext bytes from the client.
    pub bytes_in: u64,
    /// Plaintext bytes to the client.
    pub bytes_out: u64,
    /// Milliseconds from accept to the end of the handshake.
    pub handshake_ms: u64,
}

/// Who answers.
#[allow(clippy::large_enum_variant)] // lives in a connection's slot
pub enum Backend {
    /// A socket.
    Remote(Remote),
    /// This program.
    Builtin(Builtin),
}

/// From the client to the backend.
#[derive(Default)]
struct Up {
    /// close_notify came: nothing follows.
    closed: bool,
    /// FIN or RST came.
    ended: bool,
    /// The backend takes no more; what still comes is dropped.
    deaf: bool,
}

/// From the backend to the client.
#[derive(Default)]
struct Down {
    /// The backend has sent everything.
    closed: bool,
    /// FIN is sent.
    shut: bool,
    /// The client takes no more, and why.
    lost: Option<Outcome>,
}

/// Why a direction stops.
enum Stop {
    /// No storage is free.
    Starved,
    /// Nothing can be read now.
    Blocked,
    /// The other side has sent everything.
    Ended,
    /// The connection ends.
    Fail(Outcome),
}

impl From<ttls::Error> for Stop {
    fn from(error: ttls::Error) -> Self {
        Self::Fail(Outcome::Tls(error))
    }
}

impl From<Unsent> for Stop {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Starved => Self::Fail(Outcome::NoBuffer),
            Unsent::Full => Self::Fail(Outcome::Tls(ttls::Error::Internal("an answer does not fit"))),
            Unsent::Tls(error) => error.into(),
        }
    }
}

impl Relay {
    /// Whether the client was sent bytes, and all that there were.
    pub const fn has_answered(&self) -> bool {
        self.bytes_out > 0 && !self.unsent_is_lost && self.sending.is_empty()
    }

    /// Takes over from the handshake at `clock`.
    pub fn new(completed: Completed, backend: Backend, handshake_ms: u64, clock: u64) -> Self {
        let Completed { established, receiving, sending, verifier } = completed;
        Self {
            traffic: established.traffic,
            session: established.session,
            verifier,
            backend,
            receiving,
            sending,
            up: Up::default(),
            down: Down::default(),
            failed: None,
            plan: Plan::default(),
            moved: clock,
            waits_up: clock,
            waits_down: clock,
            unsent_is_lost: false,
            look: 0,
            bytes_in: 0,
            bytes_out: 0,
            handshake_ms,
        }
    }

    /// Moves bytes both ways as far as they go.
    pub fn turn(&mut self, cx: &mut Context, client: &mut Socket) -> Fate {
        let mut starved = false;
        let before = self.bytes_in + self.bytes_out;
        for _ in 0..TURN {
            let mut moved = false;
            // A built-in backend answers at once: its response joins the tickets that may wait, in one send.
            let ups = if matches!(self.backend, Backend::Builtin(_)) { BUILTIN_UPS } else { 1 };
            let mut up = true;
            for step in 0..=ups {
                let progress = match step {
                    _ if step == ups => self.step_down(cx, client),
                    _ if up => self.step_up(cx, client),
                    _ => continue,
                };
                match progress {
                    Ok(progress) => {
                        up = progress;
                        moved |= progress;
                    }
                    Err(Stop::Starved) => starved = true,
                    Err(Stop::Blocked | Stop::Ended) => {}
                    Err(Stop::Fail(outcome)) => {
                        self.fail(cx, outcome);
                        moved = true;
                    }
                }
            }
            if self.is_over() {
                return Fate::End(self.failed.unwrap_or(Outcome::Ok));
            }
            if !moved {
                self.receiving.shrink(&cx.memory);
                self.sending.shrink(&cx.memory);
                self.look = cx.clock + DELIVERY;
                return if starved { Fate::Starved(Purpose::Relay) } else { Fate::Wait };
            }
            if self.bytes_in + self.bytes_out - before >= TURN_BYTES {
                break;
            }
        }
        Fate::Again
    }

    /// Both directions are done.
    fn is_over(&self) -> bool {
        let client = self.down.shut || self.down.lost.is_some();
        let Backend::Remote(remote) = &self.backend else {
            // Its last record, close_notify and FIN are sent.
            return client;
        };
        let backend = match self.is_cut() {
            false => self.up.closed && (remote.is_shut() || self.up.deaf),
            true => !self.delivers() || self.is_delivered(),
        };
        client && backend
    }

    /// The client's stream did not end in order, and will not.
    const fn is_cut(&self) -> bool {
        self.failed.is_some() || (self.up.ended && !self.up.closed)
    }

    /// The backend is to have what had arrived whole before the client's stream was cut.
    const fn delivers(&self) -> bool {
        match &self.backend {
            Backend::Remote(remote) => self.is_cut() && !self.up.deaf && !remote.is_shut(),
            Backend::Builtin(_) => false,
        }
    }

    /// Nothing is left to do but to wait for the backend.
    const fn awaits_delivery(&self) -> bool {
        self.delivers() && (self.failed.is_some() || self.down.shut)
    }

    /// The backend has acknowledged what had arrived whole.
    fn is_delivered(&self) -> bool {
        match &self.backend {
            Backend::Remote(remote) => self.receiving.plain().is_empty() && remote.is_delivered(),
            Backend::Builtin(_) => true,
        }
    }

    /// Closes between two requests to a built-in backend. `false` if this is not such a moment.
    pub fn drain(&mut self) -> bool {
        let between = self.is_between_responses();
        self.down.closed |= between;
        between
    }

    /// Nothing is under way with a built-in backend.
    fn is_between_responses(&self) -> bool {
        match &self.backend {
            Backend::Builtin(builtin) => !builtin.has_response() && self.receiving.plain().is_empty(),
            Backend::Remote(_) => false,
        }
    }

    /// When it will have taken too long, on [`Context::clock`]; `None` if it may stay as it is. It was accepted at `accepted`.
    pub fn deadline(&self, timeouts: &Timeouts, accepted: u64) -> Option<u64> {
        match &self.backend {
            Backend::Remote(remote) if !remote.is_ready() && !self.up.deaf => {
                Some((accepted + self.handshake_ms + timeouts.connect).min(remote.again_at()))
            }
            _ if self.awaits_delivery() => Some((self.moved + timeouts.close).min(self.look)),
            _ if self.failed.is_some() => Some(self.moved + timeouts.close),
            // After that, another look now and then whether TCP has got rid of its bytes.
            _ if self.down.shut => Some((self.moved + timeouts.close).max(self.look)),
            _ if timeouts.idle == 0 => None,
            _ => Some(self.moved + timeouts.idle),
        }
    }

    /// What it means that the deadline is over; `None` if it was for another look only, or another attempt to reach the backend.
    pub fn timeout(
        &self,
        timeouts: &Timeouts,
        accepted: u64,
        client: &Socket,
        clock: u64,
    ) -> Option<Outcome> {
        match &self.backend {
            Backend::Remote(remote) if !remote.is_ready() && !self.up.deaf => {
                let is_over = accepted + self.handshake_ms + timeouts.connect <= clock;
                is_over.then_some(Outcome::BackendTimeout)
            }
            _ if self.awaits_delivery() && self.moved + timeouts.close > clock => None,
            _ if self.failed.is_some() => self.failed,
            _ if self.down.shut => {
                // While TCP still has bytes for the client, they are under way.
                let under_way =
                    !client.is_delivered() && (timeouts.idle == 0 || self.moved + timeouts.idle > clock);
                if under_way { None } else { Some(Outcome::CloseTimeout) }
            }
            _ => Some(Outcome::IdleTimeout),
        }
    }

    /// Since when it holds storage that does not empty; `None` if it holds none. Bytes that do not complete a record are no progress.
    pub fn stalled_since(&self) -> Option<u64> {
        let up = self.receiving.holds_storage().then_some(self.waits_up);
        let down = self.sending.holds_storage().then_some(self.waits_down);
        up.into_iter().chain(down).min()
    }

    /// One record from the client to the backend. `true` if something moved.
    fn step_up(&mut self, cx: &mut Context, client: &mut Socket) -> Result<bool, Stop> {
        if !self.receiving.plain().is_empty() {
            return self.pass_on(cx);
        }
        if self.failed.is_some() {
            if self.up.closed {
                self.shut_backend();
            }
            // Unread bytes would turn the close into a reset, which could overtake the alert.
            return Ok(!self.up.ended && self.discard(client));
        }
        if self.up.closed {
            return Ok(self.shut_backend());
        }
        if self.up.ended {
            return Ok(false);
        }
        if let Backend::Remote(remote) = &mut self.backend
            && !self.up.deaf
            && !remote.is_ready()
        {
            // Nothing is read that could not be passed on; a client that goes away shows in time.
            return Ok(false);
        }
        if self.receiving.has_unopened()
            && let Some(moved) = self.open(cx)?
        {
            return Ok(moved);
        }
        if !client.readable() {
            return Ok(false);
        }
        if !self.receiving.has_unopened() {
            self.waits_up = cx.clock;
        }
        let moved = self.receiving.receive(&cx.memory, |free| client.receive(free))?;
        match moved.ok_or(Stop::Starved)? {
            Moved::Bytes(_) => {
                if !self.up.deaf {
                    self.moved = cx.clock;
                }
                Ok(true)
            }
            Moved::Blocked => Ok(false),
            Moved::End => {
                self.up.ended = true;
                match self.down.lost {
                    Some(outcome) => Err(Stop::Fail(outcome)),
                    None if self.sending.is_ended() => Ok(true),
                    None => Err(Stop::Fail(Outcome::Truncated)),
                }
            }
            Moved::Lost(error) => {
                self.up.ended = true;
                Err(Stop::Fail(self.client_lost(error)))
            }
        }
    }

    /// Opens the next record. `None` if more bytes are needed.
    fn open(&mut self, cx: &mut Context) -> Result<Option<bool>, Stop> {
        if !self.sending.has_room() {
            // An answer might not fit: what is in the way goes first.
            return Ok(Some(false));
        }
        if self.sending.is_empty() {
            self.waits_down = cx.clock;
        }
        let Self { receiving, sending, traffic, .. } = self;
        let opened = sending.answer(&cx.memory, |out| receiving.open(traffic, out, cx.clock))?;
        if !matches!(opened, Opened::Incomplete { .. }) {
            self.waits_up = cx.clock;
        }
        match opened {
            Opened::Data(range) => {
                self.bytes_in += range.len() as u64;
                cx.counters.bytes_in.add(range.len() as u64);
                Ok(Some(true))
            }
            Opened::Handled => Ok(Some(true)),
            Opened::CloseNotify => {
                self.up.closed = true;
                Ok(Some(true))
            }
            Opened::Incomplete { .. } => Ok(None),
        }
    }

    /// Passes opened bytes on to the backend.
    fn pass_on(&mut self, cx: &Context) -> Result<bool, Stop> {
        let bytes = self.receiving.plain();
        let taken = match &mut self.backend {
            _ if self.up.deaf => bytes.len(),
            Backend::Builtin(_) if self.failed.is_some() => bytes.len(),
            Backend::Builtin(builtin) => {
                let taken = builtin.request(bytes).map_err(Stop::Fail)?;
                if taken == 0 {
                    return Ok(false);
                }
                taken
            }
            Backend::Remote(remote) => match remote.send(bytes) {
                Moved::Bytes(count) => {
                    (self.moved, self.waits_up) = (cx.clock, cx.clock);
                    count
                }
                Moved::Blocked | Moved::End => return Ok(false),
                Moved::Lost(_) => {
                    // It may have answered before it went: what it sent still reaches the client.
                    self.up.deaf = true;
                    bytes.len()
                }
            },
        };
        self.receiving.passed_on(taken);
        Ok(true)
    }

    /// Passes the client's end on. `true` if that was news.
    fn shut_backend(&mut self) -> bool {
        match &mut self.backend {
            Backend::Remote(remote) => remote.shut_down(),
            // What it was asked before is answered first.
            Backend::Builtin(builtin) if builtin.has_response() => false,
            Backend::Builtin(_) => !std::mem::replace(&mut self.down.closed, true),
        }
    }

    /// Drops what the client still sends. `true` if there was something.
    fn discard(&mut self, client: &mut Socket) -> bool {
        match client.discard() {
            Moved::Bytes(_) => true,
            Moved::Blocked => false,
            Moved::End | Moved::Lost(_) => {
                self.up.ended = true;
                true
            }
        }
    }

    /// One read from the backend to the client. `true` if something moved.
    fn step_down(&mut self, cx: &mut Context, client: &mut Socket) -> Result<bool, Stop> {
        if self.down.lost.is_some() {
            if !std::mem::replace(&mut self.down.shut, true) {
                client.shut_down();
            }
            return Ok(self.ignore_backend());
        }
        let mut moved = false;
        if self.sending.is_empty() {
            self.waits_down = cx.clock;
        }
        // With a built-in backend tickets wait in the buffer; the first response joins them.
        let fills =
            (self.sending.is_empty() && client.writable()) || matches!(self.backend, Backend::Builtin(_));
        if fills && !self.sending.is_ended() {
            moved |= self.fill(cx, client)?;
        } else if self.failed.is_some() {
            moved |= self.ignore_backend();
        }
        if self.down.closed && !self.sending.is_ended() && self.sending.has_room() {
            match self.sending.end(&cx.memory, |out| self.traffic.close_notify(out)) {
                Ok(()) => moved = true,
                Err(Unsent::Starved) => return Err(Stop::Starved),
                Err(unsent) => return Err(unsent.into()),
            }
        }
        if !self.sending.is_empty() {
            let bytes = self.sending.bytes();
            match if self.sending.is_ended() { client.send_last(bytes) } else { client.send(bytes) } {
                Moved::Bytes(count) => {
                    self.sending.sent(count);
                    (self.moved, self.waits_down) = (cx.clock, cx.clock);
                    moved = true;
                }
                Moved::Blocked | Moved::End => {}
                Moved::Lost(error) => {
                    self.give_up_sending();
                    self.down.lost = Some(self.client_lost(error));
                    // What it had sent before it went still reaches the backend.
                    let read = self.up.closed || self.up.ended || self.failed.is_some();
                    return if read { Err(Stop::Fail(self.client_lost(error))) } else { Ok(true) };
                }
            }
        }
        if self.sending.is_empty() && self.sending.is_ended() && !self.down.shut {
            self.down.shut = true;
            // Where both sides are done and nothing lies unread, which would turn it into a reset, close() sends
            // the FIN with the last bytes.
            let closes_now = (self.up.closed || self.up.ended) && self.is_over() && !client.readable();
            if !closes_now {
                client.shut_down();
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Drops what the backend still sends, lest it blocks and stops reading. `true` if there was something.
    fn ignore_backend(&mut self) -> bool {
        match &mut self.backend {
            Backend::Remote(remote) if !self.down.closed => match remote.discard() {
                Moved::Bytes(_) => true,
                Moved::Blocked => false,
                Moved::End | Moved::Lost(_) => {
                    self.down.closed = true;
                    true
                }
            },
            _ => false,
        }
    }

    /// Reads from the backend into as many records as planned and seals them where they lie.
    fn fill(&mut self, cx: &mut Context, client: &mut Socket) -> Result<bool, Stop> {
        let ready = match &self.backend {
            Backend::Remote(remote) => remote.readable() && !self.down.closed,
            Backend::Builtin(builtin) => builtin.has_response(),
        };
        if !ready {
            return Ok(false);
        }
        let Self { sending, traffic, backend, session, plan, .. } = self;
        let mut outlook = plan.outlook(cx.clock, || client.path());
        if let Some(unsent) = plan.grow(&mut outlook) {
            client.limit_unsent(unsent);
        }
        if outlook.is_full() && sending.is_empty() && !client.takes_more() {
            return Ok(false);
        }
        if sending.prepare(&cx.memory, plan.is_warm(cx.clock)).is_err() {
            return Err(Stop::Starved);
        }
        if traffic.key_is_worn() && sending.has_room() {
            sending.answer(&cx.memory, |out| traffic.update_keys(out))?;
        }
        let overhead = traffic.overhead();
        let most = traffic.record_limit().min(sending.room(overhead));
        if most == 0 {
            return Ok(false);
        }
        let sizes = std::iter::from_fn(|| outlook.next(overhead, most));
        let read = |records: &mut [IoSliceMut<'_>]| match backend {
            Backend::Remote(remote) => {
                let capacity = records.iter().map(|record| record.len()).sum();
                match remote.receive(records, capacity) {
                    Moved::Bytes(count) => Ok(count),
                    Moved::Blocked => Err(Stop::Blocked),
                    Moved::End => Err(Stop::Ended),
                    Moved::Lost(error) => Err(Stop::Fail(Outcome::BackendLost(error))),
                }
            }
            Backend::Builtin(builtin) => {
                let mut total = 0;
                for record in records {
                    let count = builtin.respond(record, session, cx.draining);
                    total += count;
                    if count < record.len() {
                        break;
                    }
                }
                Ok(total)
            }
        };
        let count = match sending.fill(traffic, sizes, read) {
            Ok(count) => count,
            Err(Stop::Blocked) => return Ok(false),
            Err(Stop::Ended) => {
                self.down.closed = true;
                return Ok(true);
            }
            Err(stop) => return Err(stop),
        };
        if let Backend::Builtin(builtin) = backend {
            self.down.closed |= builtin.is_finished();
        }
        plan.sent(count, cx.clock);
        (self.moved, self.waits_down) = (cx.clock, cx.clock);
        self.bytes_out += count as u64;
        cx.counters.bytes_out.add(count as u64);
        Ok(true)
    }

    fn give_up_sending(&mut self) {
        self.unsent_is_lost |= !self.sending.is_empty();
        self.sending.clear();
    }

    /// Begins the end: tells the client why, if it is to know. The first reason counts.
    pub fn fail(&mut self, cx: &Context, outcome: Outcome) {
        let backend_is_gone =
            matches!(outcome, Outcome::BackendLost(_) | Outcome::BackendRefused(_) | Outcome::BackendTimeout);
        self.up.deaf |= backend_is_gone;
        self.down.closed |= backend_is_gone;
        if self.failed.is_some() {
            return;
        }
        self.failed = Some(outcome);
        self.moved = cx.clock;
        if self.receiving.plain().is_empty() {
            self.receiving.clear();
        }
        match outcome {
            Outcome::Truncated
            | Outcome::ClientLost(_)
            | Outcome::Tls(ttls::Error::PeerAlert(_))
            | Outcome::Ok => {
                self.give_up_sending();
                self.down.lost = Some(outcome);
            }
            Outcome::Tls(error) => {
                // Without room for the alert the connection just closes.
                let _ = self.sending.end(&cx.memory, |out| self.traffic.alert(error, out));
                self.sending.cut();
            }
            _ if backend_is_gone || outcome.is_local() => {
                let error = ttls::Error::Internal("backend");
                let _ = self.sending.end(&cx.memory, |out| self.traffic.alert(error, out));
                self.sending.cut();
            }
            _ => self.sending.cut(),
        }
    }

    /// Whether an end that comes from outside leaves time to tell the client.
    pub fn ends_later(&self, outcome: Outcome) -> bool {
        let tells = matches!(
            outcome,
            Outcome::BackendRefused(_)
                | Outcome::BackendTimeout
                | Outcome::BackendLost(_)
                | Outcome::Local(_)
        );
        tells && !self.up.deaf && !self.is_over()
    }

    /// Ends the connection at once: a time-out, the drain's deadline, no storage for others.
    ///
    /// close_notify would say that the client has everything: where the backend has not ended its stream, an alert says that it has not.
    /// The end of the stream alone does not: many clients take it for close_notify.
    pub fn stop(&mut self, cx: &Context, client: &mut Socket, outcome: Outcome) -> Outcome {
        if !self.sending.is_ended() {
            let whole = self.is_between_responses() || (self.bytes_in == 0 && self.bytes_out == 0);
            let _ = self.sending.end(&cx.memory, |out| match whole {
                true => self.traffic.close_notify(out),
                false => self.traffic.alert(ttls::Error::Internal("cut short"), out),
            });
        }
        if !self.sending.is_empty()
            && let Moved::Bytes(count) = client.send(self.sending.bytes())
        {
            self.sending.sent(count);
        }
        if !self.sending.is_empty() {
            client.abort_on_close();
        }
        self.failed.unwrap_or(outcome)
    }

    /// The client may still send, which must not turn the close into a reset that overtakes what was sent to it.
    pub fn lingers(&self, client: &Socket) -> bool {
        let listens = self.down.shut && self.down.lost.is_none() && !self.up.ended;
        let goes_on = match &self.backend {
            Backend::Builtin(builtin) => builtin.is_sent_more(),
            Backend::Remote(_) => false,
        };
        listens && (client.readable() || ((self.failed.is_some() || goes_on) && !self.up.closed))
    }

    /// The connection has ended like this: a backend that got a part only must not take it for the whole.
    pub fn let_backend_go(&self, outcome: Outcome) {
        if let Backend::Remote(remote) = &self.backend
            && (outcome != Outcome::Ok || self.up.ended)
            && !self.up.closed
        {
            remote.abort();
        }
    }

    /// A client that is gone after both sides said goodbye is not an error.
    const fn client_lost(&self, error: Errno) -> Outcome {
        if self.up.closed && self.down.closed { Outcome::Ok } else { Outcome::ClientLost(error) }
    }
}
