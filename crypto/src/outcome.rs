// SPDX-License-Identifier: MIT OR Apache-2.0
//! What public-key work gives: shares, secrets, signatures, and failures.

use crate::secret::Secret;

/// Longest share a server sends: X25519MLKEM768's, a ciphertext of ML-KEM-768 and a u-coordinate.
pub const MAX_SHARE: usize = 1088 + 32;

/// A server's share, as it goes on the wire.
#[derive(Clone)]
pub struct Share {
    bytes: [u8; MAX_SHARE],
    len: u16,
}

impl Share {
    /// A share from its encoding; `None` if longer than [`MAX_SHARE`].
    pub fn new(encoding: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_SHARE];
        bytes.get_mut(..encoding.len())?.copy_from_slice(encoding);
        Some(Self { bytes, len: encoding.len().try_into().ok()? })
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A shared secret: 32 bytes, or 64 for the hybrid group (ML-KEM's, then X25519's).
#[derive(Clone)]
pub struct SharedSecret {
    bytes: Secret<64>,
    len: u8,
}

impl SharedSecret {
    /// A shared secret of at most 64 bytes; `None` if longer.
    pub fn new(secret: &[u8]) -> Option<Self> {
        let mut bytes = Secret::zero();
        bytes.expose_mut().get_mut(..secret.len())?.copy_from_slice(secret);
        Some(Self { bytes, len: secret.len().try_into().ok()? })
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.bytes.expose()[..usize::from(self.len)]
    }
}

/// Longest signature: RSA-4096.
pub const MAX_SIGNATURE: usize = 512;

/// A signature as it goes on the wire: DER for ECDSA (RFC 8446 §4.2.3), modulus length for RSA.
#[derive(Clone)]
pub struct Signature {
    bytes: [u8; MAX_SIGNATURE],
    len: u16,
}

impl Signature {
    /// A signature from its encoding; `None` if longer than [`MAX_SIGNATURE`].
    pub fn new(encoding: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_SIGNATURE];
        bytes.get_mut(..encoding.len())?.copy_from_slice(encoding);
        Some(Self { bytes, len: encoding.len().try_into().ok()? })
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What a finished job gives back.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // fixed size by design
pub enum Output {
    /// For [`KeyExchange::Respond`](crate::job::KeyExchange::Respond).
    Exchanged {
        /// The server's share.
        share: Share,
        /// The secret.
        shared: SharedSecret,
    },
    /// For [`KeyExchange::Generate`](crate::job::KeyExchange::Generate).
    Generated {
        /// The server's share.
        share: Share,
        /// To be kept for [`KeyExchange::Agree`](crate::job::KeyExchange::Agree).
        private: Secret<32>,
    },
    /// For [`KeyExchange::Agree`](crate::job::KeyExchange::Agree).
    Agreed(SharedSecret),
    /// For [`Work::Sign`](crate::job::Work::Sign).
    Signed(Signature),
}

/// Why a job failed. Only this job: the others of its batch are untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The peer's share is not a point of the curve, gives the all-zero secret (RFC 7748 §6.1),
    /// or is not a valid encapsulation key (FIPS 203 §7.2). The peer is at fault.
    BadPeerShare,
    /// The job does not fit its key or its group. The caller is at fault.
    Unsupported,
    /// The result did not verify against the public key: hardware fault or corrupted key. Nothing was released.
    Fault,
}
