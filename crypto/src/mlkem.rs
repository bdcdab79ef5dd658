// SPDX-License-Identifier: MIT OR Apache-2.0
//! ML-KEM-768 encapsulation (FIPS 203): the server's half of X25519MLKEM768. Alone by a library, or several in lanes.

#[cfg(target_arch = "x86_64")]
mod bytes;
#[cfg(target_arch = "x86_64")]
mod keccak;
#[cfg(target_arch = "x86_64")]
pub(crate) mod lanes;
#[cfg(target_arch = "x86_64")]
mod ntt;
#[cfg(target_arch = "x86_64")]
mod sample;
#[cfg(test)]
mod tests;

use crate::secret::Secret;
use crate::wipe::{Depth, wiping_stack};

/// Encapsulation key length in bytes.
pub const ENCAPSULATION_KEY: usize = 1184;
/// Ciphertext length in bytes.
pub const CIPHERTEXT: usize = 1088;
/// Shared secret length in bytes.
pub const SHARED: usize = 32;

/// The key fails the modulus check (FIPS 203 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

/// Encapsulates to the client's `key` with the random `message`.
///
/// # Errors
/// [`InvalidKey`] if a coefficient of the key is not reduced.
pub fn encapsulate(
    key: &[u8; ENCAPSULATION_KEY],
    message: &Secret<32>,
) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey> {
    wiping_stack(Depth::Kem, || encapsulation(key, message))
}

/// [`encapsulate`], for callers that wipe the stack.
pub(crate) fn encapsulation(
    key: &[u8; ENCAPSULATION_KEY],
    message: &Secret<32>,
) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey> {
    #[cfg(feature = "std")]
    if crate::aead::graviola_runs() {
        return fast(key, message);
    }
    portable(key, message)
}

/// Graviola, whose deterministic encapsulation is public but undocumented: hence the exact version in
/// Cargo.toml, and the vectors run through it.
#[cfg(feature = "std")]
fn fast(
    key: &[u8; ENCAPSULATION_KEY],
    message: &Secret<32>,
) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey> {
    use graviola::key_agreement::mlkem768::{EncapKey, Message};
    let key = EncapKey::from_bytes(key).map_err(|_| InvalidKey)?;
    let (shared, ciphertext) = key.encaps_internal(Message(*message.expose()));
    Ok((*ciphertext.as_ref(), Secret::new(*shared.as_ref())))
}

fn portable(
    key: &[u8; ENCAPSULATION_KEY],
    message: &Secret<32>,
) -> Result<([u8; CIPHERTEXT], Secret<SHARED>), InvalidKey> {
    let key = ml_kem::ml_kem_768::EncapsulationKey::new(key.into()).map_err(|_| InvalidKey)?;
    let (ciphertext, mut shared) = key.encapsulate_deterministic(message.expose().into());
    let secret = Secret::new(shared.into());
    zeroize::Zeroize::zeroize(shared.as_mut_slice());
    Ok((ciphertext.into(), secret))
}
