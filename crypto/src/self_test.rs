// SPDX-License-Identifier: MIT OR Apache-2.0
//! Known answers on the CPU at hand: code that it gets wrong must never serve a connection.
//!
//! Public-key work is computed alone, as scalar code does it, and as a full vector with the same item in every lane;
//! where the engine has no lanes, both are scalar. RSA needs no answer here: each signature is checked with
//! the public key before it is released.

use crate::aead;
use crate::batch::{Engine, Item};
use crate::hash;
use crate::job::{KeyExchange, MAX_PEER_SHARE, Output, PeerShare, SignRequest, Work};
use crate::secret::Secret;
use crate::sign::{Encoding, Scheme, SigningKey};

const LANES: usize = 8;

type Test = fn(&mut Engine) -> bool;

/// A failure is told by its number in this list, counted from 1.
const TESTS: [Test; 9] =
    [sha256, sha384, aes_128_gcm, aes_256_gcm, chacha20_poly1305, x25519, p256, x25519_mlkem768, ecdsa_p256];

/// This CPU computes something wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Of the test that failed.
    pub number: i32,
}

/// Compares what this CPU computes with known answers; a few milliseconds.
///
/// # Errors
/// The first wrong answer.
pub fn run(engine: &mut Engine) -> Result<(), Wrong> {
    match (1..).zip(TESTS).find(|(_, test)| !test(engine)) {
        None => Ok(()),
        Some((number, _)) => Err(Wrong { number }),
    }
}

/// Bytes from hexadecimal digits, at compile time.
const fn hex<const N: usize>(digits: &str) -> [u8; N] {
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        bytes[i] = value(digits[2 * i]) << 4 | value(digits[2 * i + 1]);
        i += 1;
    }
    bytes
}

/// The message of two blocks of NIST's SHA-256 example file.
fn sha256(_: &mut Engine) -> bool {
    const MESSAGE: &[u8] = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    const DIGEST: [u8; 32] = hex("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    hash::Algorithm::Sha256.digest(MESSAGE).as_bytes() == DIGEST
}

/// The message of two blocks of NIST's SHA-384 example file.
fn sha384(_: &mut Engine) -> bool {
    const MESSAGE: &[u8] = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
        hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    const DIGEST: [u8; 48] = hex("09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712\
        fcc7c71a557e2db966c3e9fa91746039");
    hash::Algorithm::Sha384.digest(MESSAGE).as_bytes() == DIGEST
}

fn aes_128_gcm(_: &mut Engine) -> bool {
    seals(aead::Algorithm::Aes128Gcm, hex("288d2c6e3b7c1713a481c86a0c68955e"))
}

fn aes_256_gcm(_: &mut Engine) -> bool {
    seals(aead::Algorithm::Aes256Gcm, hex("e0d2dc0bf49036a10f572d8f72f1bf73"))
}

fn chacha20_poly1305(_: &mut Engine) -> bool {
    seals(aead::Algorithm::ChaCha20Poly1305, hex("ce7163101fa92806303de314140d4693"))
}

/// A text long enough for the widest code. The tag covers the ciphertext; OpenSSL computed it.
fn seals(algorithm: aead::Algorithm, expected: [u8; aead::TAG]) -> bool {
    const TEXT: [u8; 1000] = [0x55; 1000];
    let (nonce, aad) = ([0x24; aead::NONCE], [0x17; 5]);
    let key = aead::Key::new(
        algorithm,
        &Secret::new(hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")),
    );
    let mut text = TEXT;
    let tag = key.seal(&nonce, &aad, &mut text);
    tag == expected && key.open(&nonce, &aad, &mut text, &tag).is_ok() && text == TEXT
}

/// Whether the work has the right output alone and in every lane.
fn every<'k>(engine: &mut Engine, work: impl Fn() -> Work<'k>, right: impl Fn(&Output) -> bool) -> bool {
    let mut items: [Item<'k>; 1 + LANES] = core::array::from_fn(|_| Item::new(work()));
    let (alone, together) = items.split_at_mut(1);
    engine.run(alone);
    engine.run(together);
    items.iter().all(|item| matches!(&item.result, Some(Ok(output)) if right(output)))
}

/// Whether a private key and a peer's share give this share and this secret.
fn exchanges(engine: &mut Engine, private: [u8; 32], peer: &PeerShare, share: &[u8], secret: &[u8]) -> bool {
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&private);
    let work = || Work::KeyExchange(KeyExchange::Respond { peer: peer.clone(), seed: Secret::new(seed) });
    every(
        engine,
        work,
        |output| matches!(output, Output::Exchanged { share: s, shared } if s.as_bytes() == share && shared.expose() == secret),
    )
}

const X25519_PRIVATE: [u8; 32] = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
const X25519_PEER: [u8; 32] = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");

/// RFC 7748 §6.1: Alice's side.
fn x25519(engine: &mut Engine) -> bool {
    const SHARE: [u8; 32] = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    const SECRET: [u8; 32] = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    exchanges(engine, X25519_PRIVATE, &PeerShare::X25519(X25519_PEER), &SHARE, &SECRET)
}

/// RFC 5903 §8.1: the initiator's side.
fn p256(engine: &mut Engine) -> bool {
    const PRIVATE: [u8; 32] = hex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
    const SHARE: [u8; 65] = hex("04\
        dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180\
        5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
    const PEER: [u8; 65] = hex("04\
        d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
        56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
    const SECRET: [u8; 32] = hex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
    exchanges(engine, PRIVATE, &PeerShare::Secp256r1(PEER), &SHARE, &SECRET)
}

/// An encapsulation key whose coefficients are all 0x555. The Python package kyber-py computed the ML-KEM part.
fn x25519_mlkem768(engine: &mut Engine) -> bool {
    const DIGEST: [u8; 32] = hex("3c82ee05217eacb5e7b3bf0cfb02a3d55992054c73b613b93b017206be8a9c71");
    let mut peer = [0x55; MAX_PEER_SHARE];
    peer[MAX_PEER_SHARE - 32..].copy_from_slice(&X25519_PEER);
    let mut seed = [0x33; 64];
    seed[..32].copy_from_slice(&X25519_PRIVATE);
    let work = || {
        let peer = PeerShare::X25519MlKem768(peer);
        Work::KeyExchange(KeyExchange::Respond { peer, seed: Secret::new(seed) })
    };
    every(engine, work, |output| {
        let Output::Exchanged { share, shared } = output else { return false };
        let mut digest = hash::Hash::new(hash::Algorithm::Sha256);
        digest.update(share.as_bytes());
        digest.update(shared.expose());
        digest.finish().as_bytes() == DIGEST
    })
}

/// The key of RFC 6979 §A.2.5, in DER (RFC 5915), and 32 zeros for entropy. OpenSSL accepts the signature.
fn ecdsa_p256(engine: &mut Engine) -> bool {
    const KEY: [u8; 51] = hex("303102010104\
        20c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721\
        a00a06082a8648ce3d030107");
    const SIGNATURE: [u8; 71] = hex("3045\
        022100f130b9b5e43a35e00437c46d7771b29fe1016d054008b8f12d8f1d2ddcd08320\
        022034ebaf466c60a79c94622f6db59e3aa740391148e166237f919df7fa0db1cc91");
    let Ok(key) = SigningKey::from_der(Encoding::Sec1, &KEY) else { return false };
    let work = || {
        let request = SignRequest {
            scheme: Scheme::EcdsaP256Sha256,
            digest: hash::Algorithm::Sha256.digest(b"sample"),
            entropy: Secret::zero(),
        };
        Work::Sign(&key, request)
    };
    every(
        engine,
        work,
        |output| matches!(output, Output::Signed(signature) if signature.as_bytes() == SIGNATURE),
    )
}
