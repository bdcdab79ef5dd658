// SPDX-License-Identifier: MIT OR Apache-2.0
//! An established connection: records in, plaintext out, and the way back.
//!
//! ```text
//! client ─► up.buffer: receive, open in place ─► send the plaintext from there ─► backend
//! client ◄─ down.buffer: send ◄─ seal in place ◄─ receive at the records' headroom ◄─ backend
//! ```
//!
//! A buffer is held only while it has bytes in it. A direction that can not get rid of its bytes stops
//! reading: that is all the backpressure there is, and it bounds the memory.

use super::context::{BUFFER, Context, Fate, RecordBuffer, SendBuffer};
use super::negotiation::Completed;
use super::outcome::Outcome;
use super::page::Builtin;
use super::record_plan::Plan;
use super::remote::Remote;
use super::socket::{Moved, Socket};
use crate::client_auth::Verifier;
use std::io::IoSliceMut;
use std::ops::Range;
use ttls::{Inbound, Opened, Outbound, Session, Traffic, Window};

/// Room that answers of the TLS layer (KeyUpdate, alerts, close_notify) need in the send buffer.
const ROOM_FOR_ANSWERS: usize = 256;
/// Steps in both directions in one turn, before others have theirs.
const TURN: usize = 32;
/// The same in bytes of plaintext.
const TURN_BYTES: u64 = 512 << 10;
/// Steps up for one down with a built-in backend: open, hand over, open, take note of the end.
const BUILTIN_UPS: usize = 4;
/// Most records sealed from one read.
const RECORDS: usize = 16;

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
    up: Up,
    down: Down,
    plan: Plan,
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
    buffer: Option<Box<RecordBuffer>>,
    window: Window,
    /// Opened and not yet passed on.
    plain: Range<usize>,
    /// close_notify came: nothing follows.
    closed: bool,
    /// FIN came.
    ended: bool,
    /// The backend takes no more; what still comes is dropped.
    deaf: bool,
}

/// From the backend to the client.
#[derive(Default)]
struct Down {
    buffer: Option<SendBuffer>,
    /// Bytes still to be sent.
    unsent: Range<usize>,
    /// The backend has sent everything.
    closed: bool,
    /// close_notify is in the buffer or sent.
    notified: bool,
    /// FIN is sent.
    shut: bool,
}

impl Down {
    fn has_room(&self) -> bool {
        self.buffer.as_ref().is_none_or(|buffer| buffer.bytes().len() - self.unsent.end >= ROOM_FOR_ANSWERS)
    }

    /// Takes a bulk buffer, if one is free; nothing is unsent.
    fn widen(&mut self, cx: &mut Context) {
        if !matches!(self.buffer, Some(SendBuffer::Bulk(_)))
            && let Some(bulk) = cx.bulk.take()
        {
            self.give_back(cx);
            self.buffer = Some(SendBuffer::Bulk(bulk));
        }
    }

    fn give_back(&mut self, cx: &mut Context) {
        match self.buffer.take() {
            Some(SendBuffer::Record(buffer)) => cx.buffers.put(buffer),
            Some(SendBuffer::Bulk(buffer)) => cx.bulk.put(buffer),
            None => {}
        }
    }
}

/// Why a direction stops.
enum Stop {
    /// No buffer is free.
    Starved,
    /// The connection ends.
    End(Outcome),
}

impl Relay {
    /// Whether the client was sent bytes, and all that there were.
    pub const fn has_answered(&self) -> bool {
        self.bytes_out > 0 && self.down.unsent.start == self.down.unsent.end
    }

    /// Takes over from the handshake.
    pub fn new(completed: Completed, backend: Backend, handshake_ms: u64) -> Self {
        let Completed { established, received, window, unsent, verifier } = completed;
        let (buffer, unsent) = match unsent {
            Some((buffer, len)) => (Some(SendBuffer::Record(buffer)), 0..len),
            None => (None, 0..0),
        };
        Self {
            traffic: established.traffic,
            session: established.session,
            verifier,
            backend,
            up: Up { buffer: received, window, ..Up::default() },
            down: Down { buffer, unsent, ..Down::default() },
            plan: Plan::default(),
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
                    Err(Stop::End(outcome)) => return Fate::End(self.explain(cx, client, outcome)),
                }
            }
            if self.is_over() {
                return Fate::End(Outcome::Ok);
            }
            if !moved {
                self.give_back(cx);
                return if starved { Fate::Starved } else { Fate::Wait };
            }
            if self.bytes_in + self.bytes_out - before >= TURN_BYTES {
                break;
            }
        }
        Fate::Again
    }

    /// Both directions are done.
    const fn is_over(&self) -> bool {
        let up = self.up.closed || self.up.ended;
        match &self.backend {
            Backend::Remote(remote) => {
                self.down.shut && up && (remote.is_shut() || self.up.deaf || self.up.ended)
            }
            // Its last record, close_notify and FIN are sent.
            Backend::Builtin(_) => self.down.shut,
        }
    }

    /// Closes between two requests to a built-in backend. `false` if this is not such a moment.
    pub fn drain(&mut self) -> bool {
        match &self.backend {
            Backend::Builtin(builtin) if !builtin.has_response() && self.up.plain.is_empty() => {
                self.down.closed = true;
                true
            }
            _ => false,
        }
    }

    /// One of the directions is done.
    pub const fn is_closing(&self) -> bool {
        self.up.closed || self.down.closed
    }

    /// One record from the client to the backend. `true` if something moved.
    fn step_up(&mut self, cx: &mut Context, client: &mut Socket) -> Result<bool, Stop> {
        if !self.up.plain.is_empty() {
            return self.pass_on();
        }
        if self.up.closed || self.up.ended {
            return Ok(self.shut_backend());
        }
        if let Backend::Remote(remote) = &mut self.backend
            && !self.up.deaf
            && !remote.is_ready()
        {
            // Nothing is read that could not be passed on; a client that goes away shows in time.
            return Ok(false);
        }
        if self.up.window.unopened() > 0
            && let Some(moved) = self.open(cx)?
        {
            return Ok(moved);
        }
        if !client.readable() {
            return Ok(false);
        }
        if self.up.buffer.is_none() {
            self.up.buffer = cx.buffers.take();
            self.up.window = Window::default();
        }
        let Some(buffer) = &mut self.up.buffer else { return Err(Stop::Starved) };
        let mut inbound = Inbound::new(&mut buffer.0, &mut self.up.window);
        let free = inbound.free();
        if free.is_empty() {
            return Err(Stop::End(Outcome::Tls(ttls::Error::RecordOverflow)));
        }
        match client.receive(free) {
            Moved::Bytes(count) => {
                inbound.received(count);
                Ok(true)
            }
            Moved::Blocked => Ok(false),
            Moved::End => {
                self.up.ended = true;
                if self.down.notified { Ok(true) } else { Err(Stop::End(Outcome::Truncated)) }
            }
            Moved::Lost(error) => Err(Stop::End(self.client_lost(error))),
        }
    }

    /// Opens the next record. `None` if more bytes are needed.
    fn open(&mut self, cx: &mut Context) -> Result<Option<bool>, Stop> {
        let Some(buffer) = &mut self.up.buffer else { return Ok(None) };
        if !self.down.has_room() {
            // An answer might not fit: what is in the way goes first.
            return Ok(Some(false));
        }
        let mut answer = [0; ROOM_FOR_ANSWERS];
        let mut len = 0;
        let mut inbound = Inbound::new(&mut buffer.0, &mut self.up.window);
        let opened = self.traffic.open(&mut inbound, &mut Outbound::new(&mut answer, &mut len), cx.clock);
        if len > 0 {
            self.append(cx, &answer[..len])?;
        }
        match opened {
            Ok(Opened::Data(range)) => {
                self.bytes_in += range.len() as u64;
                cx.counters.bytes_in.add(range.len() as u64);
                self.up.plain = range;
                Ok(Some(true))
            }
            Ok(Opened::Handled) => Ok(Some(true)),
            Ok(Opened::CloseNotify) => {
                self.up.closed = true;
                Ok(Some(true))
            }
            Ok(Opened::Incomplete { needed }) if needed > BUFFER => {
                Err(Stop::End(Outcome::Tls(ttls::Error::RecordOverflow)))
            }
            Ok(Opened::Incomplete { .. }) => Ok(None),
            Err(error) => Err(Stop::End(Outcome::Tls(error))),
        }
    }

    /// Passes opened bytes on to the backend.
    fn pass_on(&mut self) -> Result<bool, Stop> {
        let Some(buffer) = &self.up.buffer else { return Ok(false) };
        let bytes = &buffer.0[self.up.plain.clone()];
        let taken = match &mut self.backend {
            _ if self.up.deaf => bytes.len(),
            Backend::Builtin(builtin) => {
                let taken = builtin.request(bytes).map_err(Stop::End)?;
                if taken == 0 {
                    return Ok(false);
                }
                taken
            }
            Backend::Remote(remote) => match remote.send(bytes) {
                Moved::Bytes(count) => count,
                Moved::Blocked | Moved::End => return Ok(false),
                Moved::Lost(_) => {
                    // It may have answered before it went: what it sent still reaches the client.
                    self.up.deaf = true;
                    bytes.len()
                }
            },
        };
        self.up.plain.start += taken;
        Ok(true)
    }

    /// Passes the client's end on. `true` if that was news.
    fn shut_backend(&mut self) -> bool {
        match &mut self.backend {
            Backend::Remote(remote) => remote.shut_down(),
            Backend::Builtin(_) => !std::mem::replace(&mut self.down.closed, true),
        }
    }

    /// One read from the backend to the client. `true` if something moved.
    fn step_down(&mut self, cx: &mut Context, client: &mut Socket) -> Result<bool, Stop> {
        let mut moved = false;
        if self.down.unsent.is_empty() && !self.down.notified {
            moved |= self.fill(cx, client)?;
        } else if let Backend::Builtin(_) = self.backend
            && !self.down.notified
        {
            // Tickets wait in the buffer; the first response joins them.
            moved |= self.fill(cx, client)?;
        }
        if self.down.closed && !self.down.notified && self.down.unsent.is_empty() | self.down.has_room() {
            self.notify(cx)?;
            moved = true;
        }
        if !self.down.unsent.is_empty()
            && let Some(buffer) = &self.down.buffer
        {
            let bytes = &buffer.bytes()[self.down.unsent.clone()];
            match if self.down.notified { client.send_last(bytes) } else { client.send(bytes) } {
                Moved::Bytes(count) => {
                    self.down.unsent.start += count;
                    moved = true;
                }
                Moved::Blocked | Moved::End => {}
                Moved::Lost(error) => return Err(Stop::End(self.client_lost(error))),
            }
        }
        if self.down.unsent.is_empty() {
            self.down.unsent = 0..0;
            if self.down.notified && !self.down.shut {
                self.down.shut = true;
                // Where both sides are done and nothing lies unread, which would turn it into a reset, close() sends
                // the FIN with the last bytes.
                let closes_now = (self.up.closed || self.up.ended) && self.is_over() && !client.readable();
                if !closes_now {
                    client.shut_down();
                }
                moved = true;
            }
        }
        Ok(moved)
    }

    /// Reads from the backend into as many records as planned and seals them where they lie.
    fn fill(&mut self, cx: &mut Context, client: &Socket) -> Result<bool, Stop> {
        let ready = match &self.backend {
            Backend::Remote(remote) => remote.readable() && !self.down.closed,
            Backend::Builtin(builtin) => builtin.has_response(),
        };
        if !ready {
            return Ok(false);
        }
        if self.traffic.key_is_worn() {
            let mut message = [0; ROOM_FOR_ANSWERS];
            let mut len = 0;
            self.traffic
                .update_keys(&mut Outbound::new(&mut message, &mut len))
                .map_err(|e| Stop::End(Outcome::Tls(e)))?;
            self.append(cx, &message[..len])?;
        }
        if self.down.unsent.is_empty() && self.plan.is_warm(cx.clock) {
            self.down.widen(cx);
        }
        if self.down.buffer.is_none() {
            self.down.buffer = cx.buffers.take().map(SendBuffer::Record);
        }
        let Some(buffer) = &mut self.down.buffer else { return Err(Stop::Starved) };
        let (headroom, overhead) = (self.traffic.headroom(), self.traffic.overhead());
        let start = self.down.unsent.end;
        let buffer = buffer.bytes_mut();
        let end = buffer.len() - ROOM_FOR_ANSWERS;
        let space = &mut buffer[start..end];
        if space.len() <= overhead {
            return Ok(false);
        }
        let most = self.traffic.record_limit().min(space.len() - overhead);
        let size = self.plan.record_size(cx.clock, overhead, || client.path()).min(most);
        let stride = size + overhead;
        let count = match &mut self.backend {
            Backend::Remote(remote) => {
                let mut slices: [IoSliceMut<'_>; RECORDS] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
                let mut records = 0;
                for (slice, record) in slices.iter_mut().zip(space.chunks_exact_mut(stride)) {
                    *slice = IoSliceMut::new(&mut record[headroom..headroom + size]);
                    records += 1;
                }
                match remote.receive(&mut slices[..records], records * size) {
                    Moved::Bytes(count) => count,
                    Moved::Blocked => return Ok(false),
                    Moved::End => {
                        self.down.closed = true;
                        return Ok(true);
                    }
                    Moved::Lost(error) => return Err(Stop::End(Outcome::BackendLost(error))),
                }
            }
            Backend::Builtin(builtin) => {
                let mut total = 0;
                for record in space.chunks_exact_mut(stride).take(RECORDS) {
                    let count =
                        builtin.respond(&mut record[headroom..headroom + size], &self.session, cx.draining);
                    total += count;
                    if count < size {
                        break;
                    }
                }
                self.down.closed |= builtin.is_finished();
                total
            }
        };
        let mut left = count;
        let mut at = 0;
        while left > 0 {
            let here = left.min(size);
            at += self.traffic.seal(&mut space[at..], here).map_err(|e| Stop::End(Outcome::Tls(e)))?;
            left -= here;
        }
        self.down.unsent.end = start + at;
        self.plan.sent(count, cx.clock);
        self.bytes_out += count as u64;
        cx.counters.bytes_out.add(count as u64);
        Ok(true)
    }

    /// Adds sealed bytes to what is to be sent.
    fn append(&mut self, cx: &mut Context, bytes: &[u8]) -> Result<(), Stop> {
        if self.down.buffer.is_none() {
            self.down.buffer = cx.buffers.take().map(SendBuffer::Record);
            self.down.unsent = 0..0;
        }
        let Some(buffer) = &mut self.down.buffer else { return Err(Stop::End(Outcome::NoBuffer)) };
        let end = self.down.unsent.end;
        let Some(space) = buffer.bytes_mut().get_mut(end..end + bytes.len()) else {
            return Err(Stop::End(Outcome::NoBuffer));
        };
        space.copy_from_slice(bytes);
        self.down.unsent.end = end + bytes.len();
        Ok(())
    }

    fn notify(&mut self, cx: &mut Context) -> Result<(), Stop> {
        let mut message = [0; ROOM_FOR_ANSWERS];
        let mut len = 0;
        self.traffic
            .close_notify(&mut Outbound::new(&mut message, &mut len))
            .map_err(|e| Stop::End(Outcome::Tls(e)))?;
        self.down.notified = true;
        self.append(cx, &message[..len])
    }

    /// Tells the client why the connection ends, if it is to know; the backend, if it was cut short.
    fn explain(&mut self, cx: &mut Context, client: &mut Socket, outcome: Outcome) -> Outcome {
        let cut_short = !matches!(outcome, Outcome::Ok) && !self.up.closed;
        if let Backend::Remote(remote) = &self.backend
            && cut_short
        {
            remote.abort();
        }
        let error = match outcome {
            Outcome::Tls(error) => error,
            Outcome::BackendLost(_)
            | Outcome::BackendRefused(_)
            | Outcome::BackendUnknown
            | Outcome::BackendTimeout
            | Outcome::NoBuffer => ttls::Error::Internal("backend"),
            _ => return outcome,
        };
        let mut alert = [0; ROOM_FOR_ANSWERS];
        let mut len = 0;
        let written = self.traffic.alert(error, &mut Outbound::new(&mut alert, &mut len));
        if written.is_ok() && self.append(cx, &alert[..len]).is_ok() {
            self.flush(client);
        }
        outcome
    }

    /// Ends the connection from outside: a time-out, the drain's deadline, a backend that is not there.
    pub fn end(&mut self, cx: &mut Context, client: &mut Socket, outcome: Outcome) -> Outcome {
        let outcome = self.explain(cx, client, outcome);
        if matches!(outcome, Outcome::Drained | Outcome::IdleTimeout)
            && !self.down.notified
            && self.notify(cx).is_ok()
        {
            self.flush(client);
        }
        outcome
    }

    /// One last try to send.
    fn flush(&mut self, client: &mut Socket) {
        if let Some(buffer) = &self.down.buffer
            && !self.down.unsent.is_empty()
        {
            let _ = client.send(&buffer.bytes()[self.down.unsent.clone()]);
        }
    }

    /// A client that is gone after both sides said goodbye is not an error.
    const fn client_lost(&self, error: rustix::io::Errno) -> Outcome {
        if self.up.closed && self.down.closed { Outcome::Ok } else { Outcome::ClientLost(error) }
    }

    /// Gives back the buffers that have nothing in them.
    fn give_back(&mut self, cx: &mut Context) {
        if self.up.plain.is_empty()
            && self.up.window.pending() == 0
            && let Some(buffer) = self.up.buffer.take()
        {
            self.up.window = Window::default();
            cx.buffers.put(buffer);
        }
        if self.down.unsent.is_empty() {
            self.down.give_back(cx);
        }
    }

    /// Gives back all buffers.
    pub fn release(&mut self, cx: &mut Context) {
        if let Some(buffer) = self.up.buffer.take() {
            cx.buffers.put(buffer);
        }
        self.down.give_back(cx);
    }
}
