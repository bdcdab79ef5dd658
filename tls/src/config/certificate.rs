// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's certificates, encoded once, at configuration.

use crate::error::Error;
use crate::suite::KeyKind;
use crate::wire::codes::extension;
use crate::wire::{Reader, Writer};

/// A certificate with its key, in the shell's numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateId(pub u16);

/// The certificates for one name: at most one of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateSet {
    /// With an ECDSA P-256 key; preferred when the client can verify it.
    pub ecdsa: Option<CertificateId>,
    /// With an RSA key.
    pub rsa: Option<CertificateId>,
}

/// The shell's store of certificates.
pub trait Credentials {
    /// The certificates for exactly this name, in lower case; `*.example.org` asks for the wildcard.
    fn by_name(&self, name: &[u8]) -> Option<CertificateSet>;

    /// The certificates for clients that name no server, or an unknown one.
    fn default_set(&self) -> CertificateSet;

    /// One certificate.
    fn get(&self, id: CertificateId) -> Option<Credential<'_>>;
}

/// One certificate as the handshake needs it. The private key stays with the shell.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// Kind of its key.
    pub kind: KeyKind,
    /// The certificate and its issuers.
    pub chain: Chain<'a>,
    /// A DER OCSPResponse to be stapled.
    pub ocsp: Option<&'a [u8]>,
}

/// A certificate chain in the encoding of TLS 1.3 (RFC 8446 §4.4.2): CertificateEntry after
/// CertificateEntry, leaf first, each with its extensions.
#[derive(Clone, Copy)]
pub struct Chain<'a>(&'a [u8]);

impl<'a> Chain<'a> {
    /// The length of `certificates` (DER, leaf first) once encoded.
    pub fn encoded_len<'c>(certificates: impl IntoIterator<Item = &'c [u8]>) -> usize {
        certificates.into_iter().map(|certificate| certificate.len() + 5).sum()
    }

    /// Encodes `certificates` (DER, leaf first) into `out` and returns the chain.
    ///
    /// # Errors
    /// [`Error::Internal`] if `out` is shorter than [`Chain::encoded_len`], or a certificate longer than 2^24 − 1 bytes.
    pub fn encode<'c>(
        certificates: impl IntoIterator<Item = &'c [u8]>,
        out: &'a mut [u8],
    ) -> Result<Self, Error> {
        let mut writer = Writer::new(out);
        for certificate in certificates {
            writer.vec::<3>(|w| w.put(certificate))?;
            writer.u16(0)?;
        }
        Ok(Self(writer.into_written()))
    }

    /// Takes encoded entries over.
    ///
    /// # Errors
    /// [`Error::Malformed`] if they are not a list of CertificateEntry.
    pub fn new(entries: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(entries, "certificate list");
        while !r.is_empty() {
            if r.vec24()?.is_empty() {
                return Err(r.malformed());
            }
            r.vec16()?;
        }
        Ok(Self(entries))
    }

    /// The certificates in DER, leaf first.
    pub fn certificates(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut r = Reader::new(self.0, "certificate list");
        core::iter::from_fn(move || {
            let certificate = r.vec24().ok()?.rest();
            r.vec16().ok()?;
            Some(certificate)
        })
    }

    /// Whether an entry has extensions.
    pub fn has_extensions(self) -> bool {
        let mut r = Reader::new(self.0, "certificate list");
        let extensions = core::iter::from_fn(|| r.vec24().and_then(|_| r.vec16()).ok());
        extensions.into_iter().any(|list| !list.is_empty())
    }

    /// The encoded entries.
    pub const fn entries(self) -> &'a [u8] {
        self.0
    }

    /// Writes the certificate_list of TLS 1.3, with the staple in the leaf's entry.
    pub(crate) fn write_tls13(self, ocsp: Option<&[u8]>, out: &mut Writer<'_>) -> Result<(), Error> {
        out.vec::<3>(|out| {
            let Some(staple) = ocsp else { return out.put(self.0) };
            let mut r = Reader::new(self.0, "certificate list");
            let leaf = r.vec24()?.rest();
            r.vec16()?;
            out.vec::<3>(|out| out.put(leaf))?;
            out.vec::<2>(|out| out.extension(extension::STATUS_REQUEST, |out| write_status(staple, out)))?;
            out.put(r.rest())
        })
    }

    /// Writes the certificate_list of TLS 1.2 (RFC 5246 §7.4.2), which has no extensions.
    pub(crate) fn write_tls12(self, out: &mut Writer<'_>) -> Result<(), Error> {
        out.vec::<3>(|out| {
            self.certificates().try_for_each(|certificate| out.vec::<3>(|out| out.put(certificate)))
        })
    }
}

/// CertificateStatus (RFC 6066 §8): type ocsp, then the response.
pub(crate) fn write_status(staple: &[u8], out: &mut Writer<'_>) -> Result<(), Error> {
    out.u8(1)?;
    out.vec::<3>(|out| out.put(staple))
}
