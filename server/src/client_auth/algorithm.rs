// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signature algorithms in the form that webpki wants.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::{Pkcs1v15Sign, Pss, PublicKey};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Sha256, Sha384, Sha512};
use ttls_crypto::hash::Algorithm as Hash;

/// Code points of what can be verified in handshakes (RFC 8446 §4.2.3), in order of preference, as [`IN_HANDSHAKES`].
pub(super) const SCHEMES: &[u16] = &[0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601];

/// Verify a message's digest, which webpki passes through as the message.
pub(super) const IN_HANDSHAKES: &[&dyn SignatureVerificationAlgorithm] = &[
    &Algorithm { kind: Kind::P256, hash: Hash::Sha256, digested: true },
    &Algorithm { kind: Kind::P384, hash: Hash::Sha384, digested: true },
    &Algorithm { kind: Kind::RsaPss, hash: Hash::Sha256, digested: true },
    &Algorithm { kind: Kind::RsaPss, hash: Hash::Sha384, digested: true },
    &Algorithm { kind: Kind::RsaPss, hash: Hash::Sha512, digested: true },
    &Algorithm { kind: Kind::RsaPkcs1, hash: Hash::Sha256, digested: true },
    &Algorithm { kind: Kind::RsaPkcs1, hash: Hash::Sha384, digested: true },
    &Algorithm { kind: Kind::RsaPkcs1, hash: Hash::Sha512, digested: true },
];

/// Verify certificates and revocation lists.
pub(super) const IN_CERTIFICATES: &[&dyn SignatureVerificationAlgorithm] = &[
    &Algorithm { kind: Kind::P256, hash: Hash::Sha256, digested: false },
    &Algorithm { kind: Kind::P256, hash: Hash::Sha384, digested: false },
    &Algorithm { kind: Kind::P384, hash: Hash::Sha256, digested: false },
    &Algorithm { kind: Kind::P384, hash: Hash::Sha384, digested: false },
    &Algorithm { kind: Kind::RsaPss, hash: Hash::Sha256, digested: false },
    &Algorithm { kind: Kind::RsaPss, hash: Hash::Sha384, digested: false },
    &Algorithm { kind: Kind::RsaPss, hash: Hash::Sha512, digested: false },
    &Algorithm { kind: Kind::RsaPkcs1, hash: Hash::Sha256, digested: false },
    &Algorithm { kind: Kind::RsaPkcs1, hash: Hash::Sha384, digested: false },
    &Algorithm { kind: Kind::RsaPkcs1, hash: Hash::Sha512, digested: false },
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    P256,
    P384,
    RsaPss,
    RsaPkcs1,
}

#[derive(Debug)]
struct Algorithm {
    kind: Kind,
    hash: Hash,
    /// The message is its own digest.
    digested: bool,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.digested {
            return self.verify(public_key, message, signature).ok_or(InvalidSignature);
        }
        let digest = self.hash.digest(message);
        self.verify(public_key, digest.as_bytes(), signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.kind {
            Kind::P256 => alg_id::ECDSA_P256,
            Kind::P384 => alg_id::ECDSA_P384,
            Kind::RsaPss | Kind::RsaPkcs1 => alg_id::RSA_ENCRYPTION,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match (self.kind, self.hash) {
            (Kind::P256 | Kind::P384, Hash::Sha256) => alg_id::ECDSA_SHA256,
            (Kind::P256 | Kind::P384, Hash::Sha384) => alg_id::ECDSA_SHA384,
            (Kind::P256 | Kind::P384, Hash::Sha512) => alg_id::ECDSA_SHA512,
            (Kind::RsaPss, Hash::Sha256) => alg_id::RSA_PSS_SHA256,
            (Kind::RsaPss, Hash::Sha384) => alg_id::RSA_PSS_SHA384,
            (Kind::RsaPss, Hash::Sha512) => alg_id::RSA_PSS_SHA512,
            (Kind::RsaPkcs1, Hash::Sha256) => alg_id::RSA_PKCS1_SHA256,
            (Kind::RsaPkcs1, Hash::Sha384) => alg_id::RSA_PKCS1_SHA384,
            (Kind::RsaPkcs1, Hash::Sha512) => alg_id::RSA_PKCS1_SHA512,
        }
    }
}

impl Algorithm {
    /// `Some` if the signature is good.
    fn verify(&self, public_key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
        match self.kind {
            Kind::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key).ok()?;
                let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
                key.verify_prehash(digest, &signature).ok()
            }
            Kind::P384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(public_key).ok()?;
                let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
                key.verify_prehash(digest, &signature).ok()
            }
            Kind::RsaPss => {
                let key = PublicKey::from_pkcs1_der(public_key).ok()?;
                match self.hash {
                    Hash::Sha256 => key.verify(Pss::<Sha256>::new(), digest, signature),
                    Hash::Sha384 => key.verify(Pss::<Sha384>::new(), digest, signature),
                    Hash::Sha512 => key.verify(Pss::<Sha512>::new(), digest, signature),
                }
                .ok()
            }
            Kind::RsaPkcs1 => {
                let key = PublicKey::from_pkcs1_der(public_key).ok()?;
                let padding = match self.hash {
                    Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                    Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                    Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                };
                key.verify(padding, digest, signature).ok()
            }
        }
    }
}
