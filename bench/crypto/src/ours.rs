// SPDX-License-Identifier: MIT OR Apache-2.0
//! ttls: batches of 64 (RSA: 8), one vector of 8, one item alone on the same CPU; the same in lanes of 256 bits, with IFMA and
//! without; and the scalar path.

use std::hint::black_box;

use rand::{Rng, SeedableRng, rngs::StdRng};
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::{Group, KeyExchange, PeerShare, SignRequest, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};

use crate::measure::Case;

pub const ECDSA_KEY: &[u8] = include_bytes!("../../../vectors/keys/p256.pkcs8.der");
pub const RSA_2048_KEY: &[u8] = include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der");
pub const RSA_3072_KEY: &[u8] = include_bytes!("../../../vectors/keys/rsa-3072.pkcs8.der");
pub const RSA_4096_KEY: &[u8] = include_bytes!("../../../vectors/keys/rsa-4096.pkcs8.der");

type Make = Box<dyn Fn(&mut StdRng) -> Work<'static>>;

fn draw<const N: usize>(random: &mut StdRng) -> Secret<N> {
    let mut bytes = [0; N];
    random.fill_bytes(&mut bytes);
    Secret::new(bytes)
}

fn share(group: Group) -> PeerShare {
    match group {
        Group::X25519 => PeerShare::X25519(ttls_crypto::x25519::public_key(&Secret::new([3; 32]))),
        Group::Secp256r1 => {
            PeerShare::Secp256r1(ttls_crypto::p256::public_key(&Secret::new([3; 32])).expect("in range"))
        }
        Group::X25519MlKem768 => {
            let mut share = [0; 1216];
            share[..1184].copy_from_slice(&crate::awslc::encapsulation_key());
            share[1184..].copy_from_slice(&ttls_crypto::x25519::public_key(&Secret::new([3; 32])));
            PeerShare::X25519MlKem768(share)
        }
    }
}

fn generate(group: Group) -> Make {
    Box::new(move |random| Work::KeyExchange(KeyExchange::Generate { group, seed: draw(random) }))
}

fn agree(group: Group) -> Make {
    let peer = share(group);
    Box::new(move |random| {
        Work::KeyExchange(KeyExchange::Agree { private: draw(random), peer: peer.clone() })
    })
}

fn respond(group: Group) -> Make {
    let peer = share(group);
    Box::new(move |random| Work::KeyExchange(KeyExchange::Respond { seed: draw(random), peer: peer.clone() }))
}

fn sign(key: &[u8], scheme: Scheme) -> Make {
    let key: &SigningKey = Box::leak(Box::new(SigningKey::from_der(Encoding::Pkcs8, key).expect("a key")));
    Box::new(move |random| {
        let digest = Algorithm::Sha256.digest(b"what is signed");
        Work::Sign(key, SignRequest { scheme, digest, entropy: draw(random) })
    })
}

/// A case that makes, computes and drops `count` items per call.
fn batch(peer: &'static str, choice: Choice, count: usize, make: Make) -> Option<Case> {
    let cpu = Cpu::detect(choice).ok()?;
    let mut engine = Box::new(Engine::new(cpu));
    let mut random = StdRng::seed_from_u64(1);
    Some(Case::new(peer, count, move || {
        let mut items: Vec<_> = (0..count).map(|_| Item::new(make(&mut random))).collect();
        engine.run(&mut items);
        assert!(items.iter().all(|item| matches!(item.result, Some(Ok(_)))));
        black_box(&items);
    }))
}

/// What is not measured because this CPU lacks it: the rows' names, and why.
pub fn absent() -> Vec<(&'static str, String)> {
    [
        (Choice::Ifma, "ttls, ttls-1-vector, ttls-alone"),
        (Choice::AvxIfma, "ttls-avx-ifma, ttls-avx-ifma-1-vector"),
    ]
    .into_iter()
    .filter_map(|(choice, rows)| Cpu::detect(choice).err().map(|missing| (rows, missing.to_string())))
    .collect()
}

/// Our cases by operation.
pub fn cases() -> Vec<(&'static str, Vec<Case>)> {
    let pss = Scheme::RsaPss(Algorithm::Sha256);
    let operations: Vec<(_, usize, Box<dyn Fn() -> Make>)> = vec![
        ("x25519-keygen", 64, Box::new(|| generate(Group::X25519))),
        ("x25519-agree", 64, Box::new(|| agree(Group::X25519))),
        ("x25519-respond", 64, Box::new(|| respond(Group::X25519))),
        ("x25519mlkem768-respond", 64, Box::new(|| respond(Group::X25519MlKem768))),
        ("p256-keygen", 64, Box::new(|| generate(Group::Secp256r1))),
        ("p256-agree", 64, Box::new(|| agree(Group::Secp256r1))),
        ("p256-respond", 64, Box::new(|| respond(Group::Secp256r1))),
        ("ecdsa-p256-sign", 64, Box::new(|| sign(ECDSA_KEY, Scheme::EcdsaP256Sha256))),
        ("rsa-2048-sign", 8, Box::new(move || sign(RSA_2048_KEY, pss))),
        ("rsa-3072-sign", 8, Box::new(move || sign(RSA_3072_KEY, pss))),
        ("rsa-4096-sign", 8, Box::new(move || sign(RSA_4096_KEY, pss))),
    ];
    operations
        .into_iter()
        .map(|(operation, count, make)| {
            // In AVX2, RSA has no lanes.
            let avx2 = |peer, count| {
                (!operation.starts_with("rsa")).then(|| batch(peer, Choice::Avx2, count, make())).flatten()
            };
            let cases = [
                batch("ttls", Choice::Ifma, count, make()),
                batch("ttls-avx-ifma", Choice::AvxIfma, count, make()),
                batch("ttls-avx-ifma-1-vector", Choice::AvxIfma, 8, make()),
                batch("ttls-1-vector", Choice::Ifma, 8, make()),
                batch("ttls-alone", Choice::Ifma, 1, make()),
                avx2("ttls-avx2", count),
                avx2("ttls-avx2-1-vector", 8),
                avx2("ttls-avx2-alone", 1),
                batch("ttls-scalar", Choice::Scalar, 1, make()),
            ];
            (operation, cases.into_iter().flatten().collect())
        })
        .collect()
}
