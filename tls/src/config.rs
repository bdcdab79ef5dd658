// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the shell configures and hands in.

mod certificate;
mod policy;

pub use crate::names::{Protocol, ServerName};
pub(crate) use certificate::write_status;
pub use certificate::{CertificateId, CertificateSet, Chain, Credential, Credentials};
pub use policy::{ClientCertificate, List, Policy, PolicyError, UnknownName};

use crate::admission::Admission;
use crate::error::{CertificateError, Error};
use crate::suite::Version;
use crate::ticket::TicketKeys;

/// A source of randomness fit for keys.
pub trait Random {
    /// Fills `out` with random bytes. A source that can fail must not return.
    fn fill(&mut self, out: &mut [u8]);
}

/// Receives secrets for debugging, in the terms of SSLKEYLOGFILE (RFC 9850).
pub trait KeyLog {
    /// One line of the log: `label`, the ClientHello's random, the secret.
    fn log(&mut self, label: &str, client_random: &[u8; 32], secret: &[u8]);
}

/// Signature schemes that a [`ClientVerifier`] can name; more are not asked for.
pub const MAX_SCHEMES: usize = 32;

/// Judges clients' certificates.
pub trait ClientVerifier {
    /// Encoded DistinguishedNames for the CertificateRequest, each with its two-byte length; may be empty.
    fn authorities(&self) -> &[u8];

    /// Signature schemes it can verify in handshakes of a version, by code point, in order of preference: an ECDSA scheme names a
    /// hash in TLS 1.2 (RFC 5246 §7.4.1.4.1), and a curve, too, in TLS 1.3 (RFC 8446 §4.2.3). What a version does not allow
    /// there is left out, and so is Ed25519 in TLS 1.2 where [`ClientVerifier::keep`] has no room. There must be one for each version
    /// that is allowed.
    fn schemes(&self, version: Version) -> &[u16];

    /// Signature schemes it can verify in certificates, as [`ClientVerifier::schemes`] has them.
    fn certificate_schemes(&self) -> &[u16];

    /// Whether it takes time for a client's certificates now. Otherwise the handshake does nothing with them, and
    /// [`Handshake::receive`](crate::Handshake::receive) is to be called again later, whether or not more was received.
    fn is_ready(&mut self) -> bool {
        true
    }

    /// Keeps more of the text of a handshake in TLS 1.2, which Ed25519 signs (RFC 8422 §5.1.3, RFC 5246 §7.4.8): whole messages, in
    /// their order from the ClientHello on. `false` if there is no room for it: what was kept is of no use then. It is only called for
    /// clients that know Ed25519, which is asked for if there is room for the ClientHello.
    fn keep(&mut self, text: &[u8]) -> bool {
        let _ = text;
        false
    }

    /// Judges the chain, leaf first, at `now` (Unix time in milliseconds).
    ///
    /// # Errors
    /// Why it is not accepted.
    fn verify_chain(&mut self, chain: Chain<'_>, now: u64) -> Result<(), CertificateError>;

    /// Verifies a signature with the key of the leaf that [`ClientVerifier::verify_chain`] accepted. `content` is what
    /// was signed: the digest by the hash of `scheme`, or for Ed25519 the message itself, which in TLS 1.2 is what
    /// [`ClientVerifier::keep`] was given; `content` is empty then. In TLS 1.2 an ECDSA scheme names a hash and no curve (RFC 5246
    /// §7.4.1.4.1).
    ///
    /// # Errors
    /// [`CertificateError::Bad`] if it does not verify, [`CertificateError::Unsupported`] if the scheme does not fit the key.
    fn verify_signature(
        &self,
        version: Version,
        scheme: u16,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError>;
}

/// What the shell hands in with every call.
pub struct Environment<'a> {
    /// What is allowed and preferred.
    pub policy: &'a Policy,
    /// The certificates.
    pub credentials: &'a dyn Credentials,
    /// Judges client certificates, if [`Policy::client_certificate`] asks for them.
    pub clients: Option<&'a mut dyn ClientVerifier>,
    /// Issues and accepts session tickets.
    pub tickets: Option<&'a TicketKeys>,
    /// Decides whether a connection may spend CPU time now; `None` admits all.
    pub admission: Option<&'a mut dyn Admission>,
    /// Randomness.
    pub random: &'a mut dyn Random,
    /// Unix time in milliseconds.
    pub now: u64,
    /// Debugging only: receives the secrets of every connection.
    pub keylog: Option<&'a mut dyn KeyLog>,
}

impl Environment<'_> {
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    pub(crate) fn secret<const N: usize>(&mut self) -> ttls_crypto::secret::Secret<N> {
        let mut secret = ttls_crypto::secret::Secret::zero();
        self.random.fill(secret.expose_mut());
        secret
    }

    pub(crate) fn log_secret(&mut self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        if let Some(log) = self.keylog.as_deref_mut() {
            log.log(label, client_random, secret);
        }
    }

    pub(crate) fn credential(&self, id: CertificateId) -> Result<Credential<'_>, Error> {
        self.credentials.get(id).ok_or(Error::Internal("certificate vanished from the configuration"))
    }
}
