// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a client's certificate to an authority: one path, found by names alone.
//!
//! A stranger chooses what is sent, so everything here is bounded before it is looked at: the number of certificates and their
//! bytes before they are parsed, the path by its length, authorities by their number. Signatures play no part in the search, as in
//! OpenSSL: where several certificates have the issuer's name, the key identifiers, and then the dates, choose.

use super::authority::Authority;
use super::refusal::Refusal;
use super::sent::Sent;
use crate::x509::{Certificate, Extensions, MAX_NAME, Malformed, Time, name_text};
use ttls::config::Chain;
use ttls::error::CertificateError;

/// Most certificates that a client may send.
pub const MAX_CERTIFICATES: usize = 10;
/// Most bytes of them together.
pub const MAX_BYTES: usize = 16 << 10;
/// Most intermediate authorities on the way to one in `ca_file`.
pub const MAX_INTERMEDIATES: usize = 5;
/// Most authorities of one name whose keys are tried.
pub const MAX_AUTHORITIES: usize = 2;

/// Reads what a client sent, leaf first.
pub(super) fn read(chain: Chain<'_>) -> Result<Vec<Sent<'_>>, Refusal> {
    let (count, bytes) = chain.certificates().fold((0, 0), |(n, bytes), der| (n + 1, bytes + der.len()));
    if count > MAX_CERTIFICATES || bytes > MAX_BYTES {
        let rule = format!(
            "{count} certificates of {bytes} bytes: at most {MAX_CERTIFICATES} of {MAX_BYTES} are looked at"
        );
        return Err(Refusal::new(CertificateError::NotAcceptable, rule));
    }
    let certificates = chain.certificates().zip(1..).map(|(der, position)| {
        let bad = |e| Refusal::new(CertificateError::Bad, format!("certificate {position}: {e}"));
        let certificate = Certificate::read(der).map_err(bad)?;
        if certificate.trailing > 0 {
            return Err(bad(Malformed("its end: there are bytes behind it")));
        }
        if certificate.subject.len().max(certificate.issuer.len()) > MAX_NAME {
            let rule = format!("certificate {position}: it has a name of more than {MAX_NAME} bytes");
            return Err(Refusal::new(CertificateError::NotAcceptable, rule));
        }
        let sent = |extensions| Sent { certificate, extensions, position };
        match certificate.extensions() {
            Ok(extensions) => Ok(sent(extensions)),
            Err(e) => Err(sent(Extensions::default()).refuse(CertificateError::Bad, &e.to_string())),
        }
    });
    certificates.collect()
}

/// The way from the client's certificate to authorities, one of which should have signed the last on it.
pub(super) struct Route<'a, 't> {
    /// The client's own first.
    pub(super) certificates: Vec<Sent<'a>>,
    /// At least one, the most promising first. If the only certificate is listed itself, it alone.
    pub(super) authorities: Vec<&'t Authority>,
    /// The client's certificate is in `ca_file` itself: no signature matters.
    pub(super) is_listed: bool,
}

impl<'a, 't> Route<'a, 't> {
    /// Finds the way, at `now`.
    pub(super) fn find(
        mut sent: Vec<Sent<'a>>,
        authorities: &'t [Authority],
        now: Time,
    ) -> Result<Self, Refusal> {
        if sent.is_empty() {
            return Err(Refusal::new(CertificateError::Bad, "no certificate"));
        }
        let mut top = sent.remove(0);
        if let Some(listed) = authorities.iter().find(|authority| authority.der() == top.certificate.der) {
            return Ok(Self { certificates: vec![top], authorities: vec![listed], is_listed: true });
        }
        let mut certificates = Vec::with_capacity(1 + MAX_INTERMEDIATES);
        loop {
            let mut found: Vec<&Authority> = Vec::new();
            for authority in authorities.iter().filter(|authority| authority.may_have_signed(&top)) {
                // A file may hold a certificate twice.
                if !found.iter().any(|known| known.der() == authority.der()) {
                    found.push(authority);
                }
            }
            found.sort_by_key(|authority| !authority.is_valid(now));
            found.truncate(MAX_AUTHORITIES);
            if !found.is_empty() {
                certificates.push(top);
                return Ok(Self { certificates, authorities: found, is_listed: false });
            }
            let unknown = |why: &str| {
                let issuer = name_text(top.certificate.issuer);
                Err(top.refuse(CertificateError::UnknownAuthority, &format!("its issuer, {issuer}, {why}")))
            };
            if certificates.len() == MAX_INTERMEDIATES {
                return unknown("would be one intermediate authority more than are followed");
            }
            // No name twice on a path: each step has one way on, also for those who search it again.
            let fits = |next: &Sent<'_>| {
                next.may_have_signed(&top)
                    && next.certificate.subject != top.certificate.subject
                    && certificates
                        .iter()
                        .skip(1)
                        .all(|c: &Sent<'_>| c.certificate.subject != next.certificate.subject)
            };
            let candidates = sent.iter().enumerate().filter(|(_, next)| fits(next));
            let next = candidates.min_by_key(|(_, next)| !next.is_valid(now)).map(|(i, _)| i);
            let Some(next) = next else { return unknown("is neither in ca_file nor was it sent") };
            certificates.push(std::mem::replace(&mut top, sent.remove(next)));
        }
    }
}
