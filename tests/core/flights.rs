// SPDX-License-Identifier: MIT OR Apache-2.0
//! What leaves is records: however small the storage, and however small the records that the client takes.

use crate::support::{Certificates, STALE, Site};
use crate::{Ended, converse};
use harness::raw::{Client, ClientHello, End, KeyShare, Record, alert, content, extension, message};
use ttls::config::Credentials;
use ttls::handshake::flight_size;

/// The records of `sent`, to its last byte: type and body as they were sent.
fn records(sent: &[u8]) -> Vec<(u8, &[u8])> {
    let (mut all, mut rest) = (Vec::new(), sent);
    while !rest.is_empty() {
        let (header, after) = rest.split_first_chunk::<5>().expect("a whole header");
        assert_eq!(header[1..3], [3, 3], "the version of record {}", all.len());
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let (body, after) = after.split_at_checked(length).expect("a whole record");
        all.push((header[0], body));
        rest = after;
    }
    all
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Nothing of a flight that did not fit is there, nor of what lay in the storage before.
fn nothing_unsealed(ended: &Ended, site: &Site, tls13: bool) {
    for stale in 0..STALE.len() {
        let turned: Vec<u8> = STALE.iter().copied().cycle().skip(stale).take(6).collect();
        assert!(!holds(&ended.sent, &turned), "stale bytes of the storage were sent");
    }
    for (kind, body) in records(&ended.sent) {
        assert!((20..=23).contains(&kind), "content type {kind}");
        if tls13 && kind == content::HANDSHAKE {
            assert_eq!(body[0], message::SERVER_HELLO, "in TLS 1.3 only the ServerHello is unprotected");
        }
    }
    if tls13 {
        let chain = site.certificates.get(ttls::config::CertificateId(0)).expect("a certificate").chain;
        assert!(!holds(&ended.sent, &chain.entries()[50..80]), "the certificate left in the clear");
    }
}

/// A handshake with records of at most `limit`, up to the end that `site` has for it.
fn handshake(client: &mut Client, tls13: bool, limit: Option<u16>) -> Result<(), End> {
    let share = KeyShare::x25519();
    let mut hello = client_hello(tls13, &share);
    if let Some(limit) = limit {
        hello.set(extension::RECORD_SIZE_LIMIT, limit.to_be_bytes().to_vec());
    }
    play(client, &share, &hello)
}

/// Sends `hello` and reads the server's flight to its end.
fn play(client: &mut Client, share: &KeyShare, hello: &ClientHello) -> Result<(), End> {
    client.send_message(&hello.encode());
    loop {
        let next = client.receive_message()?;
        if next[0] == message::SERVER_HELLO {
            let parsed = harness::raw::ServerHello::parse(&next);
            if parsed.extension(extension::SUPPORTED_VERSIONS).is_none() {
                continue;
            }
            let body = parsed.extension(extension::KEY_SHARE).expect("a key share");
            let shared = share.agree(&body[4..]);
            let schedule = harness::raw::Schedule::new(&[0; 32], &shared, &client.transcript);
            client.open = Some(harness::raw::Protector::tls13(&schedule.server_handshake));
        }
        if matches!(next[0], message::FINISHED | message::SERVER_HELLO_DONE) {
            return Ok(());
        }
    }
}

#[test]
fn a_flight_that_does_not_fit_ends_in_an_alert() {
    let mut site = Site::new();
    for tls13 in [true, false] {
        let mut fitted = 0;
        for limit in [None, Some(64), Some(100)] {
            for room in (0..4096).step_by(if limit.is_none() { 7 } else { 61 }) {
                site.room = room;
                let (end, ended) = converse(&site, |client| handshake(client, tls13, limit));
                nothing_unsealed(&ended, &site, tls13);
                match end {
                    Ok(()) => fitted += 1,
                    // Not even the alert had room.
                    Err(End::Eof) => {
                        assert!(ended.sent.len() + 24 > room, "{room} bytes of room, and no alert");
                    }
                    Err(end) => {
                        assert_eq!(end, End::Alert(2, alert::INTERNAL_ERROR), "{room} bytes of room");
                        assert!(matches!(ended.error, Some(ttls::Error::Internal(_))));
                    }
                }
            }
        }
        assert!(fitted > 20, "{fitted} flights had room");
    }
}

#[test]
fn the_size_that_is_told_is_enough_and_not_much_more() {
    let mut site = Site::new();
    for tls13 in [true, false] {
        for (certificate, staple) in [(0, 0), (0, 5000), (1, 0), (1, 9000)] {
            site.certificates = Certificates::new();
            site.certificates.ocsp = (staple > 0).then(|| vec![0x30; staple]);
            site.certificates.set = [
                ttls::config::CertificateSet { rsa: None, ..site.certificates.set },
                ttls::config::CertificateSet { ecdsa: None, ..site.certificates.set },
            ][certificate];
            let id = ttls::config::CertificateId(u16::try_from(certificate).expect("0 or 1"));
            let told = flight_size(&site.certificates.get(id).expect("a certificate"), 0);
            site.room = told;
            let attempt = |client: &mut Client| {
                let share = KeyShare::x25519();
                let mut hello = client_hello(tls13, &share);
                hello.set(extension::STATUS_REQUEST, vec![1, 0, 0, 0, 0]);
                hello.set(extension::RECORD_SIZE_LIMIT, vec![0, 64]);
                play(client, &share, &hello)
            };
            let (end, ended) = converse(&site, attempt);
            assert_eq!(end, Ok(()));
            assert_eq!(ended.error, None, "certificate {certificate}, staple of {staple}, TLS 1.3: {tls13}");
            // What a hybrid share, a second hello, longer signatures and a CertificateRequest would take is not used here.
            assert!(!tls13 || told - ended.sent.len() < 2600, "told {told}, sent {}", ended.sent.len());
        }
    }
}

fn client_hello(tls13: bool, share: &KeyShare) -> ClientHello {
    if tls13 { ClientHello::tls13(&[share]) } else { ClientHello::tls12() }
}

/// The handshake messages in a record's plaintext that begin there: type and length. `left` is how many bytes of an
/// earlier one come first.
fn begun(body: &[u8], left: &mut usize) -> Vec<(u8, usize)> {
    let mut rest = &body[(*left).min(body.len())..];
    *left = left.saturating_sub(body.len());
    let mut all = Vec::new();
    while let Some(&[kind, a, b, c]) = rest.first_chunk::<4>() {
        let length = 4 + usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("24 bits");
        all.push((kind, length));
        *left = length.saturating_sub(rest.len());
        rest = &rest[length.min(rest.len())..];
    }
    assert!(rest.is_empty(), "a message's header is cut");
    all
}

#[test]
fn no_message_that_fits_a_record_is_cut_and_server_hello_stands_alone() {
    let mut site = Site::new();
    site.room = 60_000;
    for staple in [0, 300, 20_000] {
        site.certificates.ocsp = (staple > 0).then(|| vec![0x30; staple]);
        for limit in (64_u16..160).chain((160..16_386).step_by(509)) {
            for tls13 in [true, false] {
                // In TLS 1.3 the content type counts.
                let most = usize::from(limit) - usize::from(tls13);
                let (bodies, ended) = converse(&site, |client| plaintexts(client, tls13, limit));
                assert_eq!(ended.error, None);
                let mut left = 0;
                for (index, body) in bodies.iter().enumerate() {
                    let continued = left > 0;
                    assert!(body.len() <= most || tls13 && index == 0, "a record of {} bytes", body.len());
                    let messages = begun(body, &mut left);
                    for &(kind, length) in &messages {
                        let cut = left > 0 && (kind, length) == *messages.last().expect("one");
                        assert!(!cut || length > most, "message {kind} of {length} bytes is cut at {limit}");
                    }
                    let hello = messages.iter().any(|(kind, _)| *kind == message::SERVER_HELLO);
                    assert!(!hello || messages.len() == 1 && !continued, "ServerHello stands alone");
                }
                assert_eq!(left, 0);
            }
        }
    }
}

/// The plaintexts of the handshake records of the server's first flight.
fn plaintexts(client: &mut Client, tls13: bool, limit: u16) -> Vec<Vec<u8>> {
    let share = KeyShare::x25519();
    let mut hello = client_hello(tls13, &share);
    hello.set(extension::STATUS_REQUEST, vec![1, 0, 0, 0, 0]);
    hello.set(extension::RECORD_SIZE_LIMIT, limit.to_be_bytes().to_vec());
    client.send_message(&hello.encode());
    let mut bodies = Vec::new();
    let mut joined: Vec<u8> = Vec::new();
    loop {
        let Record { kind, body } = client.receive_record().expect("the rest of the flight");
        if kind == content::CHANGE_CIPHER_SPEC {
            continue;
        }
        joined.extend_from_slice(&body);
        bodies.push(body);
        if tls13 && client.open.is_none() {
            let transcript = [&client.transcript[..], &joined].concat();
            let parsed = harness::raw::ServerHello::parse(&joined);
            let shared = share.agree(&parsed.extension(extension::KEY_SHARE).expect("a share")[4..]);
            let schedule = harness::raw::Schedule::new(&[0; 32], &shared, &transcript);
            client.open = Some(harness::raw::Protector::tls13(&schedule.server_handshake));
        }
        let (mut rest, mut last) = (&joined[..], None);
        while let Some(&[kind, a, b, c]) = rest.first_chunk::<4>() {
            let length = 4 + usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("24 bits");
            if rest.len() < length {
                last = None;
                break;
            }
            last = Some(kind);
            rest = &rest[length..];
        }
        if matches!(last, Some(message::FINISHED | message::SERVER_HELLO_DONE)) {
            return bodies;
        }
    }
}
