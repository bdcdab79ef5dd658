// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damaged key files: refused or still the same key, and never a panic.

mod common;

use common::Random;
use ttls_crypto::sign::{Encoding, SigningKey};

const FILES: [(Encoding, &[u8], &[u8]); 6] = [
    (
        Encoding::Pkcs8,
        include_bytes!("../../vectors/keys/rsa-2048.pkcs8.der"),
        include_bytes!("../../vectors/keys/rsa-2048.spki.der"),
    ),
    (
        Encoding::Pkcs1,
        include_bytes!("../../vectors/keys/rsa-2048.pkcs1.der"),
        include_bytes!("../../vectors/keys/rsa-2048.spki.der"),
    ),
    (
        Encoding::Pkcs8,
        include_bytes!("../../vectors/keys/p256.pkcs8.der"),
        include_bytes!("../../vectors/keys/p256.spki.der"),
    ),
    (
        Encoding::Sec1,
        include_bytes!("../../vectors/keys/p256.sec1.der"),
        include_bytes!("../../vectors/keys/p256.spki.der"),
    ),
    (
        Encoding::Pkcs8,
        include_bytes!("../../vectors/keys/p256.encrypted.der"),
        include_bytes!("../../vectors/keys/p256.spki.der"),
    ),
    (
        Encoding::Pkcs8,
        include_bytes!("../../vectors/keys/ed25519.pkcs8.der"),
        include_bytes!("../../vectors/keys/p256.spki.der"),
    ),
];

#[test]
fn every_truncation_is_refused() {
    for (encoding, der, spki) in FILES {
        for len in 0..der.len() {
            assert!(SigningKey::from_der(encoding, &der[..len]).is_err(), "{encoding:?}, {len} bytes");
        }
        if let Ok(key) = SigningKey::from_der(encoding, der) {
            for len in 0..spki.len() {
                assert!(!key.matches_public_key(&spki[..len]), "{encoding:?}, {len} bytes");
            }
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for (encoding, der, _) in FILES {
        for tail in [&[0][..], &[5, 0], der] {
            assert!(SigningKey::from_der(encoding, &[der, tail].concat()).is_err(), "{encoding:?}");
        }
    }
}

/// What can still be read from a damaged file is the same key: both kinds hold their public half too.
#[test]
fn no_mutation_panics() {
    let mut random = Random(4);
    for (encoding, der, spki) in FILES {
        for round in 0..20_000 {
            let mut mutant = der.to_vec();
            for _ in 0..=random.word() % 3 {
                mutate(&mut mutant, &mut random);
            }
            // The right label as often as any.
            let label = match random.word() % 6 {
                0 => Encoding::Pkcs8,
                1 => Encoding::Sec1,
                2 => Encoding::Pkcs1,
                _ => encoding,
            };
            if let Ok(key) = SigningKey::from_der(label, &mutant) {
                assert!(key.matches_public_key(spki), "{round}: {mutant:x?}");
                let mut mutant = spki.to_vec();
                mutate(&mut mutant, &mut random);
                assert!(mutant == spki || !key.matches_public_key(&mutant), "{round}: {mutant:x?}");
            }
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let below =
        |random: &mut Random, end: usize| usize::try_from(random.word() % (end as u64 + 1)).expect("fits");
    let at = below(random, bytes.len());
    // Structure is at the front: damage it as often as the rest.
    let at = if random.word() & 1 == 0 { at.min(below(random, 60)) } else { at };
    let [byte, interesting] = random.bytes();
    let byte = if interesting % 2 == 0 {
        byte
    } else {
        [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff][usize::from(byte % 8)]
    };
    match random.word() % 5 {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, byte),
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 => {
            let from = below(random, at);
            let copy = bytes[from..at].to_vec();
            bytes.splice(from..from, copy);
        }
        _ => {
            if let Some(place) = bytes.get_mut(at) {
                *place ^= byte;
            }
        }
    }
}
