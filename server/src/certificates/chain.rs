// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificates that a server shows: what has to be right about them, and what is worth a warning.
//!
//! They are for clients to judge, so they are read leniently and served as they are: a certificate that some other server serves
//! is no reason not to start.

use crate::config::values::NamePattern;
use crate::pem::{self, Block};
use crate::x509::{Certificate, Time, name_text, tag};
use ttls_crypto::sign::SigningKey;
use x509_cert::der::Decode;

/// `ttls check` warns of certificates that end within so many days.
const EXPIRY_WARNING_DAYS: i64 = 14;

/// The certificates of one file, each with its line.
pub(super) struct Presented<'a> {
    leaf: (Certificate<'a>, usize),
    /// The leaf's issuer, and so on.
    issuers: Vec<(Certificate<'a>, usize)>,
}

/// A certificate in a PEM block, or `None` if it is something else. OpenSSL writes what it trusts a certificate for behind it
/// (`TRUSTED CERTIFICATE`).
pub(crate) fn certificate(block: &Block) -> Option<Result<Certificate<'_>, pem::Error>> {
    let is_certificate =
        matches!(block.label.as_str(), "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE");
    let read = || {
        Certificate::read(&block.der).map_err(|e| pem::Error::new(block.line, format!("the certificate {e}")))
    };
    is_certificate.then(read)
}

impl<'a> Presented<'a> {
    /// Takes the certificates out of a file, which may hold the private key, too.
    ///
    /// # Errors
    /// There is none, or something else.
    pub(super) fn read(
        blocks: &'a [Block],
        with_key: bool,
        doubts: &mut Vec<String>,
    ) -> Result<Self, pem::Error> {
        let mut certificates = Vec::new();
        for block in blocks {
            if let Some(certificate) = certificate(block) {
                let certificate = certificate?;
                if certificate.trailing > 0 && block.label != "TRUSTED CERTIFICATE" {
                    let bytes = certificate.trailing;
                    doubts
                        .push(format!(":{}: {bytes} bytes behind the certificate are left out", block.line));
                }
                certificates.push((certificate, block.line));
                continue;
            }
            match block.label.as_str() {
                "EC PARAMETERS" => {}
                label if label.ends_with("PRIVATE KEY") && with_key => {}
                label if label.ends_with("PRIVATE KEY") => doubts.push(format!(
                    ":{}: a private key, which is not used: `key` names another file",
                    block.line
                )),
                "DH PARAMETERS" | "X9.42 DH PARAMETERS" => {
                    doubts.push(format!(":{}: parameters for DHE, which does not exist here", block.line));
                }
                label => {
                    let what = format!("a block of `{label}` where certificates are expected");
                    return Err(pem::Error::new(block.line, what));
                }
            }
        }
        let mut certificates = certificates.into_iter();
        let Some(leaf) = certificates.next() else {
            let keys = blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY"));
            let but = if keys { ", but a private key: are `chain` and `key` swapped?" } else { "" };
            return Err(pem::Error::new(0, format!("has no certificate in PEM{but}")));
        };
        Ok(Self { leaf, issuers: certificates.collect() })
    }

    /// The server's own certificate.
    pub(super) const fn leaf(&self) -> &Certificate<'a> {
        &self.leaf.0
    }

    /// All of them, leaf first.
    fn all(&self) -> impl Iterator<Item = &(Certificate<'a>, usize)> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }

    /// In DER, leaf first.
    pub(super) fn certificates(&self) -> Vec<&'a [u8]> {
        self.all().map(|(certificate, _)| certificate.der).collect()
    }

    /// The key has to be that of the first certificate. The error goes on from "… the certificate in FILE".
    pub(super) fn must_belong_to(&self, key: &SigningKey) -> Result<(), String> {
        let of_key = |certificate: &Certificate<'_>| key.matches_public_key(certificate.public_key);
        if of_key(self.leaf()) {
            return Ok(());
        }
        match self.issuers.iter().find(|(certificate, _)| of_key(certificate)) {
            Some((_, line)) => Err(format!(
                ":{}, but to the one in line {line}: the server's own certificate has to come first, then its issuer, and so on",
                self.leaf.1
            )),
            None => Err(String::new()),
        }
    }

    /// The names that the certificate is for.
    pub(super) fn names(&self, doubts: &mut Vec<String>) -> Vec<String> {
        let extensions = self.leaf().extensions().unwrap_or_default();
        let mut names = Vec::new();
        for (_, name) in extensions.alternative_names().filter(|&(tag, _)| tag == tag::primitive(2)) {
            let name = String::from_utf8_lossy(name);
            match name.strip_suffix('.').unwrap_or(&name).parse::<NamePattern>() {
                Ok(NamePattern(name)) => names.push(name),
                Err(_) => doubts.push(format!(
                    ": no client can ask for the certificate's name `{}`",
                    name.escape_default()
                )),
            }
        }
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            doubts.push(
                ": the certificate has no DNS name: only clients without a known name can get it".into(),
            );
        }
        names
    }

    /// What works but may not be meant, at `now`.
    pub(super) fn doubts(&self, now: Time, doubts: &mut Vec<String>) {
        for (place, (certificate, line)) in self.all().enumerate() {
            let whose = if place == 0 { "the certificate" } else { "the issuer's certificate" };
            let mut doubt = |what: String| doubts.push(format!(":{line}: {whose} {what}"));
            match (certificate.not_before, certificate.not_after) {
                (_, Some(to)) if to < now => doubt(format!("expired at {to}")),
                (Some(from), _) if now < from => doubt(format!("is not valid before {from}")),
                (Some(_), Some(to)) if (to.0 - now.0) / 86_400 < EXPIRY_WARNING_DAYS => {
                    doubt(format!("expires in {} days", (to.0 - now.0) / 86_400));
                }
                (Some(_), Some(_)) => {}
                _ => doubt("has dates that can not be read".into()),
            }
            if let Err(e) = x509_cert::Certificate::from_der(certificate.der) {
                doubt(format!("is served as it is, but some clients may refuse it: {e}"));
            }
            if let Some((next, line)) = self.issuers.get(place)
                && next.subject != certificate.issuer
            {
                doubts.push(format!(
                    ":{line}: certificate {} is {}, not the issuer of the one before it, {}",
                    place + 2,
                    name_text(next.subject),
                    name_text(certificate.issuer)
                ));
            }
        }
    }
}
