// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key shares, the TLS 1.3 key schedule (RFC 8446 §7.1), the TLS 1.2 PRF (RFC 5246 §5), and
//! AES-128-GCM record protection of both versions.

use super::{Record, content};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{agreement, digest, hmac as mac};

/// A private key and its share.
pub struct KeyShare {
    /// Named group.
    pub group: u16,
    /// The share as sent.
    pub public: Vec<u8>,
    private: agreement::PrivateKey,
}

impl KeyShare {
    /// A new X25519 share.
    pub fn x25519() -> Self {
        Self::new(0x001d, &agreement::X25519)
    }

    /// A new secp256r1 share.
    pub fn p256() -> Self {
        Self::new(0x0017, &agreement::ECDH_P256)
    }

    fn new(group: u16, algorithm: &'static agreement::Algorithm) -> Self {
        let private = agreement::PrivateKey::generate(algorithm).expect("generate a key");
        let public = private.compute_public_key().expect("own public key").as_ref().to_vec();
        Self { group, public, private }
    }

    /// The X25519 share of a private key that is always the same, for fuzzers.
    pub fn fixed(private: &[u8; 32]) -> Self {
        let private =
            agreement::PrivateKey::from_private_key(&agreement::X25519, private).expect("any 32 bytes");
        let public = private.compute_public_key().expect("own public key").as_ref().to_vec();
        Self { group: 0x001d, public, private }
    }

    /// The secret shared with `peer`.
    #[track_caller]
    pub fn agree(&self, peer: &[u8]) -> Vec<u8> {
        self.try_agree(peer).expect("the server's share is valid")
    }

    /// The same; `None` where the share is of another group.
    pub fn try_agree(&self, peer: &[u8]) -> Option<Vec<u8>> {
        let peer = agreement::UnparsedPublicKey::new(self.private.algorithm(), peer);
        agreement::agree(&self.private, peer, (), |s| Ok(s.to_vec())).ok()
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

/// HMAC-SHA-256.
pub fn hmac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    mac::sign(&mac::Key::new(mac::HMAC_SHA256, key), bytes).as_ref().try_into().expect("32 bytes")
}

/// HKDF-Expand-Label (RFC 8446 §7.1), for outputs of at most 32 bytes: one block.
pub fn hkdf_expand_label(secret: &[u8], label: &str, context: &[u8], length: u8) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let info = [&[0, length][..], &super::vector::<1>(label.as_bytes()), &super::vector::<1>(context), &[1]]
        .concat();
    hmac(secret, &info)[..usize::from(length)].to_vec()
}

/// The PRF of TLS 1.2 with SHA-256 (RFC 5246 §5).
pub fn prf(secret: &[u8], label: &str, seed: &[u8], length: usize) -> Vec<u8> {
    let seed = [label.as_bytes(), seed].concat();
    let mut a = hmac(secret, &seed);
    let mut out = Vec::new();
    while out.len() < length {
        out.extend_from_slice(&hmac(secret, &[&a[..], &seed].concat()));
        a = hmac(secret, &a);
    }
    out.truncate(length);
    out
}

/// The TLS 1.3 key schedule from the (EC)DHE secret on, with or without a PSK.
pub struct Schedule {
    /// client_handshake_traffic_secret.
    pub client_handshake: Vec<u8>,
    /// server_handshake_traffic_secret.
    pub server_handshake: Vec<u8>,
    master: Vec<u8>,
}

impl Schedule {
    /// From the PSK (or 32 zeros), the shared secret, and the transcript up to ServerHello.
    pub fn new(psk: &[u8], shared: &[u8], transcript: &[u8]) -> Self {
        let early = hmac(&[0; 32], psk);
        let handshake = hmac(&derive(&early, "derived", b""), shared);
        Self {
            client_handshake: derive(&handshake, "c hs traffic", transcript),
            server_handshake: derive(&handshake, "s hs traffic", transcript),
            master: hmac(&derive(&handshake, "derived", b""), &[0; 32]).to_vec(),
        }
    }

    /// client_application_traffic_secret_0 from the transcript up to the server's Finished.
    pub fn client_application(&self, transcript: &[u8]) -> Vec<u8> {
        derive(&self.master, "c ap traffic", transcript)
    }

    /// server_application_traffic_secret_0, from the same.
    pub fn server_application(&self, transcript: &[u8]) -> Vec<u8> {
        derive(&self.master, "s ap traffic", transcript)
    }

    /// resumption_master_secret from the transcript up to the client's Finished.
    pub fn resumption(&self, transcript: &[u8]) -> Vec<u8> {
        derive(&self.master, "res master", transcript)
    }
}

/// Derive-Secret (RFC 8446 §7.1).
pub(super) fn derive(secret: &[u8], label: &str, transcript: &[u8]) -> Vec<u8> {
    hkdf_expand_label(secret, label, &sha256(transcript), 32)
}

/// The verify_data of a TLS 1.3 Finished, and a PSK binder (RFC 8446 §4.4.4).
pub fn verify_data13(secret: &[u8], transcript: &[u8]) -> [u8; 32] {
    hmac(&hkdf_expand_label(secret, "finished", b"", 32), &sha256(transcript))
}

/// AES-128-GCM for one direction.
pub struct Protector {
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
    tls13: bool,
    secret: Vec<u8>,
}

impl Protector {
    /// TLS 1.3, from a traffic secret (RFC 8446 §7.3).
    pub fn tls13(secret: &[u8]) -> Self {
        let key = hkdf_expand_label(secret, "key", b"", 16);
        let iv = hkdf_expand_label(secret, "iv", b"", 12);
        Self { key: aes(&key), iv, sequence: 0, tls13: true, secret: secret.to_vec() }
    }

    /// TLS 1.2, from a write key and the four implicit bytes of the nonce (RFC 5288 §3).
    pub fn tls12(key: &[u8], salt: &[u8]) -> Self {
        Self { key: aes(key), iv: salt.to_vec(), sequence: 0, tls13: false, secret: Vec::new() }
    }

    /// Does it protect TLS 1.3 records?
    pub fn is_tls13(&self) -> bool {
        self.tls13
    }

    /// The traffic secret it was made from.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The next generation (RFC 8446 §7.2).
    pub fn update(&mut self) {
        *self = Self::tls13(&hkdf_expand_label(&self.secret, "traffic upd", b"", 32));
    }

    /// A protected record.
    pub fn seal(&mut self, kind: u8, body: &[u8]) -> Vec<u8> {
        self.seal_padded(kind, body, 0)
    }

    /// A protected record with so many zeros after the content type (RFC 8446 §5.4; none in TLS 1.2).
    pub fn seal_padded(&mut self, kind: u8, body: &[u8], padding: usize) -> Vec<u8> {
        let mut sealed = body.to_vec();
        if self.tls13 {
            sealed.push(kind);
            sealed.resize(sealed.len() + padding, 0);
        }
        let explicit = self.sequence.to_be_bytes();
        let length = sealed.len() + 16 + if self.tls13 { 0 } else { 8 };
        let header = header(if self.tls13 { content::APPLICATION_DATA } else { kind }, length);
        let aad = if self.tls13 { header.to_vec() } else { self.aad12(kind, body.len()) };
        let nonce = self.nonce(&explicit);
        self.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).expect("seal");
        self.sequence += 1;
        if self.tls13 { [&header[..], &sealed].concat() } else { [&header[..], &explicit, &sealed].concat() }
    }

    /// Opens a record. One that does not open fails the test: the server sent it.
    #[track_caller]
    pub fn open(&mut self, header: [u8; 5], body: &[u8]) -> Record {
        self.try_open(header, body).expect("the server's record opens")
    }

    /// The same; `None` where it does not open, as with a server that received another key share than was sent.
    pub fn try_open(&mut self, header: [u8; 5], body: &[u8]) -> Option<Record> {
        let (explicit, body) = if self.tls13 { (&[0; 8][..], body) } else { body.split_at(8) };
        let length = body.len().checked_sub(16).expect("a record at least as long as its tag");
        let aad = if self.tls13 { header.to_vec() } else { self.aad12(header[0], length) };
        let nonce = self.nonce(explicit.try_into().expect("eight bytes"));
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(aad), &mut body).ok()?;
        let mut plain = plain.to_vec();
        self.sequence += 1;
        if !self.tls13 {
            return Some(Record { kind: header[0], body: plain });
        }
        assert_eq!(header[0], content::APPLICATION_DATA, "outer type of a protected TLS 1.3 record");
        loop {
            match plain.pop() {
                Some(0) => {}
                Some(kind) => return Some(Record { kind, body: plain }),
                None => panic!("a record of padding only"),
            }
        }
    }

    fn aad12(&self, kind: u8, length: usize) -> Vec<u8> {
        [&self.sequence.to_be_bytes()[..], &header(kind, length)].concat()
    }

    fn nonce(&self, explicit: &[u8; 8]) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..self.iv.len()].copy_from_slice(&self.iv);
        if self.tls13 {
            nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        } else {
            nonce[4..].copy_from_slice(explicit);
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

fn aes(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).expect("16 bytes"))
}

fn header(kind: u8, length: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(length).expect("fits a record").to_be_bytes();
    [kind, 3, 3, high, low]
}
