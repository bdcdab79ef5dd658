// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client certificates: paths are validated by webpki, signatures verified by RustCrypto's crates.

mod algorithm;

use crate::certificates::read;
use crate::config::source::Written;
use crate::config::{Error, schema};
use algorithm::{IN_CERTIFICATES, IN_HANDSHAKES};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use ttls::config::{Chain, ClientVerifier};
use ttls::error::CertificateError;
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationOptionsBuilder,
    UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_cert::Certificate;
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::der::{Decode, Encode};

/// Whom to trust.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    lists: Vec<CertRevocationList<'static>>,
    /// Subjects of the anchors, each with its length in two bytes.
    authorities: Vec<u8>,
}

impl Trust {
    /// Reads the authorities and revocation lists; `None` if clients are not asked for certificates.
    ///
    /// # Errors
    /// A file is missing, or holds something else.
    pub fn load(written: &Written) -> Result<Option<Self>, Error> {
        let config = &written.config.client_certificates;
        if config.mode == schema::ClientMode::None {
            return Ok(None);
        }
        let Some(at) = &config.ca_file else {
            return Err(written.missing("client_certificates.mode needs client_certificates.ca_file"));
        };
        let path = written.path(at);
        let bad = |what: String| written.error(at, format!("{}: {what}", path.display()));
        let mut trust = Self { anchors: Vec::new(), lists: Vec::new(), authorities: Vec::new() };
        for certificate in CertificateDer::pem_slice_iter(&read(written, at, &path)?) {
            let certificate = certificate.map_err(|e| bad(format!("not PEM: {e}")))?;
            let anchor = anchor_from_trusted_cert(&certificate)
                .map_err(|e| bad(format!("not the certificate of an authority: {e}")))?;
            trust.anchors.push(anchor.to_owned());
            let subject = Certificate::from_der(&certificate)
                .and_then(|certificate| certificate.tbs_certificate().subject().to_der())
                .map_err(|e| bad(format!("does not parse: {e}")))?;
            let len = u16::try_from(subject.len()).map_err(|_| bad("has too long a subject".into()))?;
            trust.authorities.extend(len.to_be_bytes());
            trust.authorities.extend(subject);
        }
        if trust.anchors.is_empty() {
            return Err(bad("has no certificate in PEM".into()));
        }
        // RFC 8446 §4.2.4 and RFC 5246 §7.4.4 count the list's bytes in 16 bits; without it, clients choose for themselves.
        if trust.authorities.len() > 8192 {
            trust.authorities.clear();
        }
        if let Some(at) = &config.crl_file {
            let path = written.path(at);
            let bad = |what: String| written.error(at, format!("{}: {what}", path.display()));
            for list in CertificateRevocationListDer::pem_slice_iter(&read(written, at, &path)?) {
                let list = list.map_err(|e| bad(format!("not PEM: {e}")))?;
                let list = OwnedCertRevocationList::from_der(&list)
                    .map_err(|e| bad(format!("not a revocation list: {e}")))?;
                trust.lists.push(list.into());
            }
            if trust.lists.is_empty() {
                return Err(bad("has no revocation list in PEM".into()));
            }
        }
        Ok(Some(trust))
    }

    /// The names that a CertificateRequest lists, as it does; empty if they are too many.
    pub fn authorities(&self) -> &[u8] {
        &self.authorities
    }

    /// Has a CertificateRequest list no names: clients choose a certificate for themselves.
    pub fn name_no_authorities(&mut self) {
        self.authorities.clear();
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: u64,
    ) -> Result<(), webpki::Error> {
        let lists: Vec<_> = self.lists.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|builder| builder.with_status_policy(UnknownStatusPolicy::Allow).build());
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now));
        let usage = KeyUsage::client_auth();
        let leaf = EndEntityCert::try_from(leaf)?;
        leaf.verify_for_usage(IN_CERTIFICATES, &self.anchors, issuers, now, usage, revocation, None).map(drop)
    }
}

/// Who a verified client is.
pub struct Identity {
    /// commonName of the subject, if there is one.
    pub common_name: Option<String>,
    /// The whole subject (RFC 4514).
    pub subject: String,
}

/// Judges one client.
pub struct Verifier {
    trust: Arc<Trust>,
    leaf: Vec<u8>,
    identity: Option<Identity>,
}

impl Verifier {
    /// A verifier for one connection.
    pub fn new(trust: &Arc<Trust>) -> Self {
        Self { trust: Arc::clone(trust), leaf: Vec::new(), identity: None }
    }

    /// Who the client says it is; proven once the handshake is complete.
    pub const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

impl ClientVerifier for Verifier {
    fn authorities(&self) -> &[u8] {
        self.trust.authorities()
    }

    fn schemes(&self) -> &[u16] {
        algorithm::SCHEMES
    }

    fn verify_chain(&mut self, chain: Chain<'_>, now: u64) -> Result<(), CertificateError> {
        let mut certificates = chain.certificates().map(CertificateDer::from);
        let leaf = certificates.next().ok_or(CertificateError::Bad)?;
        let issuers: Vec<_> = certificates.collect();
        self.trust.verify(&leaf, &issuers, now).map_err(|e| reason(&e))?;
        let parsed = Certificate::from_der(&leaf).map_err(|_| CertificateError::Bad)?;
        let subject = parsed.tbs_certificate().subject();
        let names = subject.iter_rdn().flat_map(|rdn| rdn.iter()).filter(|name| name.oid == CN);
        // The value's text, whichever of the string types it is.
        let text = |value: &[u8]| std::str::from_utf8(value).ok().map(str::to_owned);
        let common_name = names.filter_map(|name| text(name.value.value())).next();
        self.identity = Some(Identity { common_name, subject: subject.to_string() });
        self.leaf = leaf.to_vec();
        Ok(())
    }

    fn verify_signature(
        &self,
        scheme: u16,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let leaf = CertificateDer::from(self.leaf.as_slice());
        let leaf = EndEntityCert::try_from(&leaf).map_err(|_| CertificateError::Bad)?;
        // In TLS 1.2 an ECDSA scheme names a hash and no curve: the key tells which it is (RFC 5246 §7.4.1.4.1).
        const ECDSA: [u16; 2] = [0x0403, 0x0503];
        let schemes = if ECDSA.contains(&scheme) { &ECDSA[..] } else { &[scheme][..] };
        for scheme in schemes {
            let position = algorithm::SCHEMES.iter().position(|known| known == scheme);
            let algorithm =
                position.and_then(|i| IN_HANDSHAKES.get(i)).ok_or(CertificateError::Unsupported)?;
            match leaf.verify_signature(*algorithm, content, signature) {
                Ok(()) => return Ok(()),
                Err(webpki::Error::InvalidSignatureForPublicKey) => return Err(CertificateError::Bad),
                // The key is another's.
                Err(_) => {}
            }
        }
        Err(CertificateError::Unsupported)
    }
}

fn reason(error: &webpki::Error) -> CertificateError {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } | E::CertNotValidYet { .. } => CertificateError::Expired,
        E::CertRevoked => CertificateError::Revoked,
        E::UnknownIssuer => CertificateError::UnknownAuthority,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::UnsupportedCertVersion => CertificateError::Unsupported,
        // It does not parse, or not as a certificate (RFC 8446 §6.2: corrupt).
        E::BadDer
        | E::BadDerTime
        | E::EmptyEkuExtension
        | E::ExtensionValueInvalid
        | E::InvalidCertValidity
        | E::InvalidSerialNumber
        | E::InvalidSignatureForPublicKey
        | E::MalformedExtensions
        | E::MalformedNameConstraint
        | E::SignatureAlgorithmMismatch
        | E::TrailingData(_) => CertificateError::Bad,
        _ => CertificateError::NotAcceptable,
    }
}
