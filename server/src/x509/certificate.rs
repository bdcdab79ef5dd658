// SPDX-License-Identifier: MIT OR Apache-2.0
//! A certificate (RFC 5280 §4.1) and the extensions that matter to a server.

use super::der::{Malformed, Reader, tag};
use super::time::Time;

/// Bits of keyUsage (RFC 5280 §4.2.1.3), the first in the highest.
pub mod key_usage {
    /// The key signs something other than certificates and lists.
    pub const DIGITAL_SIGNATURE: u16 = 0x8000;
    /// The key signs certificates.
    pub const KEY_CERT_SIGN: u16 = 0x0400;
    /// The key signs revocation lists.
    pub const CRL_SIGN: u16 = 0x0200;
}

/// id-kp-clientAuth (RFC 5280 §4.2.1.12).
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// A certificate. Names and the key are whole elements, with tag and length.
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    /// All of it.
    pub der: &'a [u8],
    /// 1 to 3, or what it says.
    pub version: u16,
    /// serialNumber, the INTEGER's content.
    pub serial: &'a [u8],
    /// Who signed it.
    pub issuer: &'a [u8],
    /// Whom it is about.
    pub subject: &'a [u8],
    /// Valid from; `None` if the date can not be read.
    pub not_before: Option<Time>,
    /// Valid to, this second included; `None` if the date can not be read.
    pub not_after: Option<Time>,
    /// SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    extensions: &'a [u8],
    /// Bytes behind it.
    pub trailing: usize,
}

/// basicConstraints (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasicConstraints {
    /// The certificate is of an authority.
    pub ca: bool,
    /// Most intermediate authorities below it.
    pub path_len: Option<usize>,
}

/// Extensions, contents of their OCTET STRINGs as far as they are not read further.
#[derive(Clone, Copy, Default)]
pub struct Extensions<'a> {
    /// basicConstraints.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage; see [`key_usage`].
    pub key_usage: Option<u16>,
    /// extendedKeyUsage: the SEQUENCE's content.
    extended_key_usage: Option<&'a [u8]>,
    /// subjectAltName: the SEQUENCE's content.
    alternative_names: Option<&'a [u8]>,
    /// nameConstraints.
    pub name_constraints: Option<&'a [u8]>,
    /// cRLDistributionPoints: the SEQUENCE's content.
    pub distribution_points: Option<&'a [u8]>,
    /// subjectKeyIdentifier.
    pub subject_key: Option<&'a [u8]>,
    /// keyIdentifier of authorityKeyIdentifier.
    pub authority_key: Option<&'a [u8]>,
    /// There is a critical one that is none of these.
    pub unknown_critical: bool,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate, without its extensions.
    ///
    /// # Errors
    /// Names the first field that can not be read.
    pub fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Reader::new(der);
        let (content, whole) = outer.whole(tag::SEQUENCE, "Certificate")?;
        let mut signed = Reader::new(content);
        let mut tbs = signed.nested(tag::SEQUENCE, "tbsCertificate")?;
        let version = match tbs.optional(tag::constructed(0), "version")? {
            None => 1,
            Some(version) => match Reader::new(version).element(tag::INTEGER, "version")? {
                &[value] => u16::from(value) + 1,
                _ => return Err(Malformed("version")),
            },
        };
        let serial = tbs.element(tag::INTEGER, "serialNumber")?;
        tbs.element(tag::SEQUENCE, "signature")?;
        let (_, issuer) = tbs.whole(tag::SEQUENCE, "issuer")?;
        let mut validity = tbs.nested(tag::SEQUENCE, "validity")?;
        let not_before = Time::read(&mut validity, "notBefore").ok();
        let not_after = Time::read(&mut validity, "notAfter").ok();
        let (_, subject) = tbs.whole(tag::SEQUENCE, "subject")?;
        let (_, public_key) = tbs.whole(tag::SEQUENCE, "subjectPublicKeyInfo")?;
        for unique_id in [1, 2] {
            tbs.optional(tag::primitive(unique_id), "unique identifier")?;
        }
        let extensions = tbs.optional(tag::constructed(3), "extensions")?.unwrap_or_default();
        let trailing = outer.rest().len();
        Ok(Self {
            der: whole,
            version,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            public_key,
            extensions,
            trailing,
        })
    }

    /// Reads the extensions.
    ///
    /// # Errors
    /// Names the first that can not be read.
    pub fn extensions(&self) -> Result<Extensions<'a>, Malformed> {
        let mut found = Extensions::default();
        if self.extensions.is_empty() {
            return Ok(found);
        }
        let mut list = Reader::new(self.extensions).nested(tag::SEQUENCE, "extensions")?;
        while !list.is_empty() {
            let mut extension = list.nested(tag::SEQUENCE, "extension")?;
            let id = extension.element(tag::OID, "extension")?;
            let critical = extension.flag(tag::BOOLEAN, "critical")?;
            let value = extension.element(tag::OCTET_STRING, "extension")?;
            let known = match *id {
                // id-ce: 2.5.29
                [0x55, 0x1d, number] => found.remember(number, value)?,
                _ => false,
            };
            found.unknown_critical |= critical && !known;
        }
        Ok(found)
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

impl<'a> Extensions<'a> {
    /// Whether the extension 2.5.29.`number` is one of those above.
    fn remember(&mut self, number: u8, value: &'a [u8]) -> Result<bool, Malformed> {
        let mut reader = Reader::new(value);
        match number {
            14 => self.subject_key = Some(reader.element(tag::OCTET_STRING, "subjectKeyIdentifier")?),
            15 => {
                self.key_usage = match *reader.element(tag::BIT_STRING, "keyUsage")? {
                    [_] => Some(0),
                    [_, high] => Some(u16::from_be_bytes([high, 0])),
                    [_, high, low, ..] => Some(u16::from_be_bytes([high, low])),
                    [] => return Err(Malformed("keyUsage")),
                }
            }
            17 => self.alternative_names = Some(reader.element(tag::SEQUENCE, "subjectAltName")?),
            19 => {
                let mut reader = reader.nested(tag::SEQUENCE, "basicConstraints")?;
                let ca = reader.flag(tag::BOOLEAN, "basicConstraints")?;
                let path_len = match reader.optional(tag::INTEGER, "pathLenConstraint")? {
                    None => None,
                    Some(&[len @ 0..0x80]) => Some(usize::from(len)),
                    // No path is that long.
                    Some(&[0..0x80, _, ..]) => None,
                    Some(_) => return Err(Malformed("pathLenConstraint")),
                };
                self.basic_constraints = Some(BasicConstraints { ca, path_len });
            }
            30 => self.name_constraints = Some(value),
            31 => self.distribution_points = Some(reader.element(tag::SEQUENCE, "cRLDistributionPoints")?),
            35 => {
                let mut reader = reader.nested(tag::SEQUENCE, "authorityKeyIdentifier")?;
                self.authority_key = reader.optional(tag::primitive(0), "authorityKeyIdentifier")?;
            }
            37 => self.extended_key_usage = Some(reader.element(tag::SEQUENCE, "extendedKeyUsage")?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether keyUsage, if there is one, has all of these bits.
    pub fn allows(&self, usage: u16) -> bool {
        self.key_usage.is_none_or(|bits| bits & usage == usage)
    }

    /// Whether extendedKeyUsage, if there is one, names clients (RFC 5280 §4.2.1.12). anyExtendedKeyUsage does not, as in OpenSSL.
    pub fn allows_clients(&self) -> bool {
        let Some(purposes) = self.extended_key_usage else { return true };
        elements(purposes).any(|(_, purpose)| purpose == CLIENT_AUTH)
    }

    /// The GeneralNames of subjectAltName: tag and content.
    pub fn alternative_names(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        elements(self.alternative_names.unwrap_or_default())
    }
}

/// Elements one after another, tag and content, up to the first that can not be read.
pub fn elements(content: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut reader = Reader::new(content);
    std::iter::from_fn(move || reader.any("element").ok().map(|(tag, content, _)| (tag, content)))
}
