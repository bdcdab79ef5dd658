// SPDX-License-Identifier: MIT OR Apache-2.0
//! The traces of RFC 8448 with HelloRetryRequest (§5), client authentication (§6) and compatibility mode (§7), record by
//! record: the server's flight and close_notify come out as printed there, the client's are opened and verified.
//!
//! The messages themselves are the trace's: its server sends extensions that this one has no reason to send, a cookie
//! among them, and its RSA key of 1024 bits is one this server refuses to load.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use ttls::key_schedule::{HandshakeSecret, finished, protection};
use ttls::suite::Suite;
use ttls::wire::ClientHello;
use ttls_crypto::hash::Algorithm::Sha256;
use ttls_crypto::hash::{Digest, Hash};
use ttls_crypto::job::{KeyExchange, Output, PeerShare, Seed, Work};

const SUITE: Suite = Suite::Aes128GcmSha256;
const HEADER: usize = 5;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLOSE_NOTIFY: [u8; 2] = [1, 0];

/// A trace's lines: name and bytes.
struct Trace(BTreeMap<&'static str, Vec<u8>>);

impl Trace {
    fn new(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines.map(|line| line.split_once(" = ").unwrap()).map(|(name, hex)| (name, bytes(hex))).collect(),
        )
    }

    fn get(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("the trace lacks {name}"))
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// The server's part, from the key exchange to both close_notify alerts, on top of the `transcript` until ServerHello.
fn replay(trace: &Trace, mut transcript: Hash, shared: &[u8], flight: &[&str]) {
    transcript.update(trace.get("server-hello"));
    let secret = HandshakeSecret::new(Sha256, None, shared).unwrap();
    let (client, server) = secret.traffic(&transcript.so_far()).unwrap();
    if trace.0.contains_key("client-secret") {
        assert_eq!(client.as_bytes(), trace.get("client-secret"));
        assert_eq!(server.as_bytes(), trace.get("server-secret"));
    }

    let mut record = vec![0; HEADER];
    for name in flight {
        transcript.update(trace.get(name));
        record.extend_from_slice(trace.get(name));
    }
    let proof = finished(Sha256, &server, &transcript.so_far()).unwrap();
    assert_eq!(proof.as_bytes(), &trace.get("finished")[4..]);
    transcript.update(trace.get("finished"));
    record.extend_from_slice(trace.get("finished"));
    let sealed = seal(&server, HANDSHAKE, record);
    assert_eq!(sealed, trace.get("server-flight"));

    let (client_traffic, server_traffic) = secret.master().unwrap().traffic(&transcript.so_far()).unwrap();
    let (kind, messages) = open(&client, trace.get("client-flight"));
    assert_eq!(kind, HANDSHAKE);
    let (before, last) = messages.split_at(messages.len() - 36);
    transcript.update(before);
    let proof = finished(Sha256, &client, &transcript.so_far()).unwrap();
    assert_eq!(last, [&[20, 0, 0, 32][..], proof.as_bytes()].concat());

    assert_eq!(open(&client_traffic, trace.get("client-close-notify")), (ALERT, CLOSE_NOTIFY.to_vec()));
    let closed = seal(&server_traffic, ALERT, [&[0; HEADER][..], &CLOSE_NOTIFY].concat());
    assert_eq!(closed, trace.get("server-close-notify"));
}

/// Seals what lies after the room for a header in `record`, as the first record under `secret`.
fn seal(secret: &Digest, kind: u8, mut record: Vec<u8>) -> Vec<u8> {
    let mut protection = protection(SUITE, secret).unwrap();
    let len = record.len() - protection.headroom();
    record.resize(len + protection.overhead(), 0);
    protection.seal(kind, &mut record, len).unwrap();
    record
}

/// Content type and plaintext of the first record under `secret`.
fn open(secret: &Digest, record: &[u8]) -> (u8, Vec<u8>) {
    let mut record = record.to_vec();
    let (kind, range) = protection(SUITE, secret).unwrap().open(&mut record, 16_384).unwrap();
    (kind, record[range].to_vec())
}

/// Answers the X25519 share of the trace's ClientHello with the trace's private key.
fn respond(trace: &Trace) -> Vec<u8> {
    let hello = ClientHello::parse(&trace.get("client-hello-1")[4..]).unwrap();
    let peer = PeerShare::X25519(hello.key_share(0x001d).unwrap().unwrap().try_into().unwrap());
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(trace.get("server-private"));
    let done = Work::KeyExchange(KeyExchange::Respond { peer, seed: Seed::new(seed) }).run().unwrap();
    let Output::Exchanged { share, shared } = done else { panic!("no key exchange") };
    let sent = share.as_bytes();
    assert!(trace.get("server-hello").windows(sent.len()).any(|part| part == sent), "another share");
    shared.expose().to_vec()
}

#[test]
fn section_5_hello_retry_request() {
    let trace = Trace::new(include_str!("../../vectors/rfc8448/hello-retry-request.txt"));
    for hello in ["client-hello-1", "client-hello-2"] {
        ClientHello::parse(&trace.get(hello)[4..]).unwrap();
    }
    let second = ClientHello::parse(&trace.get("client-hello-2")[4..]).unwrap();
    assert_eq!(second.key_share(0x0017).unwrap().map(<[u8]>::len), Some(65));
    // The first ClientHello enters the transcript as its hash (RFC 8446 §4.4.1).
    let mut transcript = Hash::new(Sha256);
    transcript.update(&[254, 0, 0, 32]);
    transcript.update(Sha256.digest(trace.get("client-hello-1")).as_bytes());
    transcript.update(trace.get("hello-retry-request"));
    transcript.update(trace.get("client-hello-2"));
    let flight = ["encrypted-extensions", "certificate", "certificate-verify"];
    replay(&trace, transcript, trace.get("shared-secret"), &flight);
}

#[test]
fn section_6_client_authentication() {
    let trace = Trace::new(include_str!("../../vectors/rfc8448/client-authentication.txt"));
    let mut transcript = Hash::new(Sha256);
    transcript.update(trace.get("client-hello-1"));
    let flight = ["encrypted-extensions", "certificate-request", "certificate", "certificate-verify"];
    replay(&trace, transcript, &respond(&trace), &flight);
}

#[test]
fn section_7_compatibility_mode() {
    let trace = Trace::new(include_str!("../../vectors/rfc8448/compatibility-mode.txt"));
    let mut transcript = Hash::new(Sha256);
    transcript.update(trace.get("client-hello-1"));
    let hello = ClientHello::parse(&trace.get("client-hello-1")[4..]).unwrap();
    assert_eq!(hello.session_id.len(), 32);
    let flight = ["encrypted-extensions", "certificate", "certificate-verify"];
    replay(&trace, transcript, &respond(&trace), &flight);
}
