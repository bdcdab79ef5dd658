// SPDX-License-Identifier: MIT OR Apache-2.0
//! X25519 (RFC 7748), scalar code.

use crate::secret::Secret;

/// Length of keys, shares and secrets, in bytes.
pub const LEN: usize = 32;

/// The peer's point has low order: the shared secret would be all zeros (RFC 7748 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowOrder;

/// The public key of `private` (clamped here).
pub fn public_key(private: &Secret<LEN>) -> [u8; LEN] {
    let _ = private;
    unimplemented!()
}

/// The secret shared between `private` (clamped here) and the peer's `public` u-coordinate;
/// its top bit is ignored and non-canonical values are accepted (RFC 7748 §5).
///
/// # Errors
/// [`LowOrder`] if the result is all zeros.
pub fn agree(private: &Secret<LEN>, public: &[u8; LEN]) -> Result<Secret<LEN>, LowOrder> {
    let _ = (private, public);
    unimplemented!()
}
