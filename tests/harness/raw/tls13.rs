// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS 1.3 handshake in steps (RFC 8446 §2), each of which a test may replace.

use super::hello::{ClientHello, ServerHello, extension};
use super::keys::{self, KeyShare, Protector, Schedule};
use super::{Client, End, content, handshake, message, vector};

/// After the server's Finished was received and checked.
pub struct Flight13 {
    /// The key schedule.
    pub schedule: Schedule,
    /// The ServerHello.
    pub hello: ServerHello,
    /// EncryptedExtensions, header included.
    pub encrypted_extensions: Vec<u8>,
    /// The CertificateRequest, if the server sent one.
    pub certificate_request: Option<Vec<u8>>,
    /// Transcript up to the server's Finished.
    transcript: Vec<u8>,
}

/// A session ticket and the PSK that goes with it.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// ticket: the identity to offer.
    pub identity: Vec<u8>,
    /// The PSK, from the resumption master secret and the ticket's nonce.
    pub psk: Vec<u8>,
    /// ticket_age_add.
    pub age_add: u32,
    /// ticket_lifetime in seconds.
    pub lifetime: u32,
}

impl Client {
    /// Sends `hello` and reads the server's flight to its Finished, which is checked.
    #[track_caller]
    pub fn hello13(&mut self, hello: &ClientHello, share: &KeyShare) -> Flight13 {
        self.send_message(&hello.encode());
        self.flight13(share, &[0; 32])
    }

    /// Reads the server's flight to its Finished; `psk` as in [`Schedule::new`].
    #[track_caller]
    pub fn flight13(&mut self, share: &KeyShare, psk: &[u8]) -> Flight13 {
        let hello = ServerHello::parse(&self.expect_message(message::SERVER_HELLO));
        assert!(!hello.is_retry(), "an unexpected HelloRetryRequest");
        let body = hello.extension(extension::KEY_SHARE).expect("a key share");
        assert_eq!(body[..2], share.group.to_be_bytes(), "the server's group");
        let schedule = Schedule::new(psk, &share.agree(&body[4..]), &self.transcript);
        self.open = Some(Protector::tls13(&schedule.server_handshake));

        let encrypted_extensions = self.expect_message(message::ENCRYPTED_EXTENSIONS);
        let mut certificate_request = None;
        loop {
            let before = self.transcript.clone();
            let next = self.receive_message().expect("the rest of the server's flight");
            match next[0] {
                message::CERTIFICATE_REQUEST => certificate_request = Some(next),
                message::CERTIFICATE | message::CERTIFICATE_VERIFY => {}
                message::FINISHED => {
                    assert_eq!(
                        next[4..],
                        keys::verify_data13(&schedule.server_handshake, &before),
                        "server Finished"
                    );
                    break;
                }
                other => panic!("handshake message {other} in the server's flight"),
            }
        }
        self.seal = Some(Protector::tls13(&schedule.client_handshake));
        // The server's Finished is its last record under the handshake keys (RFC 8446 §4.4.4).
        self.open = Some(Protector::tls13(&schedule.server_application(&self.transcript)));
        let transcript = self.transcript.clone();
        Flight13 { schedule, hello, encrypted_extensions, certificate_request, transcript }
    }

    /// Sends HelloRetryRequest's second ClientHello: replaces the transcript as RFC 8446 §4.4.1 says, returns the group asked for.
    #[track_caller]
    pub fn retry13(&mut self, first: &ClientHello) -> u16 {
        self.send_message(&first.encode());
        let first_hash = handshake(message::MESSAGE_HASH, &keys::sha256(&self.transcript));
        self.transcript.clear();
        let retry = self.expect_message(message::SERVER_HELLO);
        let parsed = ServerHello::parse(&retry);
        assert!(parsed.is_retry(), "expected a HelloRetryRequest");
        self.transcript = [first_hash, retry].concat();
        let group = parsed.extension(extension::KEY_SHARE).expect("a group");
        u16::from_be_bytes(group.try_into().expect("two bytes"))
    }

    /// The Finished that is due.
    pub fn finished13(&self, flight: &Flight13) -> Vec<u8> {
        handshake(
            message::FINISHED,
            &keys::verify_data13(&flight.schedule.client_handshake, &self.transcript),
        )
    }

    /// Switches sending to the application traffic keys.
    pub fn application13(&mut self, flight: &Flight13) {
        self.seal = Some(Protector::tls13(&flight.schedule.client_application(&flight.transcript)));
    }

    /// Ends the handshake properly.
    pub fn finish13(&mut self, flight: &Flight13) {
        let finished = self.finished13(flight);
        self.send_message(&finished);
        self.application13(flight);
    }

    /// Sends `hello` and does the rest properly.
    #[track_caller]
    pub fn establish13(&mut self, hello: &ClientHello, share: &KeyShare) -> Flight13 {
        let flight = self.hello13(hello, share);
        self.finish13(&flight);
        flight
    }

    /// Waits for a NewSessionTicket.
    pub fn ticket13(&mut self, flight: &Flight13) -> Result<Ticket, End> {
        let resumption = flight.schedule.resumption(&self.transcript);
        let record = self.receive_record()?;
        assert_eq!((record.kind, record.body[0]), (content::HANDSHAKE, message::NEW_SESSION_TICKET));
        let body = &record.body[4..];
        let word = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes"));
        let nonce = &body[9..9 + usize::from(body[8])];
        let rest = &body[9 + nonce.len()..];
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        Ok(Ticket {
            identity: rest[2..2 + length].to_vec(),
            psk: keys::hkdf_expand_label(&resumption, "resumption", nonce, 32),
            age_add: word(4),
            lifetime: word(0),
        })
    }
}

/// `hello` with a pre_shared_key offer of `ticket` at its end, and the binder (RFC 8446 §4.2.11.2).
/// `binder` may spoil the binder before it is set in.
pub fn offer(hello: &mut ClientHello, ticket: &Ticket, binder: impl FnOnce(&mut [u8; 32])) -> Vec<u8> {
    let age = ticket.age_add.to_be_bytes();
    let identities = vector::<2>(&[&vector::<2>(&ticket.identity)[..], &age].concat());
    let with = |binder: &[u8; 32]| [&identities[..], &vector::<2>(&vector::<1>(binder))].concat();
    hello.remove(extension::PRE_SHARED_KEY).add(extension::PRE_SHARED_KEY, with(&[0; 32]));
    let mut encoded = hello.encode();
    let truncated = &encoded[..encoded.len() - 35];
    let early = keys::hmac(&[0; 32], &ticket.psk);
    let mut value = keys::verify_data13(&keys::derive(&early, "res binder", b""), truncated);
    binder(&mut value);
    let end = encoded.len();
    encoded[end - 32..].copy_from_slice(&value);
    encoded
}
