// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client certificates, as far as both versions treat them alike.

use super::context::Context;
use crate::config::{Chain, ClientCertificate, ClientVerifier, Environment, MAX_SCHEMES};
use crate::error::Error;
use crate::inline::Inline;
use crate::suite::Version;
use crate::wire::{ClientHello, Reader, Writer};
use ttls_crypto::hash::{Algorithm, MAX_DIGEST};

/// What a CertificateVerify signs, as the verifier takes it: a digest, or the message itself. TLS 1.3's message is 64
/// spaces, a context of 33 bytes, a zero and the transcript's hash (RFC 8446 §4.4.3).
pub(super) type Content = Inline<{ 64 + 33 + 1 + MAX_DIGEST }>;

/// What a signature scheme signs, by code point (RFC 8446 §4.2.3, RFC 5246 §7.4.1.4.1); `None` for one that is not
/// known here.
const fn signed_by(scheme: u16) -> Option<Signed> {
    match scheme {
        0x0401 | 0x0403 | 0x0804 | 0x0809 => Some(Signed::Digest(Algorithm::Sha256)),
        0x0501 | 0x0503 | 0x0805 | 0x080a => Some(Signed::Digest(Algorithm::Sha384)),
        0x0601 | 0x0603 | 0x0806 | 0x080b => Some(Signed::Digest(Algorithm::Sha512)),
        ED25519 => Some(Signed::Message),
        _ => None,
    }
}

/// ed25519, which signs the message.
const ED25519: u16 = 0x0807;

/// What a scheme signs.
#[derive(Clone, Copy)]
pub(super) enum Signed {
    /// The digest of the message.
    Digest(Algorithm),
    /// The message.
    Message,
}

/// How a CertificateVerify is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// TLS 1.2. `text` says whether the verifier keeps the text of the handshake, and not only hashes of it are there.
    Tls12 { text: bool },
    /// TLS 1.3.
    Tls13,
}

impl Proof {
    const fn version(self) -> Version {
        match self {
            Self::Tls12 { .. } => Version::Tls12,
            Self::Tls13 => Version::Tls13,
        }
    }

    /// Whether a scheme may sign it. TLS 1.3 leaves PKCS#1 v1.5 to certificates.
    const fn allows(self, scheme: u16) -> bool {
        match self {
            Self::Tls12 { text } => text || scheme != ED25519,
            Self::Tls13 => !matches!(scheme, 0x0401 | 0x0501 | 0x0601),
        }
    }
}

/// Has the verifier keep the text of a handshake that begins with `hello`, if that may be of use. Whether it does.
pub(super) fn keep_text(env: &mut Environment<'_>, hello: &ClientHello<'_>, raw: &[u8]) -> bool {
    let Some(clients) = env.clients.as_deref_mut() else { return false };
    clients.schemes(Version::Tls12).contains(&ED25519)
        && hello.signature_algorithms.is_some_and(|known| known.contains(ED25519))
        && clients.keep(raw)
}

/// Has the verifier keep more of the text.
pub(super) fn keep_more(env: &mut Environment<'_>, text: &[u8]) {
    // Where there is no room, the signature will not verify.
    let _ = env.clients.as_deref_mut().is_some_and(|clients| clients.keep(text));
}

fn verifier<'a>(env: &'a mut Environment<'_>) -> Result<&'a mut dyn ClientVerifier, Error> {
    match &mut env.clients {
        Some(verifier) => Ok(&mut **verifier),
        None => Err(Error::Internal("the client verifier vanished from the configuration")),
    }
}

/// Of `schemes` those that the core knows, too.
fn known(schemes: &[u16]) -> impl Iterator<Item = u16> {
    schemes.iter().copied().take(MAX_SCHEMES).filter(|&scheme| signed_by(scheme).is_some())
}

/// Schemes that a CertificateVerify may use.
fn signing<'a>(env: &'a Environment<'_>, proof: Proof) -> impl Iterator<Item = u16> + 'a {
    let schemes = env.clients.as_ref().map(|clients| clients.schemes(proof.version())).unwrap_or_default();
    known(schemes).filter(move |&scheme| proof.allows(scheme))
}

/// Writes the schemes that a CertificateVerify may use, with the list's length.
///
/// # Errors
/// [`Error::Internal`] if the verifier knows none: the list can not be empty.
pub(super) fn write_schemes(env: &Environment<'_>, proof: Proof, out: &mut Writer<'_>) -> Result<(), Error> {
    let start = out.len();
    out.vec::<2>(|out| signing(env, proof).try_for_each(|scheme| out.u16(scheme)))?;
    match out.len() - start {
        0..=2 => Err(Error::Internal("the client verifier knows no signature scheme for this version")),
        _ => Ok(()),
    }
}

/// Writes the schemes that certificates may be signed with, with the list's length.
pub(super) fn write_certificate_schemes(env: &Environment<'_>, out: &mut Writer<'_>) -> Result<(), Error> {
    let schemes = env.clients.as_ref().map(|clients| clients.certificate_schemes()).unwrap_or_default();
    out.vec::<2>(|out| known(schemes).try_for_each(|scheme| out.u16(scheme)))
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

/// Verifies a CertificateVerify, whose content `content` gives as the scheme signs it; empty where the verifier has it.
pub(super) fn verify_signature(
    cx: &mut Context<'_, '_, '_>,
    body: &[u8],
    proof: Proof,
    content: impl FnOnce(Signed) -> Option<Content>,
) -> Result<(), Error> {
    let mut r = Reader::new(body, "CertificateVerify");
    let scheme = r.u16()?;
    let signature = r.vec16()?.rest();
    r.finish()?;
    let offered = signing(cx.env, proof).any(|offered| offered == scheme);
    let signed = signed_by(scheme).filter(|_| offered);
    let signed = signed.ok_or(Error::Illegal("CertificateVerify uses a scheme that was not offered"))?;
    let content = content(signed).ok_or(Error::Internal("a hash of the transcript that was not kept"))?;
    verifier(cx.env)?
        .verify_signature(proof.version(), scheme, content.as_bytes(), signature)
        .map_err(|_| Error::BadProof("the client's CertificateVerify"))
}
