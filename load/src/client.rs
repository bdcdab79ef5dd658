// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS 1.2 and 1.3 client without I/O, made to cost less than the server it loads.
//!
//! It shares primitives with the server under test but no protocol code, so that a mistake made there
//! is not repeated here. It is a measuring instrument and no more: it reuses key pairs, trusts every
//! certificate and checks signatures only where it is told to.

mod content;
mod fault;
mod hello;
mod keys;
mod looks;
mod message;
mod offer;
mod profile;
mod record;
mod schedule;
mod server_hello;
mod session;
mod state;
mod suite;
mod tls12;
mod tls13;
mod verify;
mod wire;

#[cfg(test)]
mod tests;

pub(super) use fault::Fault;
pub(super) use keys::{Agreement, agreed};
pub(super) use looks::Look;
pub(super) use offer::Offer;
pub(super) use profile::{Profile, Signature};
pub(super) use session::Session;
pub(super) use state::{Client, Event};
pub(super) use suite::{Cipher, Version};
pub(super) use ttls_crypto::job::Group;

use server_hello::{Extensions, HELLO_RETRY_REQUEST};
use state::State;
use std::time::Instant;
use ttls_crypto::hash::{Digest, Hash};
use ttls_crypto::job::SharedSecret;
use wire::Reader;

impl Client {
    pub(super) fn new() -> Self {
        Self {
            state: State::ServerHello,
            verify: false,
            want_ticket: false,
            hello: Vec::new(),
            transcript: Hash::new(ttls_crypto::hash::Algorithm::Sha256),
            messages: Vec::new(),
            reading: None,
            writing: None,
            updates: None,
            session: None,
        }
    }

    /// Begins a connection: appends the ClientHello to `out`.
    pub(super) fn start(
        &mut self,
        offer: &Offer,
        fresh: &[u8; 64],
        verify: bool,
        want_ticket: bool,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.state = State::ServerHello;
        self.verify = verify;
        self.want_ticket = want_ticket;
        self.transcript = Hash::new(offer.profile.cipher.hash());
        self.messages.clear();
        self.reading = None;
        self.writing = None;
        self.updates = None;
        self.session = None;
        let (template, session) = offer.template(now);
        template.fill(&offer.profile, fresh, session, &mut self.hello)?;
        record::plain(content::HANDSHAKE, &self.hello, out);
        self.transcript.update(&self.hello);
        Ok(())
    }

    /// Takes in what was received: at most one event, and how many bytes of `input` are used up.
    /// Called again until [`Event::Nothing`]. Appends to `out` what is to be sent.
    pub(super) fn receive(
        &mut self,
        offer: &Offer,
        input: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Event), Fault> {
        let mut used = 0;
        loop {
            match self.next_message(offer, out)? {
                Event::Nothing => {}
                event => return Ok((used, event)),
            }
            let rest = &mut input[used..];
            let Some(len) = record::length(rest)? else { return Ok((used, Event::Nothing)) };
            let Some(record) = rest.get_mut(..len) else { return Ok((used, Event::Nothing)) };
            let kind = record[0];
            let (kind, text) = match &mut self.reading {
                // In TLS 1.3 a ChangeCipherSpec means nothing (RFC 8446 §D.4).
                Some(reading) if kind != content::CHANGE_CIPHER_SPEC => reading.open(record)?,
                _ => (kind, record::HEADER..len),
            };
            let start = used;
            used += len;
            match kind {
                content::HANDSHAKE => self.messages.extend_from_slice(&record[text]),
                content::APPLICATION_DATA if matches!(self.state, State::Open { .. }) => {
                    return Ok((used, Event::Data(start + text.start..start + text.end)));
                }
                content::ALERT => match record[text] {
                    [_, 0] => return Ok((used, Event::CloseNotify)),
                    [_, description] => return Err(Fault::Alert(description)),
                    _ => return Err(Fault::Wrong("an alert has a wrong length")),
                },
                content::CHANGE_CIPHER_SPEC => {
                    if let State::Tls12(state) = &mut self.state {
                        self.reading = Some(state.change_cipher_spec()?);
                    }
                }
                _ => return Err(Fault::Wrong("a record comes out of order")),
            }
        }
    }

    /// Goes on with the secret that an [`Event::Agree`] asked for; then call [`Client::receive`] with what
    /// input is left.
    pub(super) fn agreed(
        &mut self,
        offer: &Offer,
        shared: &SharedSecret,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match core::mem::replace(&mut self.state, State::ServerHello) {
            State::Tls13(state) => self.agreed13(offer, state, shared),
            State::Tls12(state) => self.agreed12(offer, state, shared, out),
            State::ServerHello | State::Open { .. } => Err(Fault::Wrong("no agreement is due")),
        }
    }

    /// Appends `data` as application data, in records of at most 2^14 bytes.
    pub(super) fn send(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if let Some(writing) = &mut self.writing {
            data.chunks(1 << 14).for_each(|data| writing.seal(content::APPLICATION_DATA, data, out));
        }
    }

    /// Appends a KeyUpdate that asks the server for one too, and changes the key (RFC 8446 §4.6.3). The client does not follow
    /// the server's: what comes after it can not be read.
    pub(super) fn update_key(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (Some(writing), Some(updates)) = (&mut self.writing, &mut self.updates) else {
            return Err(Fault::Unsupported("TLS 1.2 has no KeyUpdate"));
        };
        writing.seal(content::HANDSHAKE, &[message::KEY_UPDATE, 0, 0, 1, 1], out);
        let next = updates.secret.label(b"traffic upd", b"", updates.secret.hash.len());
        updates.secret = schedule::Expander::new(updates.secret.hash, next.as_bytes())?;
        *writing = updates.secret.protection(updates.cipher);
        Ok(())
    }

    /// Appends a close_notify.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(writing) = &mut self.writing {
            writing.seal(content::ALERT, &[1, 0], out);
        }
    }

    /// Takes the next whole handshake message, if there is one.
    fn next_message(&mut self, offer: &Offer, out: &mut Vec<u8>) -> Result<Event, Fault> {
        let mut at = 0;
        let messages = core::mem::take(&mut self.messages);
        let mut event = Event::Nothing;
        while let Some(header) = messages[at..].first_chunk::<4>() {
            let len = Reader::new(&header[1..]).u24()?;
            let Some(whole) = messages[at..].get(..4 + len) else { break };
            at += whole.len();
            event = self.message(offer, header[0], whole, out)?;
            if !matches!(event, Event::Nothing) {
                break;
            }
        }
        self.messages = messages;
        if at > 0 {
            self.messages.drain(..at);
        }
        Ok(event)
    }

    /// `whole` is the message with its 4-byte header.
    fn message(&mut self, offer: &Offer, kind: u8, whole: &[u8], out: &mut Vec<u8>) -> Result<Event, Fault> {
        match core::mem::replace(&mut self.state, State::ServerHello) {
            State::ServerHello if kind == message::SERVER_HELLO => self.server_hello(offer, whole),
            State::ServerHello => Err(Fault::Wrong("a message comes out of order")),
            State::Tls13(state) => self.message13(offer, state, kind, whole, out),
            State::Tls12(state) => self.message12(offer, state, kind, whole, out),
            State::Open { resumption } => {
                if offer.profile.version == Version::Tls12 {
                    return Err(Fault::Unsupported("the server asks for renegotiation"));
                }
                if kind != message::NEW_SESSION_TICKET {
                    return Err(Fault::Unsupported("the server sent a KeyUpdate or asks for a certificate"));
                }
                if let Some(resumption) = &resumption {
                    self.session = Some(tls13::new_session_ticket(resumption, &whole[4..])?);
                }
                self.state = State::Open { resumption };
                Ok(Event::Nothing)
            }
        }
    }

    /// RFC 8446 §4.1.3.
    fn server_hello(&mut self, offer: &Offer, whole: &[u8]) -> Result<Event, Fault> {
        let mut body = Reader::new(&whole[4..]);
        let legacy_version = body.u16()?;
        let random: [u8; 32] = body.array()?;
        let session_id = body.vector8()?;
        let suite = body.u16()?;
        let compression = body.u8()?;
        let mut extensions = Reader::new(if body.is_empty() { &[] } else { body.vector16()? });
        body.finish()?;
        let mut found = Extensions { version: legacy_version, ..Extensions::default() };
        while !extensions.is_empty() {
            found.read(extensions.u16()?, extensions.vector16()?)?;
        }
        if random == HELLO_RETRY_REQUEST {
            return Err(Fault::Unsupported("the server asks for another group: choose with --group"));
        }
        let wanted = match offer.profile.version {
            Version::Tls12 => 0x0303,
            Version::Tls13 => 0x0304,
        };
        if found.version != wanted {
            return Err(Fault::Unsupported("the server chose another version: choose with --tls"));
        }
        offer.profile.cipher.accept(offer.profile.version, suite)?;
        if compression != 0 {
            return Err(Fault::Wrong("the server chose a compression"));
        }
        self.transcript.update(whole);
        // The server's echo of the session ID tells of nothing in TLS 1.3, of a taken ticket in TLS 1.2.
        let echoed = self.hello.get(39..71) == Some(session_id);
        match offer.profile.version {
            Version::Tls13 => self.server_hello13(offer, &found),
            Version::Tls12 => self.server_hello12(offer, random, echoed, &found),
        }
    }

    fn client_random(&self) -> &[u8] {
        &self.hello[6..38]
    }

    fn transcript(&self) -> Digest {
        self.transcript.so_far()
    }
}
