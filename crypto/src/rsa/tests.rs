// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arithmetic against another library, and faults injected into keys.
//!
//! `TTLS_ROUNDS` sets how many signatures of each key go through portable code (default 20).

use super::montgomery::{self, Modulus, wide};
use super::{Crt, Padding, PrivateKey, Way};
use crate::cpu::Adx;
use crate::hash::{Algorithm, Digest};
use crate::job::Failed;
use crate::secret::Secret;
use crate::sign::{Encoding, Key, SigningKey};
use num_bigint::BigUint;
use zeroize::Zeroizing;

/// Limbs in runs of zeros and ones as often as random (SplitMix64): such values find lost carries.
fn edgy<const N: usize>(state: &mut u64) -> [u64; N] {
    let mut next = || {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = *state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    };
    core::array::from_fn(|_| match next() % 4 {
        0 => 0,
        1 => u64::MAX,
        _ => next(),
    })
}

fn big(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |number, limb| (number << 64) + limb)
}

fn arithmetic_agrees<const N: usize>(rounds: usize) {
    for adx in [Adx::get(), None] {
        arithmetic_agrees_with::<N>(adx, rounds);
    }
}

fn arithmetic_agrees_with<const N: usize>(adx: Option<Adx>, rounds: usize) {
    let state = &mut 1;
    let scratch = &mut wide();
    let r = BigUint::from(1u8) << (64 * N);
    for round in 0..rounds {
        let mut m = edgy::<N>(state);
        m[0] |= 1;
        // Short moduli too: keys are padded to the next width.
        m[N - round % (N / 2)..].fill(0);
        let Some(mut modulus) = Modulus::new(&m) else { continue };
        modulus.adx = adx;
        let m = big(&m);
        let (a, b) = (edgy::<N>(state), edgy::<N>(state));

        let mut product = a;
        modulus.multiply(&mut product, &b, scratch);
        assert_eq!(big(&product) * &r % &m, big(&a) * big(&b) % &m, "multiply {a:x?} {b:x?} {m:x}");

        let mut square = a;
        modulus.square(&mut square, scratch);
        assert_eq!(big(&square) * &r % &m, big(&a) * big(&a) % &m, "square {a:x?} {m:x}");

        let mut remainder = a;
        modulus.remainder(&mut remainder, scratch);
        assert_eq!(big(&remainder), big(&a) % &m, "remainder {a:x?} {m:x}");

        if round % 16 == 0 {
            let mut base = a;
            modulus.enter(&mut base, scratch);
            let expected = big(&a).modpow(&big(&b), &m);
            let mut power = modulus.power(&base, &b, scratch);
            modulus.leave(&mut power, scratch);
            assert_eq!(big(&*power), expected, "power {a:x?} {b:x?} {m:x}");
            let mut power = modulus.power_public(&base, b[0], scratch);
            modulus.leave(&mut power, scratch);
            assert_eq!(big(&*power), big(&a).modpow(&big(&b[..1]), &m), "power {a:x?} {:x} {m:x}", b[0]);
        }
    }
}

#[test]
fn arithmetic_agrees_with_reference() {
    arithmetic_agrees::<16>(2000);
    arithmetic_agrees::<24>(1000);
    arithmetic_agrees::<32>(1000);
    arithmetic_agrees::<48>(200);
    arithmetic_agrees::<64>(100);
}

/// Values at which carries run through, each with each: 0, 1, m − 1, m, R mod m, R − 1 and a single high bit.
fn edges_agree<const N: usize>() {
    let state = &mut 3;
    let scratch = &mut wide();
    let all = [u64::MAX; N];
    let mut small = [0; N];
    small[0] = 3;
    let mut high = [0; N];
    high[0] = 1;
    high[N - 1] = 1 << 63;
    let mut random = edgy::<N>(state);
    random[0] |= 1;
    for m in [all, small, high, random] {
        for adx in [Adx::get(), None] {
            let mut modulus = Modulus::new(&m).expect("odd");
            modulus.adx = adx;
            let mut one = [0; N];
            one[0] = 1;
            let mut r_mod_m = one;
            modulus.enter(&mut r_mod_m, scratch);
            montgomery::subtract_if_not_below(&mut r_mod_m, 0, &m);
            let mut below = m;
            below[0] -= 1;
            let values = [[0; N], one, below, m, r_mod_m, all, high];
            let (r, m) = (BigUint::from(1u8) << (64 * N), big(&m));
            for a in values {
                let mut square = a;
                modulus.square(&mut square, scratch);
                assert_eq!(big(&square) * &r % &m, big(&a) * big(&a) % &m, "square {a:x?} {m:x}");
                for b in values {
                    let mut product = a;
                    modulus.multiply(&mut product, &b, scratch);
                    assert_eq!(big(&product) * &r % &m, big(&a) * big(&b) % &m, "{a:x?} {b:x?} {m:x}");

                    *scratch = Zeroizing::new([a, b]);
                    let mut reduced = [0; N];
                    modulus.reduce(&mut reduced, scratch);
                    assert_eq!(big(&reduced) * &r % &m, (big(&a) + &r * big(&b)) % &m, "{a:x?} {b:x?} {m:x}");
                }
            }
        }
    }
}

#[test]
fn arithmetic_agrees_at_edges() {
    edges_agree::<16>();
    edges_agree::<24>();
    edges_agree::<32>();
    edges_agree::<48>();
    edges_agree::<64>();
}

fn key_2048() -> Crt<16, 32> {
    let der = include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der");
    match SigningKey::from_der(Encoding::Pkcs8, der).expect("a key").0 {
        Key::Rsa(PrivateKey::Bits2048(key)) => key,
        _ => panic!("not an RSA-2048 key"),
    }
}

#[test]
fn no_faulty_signature_leaves() {
    /// The numbers a signature is made of; those of the modulus are used in its verification only.
    type Field = (&'static str, fn(&mut Crt<16, 32>) -> &mut [u64]);
    const FIELDS: [Field; 12] = [
        ("p", |key| &mut key.p.m),
        ("q", |key| &mut key.q.m),
        ("dp", |key| &mut key.dp),
        ("dq", |key| &mut key.dq),
        ("qinv", |key| &mut key.qinv),
        ("n", |key| &mut key.n.m),
        ("R² mod p", |key| &mut key.p.r2),
        ("R² mod q", |key| &mut key.q.r2),
        ("R² mod n", |key| &mut key.n.r2),
        ("−1/p", |key| core::slice::from_mut(&mut key.p.m0)),
        ("−1/q", |key| core::slice::from_mut(&mut key.q.m0)),
        ("e", |key| core::slice::from_mut(&mut key.e)),
    ];
    #[cfg(target_arch = "x86_64")]
    let mut scratch = super::ifma::Scratch::ZERO;
    let whole = key_2048();
    let digest = Digest::zero(Algorithm::Sha256);
    let entropy = Secret::new([7; 32]);
    for padding in [Padding::Pkcs1, Padding::Pss] {
        assert!(whole.sign(padding, Algorithm::Sha256, &digest, &entropy, Way::Scalar).is_ok());
        for (name, field) in FIELDS {
            let bits = 64 * field(&mut whole.clone()).len();
            for bit in (0..bits).step_by(if bits > 64 { 29 } else { 5 }) {
                // d − 1 is d with the lowest bit cleared: whatever is there is not used.
                if bit == 0 && name.starts_with('d') {
                    continue;
                }
                let mut faulty = whole.clone();
                field(&mut faulty)[bit / 64] ^= 1 << (bit % 64);
                let result = faulty.sign(padding, Algorithm::Sha256, &digest, &entropy, Way::Scalar);
                assert_eq!(result.err(), Some(Failed::Fault), "{padding:?}, bit {bit} of {name}");
                #[cfg(target_arch = "x86_64")]
                if let Some(token) = crate::cpu::Ifma::detect() {
                    let way = Way::Ifma(token, &mut scratch);
                    let result = faulty.sign(padding, Algorithm::Sha256, &digest, &entropy, way);
                    assert_eq!(result.err(), Some(Failed::Fault), "{padding:?}, bit {bit} of {name}");
                }
            }
        }
    }
}

#[test]
fn blinding_changes_nothing_but_the_way() {
    let key = key_2048();
    let digest = Digest::zero(Algorithm::Sha256);
    let message = key.encode(Padding::Pkcs1, Algorithm::Sha256, &digest, &Secret::zero()).expect("encodes");
    let [one, two] = [1, 2]
        .map(|i| key.exponentiate(&message, &Secret::new([i; 32]), Way::Scalar).expect("exponentiates"));
    assert_eq!(one, two);
    let zero = key.exponentiate(&[0; 32], &Secret::zero(), Way::Scalar).expect("exponentiates");
    assert_eq!(*zero, [0; 32]);
}

/// Keys of every size, odd sizes and another public exponent among them.
fn keys() -> [PrivateKey; 6] {
    [
        &include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der")[..],
        include_bytes!("../../../vectors/keys/rsa-2048-e3.pkcs8.der"),
        include_bytes!("../../../vectors/keys/rsa-2049.pkcs8.der"),
        include_bytes!("../../../vectors/keys/rsa-2560.pkcs8.der"),
        include_bytes!("../../../vectors/keys/rsa-3072.pkcs8.der"),
        include_bytes!("../../../vectors/keys/rsa-4096.pkcs8.der"),
    ]
    .map(|der| match SigningKey::from_der(Encoding::Pkcs8, der).expect("a key").0 {
        Key::Rsa(key) => key,
        Key::EcdsaP256(_) => panic!("not an RSA key"),
    })
}

fn without_adx<const HALF: usize, const FULL: usize>(key: &Crt<HALF, FULL>) -> Crt<HALF, FULL> {
    let mut key = key.clone();
    (key.n.adx, key.p.adx, key.q.adx) = (None, None, None);
    key
}

/// The same signatures without MULX and ADX as with them, if this CPU has them.
#[test]
fn portable_code_signs_the_same() {
    let rounds: u64 = std::env::var("TTLS_ROUNDS").map_or(20, |rounds| rounds.parse().expect("a number"));
    for key in keys() {
        let portable = match &key {
            PrivateKey::Bits2048(key) => PrivateKey::Bits2048(without_adx(key)),
            PrivateKey::Bits3072(key) => PrivateKey::Bits3072(without_adx(key)),
            PrivateKey::Bits4096(key) => PrivateKey::Bits4096(without_adx(key)),
        };
        for i in 0..rounds {
            let digest = Algorithm::Sha256.digest(&i.to_le_bytes());
            let [mine, theirs] = [&portable, &key].map(|key| {
                let mut entropy = [0; 32];
                entropy[..8].copy_from_slice(&i.to_le_bytes());
                let entropy = Secret::new(entropy);
                let signature = key.sign(Padding::Pss, Algorithm::Sha256, &digest, &entropy, Way::Scalar);
                signature.expect("signs").as_bytes().to_vec()
            });
            assert_eq!(mine, theirs, "{i}");
        }
    }
}

/// The same signatures from vectors as from scalar code, in every size, short primes included.
#[cfg(target_arch = "x86_64")]
#[test]
fn vectors_sign_the_same() {
    let Some(token) = crate::cpu::Ifma::detect() else {
        return; // nothing to test without AVX-512 IFMA
    };
    let mut scratch = super::ifma::Scratch::ZERO;
    for key in keys() {
        for i in 0..20 {
            let digest = Algorithm::Sha256.digest(&[i]);
            let sign = |way| {
                let entropy = Secret::new([!i; 32]);
                let signature = key.sign(Padding::Pss, Algorithm::Sha256, &digest, &entropy, way);
                signature.expect("signs").as_bytes().to_vec()
            };
            assert_eq!(sign(Way::Ifma(token, &mut scratch)), sign(Way::Scalar), "{i}");
        }
    }
}

/// Values that stress carries go through the vectors as through another library.
#[cfg(target_arch = "x86_64")]
#[test]
fn vector_powers_agree_with_reference() {
    let Some(token) = crate::cpu::Ifma::detect() else {
        return; // nothing to test without AVX-512 IFMA
    };
    fn agree<const N: usize, const Z: usize, const LIMBS: usize>(token: crate::cpu::Ifma, rounds: usize) {
        let state = &mut 5;
        let mut scratch = super::ifma::Scratch::ZERO;
        for round in 0..rounds {
            let moduli = [0, 1].map(|_| {
                let mut m = edgy::<N>(state);
                m[0] |= 1;
                m[N - round % (N / 2)..].fill(0);
                Modulus::new(&m)
            });
            let [Some(p), Some(q)] = &moduli else { continue };
            let [mut a, mut b] = [p, q].map(|prime| {
                let mut base = edgy::<N>(state);
                prime.remainder(&mut base, &mut wide());
                base
            });
            let exponents = [edgy::<N>(state), edgy::<N>(state)];
            let expected = [(a, p, 0), (b, q, 1)]
                .map(|(base, prime, i)| big(&base).modpow(&big(&exponents[i]), &big(&prime.m)));
            let bases = [&mut a, &mut b];
            let exponents = [&exponents[0], &exponents[1]];
            super::ifma::powers::<N, Z, LIMBS>(token, [p, q], bases, exponents, &mut scratch);
            assert_eq!([big(&a), big(&b)], expected);
        }
    }
    agree::<16, 3, 20>(token, 100);
    agree::<24, 4, 30>(token, 50);
    agree::<32, 5, 40>(token, 30);
}
