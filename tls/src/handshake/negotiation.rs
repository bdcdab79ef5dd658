// SPDX-License-Identifier: MIT OR Apache-2.0
//! ClientHello: what both versions negotiate the same way.

use super::context::{Context, Link};
use super::session::Session;
use crate::admission::Request;
use crate::config::{
    CertificateId, CertificateSet, ClientCertificate, Environment, Policy, Protocol, ServerName, UnknownName,
};
use crate::error::Error;
use crate::fingerprint::Ja4;
use crate::record::{MAX_PLAINTEXT, MIN_SIZE_LIMIT};
use crate::suite::{KeyKind, Scheme, Suite, Version, scheme_code};
use crate::wire::codes::{self, message};
use crate::wire::{ClientHello, Message, U16List};
use ttls_crypto::aead;
use ttls_crypto::hash::Algorithm::{Sha256, Sha384, Sha512};

/// A ClientHello with what was decided before the versions part.
pub(super) struct Offer<'m> {
    /// The version that was chosen.
    pub(super) version: Version,
    pub(super) hello: ClientHello<'m>,
    /// The whole message.
    pub(super) raw: &'m [u8],
    /// What server_name asks for, if it is a DNS host name.
    pub(super) server_name: Option<ServerName>,
    pub(super) alpn: Option<Protocol>,
    pub(super) fingerprint: Option<Ja4>,
}

impl<'m> Offer<'m> {
    /// Reads a ClientHello: the first, or the one that answers a HelloRetryRequest.
    pub(super) fn read(cx: &mut Context<'_, '_, '_>, m: Message<'m>) -> Result<Self, Error> {
        let body = m.expect_last(message::CLIENT_HELLO, "a ClientHello")?;
        let hello = ClientHello::parse(body)?;
        cx.link.client_random = *hello.random;
        if let Some(admission) = cx.env.admission.as_deref_mut() {
            admission.offered(&hello);
        }
        let version = choose_version(&hello, cx.env.policy)?;
        let server_name = hello.server_name.and_then(ServerName::new);
        let alpn = choose_alpn(&hello, cx.env.policy)?;
        let fingerprint = cx.env.policy.fingerprint.then(|| Ja4::of(&hello));
        Ok(Self { version, hello, raw: m.raw, server_name, alpn, fingerprint })
    }

    /// The session of a full handshake with this suite.
    pub(super) fn session(&self, suite: Suite) -> Session {
        Session {
            version: suite.version(),
            suite,
            group: None,
            resumed: false,
            client_authenticated: false,
            server_name: self.server_name.clone(),
            alpn: self.alpn,
            fingerprint: self.fingerprint,
        }
    }

    /// Asks whether the connection may spend CPU time: the last check before public-key work or keys.
    pub(super) fn admit(&self, env: &mut Environment<'_>, resumed: bool) -> Result<(), Error> {
        let Some(admission) = env.admission.as_deref_mut() else { return Ok(()) };
        let request = Request {
            server_name: self.server_name.as_ref().map(ServerName::as_str),
            resumed,
            fingerprint: self.fingerprint,
        };
        if admission.admit(&request) { Ok(()) } else { Err(Error::NotAdmitted) }
    }
}

/// RFC 8446 §4.2.1, and the fallback check of RFC 7507.
fn choose_version(hello: &ClientHello<'_>, policy: &Policy) -> Result<Version, Error> {
    // RFC 8446 §D.5.
    if hello.legacy_version <= codes::SSL3 {
        return Err(Error::NoCommonVersion);
    }
    let offers = |version: Version| match hello.versions {
        Some(versions) => versions.contains(version.code()),
        None => version == Version::Tls12 && hello.legacy_version >= codes::TLS12,
    };
    let chosen = [Version::Tls13, Version::Tls12]
        .into_iter()
        .find(|&version| policy.allows(version) && offers(version))
        .ok_or(Error::NoCommonVersion)?;
    if chosen == Version::Tls12 && policy.tls13 && hello.suites.contains(codes::FALLBACK_SCSV) {
        return Err(Error::InappropriateFallback);
    }
    Ok(chosen)
}

/// RFC 7301 §3.2, by the server's preference.
fn choose_alpn(hello: &ClientHello<'_>, policy: &Policy) -> Result<Option<Protocol>, Error> {
    if policy.alpn.is_empty() {
        return Ok(None);
    }
    let Some(offered) = &hello.alpn else {
        return if policy.alpn_required { Err(Error::NoCommonAlpn) } else { Ok(None) };
    };
    let chosen = policy.alpn.iter().find(|ours| {
        let mut names = offered.clone();
        core::iter::from_fn(|| names.vec8().ok()).any(|name| name.rest() == ours.as_bytes())
    });
    chosen.ok_or(Error::NoCommonAlpn).map(Some)
}

/// Allowed suites that the client offers, most preferred first: by the server's order, except that a client
/// whose first choice is ChaCha20-Poly1305 gets it, or by the client's.
pub(super) fn acceptable_suites<'a>(
    policy: &'a Policy,
    offered: U16List<'a>,
    version: Version,
) -> impl Iterator<Item = Suite> + Clone + 'a {
    let known = move |code| Suite::from_code(code).filter(|suite| suite.version() == version);
    let allowed = move |suite: &Suite| policy.suites.iter().any(|s| s == *suite);
    let wants_chacha =
        offered.iter().find_map(known).is_some_and(|first| first.aead() == aead::Algorithm::ChaCha20Poly1305);
    let by_client = policy.client_order || wants_chacha;
    let first = offered.iter().filter_map(known).filter(allowed).filter(move |_| by_client);
    let second = policy
        .suites
        .iter()
        .filter(move |suite| !by_client && suite.version() == version && offered.contains(suite.code()));
    first.chain(second)
}

/// The certificates for the name the client asks for (RFC 6066 §3): the exact name, then a wildcard, then
/// the default. What is no host name, as an address or a name with a port, is a name that is not known. The flag tells
/// whether the name was known, so that it is acknowledged.
///
/// # Errors
/// [`Error::UnknownName`] where unknown names are refused: a ticket does not help, as it may be for a name that is gone.
pub(super) fn certificates_for(
    env: &Environment<'_>,
    offer: &Offer<'_>,
) -> Result<(CertificateSet, bool), Error> {
    let known = offer.server_name.as_ref().and_then(|name| {
        let by_wildcard = || env.credentials.by_name(name.wildcard()?.as_bytes());
        env.credentials.by_name(name.as_bytes()).or_else(by_wildcard)
    });
    match known {
        Some(set) => Ok((set, true)),
        None if offer.hello.server_name.is_some() && env.policy.unknown_name == UnknownName::Refuse => {
            Err(Error::UnknownName)
        }
        None => Ok((env.credentials.default_set(), false)),
    }
}

/// A certificate and how its key will sign.
#[derive(Clone, Copy)]
pub(super) struct Signer {
    pub(super) certificate: CertificateId,
    pub(super) scheme: Scheme,
}

/// The signer of this kind, if there is a certificate and the client can verify its signature.
/// PKCS#1 v1.5 is for TLS 1.2 only (RFC 8446 §4.2.3).
pub(super) fn signer(
    set: CertificateSet,
    kind: KeyKind,
    version: Version,
    verifiable: U16List<'_>,
) -> Option<Signer> {
    const ECDSA: [Scheme; 1] = [Scheme::EcdsaP256Sha256];
    const RSA: [Scheme; 6] = [
        Scheme::RsaPss(Sha256),
        Scheme::RsaPss(Sha384),
        Scheme::RsaPss(Sha512),
        Scheme::RsaPkcs1(Sha256),
        Scheme::RsaPkcs1(Sha384),
        Scheme::RsaPkcs1(Sha512),
    ];
    let (certificate, schemes): (_, &[Scheme]) = match kind {
        KeyKind::EcdsaP256 => (set.ecdsa?, &ECDSA),
        KeyKind::Rsa => (set.rsa?, &RSA),
    };
    let allowed = |scheme: &Scheme| version == Version::Tls12 || !matches!(scheme, Scheme::RsaPkcs1(_));
    let scheme = *schemes.iter().filter(|s| allowed(s)).find(|s| verifiable.contains(scheme_code(**s)))?;
    Some(Signer { certificate, scheme })
}

/// How record sizes are limited, and which extension says so.
#[derive(Clone, Copy)]
pub(super) enum RecordLimit {
    None,
    /// record_size_limit (RFC 8449).
    Size,
    /// max_fragment_length (RFC 6066 §4): the code is echoed.
    Fragment(u8),
}

/// Applies the client's limit on record sizes, and returns what the server answers. record_size_limit wins
/// where both are offered (RFC 8449 §5); it limits what the server sends, max_fragment_length both directions.
pub(super) fn limit_records(
    link: &mut Link,
    hello: &ClientHello<'_>,
    version: Version,
) -> Result<RecordLimit, Error> {
    if let Some(limit) = hello.record_size_limit {
        if limit < MIN_SIZE_LIMIT {
            return Err(Error::Illegal("record_size_limit is below 64"));
        }
        // In TLS 1.3 the limit counts the content type.
        let content = usize::from(limit) - usize::from(version == Version::Tls13);
        link.limit = content.min(MAX_PLAINTEXT);
        return Ok(RecordLimit::Size);
    }
    match hello.max_fragment_length {
        None => Ok(RecordLimit::None),
        Some(code @ 1..=4) => {
            link.limit = 256 << code;
            link.opener.set_limit(link.limit);
            Ok(RecordLimit::Fragment(code))
        }
        Some(_) => Err(Error::Illegal("max_fragment_length is not 1 to 4")),
    }
}

/// Whether this handshake asks for the client's certificate. With client certificates there are no
/// tickets: a resumed session would outlive the certificate's revocation.
pub(super) fn asks_for_certificate(env: &Environment<'_>) -> bool {
    env.policy.client_certificate != ClientCertificate::None && env.clients.is_some()
}
