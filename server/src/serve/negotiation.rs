// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection in its handshake.

use super::context::{Active, Applicant, Context, Fate, Found};
use super::memory::{Memory, Purpose, Size, Storage};
use super::offer::Offer;
use super::outcome::Outcome;
use super::proxy_protocol;
use super::receiving::Receiving;
use super::sending::Sending;
use super::slab::Key;
use super::socket::{Moved, Socket};
use crate::client_auth::Verifier;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use ttls::alert::Alert;
use ttls::{Established, Handshake, Inbound, Job, Outbound, Step, Window};
use ttls_crypto::job::{Failed, Output};
use ttls_crypto::wipe::clear;

/// Receive storage that most handshakes fit; with all the rest of a half-open connection it makes 8 KiB.
const SMALL: usize = 3008;

/// Before it is known whose a negotiation is.
const UNKNOWN: Applicant = Applicant { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 };

/// A handshake under way, with its receive storage.
pub struct Negotiation {
    /// `None` until something is received.
    handshake: Option<Handshake>,
    window: Window,
    /// Replaces `small` when that is full.
    large: Option<Storage>,
    out: Option<Storage>,
    /// Bytes in `out`, and how many of them are sent.
    out_len: usize,
    out_sent: usize,
    /// Something was received.
    touched: bool,
    /// Whose it is.
    applicant: Applicant,
    /// The first public-key work, until its turn comes.
    due: Option<Job>,
    /// Its turn has come.
    called: bool,
    /// What admission has found: whether it brought a ticket that opened, and who refused it.
    found: Found,
    /// What the client asked for and offered.
    offer: Offer,
    /// A PROXY header comes first.
    expects_header: bool,
    /// Bytes of it that are still to be taken off, once its beginning is understood.
    header_left: usize,
    /// It has just come.
    header_read: bool,
    /// A proxy speaks for itself, and has said nothing since its header: a check of its own.
    is_check: bool,
    /// Source and destination from the PROXY header.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Judges this client's certificate.
    verifier: Option<Box<Verifier>>,
    /// Why the connection will end once `out` is sent.
    failed: Option<Outcome>,
    /// It is complete, and waits to be handed over.
    complete: bool,
    /// Received bytes lie, or lay, in the first so many of `small`.
    used: usize,
    small: [u8; SMALL],
}

impl Default for Negotiation {
    fn default() -> Self {
        Self {
            handshake: None,
            window: Window::default(),
            large: None,
            out: None,
            out_len: 0,
            out_sent: 0,
            touched: false,
            applicant: UNKNOWN,
            due: None,
            called: false,
            found: Found::default(),
            offer: Offer::default(),
            expects_header: false,
            header_left: 0,
            header_read: false,
            is_check: false,
            addresses: None,
            verifier: None,
            failed: None,
            complete: false,
            used: 0,
            small: [0; SMALL],
        }
    }
}

/// What a completed handshake leaves to the relay.
pub struct Completed {
    /// The TLS core's part.
    pub established: Established,
    /// Received bytes that are not opened yet.
    pub receiving: Receiving,
    /// Bytes to be sent.
    pub sending: Sending,
    /// The client's certificate.
    pub verifier: Option<Box<Verifier>>,
}

/// What a turn of the handshake gave.
pub enum Turn {
    /// Goes on like this.
    Fate(Fate),
    /// The PROXY header has come: the source is known, and no work was done for it yet.
    Header,
    /// Is complete: [`Negotiation::complete`] is due.
    Completed,
}

impl Negotiation {
    /// Makes a used negotiation ready for a new connection.
    pub fn begin(&mut self, active: &Active, applicant: Applicant) {
        self.applicant = applicant;
        let settings = &active.settings;
        self.expects_header = settings.proxy.from_client == crate::config::schema::FromClient::Required;
        self.verifier = settings.clients.as_ref().map(|trust| Box::new(Verifier::new(trust)));
    }

    /// Wipes what is left of a connection.
    pub fn end(&mut self) {
        clear(&mut self.handshake);
        clear(&mut self.due);
        self.window = Window::default();
        (self.out_len, self.out_sent) = (0, 0);
        self.addresses = None;
        self.verifier = None;
        self.failed = None;
        (self.called, self.found) = (false, Found::default());
        self.header_left = 0;
        self.offer.clear();
        (self.touched, self.complete, self.header_read, self.is_check) = (false, false, false, false);
        (self.large, self.out) = (None, None);
        let used = std::mem::take(&mut self.used);
        self.small.iter_mut().take(used).for_each(|byte| *byte = 0);
    }

    /// Says whose connection it is, after [`Turn::Header`].
    pub const fn set_applicant(&mut self, applicant: Applicant) {
        self.applicant = applicant;
    }

    /// Whether it holds storage from the reserve.
    pub const fn holds_storage(&self) -> bool {
        self.large.is_some() || self.out.is_some()
    }

    /// Whether the ClientHello has come whole.
    pub const fn has_hello(&self) -> bool {
        self.called || self.due.is_some() || self.found.resumes
    }

    /// Whether it brought a ticket that opened.
    pub const fn resumes(&self) -> bool {
        self.found.resumes
    }

    /// The number of the rule that refused it.
    pub const fn refused_by(&self) -> Option<usize> {
        self.found.refused_by
    }

    /// Its turn for public-key work has come: to be followed by [`Self::turn`].
    pub const fn call(&mut self) {
        self.called = true;
    }

    /// Whether anything was received.
    pub const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Receives what is there and goes on with it.
    pub fn turn(&mut self, cx: &mut Context, key: Key, client: &mut Socket, active: &Rc<Active>) -> Turn {
        if self.complete {
            return Turn::Completed;
        }
        loop {
            match self.flush(client) {
                None => {}
                Some(fate) => return Turn::Fate(fate),
            }
            if self.due.is_some() && !self.called {
                return Turn::Fate(Fate::Due);
            }
            if self.out.is_none() {
                self.out = cx.memory.take(Size::Record, Purpose::Handshake);
                if self.out.is_none() {
                    return Turn::Fate(Fate::Starved(Purpose::Handshake));
                }
            }
            if let Some(job) = self.due.take() {
                cx.jobs.push(key, active, job);
                return Turn::Fate(Fate::Job);
            }
            // Behind a PROXY header, the first bytes of TLS may be here already; and what waits for a certificate to be judged is.
            let here = std::mem::take(&mut self.header_read) && self.window.unopened() > 0;
            if !here
                && !self.is_postponed()
                && let Err(fate) = self.receive(cx, client)
            {
                return Turn::Fate(fate);
            }
            if self.expects_header {
                match self.read_header() {
                    Ok(true) => {
                        self.header_read = true;
                        return Turn::Header;
                    }
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

    /// Receives into what is free, larger storage once nothing is.
    fn receive(&mut self, cx: &Context, client: &mut Socket) -> Result<(), Fate> {
        let mut inbound = Inbound::new(storage(&mut self.small, &mut self.large), &mut self.window);
        let capacity = inbound.capacity();
        if inbound.free().is_empty() {
            self.enlarge(&cx.memory, capacity + 1)?;
            inbound = Inbound::new(storage(&mut self.small, &mut self.large), &mut self.window);
        }
        let capacity = inbound.capacity();
        let free = inbound.free();
        let start = capacity - free.len();
        match client.receive(free) {
            Moved::Bytes(count) => {
                inbound.received(count);
                self.touched = true;
                self.is_check = false;
                if self.large.is_none() {
                    self.used = self.used.max(start + count);
                }
                Ok(())
            }
            Moved::Blocked => {
                self.out = None;
                Err(Fate::Wait)
            }
            Moved::End if self.is_check => Err(Fate::End(Outcome::Ok)),
            Moved::End => Err(Fate::End(Outcome::ClosedInHandshake)),
            Moved::Lost(error) => Err(Fate::End(Outcome::ClientLost(error))),
        }
    }

    /// Moves what was received to storage of at least `needed` bytes.
    fn enlarge(&mut self, memory: &Memory, needed: usize) -> Result<(), Fate> {
        let end = |error| Fate::End(Outcome::Tls(error));
        let size = Size::for_bytes(needed).ok_or(end(ttls::Error::RecordOverflow))?.max(Size::Record);
        let Some(mut large) = memory.take(size, Purpose::Handshake) else {
            // Others wait for storage, too: none is kept that is not needed.
            self.out = None;
            return Err(Fate::Starved(Purpose::Handshake));
        };
        let inbound = Inbound::new(storage(&mut self.small, &mut self.large), &mut self.window);
        inbound.move_to(large.bytes_mut()).map_err(end)?;
        // Certificates, early data, perhaps the first request.
        large.lies_open(size.bytes());
        self.large = Some(large);
        Ok(())
    }

    fn advance(&mut self, cx: &mut Context, active: &Active, done: Option<&Result<Output, Failed>>) -> Step {
        let Self { small, large, window, out, out_len, applicant, verifier, found, offer, .. } = self;
        let handshake = self.handshake.get_or_insert_with(Handshake::new);
        let mut inbound = Inbound::new(storage(small, large), window);
        let out = out.as_mut().map_or(&mut [][..], Storage::bytes_mut);
        let mut out = Outbound::new(out, out_len);
        if let Some(verifier) = verifier {
            verifier.allow(cx.certificate_checks);
        }
        let step =
            cx.with_environment(active, *applicant, verifier.as_deref_mut(), (found, offer), |environment| {
                match done {
                    None => handshake.receive(environment, &mut inbound, &mut out),
                    Some(done) => handshake.resume(environment, done, &mut inbound, &mut out),
                }
            });
        if let Some(verifier) = verifier {
            cx.certificate_checks = verifier.allowed();
        }
        step
    }

    /// Whether a certificate of the client's waits for a sweep that can judge it.
    fn is_postponed(&self) -> bool {
        self.verifier.as_ref().is_some_and(|verifier| verifier.is_postponed())
    }

    /// What the client asked for and offered.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Why the client's certificates were not accepted.
    pub fn refusal(&self) -> Option<&str> {
        let refusal = self.verifier.as_ref()?.refusal()?;
        Some(&refusal.text)
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
            Step::Receive if self.is_postponed() => {
                let sent = self.flush(client);
                if sent.is_none() {
                    self.out = None;
                }
                Some(Turn::Fate(sent.unwrap_or(Fate::Again)))
            }
            Step::Receive => None,
            // Before its first work nothing is written: while it waits it needs no storage for that.
            Step::Work(job) if !self.called && self.out_len == 0 => {
                self.due = Some(job);
                self.out = None;
                Some(Turn::Fate(Fate::Due))
            }
            Step::Work(job) => {
                cx.jobs.push(key, active, job);
                Some(Turn::Fate(Fate::Job))
            }
            // What was announced has yet to come: storage grows when it does.
            Step::Enlarge { needed } if needed <= Size::Bulk.bytes() => None,
            Step::Enlarge { .. } => Some(Turn::Fate(Fate::End(Outcome::Tls(ttls::Error::RecordOverflow)))),
            Step::Established => {
                self.complete = true;
                Some(Turn::Completed)
            }
            Step::Failed(error) => {
                self.failed = Some(Outcome::Tls(error));
                self.flush(client).map(Turn::Fate)
            }
        }
    }

    /// Hands over what the completed handshake leaves; `None` if the reserve of established connections has no room for it yet.
    ///
    /// # Errors
    /// The handshake is not complete.
    pub fn complete(&mut self, memory: &Memory) -> Result<Option<Completed>, Outcome> {
        if self.out_len == 0 {
            self.out = None;
        }
        if !self.keep_received(memory)? {
            return Ok(None);
        }
        if let Some(out) = &mut self.out
            && !out.hand_over(Purpose::Relay)
        {
            return Ok(None);
        }
        let Some(established) = self.handshake.as_mut().and_then(Handshake::take_established) else {
            return Err(Outcome::Tls(ttls::Error::Internal("the handshake is not complete")));
        };
        if let Some(verifier) = &mut self.verifier {
            verifier.complete();
        }
        Ok(Some(Completed {
            established,
            receiving: Receiving::new(self.large.take(), std::mem::take(&mut self.window)),
            sending: Sending::new(self.out.take(), std::mem::take(&mut self.out_len)),
            verifier: self.verifier.take(),
        }))
    }

    /// Has the received bytes that are not opened yet, if there are any, in storage that can be handed over. `false` if
    /// there is none.
    fn keep_received(&mut self, memory: &Memory) -> Result<bool, Outcome> {
        let Self { small, large, window, .. } = self;
        let pending = window.pending();
        if pending == 0 {
            *large = None;
            *window = Window::default();
            return Ok(true);
        }
        if let Some(large) = large {
            return Ok(large.hand_over(Purpose::Relay));
        }
        let size = Size::for_bytes(pending).unwrap_or(Size::Bulk);
        let Some(mut storage) = memory.take(size, Purpose::Relay) else { return Ok(false) };
        Inbound::new(small, window).move_to(storage.bytes_mut()).map_err(Outcome::Tls)?;
        storage.lies_open(pending);
        *large = Some(storage);
        Ok(true)
    }

    /// Sends what is to be sent; `None` when all is.
    fn flush(&mut self, client: &mut Socket) -> Option<Fate> {
        while let Some(out) = &mut self.out
            && let Some(bytes) = out.bytes().get(self.out_sent..self.out_len)
            && !bytes.is_empty()
        {
            match client.send(bytes) {
                Moved::Bytes(count) => self.out_sent += count,
                Moved::Blocked => return Some(Fate::Wait),
                Moved::Lost(error) => {
                    return Some(Fate::End(self.failed.unwrap_or(Outcome::ClientLost(error))));
                }
                Moved::End => break,
            }
        }
        if let Some(out) = &mut self.out {
            out.lies_open(self.out_len);
        }
        (self.out_len, self.out_sent) = (0, 0);
        if let Some(outcome) = self.failed {
            self.out = None;
            return Some(Fate::End(outcome));
        }
        None
    }

    /// Takes the PROXY header off the front. `false` if it has not come whole.
    fn read_header(&mut self) -> Result<bool, Outcome> {
        let filled = self.window.unopened();
        if self.header_left == 0 {
            let received = self.small.get(..filled).unwrap_or_default();
            let header = proxy_protocol::parse(received).map_err(|_| Outcome::NotProxy)?;
            let Some(header) = header else { return Ok(false) };
            self.addresses = header.addresses;
            self.header_left = header.len;
        }
        let taken = self.header_left.min(filled);
        self.header_left -= taken;
        self.small.copy_within(taken..filled, 0);
        self.window = Window::default();
        Inbound::new(&mut self.small, &mut self.window).received(filled - taken);
        if self.header_left > 0 {
            return Ok(false);
        }
        self.expects_header = false;
        self.is_check = self.addresses.is_none() && taken == filled;
        Ok(true)
    }

    /// Tries to tell the client why the handshake ends.
    pub fn abort(&mut self, alert: Alert, cx: &Context, client: &mut Socket) {
        if self.expects_header || self.out_len > 0 {
            return;
        }
        if self.out.is_none() {
            self.out = cx.memory.take(Size::Tiny, Purpose::Handshake);
        }
        let Some(out) = &mut self.out else { return };
        let handshake = self.handshake.get_or_insert_with(Handshake::new);
        handshake.abort(alert, &mut Outbound::new(out.bytes_mut(), &mut self.out_len));
        self.flush(client);
    }
}

/// Where received bytes lie.
fn storage<'s>(small: &'s mut [u8; SMALL], large: &'s mut Option<Storage>) -> &'s mut [u8] {
    large.as_mut().map_or(&mut small[..], Storage::bytes_mut)
}
