// SPDX-License-Identifier: MIT OR Apache-2.0
//! X25519 (RFC 7748), scalar code.

pub(crate) mod comb;
pub(crate) mod field;
pub(crate) mod ladder;
pub(crate) mod table;

use zeroize::Zeroize;

use crate::limbs::{self, Limbs};
use crate::secret::Secret;
use crate::wipe::{Depth, wiping_stack};
use field::Element;

/// Length of keys, shares and secrets, in bytes.
pub const LEN: usize = 32;

/// The peer's point has low order: the shared secret would be all zeros (RFC 7748 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowOrder;

/// The public key of `private` (clamped here).
pub fn public_key(private: &Secret<LEN>) -> [u8; LEN] {
    wiping_stack(Depth::Curves, || public_of(private))
}

/// The secret shared between `private` (clamped here) and the peer's `public` u-coordinate;
/// its top bit is ignored and non-canonical values are accepted (RFC 7748 §5).
///
/// # Errors
/// [`LowOrder`] if the result is all zeros.
pub fn agree(private: &Secret<LEN>, public: &[u8; LEN]) -> Result<Secret<LEN>, LowOrder> {
    wiping_stack(Depth::Curves, || shared_with(private, public))
}

/// [`public_key`], for callers that wipe the stack.
pub(crate) fn public_of(private: &Secret<LEN>) -> [u8; LEN] {
    let mut scalar = clamped(private);
    let (numerator, mut denominator) = comb::multiply_base(&scalar);
    let public = numerator.mul(&denominator.invert());
    scalar.zeroize();
    denominator.zeroize();
    limbs::to_le_bytes(&public.to_limbs())
}

/// [`agree`], for callers that wipe the stack.
pub(crate) fn shared_with(private: &Secret<LEN>, public: &[u8; LEN]) -> Result<Secret<LEN>, LowOrder> {
    let mut scalar = clamped(private);
    let (mut numerator, mut denominator) = ladder::multiply(&scalar, &Element::from_le_bytes(public));
    let mut shared = numerator.mul(&denominator.invert()).to_limbs();
    let secret = Secret::new(limbs::to_le_bytes(&shared));
    let low_order = limbs::mask_zero(&shared) != 0;
    scalar.zeroize();
    numerator.zeroize();
    denominator.zeroize();
    shared.zeroize();
    if low_order { Err(LowOrder) } else { Ok(secret) }
}

/// decodeScalar25519 (RFC 7748 §5).
fn clamped(private: &Secret<LEN>) -> Limbs {
    let mut scalar = limbs::from_le_bytes(private.expose());
    scalar[0] &= !7;
    scalar[3] = scalar[3] & (u64::MAX >> 1) | 1 << 62;
    scalar
}
