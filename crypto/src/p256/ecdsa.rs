// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECDSA signatures (FIPS 186-5 §6.4) over SHA-256 digests.

use zeroize::Zeroize;

use super::multiply::multiply_base;
use super::nonce::Nonces;
use super::scalar::Scalar;
use super::{Invalid, POINT, SCALAR};
use crate::limbs;
use crate::outcome::Signature;
use crate::secret::Secret;
use crate::wipe::{Depth, wiping_stack};

/// A private signing key; wiped when dropped.
pub struct PrivateKey {
    scalar: Scalar,
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl PrivateKey {
    /// Reads the private scalar, big-endian (the `privateKey` of RFC 5915 §3).
    ///
    /// # Errors
    /// [`Invalid`] unless it lies in 1..n.
    pub fn from_bytes(bytes: &Secret<SCALAR>) -> Result<Self, Invalid> {
        Ok(Self { scalar: Scalar::from_be_bytes(bytes.expose()).ok_or(Invalid)? })
    }

    /// The public point, uncompressed.
    pub fn public_key(&self) -> [u8; POINT] {
        wiping_stack(Depth::Curves, || multiply_base(&self.scalar).to_affine().to_bytes())
    }

    /// Signs a SHA-256 digest; the signature is in DER (RFC 3279 §2.2.3).
    ///
    /// The nonce comes from the key, the digest and `entropy` together (RFC 6979 §3.6): equal inputs
    /// give equal signatures, and bad entropy alone does not endanger the key.
    pub fn sign(&self, digest: &[u8; 32], entropy: &Secret<32>) -> Signature {
        wiping_stack(Depth::Curves, || self.signature(digest, entropy))
    }

    /// [`Self::sign`], for callers that wipe the stack.
    pub(crate) fn signature(&self, digest: &[u8; 32], entropy: &Secret<32>) -> Signature {
        let (r, s) = self.sign_with(digest, entropy.expose());
        der(&r.to_be_bytes(), &s.to_be_bytes())
    }

    /// The private scalar, below n. Whoever copies it out answers for wiping the copy.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn scalar(&self) -> &Scalar {
        &self.scalar
    }

    fn nonces(&self, message: &Scalar, extra: &[u8]) -> Nonces {
        let key = Secret::new(self.scalar.to_be_bytes());
        Nonces::new(key.expose(), &message.to_be_bytes(), extra)
    }

    fn sign_with(&self, digest: &[u8; 32], extra: &[u8]) -> (Scalar, Scalar) {
        let message = Scalar::reduced(&limbs::from_be_bytes(digest));
        let mut nonces = self.nonces(&message, extra);
        loop {
            let mut nonce = nonces.next();
            let signature = self.sign_with_nonce(&message, &nonce);
            nonce.zeroize();
            if let Some(signature) = signature {
                return signature;
            }
            nonces.skip();
        }
    }

    /// (r, s); `None` if one of them is zero and another nonce is due.
    pub(crate) fn sign_with_nonce(&self, message: &Scalar, nonce: &Scalar) -> Option<(Scalar, Scalar)> {
        let mut point = multiply_base(nonce);
        let r = Scalar::reduced(&point.affine_x().to_limbs());
        point.zeroize();
        let mut inverse = nonce.invert();
        let s = inverse.mul(&r.mul(&self.scalar).add(message));
        inverse.zeroize();
        (!r.is_zero() && !s.is_zero()).then_some((r, s))
    }
}

/// `SEQUENCE { INTEGER r, INTEGER s }` of two positive big-endian integers.
pub(crate) fn der(r: &[u8; 32], s: &[u8; 32]) -> Signature {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    // Two headers of an integer, each with a zero byte that keeps a top bit from being a sign.
    let mut encoding = [0; 2 + 2 * (2 + 1 + 32)];
    let mut end = 2;
    for integer in [r, s] {
        let zeros = integer[..31].iter().take_while(|byte| **byte == 0).count();
        let digits = &integer[zeros..];
        let start = end + 2 + usize::from(digits[0] >> 7);
        encoding[end] = INTEGER;
        encoding[end + 1] = byte(start + digits.len() - (end + 2));
        end = start + digits.len();
        encoding[start..end].copy_from_slice(digits);
    }
    encoding[0] = SEQUENCE;
    encoding[1] = byte(end - 2);
    Signature::new(&encoding[..end]).expect("72 bytes fit a signature")
}

/// A length below 256 as its byte.
fn byte(length: usize) -> u8 {
    length.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn number(text: &str) -> [u8; 32] {
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    /// RFC 6979 §A.2.5 with SHA-256, without randomness.
    #[test]
    fn rfc_6979_vectors() {
        let private = number("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = PrivateKey::from_bytes(&Secret::new(private)).unwrap();
        for (message, r, s) in [
            (
                "sample",
                "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
                "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
            ),
            (
                "test",
                "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
                "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
            ),
        ] {
            let signature = key.sign_with(&Sha256::digest(message).into(), &[]);
            assert_eq!((signature.0.to_be_bytes(), signature.1.to_be_bytes()), (number(r), number(s)));
        }
    }

    /// message = −r·x gives s = 0: another nonce is drawn.
    #[test]
    fn zero_s_is_refused() {
        let key = PrivateKey::from_bytes(&Secret::new([3; 32])).unwrap();
        let nonce = Scalar::from_be_bytes(&[5; 32]).unwrap();
        let (r, _) = key.sign_with_nonce(&Scalar([1, 0, 0, 0]), &nonce).unwrap();
        let message = r.mul(&key.scalar).neg();
        assert!(key.sign_with_nonce(&message, &nonce).is_none());
    }

    #[test]
    fn der_is_minimal() {
        let mut small = [0; 32];
        small[31] = 0x7f;
        assert_eq!(der(&small, &small).as_bytes(), [0x30, 6, 2, 1, 0x7f, 2, 1, 0x7f]);
        small[31] = 0x80;
        assert_eq!(der(&small, &small).as_bytes(), [0x30, 8, 2, 2, 0, 0x80, 2, 2, 0, 0x80]);
        let long = der(&[0xff; 32], &[0xff; 32]);
        assert_eq!(long.as_bytes()[..5], [0x30, 70, 2, 33, 0]);
        assert_eq!(long.as_bytes().len(), 72);
    }
}
