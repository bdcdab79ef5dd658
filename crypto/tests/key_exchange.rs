// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key exchange jobs, each finished by an independent client.

mod common;

use common::Random;
use ml_kem::KeyExport;
use ml_kem::kem::Decapsulate;
use ml_kem::ml_kem_768::DecapsulationKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use ttls_crypto::job::{Failed, Group, KeyExchange, MAX_PEER_SHARE, Output, PeerShare, Work};
use ttls_crypto::secret::Secret;

fn run(exchange: KeyExchange) -> Result<Output, Failed> {
    Work::KeyExchange(exchange).run()
}

fn respond(peer: PeerShare, seed: [u8; 64]) -> Result<(Vec<u8>, Vec<u8>), Failed> {
    match run(KeyExchange::Respond { peer, seed: Secret::new(seed) })? {
        Output::Exchanged { share, shared } => Ok((share.as_bytes().to_vec(), shared.expose().to_vec())),
        _ => panic!("another kind of output"),
    }
}

/// TLS 1.2's two steps with the same seed.
fn generate_and_agree(peer: PeerShare, seed: [u8; 64]) -> (Vec<u8>, Vec<u8>) {
    let generated = run(KeyExchange::Generate { group: peer.group(), seed: Secret::new(seed) });
    let Ok(Output::Generated { share, private }) = generated else { panic!("another kind of output") };
    let agreed = run(KeyExchange::Agree { private, peer });
    let Ok(Output::Agreed(shared)) = agreed else { panic!("another kind of output") };
    (share.as_bytes().to_vec(), shared.expose().to_vec())
}

#[test]
fn x25519() {
    let mut random = Random(20);
    let client = x25519_dalek::StaticSecret::from(random.bytes::<32>());
    let peer = PeerShare::X25519(x25519_dalek::PublicKey::from(&client).to_bytes());
    let seed = random.bytes();
    let (share, shared) = respond(peer.clone(), seed).unwrap();
    let server = x25519_dalek::PublicKey::from(<[u8; 32]>::try_from(&share[..]).unwrap());
    assert_eq!(shared, client.diffie_hellman(&server).as_bytes());
    assert_eq!(generate_and_agree(peer, seed), (share, shared));
    assert_eq!(respond(PeerShare::X25519([0; 32]), seed), Err(Failed::BadPeerShare));
}

#[test]
fn secp256r1() {
    let mut random = Random(21);
    let client = p256::SecretKey::from_slice(&random.bytes::<32>()).unwrap();
    let peer: [u8; 65] = client.public_key().to_sec1_point(false).as_bytes().try_into().unwrap();
    // The first half out of range, too: then the second is the private key.
    for first in [random.bytes::<32>(), [0; 32], [0xff; 32]] {
        let mut seed = random.bytes::<64>();
        seed[..32].copy_from_slice(&first);
        let (share, shared) = respond(PeerShare::Secp256r1(peer), seed).unwrap();
        let server = p256::PublicKey::from_sec1_bytes(&share).unwrap();
        let expected = p256::ecdh::diffie_hellman(client.to_nonzero_scalar(), server.as_affine());
        assert_eq!(shared, expected.raw_secret_bytes()[..]);
        assert_eq!(generate_and_agree(PeerShare::Secp256r1(peer), seed), (share, shared));
    }
    assert_eq!(respond(PeerShare::Secp256r1([4; 65]), random.bytes()), Err(Failed::BadPeerShare));
    assert_eq!(respond(PeerShare::Secp256r1(peer), [0; 64]), Err(Failed::Unsupported));
}

#[test]
fn x25519_mlkem768() {
    let mut random = Random(22);
    let (decapsulation, encapsulation) = {
        let key = DecapsulationKey::from_seed(random.bytes::<64>().into());
        let public = key.encapsulation_key().to_bytes();
        (key, public)
    };
    let client = x25519_dalek::StaticSecret::from(random.bytes::<32>());
    let mut peer = [0; MAX_PEER_SHARE];
    peer[..1184].copy_from_slice(&encapsulation);
    peer[1184..].copy_from_slice(x25519_dalek::PublicKey::from(&client).as_bytes());

    let (share, shared) = respond(PeerShare::X25519MlKem768(peer), random.bytes()).unwrap();
    let (ciphertext, server) = share.split_at(1088);
    let server = x25519_dalek::PublicKey::from(<[u8; 32]>::try_from(server).unwrap());
    let kem_secret = decapsulation.decapsulate(ciphertext.try_into().unwrap());
    assert_eq!(shared[..32], kem_secret[..]);
    assert_eq!(shared[32..], client.diffie_hellman(&server).as_bytes()[..]);

    // A coefficient that is not reduced, then a point of low order.
    let mut bad = peer;
    bad[..2].fill(0xff);
    assert_eq!(respond(PeerShare::X25519MlKem768(bad), random.bytes()), Err(Failed::BadPeerShare));
    let mut bad = peer;
    bad[1184..].fill(0);
    assert_eq!(respond(PeerShare::X25519MlKem768(bad), random.bytes()), Err(Failed::BadPeerShare));
}

#[test]
fn the_hybrid_group_does_not_exist_in_tls_1_2() {
    let exchange = KeyExchange::Generate { group: Group::X25519MlKem768, seed: Secret::new([1; 64]) };
    assert!(matches!(run(exchange), Err(Failed::Unsupported)));
    let peer = PeerShare::X25519MlKem768([1; MAX_PEER_SHARE]);
    let exchange = KeyExchange::Agree { private: Secret::new([1; 32]), peer };
    assert!(matches!(run(exchange), Err(Failed::Unsupported)));
}
