// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signature algorithms of certificates, revocation lists and handshakes.
//!
//! Keys are bounded before anything is computed with them: RSA of 2048 to 4096 bits with an exponent below 2^33, so that the dearest
//! check is known. P-521 is left out for its cost: one check takes longer than everything else that a client's certificates may cost.

use crate::x509::{Reader, tag};
use ed25519_dalek::Verifier as _;
use graviola::hashing;
use graviola::signing::{ecdsa, eddsa};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::{Pkcs1v15Sign, Pss, PublicKey};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Sha256, Sha384, Sha512};
use std::cell::Cell;
use std::sync::LazyLock;
use ttls_crypto::hash::Algorithm as Hash;

/// Bytes of the smallest and the largest RSA modulus.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// Bytes of the largest RSA exponent.
const EXPONENT_BYTES: usize = 5;

/// rsassaPss without parameters: a key for any of them (RFC 4055 §3.1).
const RSA_PSS_ANY: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a");

thread_local! {
    /// Signatures checked on this thread.
    static CHECKED: Cell<u64> = const { Cell::new(0) };
}

/// How many signatures this thread has checked: what a client costs is bounded in these.
pub(super) fn checked() -> u64 {
    CHECKED.get()
}

/// Kinds of public keys, by what a SubjectPublicKeyInfo says (RFC 5280 §4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    /// rsaEncryption.
    Rsa,
    /// rsassaPss, for one hash if it names one.
    RsaPss(Option<Hash>),
    Ed25519,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::P256,
        Self::P384,
        Self::Rsa,
        Self::RsaPss(None),
        Self::RsaPss(Some(Hash::Sha256)),
        Self::RsaPss(Some(Hash::Sha384)),
        Self::RsaPss(Some(Hash::Sha512)),
        Self::Ed25519,
    ];

    const fn id(self) -> AlgorithmIdentifier {
        match self {
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
            Self::Rsa => alg_id::RSA_ENCRYPTION,
            Self::RsaPss(None) => RSA_PSS_ANY,
            Self::RsaPss(Some(Hash::Sha256)) => alg_id::RSA_PSS_SHA256,
            Self::RsaPss(Some(Hash::Sha384)) => alg_id::RSA_PSS_SHA384,
            Self::RsaPss(Some(Hash::Sha512)) => alg_id::RSA_PSS_SHA512,
            Self::Ed25519 => alg_id::ED25519,
        }
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// ECDSA over a digest, with whichever curve the key is on.
    Ecdsa(Hash),
    /// RSASSA-PSS with a salt as long as the digest.
    Pss(Hash),
    /// RSASSA-PKCS1-v1_5.
    Pkcs1(Hash),
    /// Ed25519, over the message itself.
    Ed25519,
}

impl Method {
    const fn id(self) -> AlgorithmIdentifier {
        match self {
            Self::Ecdsa(Hash::Sha256) => alg_id::ECDSA_SHA256,
            Self::Ecdsa(Hash::Sha384) => alg_id::ECDSA_SHA384,
            Self::Ecdsa(Hash::Sha512) => alg_id::ECDSA_SHA512,
            Self::Pss(Hash::Sha256) => alg_id::RSA_PSS_SHA256,
            Self::Pss(Hash::Sha384) => alg_id::RSA_PSS_SHA384,
            Self::Pss(Hash::Sha512) => alg_id::RSA_PSS_SHA512,
            Self::Pkcs1(Hash::Sha256) => alg_id::RSA_PKCS1_SHA256,
            Self::Pkcs1(Hash::Sha384) => alg_id::RSA_PKCS1_SHA384,
            Self::Pkcs1(Hash::Sha512) => alg_id::RSA_PKCS1_SHA512,
            Self::Ed25519 => alg_id::ED25519,
        }
    }

    /// The hash of the message that is signed; `None` if the message itself is.
    pub(super) const fn hash(self) -> Option<Hash> {
        match self {
            Self::Ecdsa(hash) | Self::Pss(hash) | Self::Pkcs1(hash) => Some(hash),
            Self::Ed25519 => None,
        }
    }
}

/// A client's or an authority's public key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    kind: Kind,
    /// The content of subjectPublicKey.
    bits: &'a [u8],
}

impl<'a> Key<'a> {
    /// Reads a SubjectPublicKeyInfo, and how large an RSA key is.
    ///
    /// # Errors
    /// What is not supported about it.
    pub(super) fn read(info: &'a [u8]) -> Result<Self, &'static str> {
        const UNREADABLE: &str = "its key can not be read";
        let read = || {
            let mut info = Reader::new(info).nested(tag::SEQUENCE, "")?;
            Ok((info.element(tag::SEQUENCE, "")?, info.bits("")?))
        };
        let (algorithm, bits) = read().map_err(|_: crate::x509::Malformed| UNREADABLE)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.id().as_ref() == algorithm);
        let kind = kind.ok_or("its key is not RSA, ECDSA P-256, ECDSA P-384 or Ed25519")?;
        if let Kind::Rsa | Kind::RsaPss(_) = kind {
            let read = || {
                let mut key = Reader::new(bits).nested(tag::SEQUENCE, "")?;
                Ok((key.element(tag::INTEGER, "")?, key.element(tag::INTEGER, "")?))
            };
            let (modulus, exponent) = read().map_err(|_: crate::x509::Malformed| UNREADABLE)?;
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            if !RSA_BYTES.contains(&modulus.len()) || exponent.len() > EXPONENT_BYTES {
                return Err("its RSA key is not one of 2048 to 4096 bits with an exponent below 2^33");
            }
        }
        Ok(Self { kind, bits })
    }

    /// Whether `signature` is by this key over `message`.
    pub(super) fn verify_message(self, method: Method, message: &[u8], signature: &[u8]) -> bool {
        let good = fast(self, method, message, signature);
        if let Some(good) = good {
            CHECKED.set(CHECKED.get() + 1);
            return good;
        }
        match method.hash() {
            Some(hash) => self.verify(method, hash.digest(message).as_bytes(), signature),
            None => self.verify(method, message, signature),
        }
    }

    /// Whether `signature` is by this key over what has this digest, or over `digest` itself for Ed25519.
    pub(super) fn verify(self, method: Method, digest: &[u8], signature: &[u8]) -> bool {
        CHECKED.set(CHECKED.get() + 1);
        self.check(method, digest, signature).is_some()
    }

    fn check(self, method: Method, digest: &[u8], signature: &[u8]) -> Option<()> {
        let rsa = || PublicKey::from_pkcs1_der(self.bits).ok();
        match (self.kind, method) {
            (Kind::P256, Method::Ecdsa(_)) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(self.bits).ok()?;
                key.verify_prehash(digest, &p256::ecdsa::Signature::from_der(signature).ok()?).ok()
            }
            (Kind::P384, Method::Ecdsa(_)) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(self.bits).ok()?;
                key.verify_prehash(digest, &p384::ecdsa::Signature::from_der(signature).ok()?).ok()
            }
            (Kind::Rsa | Kind::RsaPss(None), Method::Pss(hash)) => pss(&rsa()?, hash, digest, signature),
            (Kind::RsaPss(Some(only)), Method::Pss(hash)) if only == hash => {
                pss(&rsa()?, hash, digest, signature)
            }
            (Kind::Rsa, Method::Pkcs1(hash)) => {
                let padding = match hash {
                    Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                    Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                    Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                };
                rsa()?.verify(padding, digest, signature).ok()
            }
            (Kind::Ed25519, Method::Ed25519) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(self.bits.try_into().ok()?).ok()?;
                key.verify(digest, &ed25519_dalek::Signature::from_slice(signature).ok()?).ok()
            }
            _ => None,
        }
    }

    /// How this key signs under a scheme of TLS (RFC 8446 §4.2.3), `None` if it does not. In TLS 1.2 an ECDSA scheme names a
    /// hash, not a curve (RFC 8446 §4.2.3, RFC 5246 §7.4.1.4.1).
    pub(super) fn method(self, scheme: u16, tls12: bool) -> Option<Method> {
        let method = match (scheme, self.kind) {
            (0x0403, Kind::P256) => Method::Ecdsa(Hash::Sha256),
            (0x0503, Kind::P384) => Method::Ecdsa(Hash::Sha384),
            (0x0403, Kind::P384) if tls12 => Method::Ecdsa(Hash::Sha256),
            (0x0503, Kind::P256) if tls12 => Method::Ecdsa(Hash::Sha384),
            (0x0603, Kind::P256 | Kind::P384) if tls12 => Method::Ecdsa(Hash::Sha512),
            (0x0804, Kind::Rsa) | (0x0809, Kind::RsaPss(None | Some(Hash::Sha256))) => {
                Method::Pss(Hash::Sha256)
            }
            (0x0805, Kind::Rsa) | (0x080a, Kind::RsaPss(None | Some(Hash::Sha384))) => {
                Method::Pss(Hash::Sha384)
            }
            (0x0806, Kind::Rsa) | (0x080b, Kind::RsaPss(None | Some(Hash::Sha512))) => {
                Method::Pss(Hash::Sha512)
            }
            (0x0401, Kind::Rsa) if tls12 => Method::Pkcs1(Hash::Sha256),
            (0x0501, Kind::Rsa) if tls12 => Method::Pkcs1(Hash::Sha384),
            (0x0601, Kind::Rsa) if tls12 => Method::Pkcs1(Hash::Sha512),
            (0x0807, Kind::Ed25519) => Method::Ed25519,
            _ => return None,
        };
        Some(method)
    }

    /// The method that a signature's AlgorithmIdentifier (its SEQUENCE's content) names, if this key can have used it.
    pub(super) fn method_by_id(self, id: &[u8]) -> Option<Method> {
        let fits =
            |algorithm: &&Algorithm| algorithm.kind == self.kind && algorithm.method.id().as_ref() == id;
        ALGORITHMS.iter().find(fits).map(|algorithm| algorithm.method)
    }
}

fn pss(key: &PublicKey, hash: Hash, digest: &[u8], signature: &[u8]) -> Option<()> {
    match hash {
        Hash::Sha256 => key.verify(Pss::<Sha256>::new(), digest, signature),
        Hash::Sha384 => key.verify(Pss::<Sha384>::new(), digest, signature),
        Hash::Sha512 => key.verify(Pss::<Sha512>::new(), digest, signature),
    }
    .ok()
}

/// Whether the CPU has what graviola needs: it panics on others.
static GRAVIOLA_RUNS: LazyLock<bool> = LazyLock::new(graviola::util::is_cpu_supported);

/// Where it runs, graviola checks signatures in a fraction of the time that the portable crates take. `None` if it is for them to say.
fn fast(key: Key<'_>, method: Method, message: &[u8], signature: &[u8]) -> Option<bool> {
    if !*GRAVIOLA_RUNS {
        return None;
    }
    match (key.kind, method) {
        (Kind::P256, Method::Ecdsa(hash)) => fast_ecdsa::<ecdsa::P256>(key.bits, hash, message, signature),
        (Kind::P384, Method::Ecdsa(hash)) => fast_ecdsa::<ecdsa::P384>(key.bits, hash, message, signature),
        (Kind::Rsa, Method::Pkcs1(hash)) => {
            let key = graviola::signing::rsa::VerifyingKey::from_pkcs1_der(key.bits).ok()?;
            let verified = match hash {
                Hash::Sha256 => key.verify_pkcs1_sha256(signature, message),
                Hash::Sha384 => key.verify_pkcs1_sha384(signature, message),
                Hash::Sha512 => key.verify_pkcs1_sha512(signature, message),
            };
            Some(verified.is_ok())
        }
        (Kind::Ed25519, Method::Ed25519) => {
            let key = eddsa::Ed25519VerifyingKey::from_bytes(key.bits).ok()?;
            Some(key.verify(signature, message).is_ok())
        }
        _ => None,
    }
}

fn fast_ecdsa<C: ecdsa::Curve>(bits: &[u8], hash: Hash, message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = ecdsa::VerifyingKey::<C>::from_x962_uncompressed(bits).ok()?;
    let verified = match hash {
        Hash::Sha256 => key.verify_asn1::<hashing::Sha256>(&[message], signature),
        Hash::Sha384 => key.verify_asn1::<hashing::Sha384>(&[message], signature),
        Hash::Sha512 => key.verify_asn1::<hashing::Sha512>(&[message], signature),
    };
    Some(verified.is_ok())
}

/// One way of signing certificates, in the form that webpki wants.
#[derive(Debug)]
struct Algorithm {
    kind: Kind,
    method: Method,
}

macro_rules! algorithms {
    ($($kind:expr, $method:expr;)*) => {
        static ALGORITHMS: &[Algorithm] = &[$(Algorithm { kind: $kind, method: $method },)*];
        /// What certificates and revocation lists may be signed with.
        pub(super) static IN_CERTIFICATES: &[&dyn SignatureVerificationAlgorithm] =
            &[$(&Algorithm { kind: $kind, method: $method },)*];
    };
}

algorithms! {
    Kind::P256, Method::Ecdsa(Hash::Sha256);
    Kind::P256, Method::Ecdsa(Hash::Sha384);
    Kind::P256, Method::Ecdsa(Hash::Sha512);
    Kind::P384, Method::Ecdsa(Hash::Sha256);
    Kind::P384, Method::Ecdsa(Hash::Sha384);
    Kind::P384, Method::Ecdsa(Hash::Sha512);
    Kind::Rsa, Method::Pkcs1(Hash::Sha256);
    Kind::Rsa, Method::Pkcs1(Hash::Sha384);
    Kind::Rsa, Method::Pkcs1(Hash::Sha512);
    Kind::Rsa, Method::Pss(Hash::Sha256);
    Kind::Rsa, Method::Pss(Hash::Sha384);
    Kind::Rsa, Method::Pss(Hash::Sha512);
    Kind::RsaPss(None), Method::Pss(Hash::Sha256);
    Kind::RsaPss(None), Method::Pss(Hash::Sha384);
    Kind::RsaPss(None), Method::Pss(Hash::Sha512);
    Kind::RsaPss(Some(Hash::Sha256)), Method::Pss(Hash::Sha256);
    Kind::RsaPss(Some(Hash::Sha384)), Method::Pss(Hash::Sha384);
    Kind::RsaPss(Some(Hash::Sha512)), Method::Pss(Hash::Sha512);
    Kind::Ed25519, Method::Ed25519;
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = Key { kind: self.kind, bits: public_key };
        key.verify_message(self.method, message, signature).then_some(()).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.kind.id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.method.id()
    }
}

/// Schemes for handshakes of TLS 1.3, in order of preference: each names a curve, and P-521 is not among them.
pub(super) const SCHEMES_TLS13: &[u16] =
    &[0x0403, 0x0503, 0x0807, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b];
/// Schemes for handshakes of TLS 1.2, where 0x0603 is ECDSA with SHA-512 on any curve.
pub(super) const SCHEMES_TLS12: &[u16] =
    &[0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601];
/// Schemes for certificates. An authority's key on P-256 or P-384 may sign with any hash, for which clients look under its name with
/// whatever curve.
pub(super) const SCHEMES_IN_CERTIFICATES: &[u16] =
    &[0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601];

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PublicKeyData, SigningKey};

    #[test]
    fn a_scheme_is_offered_if_and_only_if_some_key_signs_with_it() {
        for (schemes, tls12) in [(SCHEMES_TLS12, true), (SCHEMES_TLS13, false)] {
            for scheme in 0..=u16::MAX {
                let mut keys = Kind::ALL.into_iter().map(|kind| Key { kind, bits: &[] });
                let signs = keys.any(|key| key.method(scheme, tls12).is_some());
                assert_eq!(schemes.contains(&scheme), signs, "{scheme:#x}, TLS 1.2: {tls12}");
            }
        }
        // A key of another curve than the scheme's: of no use in TLS 1.3, where P-256 goes with SHA-256 alone.
        let p384 = Key { kind: Kind::P384, bits: &[] };
        assert_eq!(p384.method(0x0403, false), None);
        assert_eq!(p384.method(0x0403, true), Some(Method::Ecdsa(Hash::Sha256)));
        assert_eq!(Key { kind: Kind::P256, bits: &[] }.method(0x0503, false), None);
    }

    #[test]
    fn both_ways_of_checking_agree() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
            &rcgen::PKCS_RSA_SHA256,
            &rcgen::PKCS_RSA_SHA384,
            &rcgen::PKCS_RSA_SHA512,
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let info = pair.subject_public_key_info();
            let key = Key::read(&info).unwrap();
            let method = match (key.kind, algorithm) {
                (Kind::P256, _) => Method::Ecdsa(Hash::Sha256),
                (Kind::P384, _) => Method::Ecdsa(Hash::Sha384),
                (Kind::Ed25519, _) => Method::Ed25519,
                (_, a) if a == &rcgen::PKCS_RSA_SHA256 => Method::Pkcs1(Hash::Sha256),
                (_, a) if a == &rcgen::PKCS_RSA_SHA384 => Method::Pkcs1(Hash::Sha384),
                _ => Method::Pkcs1(Hash::Sha512),
            };
            let message = b"a message";
            let digest = method.hash().map(|hash| hash.digest(message));
            let digest = digest.as_ref().map_or(&message[..], |digest| digest.as_bytes());
            let signature = pair.sign(message).unwrap();
            let before = checked();
            assert!(key.verify(method, digest, &signature), "{method:?}");
            assert!(key.verify_message(method, message, &signature), "{method:?}");
            assert_eq!(checked() - before, 2);
            assert!(!key.verify_message(method, b"another message", &signature), "{method:?}");
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut flipped = signature.clone();
                flipped[at] ^= 4;
                assert!(!key.verify(method, digest, &flipped), "{method:?}");
                assert!(!key.verify_message(method, message, &flipped), "{method:?}");
            }
            assert!(!key.verify_message(method, message, &[]), "{method:?}");
            // Not as another method: one key is not good for all.
            for other in [Method::Ed25519, Method::Ecdsa(Hash::Sha512), Method::Pss(Hash::Sha256)] {
                assert!(
                    other == method || !key.verify_message(other, message, &signature),
                    "{method:?} as {other:?}"
                );
            }
        }
    }

    #[test]
    fn keys_that_would_cost_too_much_are_refused_before_they_are_used() {
        let rsa = |modulus: usize, exponent: usize| {
            let integer = |len: usize| {
                let len = u16::try_from(len).unwrap().to_be_bytes();
                let mut der = vec![2, 0x82, len[0], len[1]];
                der.resize(4 + usize::from(u16::from_be_bytes(len)), 0x7f);
                der
            };
            let wrap = |tag: u8, content: &[u8]| {
                let len = u16::try_from(content.len()).unwrap().to_be_bytes();
                [&[tag, 0x82, len[0], len[1]], content].concat()
            };
            let key = wrap(0x30, &[integer(modulus), integer(exponent)].concat());
            let algorithm = wrap(0x30, alg_id::RSA_ENCRYPTION.as_ref());
            let info = wrap(0x30, &[algorithm, wrap(3, &[&[0][..], &key].concat())].concat());
            Key::read(&info).map(|_| ()).map_err(str::to_owned)
        };
        assert_eq!(rsa(256, 3), Ok(()));
        assert_eq!(rsa(512, 5), Ok(()));
        for (modulus, exponent) in [(255, 3), (513, 3), (2048, 3), (16_000, 3), (256, 6), (256, 256)] {
            assert!(rsa(modulus, exponent).unwrap_err().contains("2048 to 4096"), "{modulus} {exponent}");
        }
    }
}
