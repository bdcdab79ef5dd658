// SPDX-License-Identifier: MIT OR Apache-2.0
//! One key exchange at a time: the groups' scalar code behind [`KeyExchange`].

use crate::job::{
    Failed, Group, KeyExchange, MAX_PEER_SHARE, MAX_SHARE, Output, PeerShare, Seed, Share, SharedSecret,
};
use crate::secret::Secret;
use crate::{mlkem, p256, x25519};

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
        Group::X25519 => Ok((share(&x25519::public_key(&first)), first)),
        // The chance that a half is out of range is 2^-32, that both are 2^-64.
        Group::Secp256r1 => [first, second]
            .into_iter()
            .find_map(|private| Some((share(&p256::public_key(&private).ok()?), private)))
            .ok_or(Failed::Unsupported),
        Group::X25519MlKem768 => Err(Failed::Unsupported),
    }
}

fn shared_secret(private: &Secret<32>, peer: &PeerShare) -> Result<SharedSecret, Failed> {
    let secret = match peer {
        PeerShare::X25519(peer) => x25519::agree(private, peer).map_err(|_| Failed::BadPeerShare)?,
        PeerShare::Secp256r1(peer) => p256::agree(private, peer).map_err(|_| Failed::BadPeerShare)?,
        PeerShare::X25519MlKem768(_) => return Err(Failed::Unsupported),
    };
    Ok(shared(secret.expose()))
}

fn respond_hybrid(peer: &[u8; MAX_PEER_SHARE], seed: &Seed) -> Result<Output, Failed> {
    let (private, _) = halves(seed);
    let x25519_peer = peer.last_chunk().ok_or(Failed::BadPeerShare)?;
    let secret = x25519::agree(&private, x25519_peer).map_err(|_| Failed::BadPeerShare)?;
    hybrid(peer, seed, &x25519::public_key(&private), &secret)
}

/// Adds ML-KEM to the X25519 half of an exchange. The server's share is the ciphertext, then its X25519
/// key; the secret is ML-KEM's, then X25519's (draft-ietf-tls-ecdhe-mlkem §4).
pub(crate) fn hybrid(
    peer: &[u8; MAX_PEER_SHARE],
    seed: &Seed,
    x25519_share: &[u8; x25519::LEN],
    x25519_secret: &Secret<{ x25519::LEN }>,
) -> Result<Output, Failed> {
    let key = peer.first_chunk().ok_or(Failed::BadPeerShare)?;
    let (_, message) = halves(seed);
    let (ciphertext, kem_secret) = mlkem::encapsulate(key, &message).map_err(|_| Failed::BadPeerShare)?;

    let mut encoding = [0; MAX_SHARE];
    encoding[..mlkem::CIPHERTEXT].copy_from_slice(&ciphertext);
    encoding[mlkem::CIPHERTEXT..].copy_from_slice(x25519_share);
    let mut both = Secret::<64>::zero();
    both.expose_mut()[..mlkem::SHARED].copy_from_slice(kem_secret.expose());
    both.expose_mut()[mlkem::SHARED..].copy_from_slice(x25519_secret.expose());
    Ok(Output::Exchanged { share: share(&encoding), shared: shared(both.expose()) })
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
