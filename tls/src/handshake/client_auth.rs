// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client certificates, as far as both versions treat them alike.

use super::Context;
use crate::config::{Chain, ClientCertificate, ClientVerifier, Environment, MAX_SCHEMES};
use crate::error::Error;
use crate::wire::Reader;
use ttls_crypto::hash::Algorithm;

/// The hash of a signature scheme that clients may use, by code point (RFC 8446 §4.2.3, RFC 5246 §7.4.1.4.1).
pub(super) const fn scheme_hash(scheme: u16) -> Option<Algorithm> {
    match scheme {
        0x0401 | 0x0403 | 0x0804 | 0x0809 => Some(Algorithm::Sha256),
        0x0501 | 0x0503 | 0x0805 | 0x080a => Some(Algorithm::Sha384),
        0x0601 | 0x0603 | 0x0806 | 0x080b => Some(Algorithm::Sha512),
        _ => None,
    }
}

/// PKCS#1 v1.5, which TLS 1.3 leaves to certificates.
pub(super) const fn is_pkcs1(scheme: u16) -> bool {
    matches!(scheme, 0x0401 | 0x0501 | 0x0601)
}

fn verifier<'a>(env: &'a mut Environment<'_>) -> Result<&'a mut dyn ClientVerifier, Error> {
    match &mut env.clients {
        Some(verifier) => Ok(&mut **verifier),
        None => Err(Error::Internal("the client verifier vanished from the configuration")),
    }
}

/// Schemes to ask for, if `allowed`.
pub(super) fn schemes<'a>(
    env: &'a Environment<'_>,
    allowed: impl Fn(u16) -> bool + 'a,
) -> impl Iterator<Item = u16> + 'a {
    let offered = env.clients.as_ref().map(|clients| clients.schemes()).unwrap_or_default();
    let offered = offered.iter().copied().take(MAX_SCHEMES);
    offered.filter(move |&scheme| scheme_hash(scheme).is_some() && allowed(scheme))
}

/// Judges the client's certificates. Returns whether there are any, so that a CertificateVerify must follow.
pub(super) fn verify_chain(cx: &mut Context<'_, '_, '_>, chain: Chain<'_>) -> Result<bool, Error> {
    if chain.entries().is_empty() {
        return match cx.env.policy.client_certificate {
            ClientCertificate::Required => Err(Error::CertificateRequired),
            _ => Ok(false),
        };
    }
    let now = cx.env.now;
    verifier(cx.env)?.verify_chain(chain, now).map_err(Error::ClientCertificate)?;
    Ok(true)
}

/// Verifies a CertificateVerify whose content, by the scheme's hash, has the digest that `digest` gives.
pub(super) fn verify_signature(
    cx: &mut Context<'_, '_, '_>,
    body: &[u8],
    allowed: impl Fn(u16) -> bool,
    digest: impl FnOnce(Algorithm) -> ttls_crypto::hash::Digest,
) -> Result<(), Error> {
    let mut r = Reader::new(body, "CertificateVerify");
    let scheme = r.u16()?;
    let signature = r.vec16()?.rest();
    r.finish()?;
    let hash = scheme_hash(scheme).filter(|_| schemes(cx.env, &allowed).any(|offered| offered == scheme));
    let hash = hash.ok_or(Error::Illegal("CertificateVerify uses a scheme that was not offered"))?;
    let digest = digest(hash);
    verifier(cx.env)?
        .verify_signature(scheme, digest.as_bytes(), signature)
        .map_err(|_| Error::BadProof("the client's CertificateVerify"))
}
