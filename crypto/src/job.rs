// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work as values: what the TLS core hands out instead of computing it.
//!
//! A [`KeyExchange`] or [`SignRequest`] owns all its inputs, randomness included, so that it can be
//! queued, moved between connections' lanes and computed in any order with the same result.

use crate::rsa::Way;
use crate::secret::Secret;
use crate::sign::{Scheme, SigningKey};
use crate::wipe::{Depth, wiping_stack};
use crate::{key_exchange, mlkem, p256, x25519};

/// Key-exchange groups (RFC 8446 §4.2.7; draft-ietf-tls-ecdhe-mlkem for the hybrid).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// X25519 (RFC 7748), 32-byte shares.
    X25519,
    /// NIST P-256, 65-byte uncompressed shares.
    Secp256r1,
    /// ML-KEM-768 then X25519: client share 1184 + 32 bytes, server share 1088 + 32 bytes.
    X25519MlKem768,
}

/// Longest share a client sends: X25519MLKEM768.
pub const MAX_PEER_SHARE: usize = mlkem::ENCAPSULATION_KEY + x25519::LEN;
/// Longest share a server sends: X25519MLKEM768.
pub const MAX_SHARE: usize = mlkem::CIPHERTEXT + x25519::LEN;

/// A peer's share, checked for its length only; the job checks its content.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // a job has one fixed size; nothing here may allocate
pub enum PeerShare {
    /// u-coordinate (RFC 7748 §5).
    X25519([u8; x25519::LEN]),
    /// Uncompressed point (SEC 1 §2.3.3).
    Secp256r1([u8; p256::POINT]),
    /// Encapsulation key, then u-coordinate.
    X25519MlKem768([u8; MAX_PEER_SHARE]),
}

impl PeerShare {
    /// Takes a share from the wire; `None` if its length is not the group's.
    pub fn new(group: Group, bytes: &[u8]) -> Option<Self> {
        Some(match group {
            Group::X25519 => Self::X25519(bytes.try_into().ok()?),
            Group::Secp256r1 => Self::Secp256r1(bytes.try_into().ok()?),
            Group::X25519MlKem768 => Self::X25519MlKem768(bytes.try_into().ok()?),
        })
    }

    /// The share's group.
    pub const fn group(&self) -> Group {
        match self {
            Self::X25519(_) => Group::X25519,
            Self::Secp256r1(_) => Group::Secp256r1,
            Self::X25519MlKem768(_) => Group::X25519MlKem768,
        }
    }
}

/// Randomness for one key exchange: the private key (first 32 bytes), then ML-KEM's message (last 32).
pub type Seed = Secret<64>;

/// One key exchange.
pub enum KeyExchange {
    /// TLS 1.3: a fresh key pair and the secret it shares with the peer. Gives [`Output::Exchanged`].
    Respond {
        /// The client's share.
        peer: PeerShare,
        /// Fresh randomness.
        seed: Seed,
    },
    /// TLS 1.2, first flight: a fresh key pair. Gives [`Output::Generated`].
    /// The hybrid group does not exist in TLS 1.2 and fails.
    Generate {
        /// X25519 or secp256r1.
        group: Group,
        /// Fresh randomness.
        seed: Seed,
    },
    /// TLS 1.2, second flight: the secret shared with the peer. Gives [`Output::Agreed`].
    Agree {
        /// What [`Output::Generated`] returned.
        private: Secret<32>,
        /// The client's share.
        peer: PeerShare,
    },
}

/// One signature over a digest.
pub struct SignRequest {
    /// Signature scheme; it must fit the key.
    pub scheme: Scheme,
    /// Digest of the message by the scheme's hash.
    pub digest: crate::hash::Digest,
    /// Fresh randomness: hedges the ECDSA nonce, salts PSS (by expansion where 32 bytes are too few), blinds RSA.
    pub entropy: Secret<32>,
}

/// One item of public-key work, with the key it needs.
#[allow(clippy::large_enum_variant)] // fixed size by design
pub enum Work<'k> {
    /// A key exchange.
    KeyExchange(KeyExchange),
    /// A signature with the server's key.
    Sign(&'k SigningKey, SignRequest),
}

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
#[allow(clippy::large_enum_variant)] // fixed size by design
pub enum Output {
    /// For [`KeyExchange::Respond`].
    Exchanged {
        /// The server's share.
        share: Share,
        /// The secret.
        shared: SharedSecret,
    },
    /// For [`KeyExchange::Generate`].
    Generated {
        /// The server's share.
        share: Share,
        /// To be kept for [`KeyExchange::Agree`].
        private: Secret<32>,
    },
    /// For [`KeyExchange::Agree`].
    Agreed(SharedSecret),
    /// For [`Work::Sign`].
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

impl Work<'_> {
    /// Computes this one item with scalar code, in constant time.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn run(&self) -> Result<Output, Failed> {
        wiping_stack(self.depth(), || self.run_by(Way::Scalar))
    }

    /// How deep in the stack it goes.
    pub(crate) const fn depth(&self) -> Depth {
        match self {
            Self::KeyExchange(KeyExchange::Respond { peer: PeerShare::X25519MlKem768(_), .. }) => Depth::Kem,
            Self::KeyExchange(_) => Depth::Curves,
            Self::Sign(key, _) => key.depth(),
        }
    }

    /// [`Work::run`], an RSA signature on the given way, for callers that wipe the stack.
    pub(crate) fn run_by(&self, way: Way<'_>) -> Result<Output, Failed> {
        match self {
            Self::KeyExchange(exchange) => key_exchange::run(exchange),
            Self::Sign(key, request) => key.sign_by(request, way).map(Output::Signed),
        }
    }
}
