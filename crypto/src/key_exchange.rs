// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key exchanges, and one at a time: the groups' scalar code.

use crate::outcome::{Failed, MAX_SHARE, Output, Share, SharedSecret};
use crate::secret::Secret;
use crate::{mlkem, p256, x25519};

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
#[derive(Clone)]
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

const _: () = assert!(MAX_SHARE == mlkem::CIPHERTEXT + x25519::LEN);

/// Computes `exchange` in constant time.
pub(crate) fn run(exchange: &KeyExchange) -> Result<Output, Failed> {
    match exchange {
        KeyExchange::Respond { peer: PeerShare::X25519MlKem768(peer), seed } => respond_hybrid(peer, seed),
        KeyExchange::Respond { peer, seed } => {
            let (share, private) = key_pair(peer.group(), seed)?;
            Ok(Output::Exchanged { share, shared: shared_secret(&private, peer)? })
        }
        KeyExchange::Generate { group, seed } => {
            let (share, private) = key_pair(*group, seed)?;
            Ok(Output::Generated { share, private })
        }
        KeyExchange::Agree { private, peer } => Ok(Output::Agreed(shared_secret(private, peer)?)),
    }
}

fn key_pair(group: Group, seed: &Seed) -> Result<(Share, Secret<32>), Failed> {
    let (first, second) = halves(seed);
    match group {
        Group::X25519 => Ok((share(&x25519::public_of(&first)), first)),
        // The chance that a half is out of range is 2^-32, that both are 2^-64.
        Group::Secp256r1 => [first, second]
            .into_iter()
            .find_map(|private| Some((share(&p256::public_of(&private).ok()?), private)))
            .ok_or(Failed::Unsupported),
        Group::X25519MlKem768 => Err(Failed::Unsupported),
    }
}

fn shared_secret(private: &Secret<32>, peer: &PeerShare) -> Result<SharedSecret, Failed> {
    let secret = match peer {
        PeerShare::X25519(peer) => x25519::shared_with(private, peer).map_err(|_| Failed::BadPeerShare)?,
        PeerShare::Secp256r1(peer) => p256::shared_with(private, peer).map_err(|_| Failed::BadPeerShare)?,
        PeerShare::X25519MlKem768(_) => return Err(Failed::Unsupported),
    };
    Ok(shared(secret.expose()))
}

fn respond_hybrid(peer: &[u8; MAX_PEER_SHARE], seed: &Seed) -> Result<Output, Failed> {
    let x25519 = x25519_half(peer, seed)?;
    let (key, message) = mlkem_half(peer, seed);
    let (ciphertext, secret) =
        mlkem::encapsulation(key, &Secret::new(*message)).map_err(|_| Failed::BadPeerShare)?;
    Ok(join(&ciphertext, secret.expose(), &x25519))
}

/// What X25519 adds to the hybrid group.
pub(crate) struct X25519Half {
    pub(crate) share: [u8; x25519::LEN],
    pub(crate) secret: Secret<{ x25519::LEN }>,
}

/// The X25519 half of a hybrid exchange.
pub(crate) fn x25519_half(peer: &[u8; MAX_PEER_SHARE], seed: &Seed) -> Result<X25519Half, Failed> {
    let (private, _) = halves(seed);
    let peer = peer.last_chunk().ok_or(Failed::BadPeerShare)?;
    let secret = x25519::shared_with(&private, peer).map_err(|_| Failed::BadPeerShare)?;
    Ok(X25519Half { share: x25519::public_of(&private), secret })
}

/// What ML-KEM takes of a hybrid exchange: the encapsulation key and the message.
pub(crate) fn mlkem_half<'a>(
    peer: &'a [u8; MAX_PEER_SHARE],
    seed: &'a Seed,
) -> (&'a [u8; mlkem::ENCAPSULATION_KEY], &'a [u8; 32]) {
    (peer.first_chunk().expect("a longer array"), seed.expose().last_chunk().expect("a longer array"))
}

/// A hybrid exchange of its halves: the server's share is the ciphertext, then its X25519 key; the secret is
/// ML-KEM's, then X25519's (draft-ietf-tls-ecdhe-mlkem §4).
pub(crate) fn join(
    ciphertext: &[u8; mlkem::CIPHERTEXT],
    secret: &[u8; mlkem::SHARED],
    x25519: &X25519Half,
) -> Output {
    let mut encoding = [0; MAX_SHARE];
    encoding[..mlkem::CIPHERTEXT].copy_from_slice(ciphertext);
    encoding[mlkem::CIPHERTEXT..].copy_from_slice(&x25519.share);
    let mut both = Secret::<64>::zero();
    both.expose_mut()[..mlkem::SHARED].copy_from_slice(secret);
    both.expose_mut()[mlkem::SHARED..].copy_from_slice(x25519.secret.expose());
    Output::Exchanged { share: share(&encoding), shared: shared(both.expose()) }
}

/// A key pair of a seed's first half, whose share was computed.
pub(crate) fn generated(encoding: &[u8], seed: &Seed) -> Output {
    let (private, _) = halves(seed);
    Output::Generated { share: share(encoding), private }
}

fn halves(seed: &Seed) -> (Secret<32>, Secret<32>) {
    let mut halves = (Secret::zero(), Secret::zero());
    let (first, second) = seed.expose().split_at(32);
    halves.0.expose_mut().copy_from_slice(first);
    halves.1.expose_mut().copy_from_slice(second);
    halves
}

pub(crate) fn share(encoding: &[u8]) -> Share {
    Share::new(encoding).expect("no group's share is longer")
}

pub(crate) fn shared(secret: &[u8]) -> SharedSecret {
    SharedSecret::new(secret).expect("no group's secret is longer")
}
