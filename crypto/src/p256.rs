// SPDX-License-Identifier: MIT OR Apache-2.0
//! NIST P-256 (secp256r1): ECDH (SP 800-56A) and ECDSA (FIPS 186-5), scalar code.

pub mod ecdsa;
pub(crate) mod field;
pub(crate) mod multiply;
pub(crate) mod nonce;
pub(crate) mod point;
pub(crate) mod scalar;
pub(crate) mod table;

use zeroize::Zeroize;

use crate::limbs;
use crate::secret::Secret;
use crate::wipe::{Depth, wiping_stack};
use multiply::{multiply, multiply_base};
use point::Affine;
use scalar::Scalar;

pub use point::{Invalid, POINT, SCALAR};

/// Makes a private scalar in 1..n of 32 uniform bytes (big-endian), and its public point.
///
/// # Errors
/// [`Invalid`] if the bytes are zero or not below n (chance 2^-32): draw again.
pub fn public_key(private: &Secret<SCALAR>) -> Result<[u8; POINT], Invalid> {
    wiping_stack(Depth::Curves, || public_of(private))
}

/// The x-coordinate shared between `private` and the peer's `public` point.
///
/// # Errors
/// [`Invalid`] if the point is not on the curve or the scalar is out of range.
pub fn agree(private: &Secret<SCALAR>, public: &[u8; POINT]) -> Result<Secret<SCALAR>, Invalid> {
    wiping_stack(Depth::Curves, || shared_with(private, public))
}

/// [`public_key`], for callers that wipe the stack.
pub(crate) fn public_of(private: &Secret<SCALAR>) -> Result<[u8; POINT], Invalid> {
    let mut scalar = Scalar::from_be_bytes(private.expose()).ok_or(Invalid)?;
    let mut point = multiply_base(&scalar);
    let public = point.to_affine().to_bytes();
    scalar.zeroize();
    point.zeroize();
    Ok(public)
}

/// [`agree`], for callers that wipe the stack.
pub(crate) fn shared_with(private: &Secret<SCALAR>, public: &[u8; POINT]) -> Result<Secret<SCALAR>, Invalid> {
    let public = Affine::from_bytes(public)?;
    let mut scalar = Scalar::from_be_bytes(private.expose()).ok_or(Invalid)?;
    let mut point = multiply(&scalar, &public);
    let mut x = point.affine_x();
    let shared = Secret::new(limbs::to_be_bytes(&x.to_limbs()));
    scalar.zeroize();
    point.zeroize();
    x.zeroize();
    Ok(shared)
}
