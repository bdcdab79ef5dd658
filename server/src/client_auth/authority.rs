// SPDX-License-Identifier: MIT OR Apache-2.0
//! A certificate in `ca_file`.

use super::algorithm::Key;
use super::refusal::Refusal;
use super::sent::{Sent, agree};
use crate::x509::{BasicConstraints, Certificate, Malformed, Reader, Time, key_usage, name_text, tag};
use rustls_pki_types::{Der, TrustAnchor};
use ttls::error::CertificateError;

/// A certificate in `ca_file`: an authority, or a client's own certificate.
pub(super) struct Authority {
    der: Vec<u8>,
    anchor: TrustAnchor<'static>,
    /// A whole element, as is `public_key`.
    subject: Vec<u8>,
    public_key: Vec<u8>,
    subject_key: Option<Vec<u8>>,
    not_before: Option<Time>,
    not_after: Option<Time>,
    /// `None` if it is no authority.
    constraints: Option<BasicConstraints>,
    key_usage: Option<u16>,
    allows_clients: bool,
}

impl Authority {
    /// Reads a certificate.
    pub(super) fn read(der: &[u8]) -> Result<Self, Malformed> {
        let certificate = Certificate::read(der)?;
        let extensions = certificate.extensions()?;
        let content = |whole, field| Reader::new(whole).element(tag::SEQUENCE, field).map(Der::from);
        let names = extensions.name_constraints.map(|value| content(value, "nameConstraints")).transpose()?;
        let anchor = TrustAnchor {
            subject: content(certificate.subject, "subject")?,
            subject_public_key_info: content(certificate.public_key, "subjectPublicKeyInfo")?,
            name_constraints: names,
        };
        // Before version 3 nothing said who is an authority: those that signed themselves are, as in OpenSSL.
        let old = certificate.version < 3 && certificate.is_self_issued();
        let constraints = extensions.basic_constraints.filter(|constraints| constraints.ca);
        Ok(Self {
            der: certificate.der.to_vec(),
            anchor: anchor.to_owned(),
            subject: certificate.subject.to_vec(),
            public_key: certificate.public_key.to_vec(),
            subject_key: extensions.subject_key.map(<[u8]>::to_vec),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            constraints: constraints.or(old.then(BasicConstraints::default)),
            key_usage: extensions.key_usage,
            allows_clients: extensions.allows_clients(),
        })
    }

    /// All of it.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// In webpki's form.
    pub(super) const fn anchor(&self) -> &TrustAnchor<'static> {
        &self.anchor
    }

    /// Its name.
    pub(super) fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// Its SubjectPublicKeyInfo.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether keyUsage, if there is one, has these bits.
    pub(super) fn allows(&self, usage: u16) -> bool {
        self.key_usage.is_none_or(|bits| bits & usage == usage)
    }

    /// Whether names and key identifiers, where both have them, say that this one signed `sent`.
    pub(super) fn may_have_signed(&self, sent: &Sent<'_>) -> bool {
        self.subject == sent.certificate.issuer
            && agree(self.subject_key.as_deref(), sent.extensions.authority_key)
    }

    /// Whether it is valid at `now`.
    pub(super) fn is_valid(&self, now: Time) -> bool {
        validity(self.not_before, self.not_after, now).is_ok()
    }

    /// Why no client with `intermediates` authorities in between can be accepted in its name at `now`, as OpenSSL would not.
    pub(super) fn judge(&self, intermediates: usize, now: Time) -> Result<(), Refusal> {
        let refuse = |reason, rule: &str| {
            Err(Refusal::new(reason, format!("authority {} in ca_file: {rule}", name_text(&self.subject))))
        };
        if let Err(rule) = validity(self.not_before, self.not_after, now) {
            return refuse(CertificateError::Expired, &rule);
        }
        let Some(constraints) = self.constraints else {
            return refuse(
                CertificateError::NotAcceptable,
                "it is no authority (CA:TRUE): only itself is accepted",
            );
        };
        if !self.allows(key_usage::KEY_CERT_SIGN) {
            return refuse(CertificateError::NotAcceptable, "its keyUsage lacks keyCertSign");
        }
        if !self.allows_clients {
            return refuse(CertificateError::NotAcceptable, "its extendedKeyUsage lacks clientAuth");
        }
        if let Some(most) = constraints.path_len.filter(|&most| intermediates > most) {
            let rule =
                format!("its pathLenConstraint allows {most} intermediate authorities, not {intermediates}");
            return refuse(CertificateError::NotAcceptable, &rule);
        }
        match Key::read(&self.public_key) {
            Ok(_) => Ok(()),
            Err(rule) => refuse(CertificateError::Unsupported, rule),
        }
    }

    /// What to warn of when it is loaded.
    pub(super) fn doubt(&self, now: Time) -> Option<String> {
        let is_listed_client = self.constraints.is_none();
        self.judge(0, now)
            .err()
            .filter(|_| !is_listed_client || !self.is_valid(now))
            .map(|refusal| format!("{}: its clients are refused", refusal.text))
    }
}

/// Why a certificate with these dates is not valid at `now`.
pub(super) fn validity(not_before: Option<Time>, not_after: Option<Time>, now: Time) -> Result<(), String> {
    match (not_before, not_after) {
        (Some(from), _) if now < from => Err(format!("it is not valid before {from}")),
        (_, Some(to)) if to < now => Err(format!("it expired at {to}")),
        (Some(_), Some(_)) => Ok(()),
        _ => Err("its dates can not be read".into()),
    }
}
