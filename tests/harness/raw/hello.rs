// SPDX-License-Identifier: MIT OR Apache-2.0
//! ClientHello, field by field, and the little of ServerHello that the client needs.

use super::keys::KeyShare;
use super::{handshake, message, vector};
use crate::pki;

/// Extension types (RFC 8446 §4.2 and others).
pub mod extension {
    #![allow(missing_docs)]
    pub const SERVER_NAME: u16 = 0;
    pub const MAX_FRAGMENT_LENGTH: u16 = 1;
    pub const STATUS_REQUEST: u16 = 5;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const EXTENDED_MASTER_SECRET: u16 = 23;
    pub const RECORD_SIZE_LIMIT: u16 = 28;
    pub const SESSION_TICKET: u16 = 35;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const COOKIE: u16 = 44;
    pub const PSK_KEY_EXCHANGE_MODES: u16 = 45;
    pub const KEY_SHARE: u16 = 51;
    pub const RENEGOTIATION_INFO: u16 = 0xff01;
}

/// A ClientHello that a test may bend before it is encoded.
#[derive(Clone, Debug)]
pub struct ClientHello {
    /// legacy_version.
    pub version: u16,
    /// random; fixed, as nothing here depends on its being random.
    pub random: [u8; 32],
    /// legacy_session_id, at most 32 bytes unless a test wants more.
    pub session_id: Vec<u8>,
    /// cipher_suites.
    pub suites: Vec<u16>,
    /// legacy_compression_methods.
    pub compression: Vec<u8>,
    /// Extensions in the order sent; `None` leaves the whole block away.
    pub extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl ClientHello {
    /// A proper TLS 1.3 ClientHello with `shares`; supported_groups lists the groups of the shares, then X25519
    /// and secp256r1.
    pub fn tls13(shares: &[&KeyShare]) -> Self {
        let mut groups: Vec<u16> = shares.iter().map(|s| s.group).collect();
        groups.extend([0x001d, 0x0017].into_iter().filter(|g| !groups.contains(g)).collect::<Vec<_>>());
        let mut hello = Self {
            session_id: vec![0x5e; 32],
            suites: vec![0x1301],
            ..Self::with_extensions(vec![
                (extension::SERVER_NAME, server_name(pki::NAME)),
                (extension::SUPPORTED_VERSIONS, vec![2, 3, 4]),
                (extension::SUPPORTED_GROUPS, u16s(&groups)),
                (extension::SIGNATURE_ALGORITHMS, u16s(&[0x0403, 0x0804])),
                (extension::PSK_KEY_EXCHANGE_MODES, vec![1, 1]),
            ])
        };
        hello.set(extension::KEY_SHARE, key_shares(shares));
        hello
    }

    /// A proper TLS 1.2 ClientHello: ECDHE with X25519 or secp256r1, ECDSA or RSA.
    pub fn tls12() -> Self {
        Self {
            suites: vec![0xc02b, 0xc02f],
            ..Self::with_extensions(vec![
                (extension::SERVER_NAME, server_name(pki::NAME)),
                (extension::SUPPORTED_GROUPS, u16s(&[0x001d, 0x0017])),
                (extension::EC_POINT_FORMATS, vec![1, 0]),
                (extension::SIGNATURE_ALGORITHMS, u16s(&[0x0403, 0x0804, 0x0401])),
                (extension::EXTENDED_MASTER_SECRET, vec![]),
                (extension::RENEGOTIATION_INFO, vec![0]),
            ])
        }
    }

    fn with_extensions(extensions: Vec<(u16, Vec<u8>)>) -> Self {
        Self {
            version: 0x0303,
            random: *b"a random that nobody relies upon",
            session_id: Vec::new(),
            suites: Vec::new(),
            compression: vec![0],
            extensions: Some(extensions),
        }
    }

    /// Sets an extension, in its place or at the end.
    pub fn set(&mut self, kind: u16, body: Vec<u8>) -> &mut Self {
        let extensions = self.extensions.get_or_insert_default();
        match extensions.iter_mut().find(|(k, _)| *k == kind) {
            Some(extension) => extension.1 = body,
            None => extensions.push((kind, body)),
        }
        self
    }

    /// Adds an extension at the end, be it there already or not.
    pub fn add(&mut self, kind: u16, body: Vec<u8>) -> &mut Self {
        self.extensions.get_or_insert_default().push((kind, body));
        self
    }

    /// Removes an extension.
    pub fn remove(&mut self, kind: u16) -> &mut Self {
        self.extensions.get_or_insert_default().retain(|(k, _)| *k != kind);
        self
    }

    /// The body without the handshake header.
    pub fn body(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend_from_slice(&self.random);
        body.extend_from_slice(&vector::<1>(&self.session_id));
        body.extend_from_slice(&u16s(&self.suites));
        body.extend_from_slice(&vector::<1>(&self.compression));
        if let Some(extensions) = &self.extensions {
            let all: Vec<u8> = extensions
                .iter()
                .flat_map(|(kind, body)| [kind.to_be_bytes().to_vec(), vector::<2>(body)].concat())
                .collect();
            body.extend_from_slice(&vector::<2>(&all));
        }
        body
    }

    /// The handshake message.
    pub fn encode(&self) -> Vec<u8> {
        handshake(message::CLIENT_HELLO, &self.body())
    }
}

/// A list of 16-bit values with its length in front.
pub fn u16s(values: &[u16]) -> Vec<u8> {
    vector::<2>(&values.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<_>>())
}

/// server_name with one host_name (RFC 6066 §3).
pub fn server_name(name: &str) -> Vec<u8> {
    vector::<2>(&[&[0][..], &vector::<2>(name.as_bytes())].concat())
}

/// ALPN's protocol_name_list (RFC 7301 §3.1).
pub fn alpn(names: &[&str]) -> Vec<u8> {
    vector::<2>(&names.iter().flat_map(|n| vector::<1>(n.as_bytes())).collect::<Vec<_>>())
}

/// key_share's client_shares (RFC 8446 §4.2.8).
pub fn key_shares(shares: &[&KeyShare]) -> Vec<u8> {
    vector::<2>(&shares.iter().flat_map(|s| key_share(s.group, &s.public)).collect::<Vec<_>>())
}

/// One KeyShareEntry.
pub fn key_share(group: u16, public: &[u8]) -> Vec<u8> {
    [&group.to_be_bytes()[..], &vector::<2>(public)].concat()
}

/// What the client needs of a ServerHello or HelloRetryRequest.
#[derive(Debug)]
pub struct ServerHello {
    /// random; the HelloRetryRequest's is a constant (RFC 8446 §4.1.3).
    pub random: [u8; 32],
    /// legacy_session_id_echo, or the session id in TLS 1.2.
    pub session_id: Vec<u8>,
    /// cipher_suite.
    pub suite: u16,
    /// Extensions in order.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl ServerHello {
    /// Parses a ServerHello message, strictly.
    #[track_caller]
    pub fn parse(message: &[u8]) -> Self {
        let (mut at, end) = (4, message.len());
        let mut take = |n: usize| {
            at += n;
            message.get(at - n..at).expect("a ServerHello long enough").to_vec()
        };
        assert_eq!(take(2), [3, 3], "legacy_version");
        let random = take(32).try_into().expect("32 bytes");
        let length = usize::from(take(1)[0]);
        let session_id = take(length);
        let suite = pair(&take(2));
        assert_eq!(take(1), [0], "legacy_compression_method");
        let mut extensions = Vec::new();
        let mut left = usize::from(pair(&take(2)));
        while left > 0 {
            let kind = pair(&take(2));
            let length = usize::from(pair(&take(2)));
            extensions.push((kind, take(length)));
            left = left.checked_sub(4 + length).expect("extensions fill their block");
        }
        assert_eq!(at, end, "nothing after the extensions");
        Self { random, session_id, suite, extensions }
    }

    /// The body of an extension.
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        self.extensions.iter().find(|(k, _)| *k == kind).map(|(_, body)| &body[..])
    }

    /// Is it a HelloRetryRequest?
    pub fn is_retry(&self) -> bool {
        // SHA-256 of "HelloRetryRequest" (RFC 8446 §4.1.3).
        self.random == super::keys::sha256(b"HelloRetryRequest")
    }
}

fn pair(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(bytes.try_into().expect("two bytes"))
}
