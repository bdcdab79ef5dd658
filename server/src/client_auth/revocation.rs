// SPDX-License-Identifier: MIT OR Apache-2.0
//! Revocation lists (RFC 5280 §5).
//!
//! Where an authority has a list, its certificates have to be covered by one that is good: signed by the authority, which may sign lists,
//! and not out of date. Otherwise they are refused, as by OpenSSL. A list that has run out still revokes.

use super::algorithm::Key;
use crate::x509::{Malformed, Reader, Time, elements, name_text, tag};
use std::sync::OnceLock;
use ttls::error::CertificateError;
use ttls_crypto::hash::Digest;

/// Which certificates a list is about (issuingDistributionPoint, RFC 5280 §5.2.5).
#[derive(Default)]
struct Scope {
    only_users: bool,
    only_authorities: bool,
    /// The GeneralNames (tag, content) of which a certificate has to name one; none if it is about all.
    points: Vec<(u8, Vec<u8>)>,
}

/// A revocation list.
pub(super) struct List {
    der: Vec<u8>,
    issuer: Vec<u8>,
    this_update: Time,
    next_update: Option<Time>,
    /// Where the revoked certificates' serialNumbers lie in `der`, sorted by content.
    revoked: Vec<(u32, u32)>,
    scope: Scope,
    /// Where what is signed lies in `der`.
    signed: (u32, u32),
    /// AlgorithmIdentifier, the SEQUENCE's content.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// The SubjectPublicKeyInfo that was seen to have signed the list.
    signer: OnceLock<Vec<u8>>,
    /// What is signed, by the hash of the first method that was asked for.
    digest: OnceLock<Digest>,
}

/// Who signed a certificate, as far as revocation lists matter.
pub(super) struct Issuer<'a> {
    pub(super) public_key: &'a [u8],
    /// keyUsage allows cRLSign.
    pub(super) may_sign_lists: bool,
}

/// Which certificate is looked up.
pub(super) struct Subject<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) is_authority: bool,
    /// cRLDistributionPoints.
    pub(super) points: Option<&'a [u8]>,
}

impl List {
    /// Reads a list of version 1 or 2.
    ///
    /// # Errors
    /// Says what is not understood: a list that is half understood would let revoked clients in.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let malformed = |e: Malformed| format!("the revocation list {e}");
        Self::parse(der).map_err(malformed)?
    }

    fn parse(der: &[u8]) -> Result<Result<Self, String>, Malformed> {
        let range = |part: &[u8]| {
            let start = part.as_ptr().addr() - der.as_ptr().addr();
            match (u32::try_from(start), u32::try_from(start + part.len())) {
                (Ok(start), Ok(end)) => Ok((start, end)),
                _ => Err(Malformed("its end: it is longer than 4 GiB")),
            }
        };
        let mut list = Reader::new(der).nested(tag::SEQUENCE, "CertificateList")?;
        let (content, signed) = list.whole(tag::SEQUENCE, "tbsCertList")?;
        let algorithm = list.element(tag::SEQUENCE, "signatureAlgorithm")?;
        let signature = list.bits("signature")?;
        let mut tbs = Reader::new(content);
        if let Some(version) = tbs.optional(tag::INTEGER, "version")?
            && version != [1]
        {
            return Ok(Err("the revocation list is neither of version 1 nor of version 2".into()));
        }
        tbs.element(tag::SEQUENCE, "signature")?;
        let (_, issuer) = tbs.whole(tag::SEQUENCE, "issuer")?;
        let this_update = Time::read(&mut tbs, "thisUpdate")?;
        let has_time = tbs.next_is(tag::UTC_TIME) || tbs.next_is(tag::GENERALIZED_TIME);
        let next_update = has_time.then(|| Time::read(&mut tbs, "nextUpdate")).transpose()?;
        let mut revoked = Vec::new();
        let mut unsupported = None;
        if let Some(entries) = tbs.optional(tag::SEQUENCE, "revokedCertificates")? {
            let mut entries = Reader::new(entries);
            while !entries.is_empty() {
                let mut entry = entries.nested(tag::SEQUENCE, "revokedCertificates")?;
                revoked.push(range(entry.element(tag::INTEGER, "userCertificate")?)?);
                Time::read(&mut entry, "revocationDate")?;
                if let Some(extensions) = entry.optional(tag::SEQUENCE, "crlEntryExtensions")? {
                    // Reason and invalidity date change nothing; a certificate of another issuer would (RFC 5280 §5.3.3).
                    for (critical, number, _) in extensions_of(extensions)? {
                        if critical && !matches!(number, Some(21 | 24)) {
                            unsupported = Some("an entry with a critical extension that is not supported");
                        }
                    }
                }
            }
        }
        let mut scope = Scope::default();
        if let Some(extensions) = tbs.optional(tag::constructed(0), "crlExtensions")? {
            let extensions = Reader::new(extensions).element(tag::SEQUENCE, "crlExtensions")?;
            for (critical, number, value) in extensions_of(extensions)? {
                match number {
                    // issuingDistributionPoint
                    Some(28) => match read_scope(value)? {
                        Ok(found) => scope = found,
                        Err(what) => unsupported = Some(what),
                    },
                    // deltaCRLIndicator
                    Some(27) => unsupported = Some("a delta of another list: give the complete one"),
                    // cRLNumber, authorityKeyIdentifier
                    Some(20 | 35) => {}
                    _ if critical => unsupported = Some("a critical extension that is not supported"),
                    _ => {}
                }
            }
        }
        if !tbs.is_empty() {
            return Err(Malformed("tbsCertList"));
        }
        if let Some(what) = unsupported {
            return Ok(Err(format!("the revocation list of {} is or has {what}", name_text(issuer))));
        }
        let mut list = Self {
            issuer: issuer.to_vec(),
            this_update,
            next_update,
            revoked: Vec::new(),
            scope,
            signed: range(signed)?,
            algorithm: algorithm.to_vec(),
            signature: signature.to_vec(),
            signer: OnceLock::new(),
            digest: OnceLock::new(),
            der: der.to_vec(),
        };
        list.revoked = revoked;
        let Self { der, revoked, .. } = &mut list;
        let serial =
            |&(start, end): &(u32, u32)| number(der.get(start as usize..end as usize).unwrap_or_default());
        revoked.sort_unstable_by(|a, b| serial(a).cmp(serial(b)));
        Ok(Ok(list))
    }

    fn part(&self, (start, end): (u32, u32)) -> &[u8] {
        self.der.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Who issued it.
    pub(super) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    fn contains(&self, serial: &[u8]) -> bool {
        self.revoked.binary_search_by(|&range| number(self.part(range)).cmp(number(serial))).is_ok()
    }

    /// Whether it is signed by this key. At most one signature is checked, and none once it was good.
    pub(super) fn is_signed_by(&self, public_key: &[u8]) -> bool {
        if self.signer.get().is_some_and(|signer| signer == public_key) {
            return true;
        }
        let Ok(key) = Key::read(public_key) else { return false };
        let Some(method) = key.method_by_id(&self.algorithm) else { return false };
        let signed = self.part(self.signed);
        let good = match method.hash() {
            Some(hash) => {
                let digest = self.digest.get_or_init(|| hash.digest(signed));
                key.verify(method, digest.as_bytes(), &self.signature)
            }
            None => key.verify(method, signed, &self.signature),
        };
        if good {
            let _ = self.signer.set(public_key.to_vec());
        }
        good
    }

    /// Why it does not vouch at `now`.
    pub(super) fn validity(&self, now: Time) -> Result<(), String> {
        match self.next_update {
            _ if now < self.this_update => Err(format!("it is not valid before {}", self.this_update)),
            Some(next) if next < now => Err(format!("it ran out at {next}")),
            _ => Ok(()),
        }
    }

    /// Why it says nothing about a certificate.
    fn covers(&self, subject: &Subject<'_>) -> Result<(), String> {
        let Scope { only_users, only_authorities, points } = &self.scope;
        if (*only_users && subject.is_authority) || (*only_authorities && !subject.is_authority) {
            return Err("it is about certificates of another kind".into());
        }
        if points.is_empty() {
            return Ok(());
        }
        // DistributionPoint: [0] distributionPoint, which holds [0] fullName (RFC 5280 §4.2.1.13).
        let named = elements(subject.points.unwrap_or_default()).any(|(_, point)| {
            elements(point).filter(|&(tag, _)| tag == tag::constructed(0)).any(|(_, name)| {
                elements(name).filter(|&(tag, _)| tag == tag::constructed(0)).any(|(_, names)| {
                    elements(names)
                        .any(|(tag, content)| points.iter().any(|(t, c)| *t == tag && c == content))
                })
            })
        });
        if named { Ok(()) } else { Err("it is about other distribution points".into()) }
    }
}

/// A serialNumber without the zeros that not everybody writes: two that look alike are taken for the same.
fn number(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|&&byte| byte == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

/// Extensions: whether critical, the number under id-ce (2.5.29), the value.
#[allow(clippy::type_complexity)]
fn extensions_of(content: &[u8]) -> Result<Vec<(bool, Option<u8>, &[u8])>, Malformed> {
    let mut extensions = Reader::new(content);
    let mut found = Vec::new();
    while !extensions.is_empty() {
        let mut extension = extensions.nested(tag::SEQUENCE, "extension")?;
        let id = extension.element(tag::OID, "extension")?;
        let critical = extension.flag(tag::BOOLEAN, "critical")?;
        let number = match *id {
            [0x55, 0x1d, number] => Some(number),
            _ => None,
        };
        found.push((critical, number, extension.element(tag::OCTET_STRING, "extension")?));
    }
    Ok(found)
}

/// IssuingDistributionPoint (RFC 5280 §5.2.5), or what of it is not supported.
fn read_scope(value: &[u8]) -> Result<Result<Scope, &'static str>, Malformed> {
    const FIELD: &str = "issuingDistributionPoint";
    let mut reader = Reader::new(value).nested(tag::SEQUENCE, FIELD)?;
    let mut scope = Scope::default();
    if let Some(name) = reader.optional(tag::constructed(0), FIELD)? {
        let Some(names) = Reader::new(name).optional(tag::constructed(0), FIELD)? else {
            return Ok(Err("a distribution point named relative to its issuer"));
        };
        scope.points = elements(names).map(|(tag, content)| (tag, content.to_vec())).collect();
    }
    scope.only_users = reader.flag(tag::primitive(1), FIELD)?;
    scope.only_authorities = reader.flag(tag::primitive(2), FIELD)?;
    if reader.optional(tag::primitive(3), FIELD)?.is_some() {
        return Ok(Err("limited to some reasons for revocation"));
    }
    if reader.flag(tag::primitive(4), FIELD)? {
        return Ok(Err("indirect: about certificates of other issuers"));
    }
    if reader.flag(tag::primitive(5), FIELD)? {
        return Ok(Err("about attribute certificates only"));
    }
    Ok(Ok(scope))
}

/// Judges a certificate by the lists of its issuer. Without any, it is accepted.
pub(super) fn check(
    lists: &[List],
    subject: &Subject<'_>,
    issuer: &Issuer<'_>,
    now: Time,
) -> Result<(), (CertificateError, String)> {
    let mut why = None;
    let mut vouched = false;
    for list in lists.iter().filter(|list| list.issuer == subject.issuer) {
        let doubt = if !issuer.may_sign_lists {
            Err("the issuer's keyUsage lacks cRLSign".into())
        } else if !list.is_signed_by(issuer.public_key) {
            Err("it is not signed by the issuer".into())
        } else if let Err(doubt) = list.covers(subject) {
            Err(doubt)
        } else if list.contains(subject.serial) {
            return Err((CertificateError::Revoked, "it is revoked".into()));
        } else {
            list.validity(now)
        };
        match doubt {
            Ok(()) => vouched = true,
            Err(doubt) => why = Some(doubt),
        }
    }
    match why {
        Some(why) if !vouched => {
            let issuer = name_text(subject.issuer);
            Err((CertificateError::NotAcceptable, format!("no good revocation list of {issuer}: {why}")))
        }
        _ => Ok(()),
    }
}
