// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a connection's TLS stands.

use super::fault::Fault;
use super::keys::Agreement;
use super::record::Protection;
use super::schedule::Expander;
use super::session::Session;
use super::suite::Cipher;
use core::ops::Range;
use ttls_crypto::hash::{Digest, Hash};

/// What happened when bytes were received.
pub(crate) enum Event {
    /// More bytes are needed.
    Nothing,
    /// This must be computed and handed to `Client::agreed`.
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
pub(super) enum State {
    ServerHello,
    Tls13(Tls13),
    Tls12(Tls12),
    Open { resumption: Option<Expander> },
}

/// The secret of TLS 1.3 that this client writes with, from which its next one follows.
pub(super) struct Writing {
    pub(super) secret: Expander,
    pub(super) cipher: Cipher,
}

/// One connection's TLS. Reused from connection to connection, so that its buffers stay.
pub(crate) struct Client {
    pub(super) state: State,
    /// Whether this connection's signature is checked.
    pub(super) verify: bool,
    pub(super) want_ticket: bool,
    /// The ClientHello, until its hash is known to be needed.
    pub(super) hello: Vec<u8>,
    pub(super) transcript: Hash,
    /// Handshake bytes that were received and not yet used.
    pub(super) messages: Vec<u8>,
    pub(super) reading: Option<Protection>,
    pub(super) writing: Option<Protection>,
    /// TLS 1.3, once the handshake is done.
    pub(super) updates: Option<Writing>,
    /// A session the server offered, if it was wanted.
    pub(crate) session: Option<Session>,
}

/// TLS 1.2: what comes next from the server, with what is known by then.
#[allow(clippy::large_enum_variant)] // lives in a connection's slot
pub(super) enum Tls12 {
    Certificate { random: [u8; 32] },
    ServerKeyExchange { random: [u8; 32], leaf: Vec<u8> },
    ServerHelloDone { random: [u8; 32], agreement: Agreement },
    Agreeing { random: [u8; 32] },
    Finishing(Finishing),
}

/// Keys are known; the server's ChangeCipherSpec and Finished are awaited.
pub(super) struct Finishing {
    pub(super) master: Digest,
    /// Taken by the ChangeCipherSpec.
    pub(super) reading: Option<Protection>,
    pub(super) ticket: Option<Vec<u8>>,
    pub(super) resumed: bool,
}

impl Tls12 {
    pub(super) fn change_cipher_spec(&mut self) -> Result<Protection, Fault> {
        match self {
            Self::Finishing(Finishing { reading, .. }) => reading.take(),
            _ => None,
        }
        .ok_or(Fault::Wrong("a ChangeCipherSpec comes out of order"))
    }
}

/// TLS 1.3: what comes next from the server, with what is known by then.
#[allow(clippy::large_enum_variant)] // lives in a connection's slot
pub(super) enum Tls13 {
    Agreeing { kem: Option<[u8; 32]>, resumed: bool },
    EncryptedExtensions(Secrets),
    Certificate(Secrets),
    CertificateVerify { secrets: Secrets, leaf: Vec<u8> },
    Finished(Secrets),
}

/// The secrets of the handshake's stage.
pub(super) struct Secrets {
    pub(super) stage: Expander,
    pub(super) client: Expander,
    pub(super) server: Expander,
    pub(super) resumed: bool,
}
