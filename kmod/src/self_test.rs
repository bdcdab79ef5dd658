// SPDX-License-Identifier: MIT OR Apache-2.0
//! Known answers at load: code that this CPU gets wrong never serves a connection.

use core::ffi::c_int;
use ttls_crypto::aead;
use ttls_crypto::hash;
use ttls_crypto::job::{KeyExchange, Output, PeerShare, Work};
use ttls_crypto::secret::Secret;

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

/// The number of the first test that failed, or 0.
pub fn run() -> c_int {
    let tests: [fn() -> bool; 4] = [sha256, aes_gcm, x25519, p256];
    for (number, test) in (1..).zip(tests) {
        if !test() {
            return number;
        }
    }
    0
}

/// FIPS 180-4's example, by way of NIST's SHA-256 example file.
fn sha256() -> bool {
    const ABC: [u8; 32] = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash::Algorithm::Sha256.digest(b"abc").as_bytes() == ABC
}

/// Test case 2 of McGrew and Viega, "The Galois/Counter Mode of Operation".
fn aes_gcm() -> bool {
    const TEXT: [u8; 16] = hex("0388dace60b6a392f328c2b971b2fe78");
    const TAG: [u8; 16] = hex("ab6e47d42cec13bdf53a67b21257bddf");
    let key = aead::Key::new(aead::Algorithm::Aes128Gcm, &Secret::new([0; 32]));
    let mut text = [0; 16];
    let tag = key.seal(&[0; 12], &[], &mut text);
    text == TEXT && tag == TAG
}

fn agrees(private: [u8; 32], peer: PeerShare, secret: &[u8; 32]) -> bool {
    let exchange = KeyExchange::Agree { private: Secret::new(private), peer };
    match Work::KeyExchange(exchange).run() {
        Ok(Output::Agreed(shared)) => shared.expose() == secret,
        _ => false,
    }
}

/// RFC 7748 §5.2, the first vector.
fn x25519() -> bool {
    agrees(
        hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        PeerShare::X25519(hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")),
        &hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"),
    )
}

/// RFC 5903 §8.1.
fn p256() -> bool {
    const PEER: &str = "04\
        d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
        56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab";
    agrees(
        hex("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"),
        PeerShare::Secp256r1(hex(PEER)),
        &hex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
    )
}

/// Panics, so that a test can see it contained: reads past the end of a slice.
pub fn panic(index: usize) -> c_int {
    let digits = core::hint::black_box([0_u8; 4]);
    c_int::from(digits[core::hint::black_box(index)])
}
