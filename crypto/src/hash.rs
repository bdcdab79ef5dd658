// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-2 (FIPS 180-4) and HMAC (RFC 2104) with the algorithm chosen at run time.

use hmac::{Hmac as HmacOf, KeyInit, Mac};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The hashes of TLS 1.2 and 1.3 suites and signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 32-byte digests.
    Sha256,
    /// 48-byte digests.
    Sha384,
    /// 64-byte digests; signatures only.
    Sha512,
}

/// Longest digest, in bytes.
pub const MAX_DIGEST: usize = 64;

impl Algorithm {
    /// Digest length in bytes.
    #[allow(clippy::len_without_is_empty)] // a digest is never empty
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Digest of `data`.
    pub fn digest(self, data: &[u8]) -> Digest {
        let mut hash = Hash::new(self);
        hash.update(data);
        hash.finish()
    }
}

/// A digest or a secret of digest length; wiped when dropped.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; MAX_DIGEST],
    len: u8,
}

impl Digest {
    /// A digest of zeros, `algorithm.len()` bytes long.
    pub const fn zero(algorithm: Algorithm) -> Self {
        let len = match algorithm {
            Algorithm::Sha256 => 32,
            Algorithm::Sha384 => 48,
            Algorithm::Sha512 => 64,
        };
        Self { bytes: [0; MAX_DIGEST], len }
    }

    /// Takes `bytes` over; `None` if longer than [`MAX_DIGEST`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut digest = Self { bytes: [0; MAX_DIGEST], len: bytes.len().try_into().ok()? };
        digest.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(digest)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The bytes, to be written in place.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..usize::from(self.len)]
    }

    /// Constant-time comparison with bytes from the wire.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.as_bytes().ct_eq(other).into()
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// A running hash; cloned to read a transcript at several points.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // lives in a connection's slot, never boxed
pub enum Hash {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-384.
    Sha384(Sha384),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hash {
    /// An empty hash.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha384 => Self::Sha384(Sha384::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Which hash this is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha384(_) => Algorithm::Sha384,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(data),
            Self::Sha384(hash) => hash.update(data),
            Self::Sha512(hash) => hash.update(data),
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let mut digest = Digest::zero(self.algorithm());
        match self {
            Self::Sha256(hash) => digest.as_mut_bytes().copy_from_slice(&hash.finalize()),
            Self::Sha384(hash) => digest.as_mut_bytes().copy_from_slice(&hash.finalize()),
            Self::Sha512(hash) => digest.as_mut_bytes().copy_from_slice(&hash.finalize()),
        }
        digest
    }

    /// The digest so far; more can be added afterwards.
    pub fn so_far(&self) -> Digest {
        self.clone().finish()
    }
}

/// HMAC with its key absorbed: cloning it saves two compressions per use.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // lives on the stack
pub enum Hmac {
    /// HMAC-SHA-256.
    Sha256(HmacOf<Sha256>),
    /// HMAC-SHA-384.
    Sha384(HmacOf<Sha384>),
}

impl Hmac {
    /// HMAC under `key` of any length. `None` for SHA-512, which no TLS suite uses.
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Sha256 => HmacOf::new_from_slice(key).ok().map(Self::Sha256),
            Algorithm::Sha384 => HmacOf::new_from_slice(key).ok().map(Self::Sha384),
            Algorithm::Sha512 => None,
        }
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(data),
            Self::Sha384(mac) => mac.update(data),
        }
    }

    /// The authentication code.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(mac) => finish(mac, Algorithm::Sha256),
            Self::Sha384(mac) => finish(mac, Algorithm::Sha384),
        }
    }

    /// The authentication code of `parts` one after the other; the key stays absorbed for the next.
    pub fn code<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
        match self {
            Self::Sha256(mac) => code(mac.clone(), Algorithm::Sha256, parts),
            Self::Sha384(mac) => code(mac.clone(), Algorithm::Sha384, parts),
        }
    }
}

fn code<'p>(mut mac: impl Mac, algorithm: Algorithm, parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
    for part in parts {
        mac.update(part);
    }
    finish(mac, algorithm)
}

fn finish(mac: impl Mac, algorithm: Algorithm) -> Digest {
    let mut digest = Digest::zero(algorithm);
    digest.as_mut_bytes().copy_from_slice(&mac.finalize().into_bytes());
    digest
}
