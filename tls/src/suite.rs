// SPDX-License-Identifier: MIT OR Apache-2.0
//! Versions, cipher suites and groups, as the registries list them.

use crate::wire::codes;
use core::fmt;
use ttls_crypto::aead;
use ttls_crypto::hash;
pub use ttls_crypto::job::Group;
pub use ttls_crypto::sign::{KeyKind, Scheme};

/// Protocol versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246)
    Tls12,
    /// TLS 1.3 (RFC 8446)
    Tls13,
}

impl Version {
    /// On the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Tls12 => codes::TLS12,
            Self::Tls13 => codes::TLS13,
        }
    }

    /// `TLSv1.2` or `TLSv1.3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! suites {
    ($($variant:ident, $code:literal, $name:literal, $openssl:literal, $version:ident, $key:expr, $aead:ident, $hash:ident;)*) => {
        /// Cipher suites (RFC 8446 §B.4, RFC 5289, RFC 7905).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Suite {
            $(#[doc = $name] $variant,)*
        }

        impl Suite {
            /// Every suite, in the default order of preference.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            /// On the wire.
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The suite with this code, if it is one of ours.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The IANA name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// OpenSSL's name.
            pub const fn openssl_name(self) -> &'static str {
                match self { $(Self::$variant => $openssl,)* }
            }

            /// The version that the suite belongs to.
            pub const fn version(self) -> Version {
                match self { $(Self::$variant => Version::$version,)* }
            }

            /// The certificate key that a TLS 1.2 suite demands; `None` in TLS 1.3.
            pub const fn key_kind(self) -> Option<KeyKind> {
                match self { $(Self::$variant => $key,)* }
            }

            /// The record AEAD.
            pub const fn aead(self) -> aead::Algorithm {
                match self { $(Self::$variant => aead::Algorithm::$aead,)* }
            }

            /// The hash of the transcript and the key derivation.
            pub const fn hash(self) -> hash::Algorithm {
                match self { $(Self::$variant => hash::Algorithm::$hash,)* }
            }
        }
    };
}

suites! {
    Aes128GcmSha256, 0x1301, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", Tls13, None, Aes128Gcm, Sha256;
    Aes256GcmSha384, 0x1302, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", Tls13, None, Aes256Gcm, Sha384;
    ChaCha20Poly1305Sha256, 0x1303, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", Tls13, None, ChaCha20Poly1305, Sha256;
    EcdheEcdsaAes128GcmSha256, 0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", Tls12, Some(KeyKind::EcdsaP256), Aes128Gcm, Sha256;
    EcdheRsaAes128GcmSha256, 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", Tls12, Some(KeyKind::Rsa), Aes128Gcm, Sha256;
    EcdheEcdsaAes256GcmSha384, 0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", Tls12, Some(KeyKind::EcdsaP256), Aes256Gcm, Sha384;
    EcdheRsaAes256GcmSha384, 0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", Tls12, Some(KeyKind::Rsa), Aes256Gcm, Sha384;
    EcdheEcdsaChaCha20Poly1305Sha256, 0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", Tls12, Some(KeyKind::EcdsaP256), ChaCha20Poly1305, Sha256;
    EcdheRsaChaCha20Poly1305Sha256, 0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", Tls12, Some(KeyKind::Rsa), ChaCha20Poly1305, Sha256;
}

/// A group's code point (RFC 8446 §4.2.7, draft-ietf-tls-ecdhe-mlkem §4).
pub const fn group_code(group: Group) -> u16 {
    match group {
        Group::Secp256r1 => 0x0017,
        Group::X25519 => 0x001d,
        Group::X25519MlKem768 => 0x11ec,
    }
}

/// A group's name in the registry.
pub const fn group_name(group: Group) -> &'static str {
    match group {
        Group::Secp256r1 => "secp256r1",
        Group::X25519 => "x25519",
        Group::X25519MlKem768 => "X25519MLKEM768",
    }
}

/// A signature scheme's code point (RFC 8446 §4.2.3).
pub const fn scheme_code(scheme: Scheme) -> u16 {
    use hash::Algorithm::{Sha256, Sha384, Sha512};
    match scheme {
        Scheme::EcdsaP256Sha256 => 0x0403,
        Scheme::RsaPss(Sha256) => 0x0804,
        Scheme::RsaPss(Sha384) => 0x0805,
        Scheme::RsaPss(Sha512) => 0x0806,
        Scheme::RsaPkcs1(Sha256) => 0x0401,
        Scheme::RsaPkcs1(Sha384) => 0x0501,
        Scheme::RsaPkcs1(Sha512) => 0x0601,
    }
}
