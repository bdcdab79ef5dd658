// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS 1.2 and 1.3 client without I/O, made to cost less than the server it loads.
//!
//! It shares primitives with the server under test but no protocol code, so that a mistake made there
//! is not repeated here. It is a measuring instrument and no more: it reuses key pairs, trusts every
//! certificate and checks signatures only where it is told to.

mod hello;
mod keys;
mod looks;
mod record;
mod schedule;
mod session;
mod suite;
mod tls12;
mod tls13;
mod verify;
mod wire;

#[cfg(test)]
mod tests;

pub(super) use keys::{Agreement, agreed};
pub(super) use looks::Look;
pub(super) use session::Session;
pub(super) use suite::Cipher;
pub(super) use ttls_crypto::job::Group;

use core::ops::Range;
use hello::Template;
use keys::KeyPair;
use record::{Protection, content};
use std::time::Instant;
use ttls_crypto::hash::{Digest, Hash};
use ttls_crypto::job::SharedSecret;
use wire::Reader;

/// Handshake message types (RFC 8446 §B.3).
mod message {
    pub(super) const SERVER_HELLO: u8 = 2;
    pub(super) const NEW_SESSION_TICKET: u8 = 4;
    pub(super) const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub(super) const CERTIFICATE: u8 = 11;
    pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(super) const CERTIFICATE_REQUEST: u8 = 13;
    pub(super) const SERVER_HELLO_DONE: u8 = 14;
    pub(super) const CERTIFICATE_VERIFY: u8 = 15;
    pub(super) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(super) const FINISHED: u8 = 20;
    pub(super) const CERTIFICATE_STATUS: u8 = 22;
    pub(super) const KEY_UPDATE: u8 = 24;
    pub(super) const COMPRESSED_CERTIFICATE: u8 = 25;
}

/// Protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// Which certificate the server shall use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Any,
    Ecdsa,
    Rsa,
}

/// What every connection of a run offers: one version, one group, one cipher.
pub(super) struct Profile {
    pub(super) version: Version,
    pub(super) group: Group,
    pub(super) cipher: Cipher,
    pub(super) signature: Signature,
    pub(super) name: Option<String>,
    /// What the ClientHello looks like in TLS 1.3; `None`: as short as it can be.
    pub(super) look: Option<Look>,
}

impl Profile {
    fn suites(&self) -> impl Iterator<Item = u16> {
        let suites = self.cipher.suites(self.version);
        let (ecdsa, rsa) = (suites.first(), suites.last());
        let (first, second) = match (self.version, self.signature) {
            (Version::Tls12, Signature::Any) => (ecdsa, rsa),
            (Version::Tls12, Signature::Rsa) => (rsa, None),
            _ => (ecdsa, None),
        };
        first.into_iter().chain(second).copied()
    }
}

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server refused, with this alert (RFC 8446 §6).
    Alert(u8),
    /// The server asks for what this client cannot do.
    Unsupported(&'static str),
    /// The server answered something false. The run is void.
    Wrong(&'static str),
}

/// What is prepared once for all connections.
pub(super) struct Offer {
    profile: Profile,
    key: KeyPair,
    full: Template,
    /// The session every connection resumes, once there is one.
    resumed: Option<(Template, Session)>,
}

impl Offer {
    pub(super) fn new(profile: Profile) -> Result<Self, Fault> {
        let key = KeyPair::generate(profile.group)?;
        Ok(Self { full: Template::new(&profile, &key.share, None)?, key, profile, resumed: None })
    }

    /// From now on connections resume `session`.
    pub(super) fn resume(&mut self, session: Session) -> Result<(), Fault> {
        let template = Template::new(&self.profile, &self.key.share, Some(&session))?;
        self.resumed = Some((template, session));
        Ok(())
    }

    /// Whether there is a session that connections resume.
    pub(super) const fn resumes(&self) -> bool {
        self.resumed.is_some()
    }

    /// The ClientHello with these random bytes, as a message without a record around it, in `out`.
    pub(super) fn hello(&self, fresh: &[u8; 64], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (template, session) = self.template(Instant::now());
        template.fill(&self.profile, fresh, session, out)
    }

    fn template(&self, now: Instant) -> (&Template, Option<(&Session, Instant)>) {
        match &self.resumed {
            Some((template, session)) => (template, Some((session, now))),
            None => (&self.full, None),
        }
    }
}

/// What happened when bytes were received.
pub(super) enum Event {
    /// More bytes are needed.
    Nothing,
    /// This must be computed and handed to [`Client::agreed`].
    Agree(Agreement),
    /// The handshake is done: the server's Finished was right. `verified`: so was
    /// its signature, checked.
    Established { resumed: bool, verified: bool },
    /// Application data lies here in the input.
    Data(Range<usize>),
    /// The server will send no more.
    CloseNotify,
}

#[allow(clippy::large_enum_variant)] // lives in a connection's slot
enum State {
    ServerHello,
    Tls13(tls13::State),
    Tls12(tls12::State),
    Open { resumption: Option<schedule::Expander> },
}

/// The secret of TLS 1.3 that this client writes with, from which its next one follows.
struct Writing {
    secret: schedule::Expander,
    cipher: Cipher,
}

/// One connection's TLS. Reused from connection to connection, so that its buffers stay.
pub(super) struct Client {
    state: State,
    /// Whether this connection's signature is checked.
    verify: bool,
    want_ticket: bool,
    /// The ClientHello, until its hash is known to be needed.
    hello: Vec<u8>,
    transcript: Hash,
    /// Handshake bytes that were received and not yet used.
    messages: Vec<u8>,
    reading: Option<Protection>,
    writing: Option<Protection>,
    /// TLS 1.3, once the handshake is done.
    updates: Option<Writing>,
    /// A session the server offered, if it was wanted.
    pub(super) session: Option<Session>,
}

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

/// The random that makes a ServerHello a HelloRetryRequest: SHA-256 of "HelloRetryRequest".
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What the server's extensions say.
#[derive(Default)]
struct Extensions<'a> {
    version: u16,
    share: Option<(u16, &'a [u8])>,
    psk_taken: bool,
    extended_master_secret: bool,
}

impl<'a> Extensions<'a> {
    fn read(&mut self, kind: u16, content: &'a [u8]) -> Result<(), Fault> {
        let mut content = Reader::new(content);
        match kind {
            23 => self.extended_master_secret = true,
            41 => self.psk_taken = content.u16()? == 0,
            43 => self.version = content.u16()?,
            // A HelloRetryRequest names the group alone.
            51 => {
                let group = content.u16()?;
                let share = if content.is_empty() { &[] } else { content.vector16()? };
                self.share = Some((group, share));
            }
            _ => return Ok(()),
        }
        content.finish()
    }
}
