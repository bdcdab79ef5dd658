// SPDX-License-Identifier: MIT OR Apache-2.0
//! Private keys from DER, and public keys to compare them with.

use super::{Encoding, Key, KeyError, SigningKey};
use crate::der::{self, Malformed, Reader};
use crate::p256::{self, ecdsa};
use crate::rsa;
use crate::secret::Secret;
use crate::wipe::{Depth, wiping_stack};

const RSA_ENCRYPTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const EC_PUBLIC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const PRIME256V1: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// The two algorithms a [`SigningKey`] can have.
enum Algorithm {
    Rsa,
    P256,
}

impl SigningKey {
    /// Reads a private key and checks that it is whole: an RSA key signs once on trial, an EC key is
    /// compared with the public key that may be next to it.
    ///
    /// # Errors
    /// [`KeyError`], whose text says what is wrong and what to do.
    pub fn from_der(encoding: Encoding, der: &[u8]) -> Result<Self, KeyError> {
        wiping_stack(Depth::Rsa, || read(encoding, der))
    }

    /// Whether `spki`, a certificate's SubjectPublicKeyInfo (RFC 5280 §4.1) in DER, holds this key's
    /// public half.
    pub fn matches_public_key(&self, spki: &[u8]) -> bool {
        public_key_matches(spki, self)
    }
}

#[inline(never)]
fn read(encoding: Encoding, der: &[u8]) -> Result<SigningKey, KeyError> {
    match encoding {
        Encoding::Pkcs8 => pkcs8(der),
        Encoding::Sec1 => sec1(der),
        Encoding::Pkcs1 => pkcs1(der),
    }
}

/// PrivateKeyInfo or OneAsymmetricKey (RFC 5958 §2).
fn pkcs8(der: &[u8]) -> Result<SigningKey, KeyError> {
    let mut info = whole(der, "PrivateKeyInfo")?;
    if info.next_is(der::SEQUENCE) {
        return Err(KeyError::Encrypted);
    }
    let version = info.integer("version")?;
    if !matches!(version, [] | [1]) {
        return Err(KeyError::Malformed("version"));
    }
    let algorithm = algorithm_identifier(&mut info)?;
    let private_key = info.element(der::OCTET_STRING, "privateKey")?;
    info.optional(der::explicit(0), "attributes")?;
    let public_key = if version == [1] && info.next_is(der::implicit(1)) {
        Some(info.bit_string(der::implicit(1), "publicKey")?)
    } else {
        None
    };
    info.finish("end of PrivateKeyInfo")?;

    let key = match algorithm {
        Algorithm::Rsa => pkcs1(private_key)?,
        Algorithm::P256 => ec_private_key(private_key, Some(Algorithm::P256))?,
    };
    match public_key {
        Some(bits) if !public_bits_match(bits, &key) => Err(KeyError::PublicKeyMismatch),
        _ => Ok(key),
    }
}

/// ECPrivateKey (RFC 5915 §3) on its own, which must name its curve.
fn sec1(der: &[u8]) -> Result<SigningKey, KeyError> {
    ec_private_key(der, None)
}

/// ECPrivateKey; its curve may have been named by what is around it.
fn ec_private_key(der: &[u8], mut curve: Option<Algorithm>) -> Result<SigningKey, KeyError> {
    let mut key = whole(der, "ECPrivateKey")?;
    if key.integer("version")? != [1] {
        return Err(KeyError::Malformed("version"));
    }
    let scalar = key.element(der::OCTET_STRING, "privateKey")?;
    if key.next_is(der::explicit(0)) {
        let mut parameters = key.nested(der::explicit(0), "parameters")?;
        curve = Some(named_curve(&mut parameters)?);
        parameters.finish("parameters")?;
    }
    if curve.is_none() {
        return Err(KeyError::Malformed("parameters"));
    }
    let public_key = if key.next_is(der::explicit(1)) {
        let mut public_key = key.nested(der::explicit(1), "publicKey")?;
        let bits = public_key.bit_string(der::BIT_STRING, "publicKey")?;
        public_key.finish("publicKey")?;
        Some(bits)
    } else {
        None
    };
    key.finish("end of ECPrivateKey")?;

    let key = ecdsa::PrivateKey::from_bytes(&padded(scalar)?).map_err(|p256::Invalid| KeyError::EcScalar)?;
    let key = SigningKey(Key::EcdsaP256(key));
    match public_key {
        Some(bits) if !public_bits_match(bits, &key) => Err(KeyError::PublicKeyMismatch),
        _ => Ok(key),
    }
}

/// A scalar in 32 octets. RFC 5915 §3 asks for exactly so many, but there are keys whose writers left zeros out in front, or,
/// as for an INTEGER, put one there.
fn padded(scalar: &[u8]) -> Result<Secret<32>, KeyError> {
    const MALFORMED: KeyError = KeyError::Malformed("privateKey");
    let mut padded = Secret::zero();
    let digits = match scalar {
        [] => return Err(MALFORMED),
        [0, digits @ ..] if digits.len() == 32 => digits,
        digits => digits,
    };
    let start = 32_usize.checked_sub(digits.len()).ok_or(MALFORMED)?;
    padded.expose_mut()[start..].copy_from_slice(digits);
    Ok(padded)
}

/// RSAPrivateKey (RFC 8017 §A.1.2). The exponent d is not used, and so not checked: dp and dq are.
fn pkcs1(der: &[u8]) -> Result<SigningKey, KeyError> {
    let mut key = whole(der, "RSAPrivateKey")?;
    match key.integer("version")? {
        [] => {}
        [1] => return Err(KeyError::MultiPrime),
        _ => return Err(KeyError::Malformed("version")),
    }
    let n = key.integer("modulus")?;
    let e = key.integer("publicExponent")?;
    key.integer("privateExponent")?;
    let components = rsa::Components {
        n,
        e,
        p: key.integer("prime1")?,
        q: key.integer("prime2")?,
        dp: key.integer("exponent1")?,
        dq: key.integer("exponent2")?,
        qinv: key.integer("coefficient")?,
    };
    key.finish("end of RSAPrivateKey")?;
    Ok(SigningKey(Key::Rsa(rsa::PrivateKey::new(&components)?)))
}

/// Whether a SubjectPublicKeyInfo (RFC 5280 §4.1) is the public half of `key`.
fn public_key_matches(spki: &[u8], key: &SigningKey) -> bool {
    let read = || -> Result<_, KeyError> {
        let mut info = whole(spki, "SubjectPublicKeyInfo")?;
        let algorithm = algorithm_identifier(&mut info)?;
        let bits = info.bit_string(der::BIT_STRING, "subjectPublicKey")?;
        info.finish("end of SubjectPublicKeyInfo")?;
        Ok((algorithm, bits))
    };
    match (read(), &key.0) {
        (Ok((Algorithm::Rsa, bits)), Key::Rsa(_)) | (Ok((Algorithm::P256, bits)), Key::EcdsaP256(_)) => {
            public_bits_match(bits, key)
        }
        _ => false,
    }
}

/// Whether the content of a public key's BIT STRING belongs to `key`: an RSAPublicKey (RFC 8017
/// §A.1.1), or a point: uncompressed as TLS and certificates have it (RFC 8422 §5.4.1), or in a form that OpenSSL writes on request.
fn public_bits_match(bits: &[u8], key: &SigningKey) -> bool {
    match &key.0 {
        Key::EcdsaP256(key) => {
            let (point, odd) = (key.public_key(), key.public_key()[64] & 1);
            match bits {
                // Compressed, and hybrid (SEC 1 §2.3.3; X9.62 §4.3.6).
                [form @ (2 | 3), x @ ..] => *form & 1 == odd && *x == point[1..33],
                [form @ (6 | 7), xy @ ..] => *form & 1 == odd && *xy == point[1..],
                _ => bits == point,
            }
        }
        Key::Rsa(key) => {
            let read = || -> Result<_, Malformed> {
                let mut public = whole(bits, "RSAPublicKey")?;
                let numbers = (public.integer("modulus")?, public.integer("publicExponent")?);
                public.finish("end of RSAPublicKey")?;
                Ok(numbers)
            };
            read().is_ok_and(|(n, e)| key.matches_public_key(n, e))
        }
    }
}

/// A reader of the SEQUENCE that `der` is, and nothing else.
fn whole<'a>(der: &'a [u8], name: &'static str) -> Result<Reader<'a>, Malformed> {
    let mut outer = Reader::new(der);
    let content = outer.nested(der::SEQUENCE, name)?;
    outer.finish(name)?;
    Ok(content)
}

/// AlgorithmIdentifier (RFC 5280 §4.1.1.2) of a key.
fn algorithm_identifier(info: &mut Reader<'_>) -> Result<Algorithm, KeyError> {
    let mut identifier = info.nested(der::SEQUENCE, "algorithm")?;
    let oid = identifier.element(der::OID, "algorithm")?;
    let algorithm = match oid {
        RSA_ENCRYPTION => {
            // RFC 3279 §2.3.1: the parameters are NULL.
            if !identifier.element(der::NULL, "algorithm parameters")?.is_empty() {
                return Err(KeyError::Malformed("algorithm parameters"));
            }
            Algorithm::Rsa
        }
        EC_PUBLIC_KEY => named_curve(&mut identifier)?,
        other => return Err(KeyError::Algorithm(algorithm_name(other))),
    };
    identifier.finish("algorithm parameters")?;
    Ok(algorithm)
}

/// ECParameters: the OID of a curve (RFC 5480 §2.1.1).
fn named_curve(parameters: &mut Reader<'_>) -> Result<Algorithm, KeyError> {
    if parameters.next_is(der::SEQUENCE) {
        return Err(KeyError::ExplicitCurve);
    }
    match parameters.element(der::OID, "named curve")? {
        PRIME256V1 => Ok(Algorithm::P256),
        other => Err(KeyError::Curve(curve_name(other))),
    }
}

/// Names of key algorithms that are not supported.
const fn algorithm_name(oid: &[u8]) -> &'static str {
    match oid {
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" => "RSASSA-PSS-only",
        b"\x2b\x65\x6e" => "X25519",
        b"\x2b\x65\x6f" => "X448",
        b"\x2b\x65\x70" => "Ed25519",
        b"\x2b\x65\x71" => "Ed448",
        b"\x2a\x86\x48\xce\x38\x04\x01" => "DSA",
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x11" => "ML-DSA-44",
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x12" => "ML-DSA-65",
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x13" => "ML-DSA-87",
        _ => "unknown kind of",
    }
}

/// Names of curves that are not supported.
const fn curve_name(oid: &[u8]) -> &'static str {
    match oid {
        b"\x2b\x81\x04\x00\x21" => "curve secp224r1",
        b"\x2b\x81\x04\x00\x22" => "curve secp384r1",
        b"\x2b\x81\x04\x00\x23" => "curve secp521r1",
        b"\x2b\x81\x04\x00\x0a" => "curve secp256k1",
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07" => "curve brainpoolP256r1",
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b" => "curve brainpoolP384r1",
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d" => "curve brainpoolP512r1",
        b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d" => "curve SM2",
        _ => "an unknown curve",
    }
}
