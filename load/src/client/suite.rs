// SPDX-License-Identifier: MIT OR Apache-2.0
//! The versions and cipher suites this client knows (RFC 8446 §B.4, RFC 5289, RFC 7905).

use super::fault::Fault;
use ttls_crypto::{aead, hash};

/// Protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// An AEAD with its hash, which is all that this client needs of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Cipher {
    pub(super) const fn hash(self) -> hash::Algorithm {
        match self {
            Self::Aes256Gcm => hash::Algorithm::Sha384,
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => hash::Algorithm::Sha256,
        }
    }

    pub(super) const fn aead(self) -> aead::Algorithm {
        match self {
            Self::Aes128Gcm => aead::Algorithm::Aes128Gcm,
            Self::Aes256Gcm => aead::Algorithm::Aes256Gcm,
            Self::ChaCha20Poly1305 => aead::Algorithm::ChaCha20Poly1305,
        }
    }

    /// The suites to offer: one in TLS 1.3; in TLS 1.2 the one with ECDSA, then the one with RSA.
    pub(super) const fn suites(self, version: Version) -> &'static [u16] {
        match (version, self) {
            (Version::Tls13, Self::Aes128Gcm) => &[0x1301],
            (Version::Tls13, Self::Aes256Gcm) => &[0x1302],
            (Version::Tls13, Self::ChaCha20Poly1305) => &[0x1303],
            (Version::Tls12, Self::Aes128Gcm) => &[0xc02b, 0xc02f],
            (Version::Tls12, Self::Aes256Gcm) => &[0xc02c, 0xc030],
            (Version::Tls12, Self::ChaCha20Poly1305) => &[0xcca9, 0xcca8],
        }
    }

    /// Checks the server's choice.
    pub(super) fn accept(self, version: Version, chosen: u16) -> Result<(), Fault> {
        if self.suites(version).contains(&chosen) {
            Ok(())
        } else {
            Err(Fault::Wrong("the server chose a cipher suite that was not offered"))
        }
    }
}
