// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection in its handshake.

use super::context::{Active, BUFFER, Context, Fate, RecordBuffer};
use super::outcome::Outcome;
use super::proxy_protocol;
use super::slab::Key;
use super::socket::{Moved, Socket};
use crate::client_auth::Verifier;
use std::net::SocketAddr;
use std::rc::Rc;
use ttls::alert::Alert;
use ttls::{Established, Handshake, Inbound, Outbound, Step, Window};
use ttls_crypto::job::{Failed, Output};

/// Receive storage that most handshakes fit.
const SMALL: usize = 4096;

/// A handshake under way, with its receive storage.
pub struct Negotiation {
    handshake: Handshake,
    window: Window,
    /// Replaces `small` when a message is too long for it.
    large: Option<Box<RecordBuffer>>,
    out: Option<Box<RecordBuffer>>,
    /// Bytes in `out`, and how many of them are sent.
    out_len: usize,
    out_sent: usize,
    /// Something was received.
    touched: bool,
    /// A hash of the source prefix.
    source: u64,
    /// A PROXY header comes first.
    expects_header: bool,
    /// Source and destination from the PROXY header.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Judges this client's certificate.
    verifier: Option<Box<Verifier>>,
    /// Why the connection will end once `out` is sent.
    failed: Option<Outcome>,
    small: [u8; SMALL],
}

impl Default for Negotiation {
    fn default() -> Self {
        Self {
            handshake: Handshake::new(),
            window: Window::default(),
            large: None,
            out: None,
            out_len: 0,
            out_sent: 0,
            touched: false,
            source: 0,
            expects_header: false,
            addresses: None,
            verifier: None,
            failed: None,
            small: [0; SMALL],
        }
    }
}

/// What a completed handshake leaves to the relay.
pub struct Completed {
    /// The TLS core's part.
    pub established: Established,
    /// Received bytes that are not opened yet, and where they lie.
    pub received: Option<Box<RecordBuffer>>,
    /// Where in `received`.
    pub window: Window,
    /// Bytes to be sent: `..len` of the buffer.
    pub unsent: Option<(Box<RecordBuffer>, usize)>,
    /// The client's certificate.
    pub verifier: Option<Box<Verifier>>,
}

/// What a turn of the handshake gave.
pub enum Turn {
    /// Goes on like this.
    Fate(Fate),
    /// Is complete: [`Negotiation::complete`] is due.
    Completed,
}

impl Negotiation {
    /// Makes a used negotiation ready for a new connection, whose source prefix hashes to `source`.
    pub fn begin(&mut self, active: &Active, source: u64) {
        self.source = source;
        let settings = &active.settings;
        self.expects_header = settings.proxy.from_client == crate::config::schema::FromClient::Required;
        self.verifier = settings.clients.as_ref().map(|trust| Box::new(Verifier::new(trust)));
    }

    /// Wipes what is left of a connection; gives its buffers back.
    pub fn end(&mut self, cx: &mut Context) {
        self.handshake = Handshake::new();
        self.window = Window::default();
        (self.out_len, self.out_sent) = (0, 0);
        self.addresses = None;
        self.verifier = None;
        self.failed = None;
        self.touched = false;
        for buffer in [self.large.take(), self.out.take()].into_iter().flatten() {
            cx.buffers.put(buffer);
        }
    }

    /// Whether anything was received.
    pub const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Receives what is there and goes on with it.
    pub fn turn(&mut self, cx: &mut Context, key: Key, client: &mut Socket, active: &Rc<Active>) -> Turn {
        loop {
            match self.flush(cx, client) {
                None => {}
                Some(fate) => return Turn::Fate(fate),
            }
            if self.out.is_none() {
                self.out = cx.buffers.take();
                if self.out.is_none() {
                    return Turn::Fate(Fate::Starved);
                }
            }
            let Self { small, large, window, .. } = self;
            let storage = large.as_mut().map_or(&mut small[..], |buffer| &mut buffer.0[..]);
            let mut inbound = Inbound::new(storage, window);
            let free = inbound.free();
            let moved =
                if free.is_empty() { Moved::Lost(rustix::io::Errno::NOBUFS) } else { client.receive(free) };
            match moved {
                Moved::Bytes(count) => {
                    inbound.received(count);
                    self.touched = true;
                }
                Moved::Blocked => {
                    self.release_out(cx);
                    return Turn::Fate(Fate::Wait);
                }
                Moved::End => return Turn::Fate(Fate::End(Outcome::ClosedInHandshake)),
                Moved::Lost(error) => return Turn::Fate(Fate::End(Outcome::ClientLost(error))),
            }
            if self.expects_header {
                let header = self.read_header();
                if let Some((source, _)) = self.addresses {
                    self.source = cx.shared.sources.place(source.ip()).hash();
                }
                match header {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(outcome) => return Turn::Fate(Fate::End(outcome)),
                }
            }
            let step = self.advance(cx, active, None);
            if let Some(turn) = self.handle(cx, key, client, active, step) {
                return turn;
            }
        }
    }

    /// Goes on with the result of a job.
    pub fn resume(
        &mut self,
        cx: &mut Context,
        key: Key,
        client: &mut Socket,
        active: &Rc<Active>,
        done: &Result<Output, Failed>,
    ) -> Turn {
        let step = self.advance(cx, active, Some(done));
        match self.handle(cx, key, client, active, step) {
            Some(turn) => turn,
            None => self.turn(cx, key, client, active),
        }
    }

    fn advance(&mut self, cx: &mut Context, active: &Active, done: Option<&Result<Output, Failed>>) -> Step {
        let Self { handshake, small, large, window, out, out_len, source, verifier, .. } = self;
        let storage = large.as_mut().map_or(&mut small[..], |buffer| &mut buffer.0[..]);
        let mut inbound = Inbound::new(storage, window);
        let mut nowhere = [];
        let mut out =
            Outbound::new(out.as_mut().map_or(&mut nowhere[..], |buffer| &mut buffer.0[..]), out_len);
        cx.with_environment(active, *source, verifier.as_deref_mut(), |environment| match done {
            None => handshake.receive(environment, &mut inbound, &mut out),
            Some(done) => handshake.resume(environment, done, &mut inbound, &mut out),
        })
    }

    /// Does what a step asks for; `None` to receive more.
    fn handle(
        &mut self,
        cx: &mut Context,
        key: Key,
        client: &mut Socket,
        active: &Rc<Active>,
        step: Step,
    ) -> Option<Turn> {
        match step {
            Step::Receive => None,
            Step::Work(job) => {
                cx.jobs.push(key, active, job);
                Some(Turn::Fate(Fate::Job))
            }
            Step::Enlarge { needed } => {
                if needed > BUFFER || self.large.is_some() {
                    return Some(Turn::Fate(Fate::End(Outcome::Tls(ttls::Error::RecordOverflow))));
                }
                let Some(mut large) = cx.buffers.take() else {
                    return Some(Turn::Fate(Fate::End(Outcome::NoBuffer)));
                };
                let inbound = Inbound::new(&mut self.small, &mut self.window);
                if let Err(error) = inbound.move_to(&mut large.0) {
                    cx.buffers.put(large);
                    return Some(Turn::Fate(Fate::End(Outcome::Tls(error))));
                }
                self.large = Some(large);
                None
            }
            Step::Established => Some(Turn::Completed),
            Step::Failed(error) => {
                self.failed = Some(Outcome::Tls(error));
                self.flush(cx, client).map(Turn::Fate)
            }
        }
    }

    /// Hands over what the completed handshake leaves.
    ///
    /// # Errors
    /// There is no buffer for what was received already.
    pub fn complete(&mut self, cx: &mut Context) -> Result<Completed, Outcome> {
        self.keep_received(cx)?;
        let Some(established) = self.handshake.take_established() else {
            return Err(Outcome::Tls(ttls::Error::Internal("the handshake is not complete")));
        };
        let unsent = match self.out.take() {
            Some(buffer) if self.out_len > 0 => Some((buffer, self.out_len)),
            Some(buffer) => {
                cx.buffers.put(buffer);
                None
            }
            None => None,
        };
        self.out_len = 0;
        Ok(Completed {
            established,
            received: self.large.take(),
            window: std::mem::take(&mut self.window),
            unsent,
            verifier: self.verifier.take(),
        })
    }

    /// Has the received bytes that are not opened yet, if there are any, in a buffer that can be handed over.
    fn keep_received(&mut self, cx: &mut Context) -> Result<(), Outcome> {
        let Self { small, large, window, .. } = self;
        if window.pending() == 0 {
            if let Some(buffer) = large.take() {
                cx.buffers.put(buffer);
            }
            *window = Window::default();
        } else if large.is_none() {
            let buffer = large.insert(cx.buffers.take().ok_or(Outcome::NoBuffer)?);
            Inbound::new(small, window).move_to(&mut buffer.0).map_err(Outcome::Tls)?;
        }
        Ok(())
    }

    /// Sends what is to be sent; `None` when all is.
    fn flush(&mut self, cx: &mut Context, client: &mut Socket) -> Option<Fate> {
        while self.out_sent < self.out_len {
            let Some(out) = &self.out else { break };
            match client.send(&out.0[self.out_sent..self.out_len]) {
                Moved::Bytes(count) => self.out_sent += count,
                Moved::Blocked => return Some(Fate::Wait),
                Moved::Lost(error) => {
                    return Some(Fate::End(self.failed.unwrap_or(Outcome::ClientLost(error))));
                }
                Moved::End => break,
            }
        }
        (self.out_len, self.out_sent) = (0, 0);
        if let Some(outcome) = self.failed {
            self.release_out(cx);
            return Some(Fate::End(outcome));
        }
        None
    }

    fn release_out(&mut self, cx: &mut Context) {
        if let Some(buffer) = self.out.take() {
            cx.buffers.put(buffer);
        }
    }

    /// Takes the PROXY header off the front. `false` if there is no TLS to go on with yet.
    fn read_header(&mut self) -> Result<bool, Outcome> {
        let filled = self.window.unopened();
        let header = proxy_protocol::parse(&self.small[..filled]).map_err(|_| Outcome::NotProxy)?;
        let Some(header) = header else { return Ok(false) };
        self.addresses = header.addresses;
        self.expects_header = false;
        self.small.copy_within(header.len..filled, 0);
        self.window = Window::default();
        Inbound::new(&mut self.small, &mut self.window).received(filled - header.len);
        Ok(filled > header.len)
    }

    /// Tries to tell the client why the handshake ends.
    pub fn abort(&mut self, alert: Alert, cx: &mut Context, client: &mut Socket) {
        if self.expects_header || self.out_len > 0 {
            return;
        }
        if self.out.is_none() {
            self.out = cx.buffers.take();
        }
        let Some(out) = &mut self.out else { return };
        self.handshake.abort(alert, &mut Outbound::new(&mut out.0, &mut self.out_len));
        self.flush(cx, client);
    }
}
