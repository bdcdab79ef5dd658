// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hash of all handshake messages (RFC 8446 §4.4.1, RFC 5246 §7.4.9).

use crate::error::Error;
use crate::wire::Writer;
use crate::wire::codes::message;
use ttls_crypto::hash::{Algorithm, Digest, Hash};

/// The running hash of the handshake.
#[derive(Clone)]
pub(crate) struct Transcript(Hash);

impl Transcript {
    pub(crate) fn new(hash: Algorithm) -> Self {
        Self(Hash::new(hash))
    }

    /// Adds a whole message, header included.
    pub(crate) fn add(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    /// The hash so far.
    pub(crate) fn hash(&self) -> Digest {
        self.0.so_far()
    }

    /// Replaces the first ClientHello by its hash, as a HelloRetryRequest demands.
    pub(crate) fn into_message_hash(self) -> Self {
        let algorithm = self.0.algorithm();
        let digest = self.0.finish();
        let mut hash = Hash::new(algorithm);
        // No digest is longer than 64 bytes.
        let len = u8::try_from(algorithm.len()).unwrap_or_default();
        hash.update(&[message::MESSAGE_HASH, 0, 0, len]);
        hash.update(digest.as_bytes());
        Self(hash)
    }

    /// Writes a message of type `kind` to `out` and adds it.
    pub(crate) fn write(
        &mut self,
        kind: u8,
        out: &mut Writer<'_>,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = out.len();
        out.message(kind, body)?;
        self.add(out.tail(start));
        Ok(())
    }
}

/// The transcript of TLS 1.2, and as long as a client's certificate may come, by the other hashes too: a signature
/// scheme names its own hash there, whatever the suite's is (RFC 5246 §7.4.8).
pub(crate) struct Transcripts {
    /// By the hash of the suite.
    suite: Transcript,
    others: Option<[Transcript; 2]>,
}

impl Transcripts {
    /// By the suite's hash, or by all if `all`.
    pub(crate) fn new(suite: Algorithm, all: bool) -> Self {
        use Algorithm::{Sha256, Sha384, Sha512};
        let others = match suite {
            Sha256 => [Sha384, Sha512],
            Sha384 => [Sha256, Sha512],
            Sha512 => [Sha256, Sha384],
        };
        Self { suite: Transcript::new(suite), others: all.then(|| others.map(Transcript::new)) }
    }

    /// Adds a whole message, header included.
    pub(crate) fn add(&mut self, message: &[u8]) {
        self.suite.add(message);
        self.others.iter_mut().flatten().for_each(|other| other.add(message));
    }

    /// The hash so far, by the suite's hash.
    pub(crate) fn hash(&self) -> Digest {
        self.suite.hash()
    }

    /// The hash so far, if it is kept by this hash.
    pub(crate) fn hash_by(&self, hash: Algorithm) -> Option<Digest> {
        let mut all = core::iter::once(&self.suite).chain(self.others.iter().flatten());
        all.find(|transcript| transcript.0.algorithm() == hash).map(Transcript::hash)
    }

    /// Writes a message of type `kind` to `out` and adds it.
    pub(crate) fn write(
        &mut self,
        kind: u8,
        out: &mut Writer<'_>,
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = out.len();
        out.message(kind, body)?;
        self.add(out.tail(start));
        Ok(())
    }
}
