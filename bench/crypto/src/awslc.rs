// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same operations by aws-lc-rs.

use std::hint::black_box;

use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RSA_PSS_SHA256, RsaKeyPair};
use aws_lc_rs::{kem, signature};

use crate::measure::Case;
use crate::ours;

/// A client's ML-KEM-768 encapsulation key.
pub fn encapsulation_key() -> [u8; 1184] {
    let key = kem::DecapsulationKey::generate(&kem::ML_KEM_768).expect("a key");
    let key = key.encapsulation_key().expect("a key").key_bytes().expect("bytes");
    key.as_ref().try_into().expect("1184 bytes")
}

pub fn case(operation: &str) -> Option<Case> {
    let case = |run: Box<dyn FnMut()>| Some(Case { peer: "aws-lc-rs", count: 1, run });
    match operation {
        "x25519-keygen" => case(keygen(&X25519)),
        "x25519-agree" => case(agree(&X25519)),
        "x25519-respond" => case(respond(&X25519)),
        "x25519mlkem768-respond" => case(hybrid()),
        "p256-keygen" => case(keygen(&ECDH_P256)),
        "p256-agree" => case(agree(&ECDH_P256)),
        "p256-respond" => case(respond(&ECDH_P256)),
        "ecdsa-p256-sign" => case(ecdsa()),
        "rsa-2048-sign" => case(rsa(ours::RSA_2048_KEY)),
        "rsa-3072-sign" => case(rsa(ours::RSA_3072_KEY)),
        "rsa-4096-sign" => case(rsa(ours::RSA_4096_KEY)),
        _ => None,
    }
}

fn keygen(algorithm: &'static agreement::Algorithm) -> Box<dyn FnMut()> {
    Box::new(move || {
        let key = PrivateKey::generate(algorithm).expect("a key");
        black_box(key.compute_public_key().expect("a key"));
    })
}

fn agree(algorithm: &'static agreement::Algorithm) -> Box<dyn FnMut()> {
    let private = PrivateKey::generate(algorithm).expect("a key");
    let peer = PrivateKey::generate(algorithm).expect("a key").compute_public_key().expect("a key");
    Box::new(move || {
        let peer = UnparsedPublicKey::new(algorithm, peer.as_ref());
        agreement::agree(&private, peer, (), |secret| {
            black_box(secret);
            Ok(())
        })
        .expect("agrees");
    })
}

fn respond(algorithm: &'static agreement::Algorithm) -> Box<dyn FnMut()> {
    let peer = PrivateKey::generate(algorithm).expect("a key").compute_public_key().expect("a key");
    Box::new(move || {
        let private = PrivateKey::generate(algorithm).expect("a key");
        black_box(private.compute_public_key().expect("a key"));
        let peer = UnparsedPublicKey::new(algorithm, peer.as_ref());
        agreement::agree(&private, peer, (), |secret| {
            black_box(secret);
            Ok(())
        })
        .expect("agrees");
    })
}

fn hybrid() -> Box<dyn FnMut()> {
    let mut x25519 = respond(&X25519);
    let key = encapsulation_key();
    Box::new(move || {
        x25519();
        let key = kem::EncapsulationKey::new(&kem::ML_KEM_768, &key).expect("a key");
        black_box(key.encapsulate().expect("encapsulates"));
    })
}

fn ecdsa() -> Box<dyn FnMut()> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, ours::ECDSA_KEY).expect("a key");
    let random = SystemRandom::new();
    Box::new(move || {
        black_box(key.sign(&random, b"what is signed").expect("signs"));
    })
}

fn rsa(key: &[u8]) -> Box<dyn FnMut()> {
    let key = RsaKeyPair::from_pkcs8(key).expect("a key");
    let random = SystemRandom::new();
    let mut signature = vec![0; key.public_modulus_len()];
    let padding: &'static dyn signature::RsaEncoding = &RSA_PSS_SHA256;
    Box::new(move || {
        key.sign(padding, &random, b"what is signed", &mut signature).expect("signs");
        black_box(&signature);
    })
}
