// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client that knows the keys plays what the input says: proper messages, bent ones, others in their place,
//! sealed or in the clear, before and after the handshake. Everything is deterministic.
#![no_main]

#[path = "../../tls/tests/support/mod.rs"]
mod support;

use harness::raw::{self, Client, ClientHello, KeyShare, Protector, Schedule, content, extension, message};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::{Server, Site};

static SITE: LazyLock<Site> = LazyLock::new(Site::new);
static SHARE: LazyLock<KeyShare> = LazyLock::new(|| KeyShare::fixed(&[0x42; 32]));

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    tls13: bool,
    /// Bytes of the ClientHello's body that are changed.
    bends: [(u16, u8); 2],
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// The proper next message.
    Proper,
    /// The proper next message with a byte changed.
    Bent(u8, u8),
    /// A record of this type under the keys of the moment, if there are any.
    Sealed(u8, &'a [u8]),
    /// A handshake message under the keys of the moment.
    Message(u8, &'a [u8]),
    /// A record in the clear.
    Plain(u8, &'a [u8]),
    /// Bytes.
    Raw(&'a [u8]),
}

/// What the client knows.
struct Peer<'s> {
    server: Server<'s>,
    transcript: Vec<u8>,
    seal: Option<Protector>,
    /// What a proper client does next.
    due: std::vec::IntoIter<Due>,
}

enum Due {
    /// Sent in the clear.
    Plain(u8, Vec<u8>),
    /// From here on, these keys.
    Keys(Protector),
    /// Sent sealed; made when it is due, for its place in the transcript.
    Finished13(Vec<u8>),
    Finished12(Vec<u8>),
}

fuzz_target!(|input: Input<'_>| {
    let hello = if input.tls13 { ClientHello::tls13(&[&SHARE]) } else { ClientHello::tls12() };
    let mut encoded = hello.encode();
    for (at, flip) in input.bends {
        let at = 4 + usize::from(at) % (encoded.len() - 4);
        encoded[at] ^= flip;
    }
    let mut server = Server::new(&SITE);
    server.receive(&raw::plain_record(content::HANDSHAKE, &encoded));
    let due = if server.error.is_some() {
        None
    } else if input.tls13 {
        flight13(&mut server, &encoded)
    } else {
        flight12(&mut server, &encoded)
    };
    let Some((transcript, due)) = due else { return };
    let mut peer = Peer { server, transcript, seal: None, due: due.into_iter() };
    for step in input.steps {
        peer.play(step);
    }
    let server = peer.server;
    if let Some(error) = server.error {
        assert_ne!(error.culprit(), ttls::error::Culprit::Local, "{error}");
    }
    if !server.received.is_empty() {
        assert!(server.traffic.is_some(), "application data before the handshake's end");
    }
});

impl Peer<'_> {
    fn play(&mut self, step: Step<'_>) {
        let record = match step {
            Step::Proper => return self.proper(|_| {}),
            Step::Bent(at, flip) => {
                return self.proper(|bytes| {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] ^= flip;
                });
            }
            Step::Sealed(kind, body) => self.record(kind, body),
            Step::Message(kind, body) => {
                let message = raw::handshake(kind, &body[..body.len().min(2000)]);
                self.transcript.extend_from_slice(&message);
                self.record(content::HANDSHAKE, &message)
            }
            Step::Plain(kind, body) => raw::plain_record(kind, &body[..body.len().min(17_000)]),
            Step::Raw(bytes) => bytes.to_vec(),
        };
        self.server.receive(&record);
    }

    fn record(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        let body = &body[..body.len().min(17_000)];
        match &mut self.seal {
            Some(keys) => keys.seal(kind, body),
            None => raw::plain_record(kind, body),
        }
    }

    fn proper(&mut self, bend: impl FnOnce(&mut Vec<u8>)) {
        loop {
            let (kind, mut body) = match self.due.next() {
                Some(Due::Keys(keys)) => {
                    self.seal = Some(keys);
                    continue;
                }
                Some(Due::Plain(kind, body)) => (kind, body),
                Some(Due::Finished13(secret)) => (
                    content::HANDSHAKE,
                    raw::handshake(message::FINISHED, &raw::verify_data13(&secret, &self.transcript)),
                ),
                Some(Due::Finished12(master)) => {
                    let data = raw::prf(&master, "client finished", &raw::sha256(&self.transcript), 12);
                    (content::HANDSHAKE, raw::handshake(message::FINISHED, &data))
                }
                None => (content::APPLICATION_DATA, b"application data".to_vec()),
            };
            bend(&mut body);
            if kind == content::HANDSHAKE {
                self.transcript.extend_from_slice(&body);
            }
            let record = self.record(kind, &body);
            self.server.receive(&record);
            // Keys that follow the message come with it.
            while let Some(Due::Keys(_)) = self.due.as_slice().first() {
                if let Some(Due::Keys(keys)) = self.due.next() {
                    self.seal = Some(keys);
                }
            }
            return;
        }
    }
}

/// The server's records: type, header, body.
fn records(bytes: &[u8]) -> Vec<(u8, [u8; 5], &[u8])> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    while let Some(header) = rest.first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        all.push((header[0], *header, &rest[5..5 + length]));
        rest = &rest[5 + length..];
    }
    all
}

/// What is due after the server's TLS 1.3 flight; `None` if the bent hello led elsewhere.
fn flight13(server: &mut Server<'_>, hello: &[u8]) -> Option<(Vec<u8>, Vec<Due>)> {
    let output = std::mem::take(&mut server.output);
    let records = records(&output);
    let (content::HANDSHAKE, _, first) = *records.first()? else { return None };
    let parsed = raw::ServerHello::parse(first);
    let share = parsed.extension(extension::KEY_SHARE)?;
    if parsed.is_retry() || parsed.suite != 0x1301 || share[..2] != SHARE.group.to_be_bytes() {
        return None;
    }
    let mut transcript = [hello, first].concat();
    let schedule = Schedule::new(&[0; 32], &SHARE.try_agree(&share[4..])?, &transcript);
    let mut open = Protector::tls13(&schedule.server_handshake);
    for (kind, header, body) in &records[1..] {
        if *kind == content::APPLICATION_DATA {
            transcript.extend_from_slice(&open.try_open(*header, body)?.body);
        }
    }
    let application = Protector::tls13(&schedule.client_application(&transcript));
    let secret = schedule.client_handshake.clone();
    Some((
        transcript,
        vec![Due::Keys(Protector::tls13(&secret)), Due::Finished13(secret), Due::Keys(application)],
    ))
}

/// The same for TLS 1.2.
fn flight12(server: &mut Server<'_>, encoded: &[u8]) -> Option<(Vec<u8>, Vec<Due>)> {
    let output = std::mem::take(&mut server.output);
    let mut transcript = encoded.to_vec();
    for (_, _, body) in records(&output) {
        transcript.extend_from_slice(body);
    }
    let mut rest = &transcript[encoded.len()..];
    let (mut random, mut share) = (None, None);
    while let Some(header) = rest.first_chunk::<4>() {
        let length = 4 + usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (message, after) = rest.split_at(length);
        match header[0] {
            message::SERVER_HELLO => random = Some(raw::ServerHello::parse(message)),
            message::SERVER_KEY_EXCHANGE => share = Some(message[8..8 + usize::from(message[7])].to_vec()),
            _ => {}
        }
        rest = after;
    }
    let (server_hello, share) = (random?, share?);
    let exchange = Client::key_exchange12(&SHARE);
    let seed = [&server_hello.random[..], encoded.get(6..38)?].concat();
    if server_hello.extension(extension::EXTENDED_MASTER_SECRET).is_none()
        || !matches!(server_hello.suite, 0xc02b | 0xc02f)
    {
        return None;
    }
    let session = raw::sha256(&[&transcript[..], &exchange].concat());
    let master = raw::prf(&SHARE.try_agree(&share)?, "extended master secret", &session, 48);
    let block = raw::prf(&master, "key expansion", &seed, 40);
    let keys = Protector::tls12(&block[..16], &block[32..36]);
    let due = vec![
        Due::Plain(content::HANDSHAKE, exchange),
        Due::Plain(content::CHANGE_CIPHER_SPEC, vec![1]),
        Due::Keys(keys),
        Due::Finished12(master),
    ];
    Some((transcript, due))
}
