// SPDX-License-Identifier: MIT OR Apache-2.0
//! Server signing keys: reading them, and signing digests with them.

mod error;
mod read;

pub use error::KeyError;

use crate::hash;
use crate::outcome::{Failed, Signature};
use crate::p256::ecdsa;
use crate::rsa::{self, Padding, Way};
use crate::secret::Secret;
use crate::wipe::{Depth, wiping_stack};

/// Signature schemes a server can use (RFC 8446 §4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ecdsa_secp256r1_sha256
    EcdsaP256Sha256,
    /// rsa_pss_rsae_sha256, _sha384, _sha512
    RsaPss(hash::Algorithm),
    /// rsa_pkcs1_sha256, _sha384, _sha512: TLS 1.2 only
    RsaPkcs1(hash::Algorithm),
}

impl Scheme {
    /// The hash whose digest the scheme signs.
    pub const fn hash(self) -> hash::Algorithm {
        match self {
            Self::EcdsaP256Sha256 => hash::Algorithm::Sha256,
            Self::RsaPss(hash) | Self::RsaPkcs1(hash) => hash,
        }
    }

    /// The kind of key the scheme signs with.
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::EcdsaP256Sha256 => KeyKind::EcdsaP256,
            Self::RsaPss(_) | Self::RsaPkcs1(_) => KeyKind::Rsa,
        }
    }
}

/// What kind of key a [`SigningKey`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    EcdsaP256,
    /// RSA, 2048 to 4096 bits.
    Rsa,
}

/// How a private key is written; each has its PEM label (RFC 7468 §10, RFC 5915 §4, RFC 8017 §A.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `PRIVATE KEY`: PrivateKeyInfo, OneAsymmetricKey (RFC 5208, RFC 5958).
    Pkcs8,
    /// `EC PRIVATE KEY`: ECPrivateKey (RFC 5915).
    Sec1,
    /// `RSA PRIVATE KEY`: RSAPrivateKey (RFC 8017).
    Pkcs1,
}

/// One signature over a digest.
#[derive(Clone)]
pub struct SignRequest {
    /// Signature scheme; it must fit the key.
    pub scheme: Scheme,
    /// Digest of the message by the scheme's hash.
    pub digest: hash::Digest,
    /// Fresh randomness: hedges the ECDSA nonce, salts PSS (by expansion where 32 bytes are too few), blinds RSA.
    pub entropy: Secret<32>,
}

/// A private signing key, ready for use; wiped when dropped.
pub struct SigningKey(pub(crate) Key);

#[allow(clippy::large_enum_variant)] // a server has few keys, and nothing here may allocate
pub(crate) enum Key {
    EcdsaP256(ecdsa::PrivateKey),
    Rsa(rsa::PrivateKey),
}

impl SigningKey {
    /// The kind of key.
    pub const fn kind(&self) -> KeyKind {
        match self.0 {
            Key::EcdsaP256(_) => KeyKind::EcdsaP256,
            Key::Rsa(_) => KeyKind::Rsa,
        }
    }

    /// Whether the key can sign with `scheme`.
    pub fn supports(&self, scheme: Scheme) -> bool {
        self.kind() == scheme.key_kind()
    }

    /// Signs the digest in `request`.
    ///
    /// # Errors
    /// [`Failed::Unsupported`] if the scheme does not fit the key, or the digest the scheme;
    /// [`Failed::Fault`] if an RSA signature does not verify.
    pub fn sign(&self, request: &SignRequest) -> Result<Signature, Failed> {
        wiping_stack(self.depth(), || self.sign_by(request, Way::Scalar))
    }

    /// How deep in the stack signing goes.
    pub(crate) const fn depth(&self) -> Depth {
        match self.0 {
            Key::EcdsaP256(_) => Depth::Curves,
            Key::Rsa(_) => Depth::Rsa,
        }
    }

    /// [`SigningKey::sign`], an RSA signature on the given way, for callers that wipe the stack.
    pub(crate) fn sign_by(&self, request: &SignRequest, way: Way<'_>) -> Result<Signature, Failed> {
        let SignRequest { scheme, digest, entropy } = request;
        match (&self.0, *scheme) {
            (Key::EcdsaP256(key), Scheme::EcdsaP256Sha256) => {
                let digest = digest.as_bytes().try_into().map_err(|_| Failed::Unsupported)?;
                Ok(key.signature(digest, entropy))
            }
            (Key::Rsa(key), Scheme::RsaPss(hash)) => key.sign(Padding::Pss, hash, digest, entropy, way),
            (Key::Rsa(key), Scheme::RsaPkcs1(hash)) => key.sign(Padding::Pkcs1, hash, digest, entropy, way),
            _ => Err(Failed::Unsupported),
        }
    }
}
