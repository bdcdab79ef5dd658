// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS 1.2 handshake in steps (RFC 5246 §7.3, RFC 8422), each of which a test may replace.

use super::hello::{ClientHello, ServerHello, extension};
use super::keys::{KeyShare, Protector, prf, sha256};
use super::{Client, content, handshake, message, vector};

/// After ServerHelloDone.
pub struct Flight12 {
    /// The ServerHello.
    pub hello: ServerHello,
    /// The CertificateRequest, if the server sent one.
    pub certificate_request: Option<Vec<u8>>,
    /// The server's ephemeral share.
    pub share: Vec<u8>,
    client_random: [u8; 32],
}

/// The keys of a TLS 1.2 connection.
pub struct Keys12 {
    /// The (extended) master secret.
    pub master: Vec<u8>,
    /// The session ticket that came with the server's Finished.
    pub ticket: Option<Vec<u8>>,
    client: (Vec<u8>, Vec<u8>),
    server: (Vec<u8>, Vec<u8>),
}

impl Keys12 {
    /// The keys of a master secret and the two hellos' randoms (RFC 5246 §6.3).
    fn new(master: Vec<u8>, server_random: [u8; 32], client_random: [u8; 32]) -> Self {
        let block = prf(&master, "key expansion", &[server_random, client_random].concat(), 40);
        Self {
            client: (block[..16].to_vec(), block[32..36].to_vec()),
            server: (block[16..32].to_vec(), block[36..].to_vec()),
            master,
            ticket: None,
        }
    }
}

impl Client {
    /// Sends `hello` and reads the server's flight to ServerHelloDone.
    #[track_caller]
    pub fn hello12(&mut self, hello: &ClientHello) -> Flight12 {
        self.send_message(&hello.encode());
        let server = ServerHello::parse(&self.expect_message(message::SERVER_HELLO));
        let (mut certificate_request, mut share) = (None, Vec::new());
        loop {
            let next = self.receive_message().expect("the rest of the server's flight");
            match next[0] {
                message::CERTIFICATE | message::CERTIFICATE_STATUS => {}
                message::SERVER_KEY_EXCHANGE => {
                    assert_eq!(next[4], 3, "named_curve");
                    share = next[8..8 + usize::from(next[7])].to_vec();
                }
                message::CERTIFICATE_REQUEST => certificate_request = Some(next),
                message::SERVER_HELLO_DONE => break,
                other => panic!("handshake message {other} in the server's flight"),
            }
        }
        Flight12 { hello: server, certificate_request, share, client_random: hello.random }
    }

    /// The ClientKeyExchange for `share`.
    pub fn key_exchange12(share: &KeyShare) -> Vec<u8> {
        handshake(message::CLIENT_KEY_EXCHANGE, &vector::<1>(&share.public))
    }

    /// The keys, once ClientKeyExchange is in the transcript (RFC 7627 §4; RFC 5246 §8.1 if the server did not agree to it).
    #[track_caller]
    pub fn keys12(&self, flight: &Flight12, share: &KeyShare) -> Keys12 {
        let secret = share.agree(&flight.share);
        let master = match flight.hello.extension(extension::EXTENDED_MASTER_SECRET) {
            Some(_) => prf(&secret, "extended master secret", &sha256(&self.transcript), 48),
            None => prf(&secret, "master secret", &[flight.client_random, flight.hello.random].concat(), 48),
        };
        Keys12::new(master, flight.hello.random, flight.client_random)
    }

    /// Reads the server's flight of a session with this `master` secret, whose ticket `hello` has offered.
    #[track_caller]
    pub fn resumed12(&mut self, hello: &ClientHello, master: &[u8]) -> Keys12 {
        let server = ServerHello::parse(&self.expect_message(message::SERVER_HELLO));
        let mut keys = Keys12::new(master.to_vec(), server.random, hello.random);
        keys.ticket = self.server_finished12(&keys);
        keys
    }

    /// Ends the handshake of a resumed session.
    pub fn finish_resumed12(&mut self, keys: &Keys12) {
        self.change_cipher_spec12(keys);
        let finished = self.finished12(keys, "client finished");
        self.send_message(&finished);
    }

    /// Sends ChangeCipherSpec and switches to the client's write key.
    pub fn change_cipher_spec12(&mut self, keys: &Keys12) {
        self.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
        self.seal = Some(Protector::tls12(&keys.client.0, &keys.client.1));
    }

    /// The Finished that is due.
    pub fn finished12(&self, keys: &Keys12, label: &str) -> Vec<u8> {
        handshake(message::FINISHED, &prf(&keys.master, label, &sha256(&self.transcript), 12))
    }

    /// Does everything after ServerHelloDone properly.
    #[track_caller]
    pub fn finish12(&mut self, flight: &Flight12, share: &KeyShare) -> Keys12 {
        self.send_message(&Self::key_exchange12(share));
        let mut keys = self.keys12(flight, share);
        self.change_cipher_spec12(&keys);
        let finished = self.finished12(&keys, "client finished");
        self.send_message(&finished);
        keys.ticket = self.server_finished12(&keys);
        keys
    }

    /// Reads the server's NewSessionTicket if there is one, ChangeCipherSpec and Finished, and checks the latter. Returns the ticket.
    #[track_caller]
    pub fn server_finished12(&mut self, keys: &Keys12) -> Option<Vec<u8>> {
        let mut ticket = None;
        let record = self.receive_record().expect("ChangeCipherSpec or NewSessionTicket");
        let record = if record.kind == content::HANDSHAKE {
            assert_eq!(record.body[0], message::NEW_SESSION_TICKET);
            self.transcript.extend_from_slice(&record.body);
            // Header, lifetime, length (RFC 5077 §3.3).
            ticket = Some(record.body[10..].to_vec());
            self.receive_record().expect("ChangeCipherSpec")
        } else {
            record
        };
        assert_eq!((record.kind, &record.body[..]), (content::CHANGE_CIPHER_SPEC, &[1][..]));
        self.open = Some(Protector::tls12(&keys.server.0, &keys.server.1));
        let expected = self.finished12(keys, "server finished");
        assert_eq!(self.expect_message(message::FINISHED), expected, "server Finished");
        ticket
    }
}
