// SPDX-License-Identifier: MIT OR Apache-2.0
//! A certificate that a client sent.

use super::refusal::Refusal;
use crate::x509::{Certificate, Extensions, Time, name_text};
use ttls::error::CertificateError;

/// A certificate that the client sent.
pub(super) struct Sent<'a> {
    pub(super) certificate: Certificate<'a>,
    pub(super) extensions: Extensions<'a>,
    /// Its place in the message, from 1.
    pub(super) position: usize,
}

impl Sent<'_> {
    /// Its place and subject, for the log.
    pub(super) fn name(&self) -> String {
        format!("certificate {} ({})", self.position, name_text(self.certificate.subject))
    }

    /// A refusal for a rule that this certificate breaks.
    pub(super) fn refuse(&self, reason: CertificateError, rule: &str) -> Refusal {
        Refusal::new(reason, format!("{}: {rule}", self.name()))
    }

    /// Whether names and key identifiers, where both have them, say that this one signed `other`.
    pub(super) fn may_have_signed(&self, other: &Self) -> bool {
        self.certificate.subject == other.certificate.issuer
            && agree(self.extensions.subject_key, other.extensions.authority_key)
    }

    /// Whether it is valid at `now`.
    pub(super) fn is_valid(&self, now: Time) -> bool {
        self.certificate.not_before.is_some_and(|time| time <= now)
            && self.certificate.not_after.is_some_and(|time| now <= time)
    }
}

/// Key identifiers tell two keys apart only where both are there.
pub(super) fn agree(subject: Option<&[u8]>, authority: Option<&[u8]>) -> bool {
    subject.is_none() || authority.is_none() || subject == authority
}
