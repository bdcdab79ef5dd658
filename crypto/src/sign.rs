// SPDX-License-Identifier: MIT OR Apache-2.0
//! Server signing keys: reading them, and signing digests with them.

use crate::hash;

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
}

/// What kind of key a [`SigningKey`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    EcdsaP256,
    /// RSA, 2048 to 4096 bits.
    Rsa,
}

/// A private signing key, ready for use; wiped when dropped.
pub struct SigningKey {}
