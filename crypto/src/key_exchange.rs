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
