// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a private key, told to its owner.

use crate::der::Malformed;
use crate::rsa;
use core::fmt;

/// Why a private key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not DER, or not the structure its label promises; names the field that could not be read.
    Malformed(&'static str),
    /// An EncryptedPrivateKeyInfo (RFC 5958 §3).
    Encrypted,
    /// A key for this algorithm.
    Algorithm(&'static str),
    /// An EC key on this curve.
    Curve(&'static str),
    /// An EC key with the parameters of its curve in place of a name.
    ExplicitCurve,
    /// An EC scalar that is zero or not below the group's order.
    EcScalar,
    /// An RSA key of more than two primes.
    MultiPrime,
    /// An RSA key whose numbers do not make a key.
    Rsa(rsa::InvalidKey),
    /// The public key stored with the private key is not its own.
    PublicKeyMismatch,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RSA_DAMAGED: &str = "the file is damaged, restore it or make a new key";
        match *self {
            Self::Malformed(field) => {
                write!(f, "private key cannot be read at {field}: write it anew with `openssl pkey -in KEY -out MENDED`")
            }
            Self::Encrypted => {
                f.write_str("encrypted PKCS#8: decrypt it first with `openssl pkey -in KEY -out DECRYPTED`")
            }
            Self::Algorithm(name) => write!(f, "{name} key: only RSA and ECDSA P-256 keys are supported"),
            Self::Curve(name) => write!(f, "EC key on {name}: only P-256 (prime256v1) is supported"),
            Self::ExplicitCurve => f.write_str(
                "EC key on a curve given by its parameters, not by its name: if it is P-256, write it anew with \
                 `openssl ec -in KEY -param_enc named_curve -out MENDED`",
            ),
            Self::EcScalar => f.write_str("EC private key is not in the range of P-256: make a new key"),
            Self::MultiPrime => {
                f.write_str("RSA key of more than two primes: make a new one with `openssl genrsa`")
            }
            Self::Rsa(rsa::InvalidKey::Size(bits)) => {
                write!(f, "RSA key of {bits} bits: {} to {} bits are supported", rsa::MIN_BITS, rsa::MAX_BITS)
            }
            Self::Rsa(rsa::InvalidKey::PublicExponent) => f.write_str(
                "RSA public exponent is not an odd number from 3 to 2^64 - 1: make a key with exponent 65537",
            ),
            Self::Rsa(rsa::InvalidKey::Primes) => {
                write!(f, "RSA modulus is not the product of two primes of at most 2048 bits: {RSA_DAMAGED}")
            }
            Self::Rsa(rsa::InvalidKey::PrivateExponent) => {
                write!(f, "RSA private exponents do not fit the public key: {RSA_DAMAGED}")
            }
            Self::PublicKeyMismatch => {
                f.write_str("the public key in the file is not that of the private key: the file is damaged")
            }
        }
    }
}

impl core::error::Error for KeyError {}

impl From<Malformed> for KeyError {
    fn from(Malformed(field): Malformed) -> Self {
        Self::Malformed(field)
    }
}

impl From<rsa::InvalidKey> for KeyError {
    fn from(invalid: rsa::InvalidKey) -> Self {
        Self::Rsa(invalid)
    }
}
