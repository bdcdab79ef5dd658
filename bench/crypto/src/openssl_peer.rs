// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same operations by the system's OpenSSL, by the calls its own `speed` uses.

use std::hint::black_box;

use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::RsaPssSaltlen;

use crate::measure::Case;
use crate::ours;

pub fn case(operation: &str) -> Option<Case> {
    let case = |run: Box<dyn FnMut()>| Some(Case { peer: "openssl", count: 1, run });
    match operation {
        "x25519-keygen" => case(keygen(x25519)),
        "x25519-agree" => case(agree(x25519)),
        "x25519-respond" => case(respond(x25519)),
        "p256-keygen" => case(keygen(p256)),
        "p256-agree" => case(agree(p256)),
        "p256-respond" => case(respond(p256)),
        "ecdsa-p256-sign" => case(sign(ours::ECDSA_KEY, false)),
        "rsa-2048-sign" => case(sign(ours::RSA_2048_KEY, true)),
        "rsa-3072-sign" => case(sign(ours::RSA_3072_KEY, true)),
        "rsa-4096-sign" => case(sign(ours::RSA_4096_KEY, true)),
        _ => None,
    }
}

fn x25519() -> PKey<Private> {
    PKey::generate_x25519().expect("a key")
}

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn public(key: &PKey<Private>) -> PKey<Public> {
    PKey::public_key_from_der(&key.public_key_to_der().expect("DER")).expect("a key")
}

fn derive(private: &PKey<Private>, peer: &PKey<Public>) {
    let mut deriver = Deriver::new(private).expect("a context");
    // Without a check of the peer's key, which was done when it was read.
    deriver.set_peer_ex(peer, false).expect("a peer");
    let mut secret = [0; 32];
    deriver.derive(&mut secret).expect("derives");
    black_box(secret);
}

fn keygen(make: fn() -> PKey<Private>) -> Box<dyn FnMut()> {
    Box::new(move || {
        let key = make();
        if key.id() == Id::X25519 {
            black_box(key.raw_public_key().expect("a key"));
        }
        black_box(key);
    })
}

fn agree(make: fn() -> PKey<Private>) -> Box<dyn FnMut()> {
    let (private, peer) = (make(), public(&make()));
    Box::new(move || derive(&private, &peer))
}

fn respond(make: fn() -> PKey<Private>) -> Box<dyn FnMut()> {
    let peer = public(&make());
    Box::new(move || derive(&black_box(make()), &peer))
}

fn sign(key: &[u8], rsa: bool) -> Box<dyn FnMut()> {
    let key = PKey::private_key_from_pkcs8(key).expect("a key");
    let mut context = PkeyCtx::new(&key).expect("a context");
    context.sign_init().expect("a context");
    if rsa {
        context.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
        context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).expect("PSS");
    }
    context.set_signature_md(openssl::md::Md::sha256()).expect("SHA-256");
    let digest = openssl::hash::hash(MessageDigest::sha256(), b"what is signed").expect("a digest");
    let mut signature = vec![0; 512];
    Box::new(move || {
        black_box(context.sign(&digest, Some(&mut signature)).expect("signs"));
    })
}
