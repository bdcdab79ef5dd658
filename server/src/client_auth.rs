// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client certificates: `path` finds the way to an authority, in bounded time; webpki validates it, with signatures verified by
//! RustCrypto's crates; `revocation` looks it up in the lists.
//!
//! What a stranger can make the server do with 16 KiB of certificates: read [`MAX_CERTIFICATES`] of them, and check
//! [`MAX_AUTHORITIES`] signatures. Each real certificate of an authority's that is put in front buys one more, up to
//! [`MAX_SIGNATURES`].

mod algorithm;
mod authority;
mod path;
mod refusal;
mod revocation;
mod sent;
#[cfg(test)]
mod tests;
mod text;

pub use path::{MAX_AUTHORITIES, MAX_BYTES, MAX_CERTIFICATES, MAX_INTERMEDIATES};
pub use refusal::Refusal;

use crate::certificates::certificate;
use crate::config::source::Written;
use crate::config::{Error, schema};
use crate::files;
use crate::pem::{self, Block};
use crate::x509::{Time, elements, key_usage, name_text};
use algorithm::{IN_CERTIFICATES, Key};
use authority::{Authority, validity};
use path::Route;
use revocation::{Issuer, List, Subject};
use rustls_pki_types::{CertificateDer, UnixTime};
use sent::Sent;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use text::{Text, Texts};
use ttls::config::{Chain, ClientVerifier};
use ttls::error::CertificateError;
use ttls::suite::Version;
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::name::Name;
use zeroize::Zeroizing;

/// Most signatures on a client's certificates that are checked.
pub const MAX_SIGNATURES: usize = MAX_AUTHORITIES - 1 + MAX_INTERMEDIATES + 1;
/// Most comparisons of names with name constraints (RFC 5280 §4.2.1.10) for one client.
const MAX_COMPARISONS: usize = 4096;

/// Whom to trust.
#[derive(Default)]
pub struct Trust {
    authorities: Vec<Authority>,
    lists: Vec<List>,
    /// Subjects of the authorities, each with its length in two bytes.
    names: Vec<u8>,
    /// What is kept of handshakes with them.
    texts: Texts,
}

impl Trust {
    /// Reads the authorities and revocation lists; `None` if clients are not asked for certificates.
    ///
    /// # Errors
    /// A file is missing, or holds something else.
    pub fn load(written: &Written, warnings: &mut Vec<String>) -> Result<Option<Self>, Error> {
        let config = &written.config.client_certificates;
        if config.mode == schema::ClientMode::None {
            return Ok(None);
        }
        let Some(at) = &config.ca_file else {
            let what = "client_certificates.mode needs client_certificates.ca_file";
            return Err(written.about("client_certificates.mode", what));
        };
        let path = written.path(at);
        let bad = |e: pem::Error| written.error(at, format!("{}{e}", path.display()));
        let mut trust = Self::default();
        let mut warn = |path: &Path, line: usize, doubt: Option<String>| {
            warnings.extend(doubt.map(|doubt| format!("{}{}", path.display(), pem::Error::new(line, doubt))));
        };
        for block in files::read_pem(written, at, &path)? {
            let what = || {
                pem::Error::new(
                    block.line,
                    format!("a block of `{}` where certificates of authorities are expected", block.label),
                )
            };
            let certificate = certificate(&block).ok_or_else(what).and_then(|read| read).map_err(bad)?;
            let doubt =
                trust.add_authority(certificate.der).map_err(|e| bad(pem::Error::new(block.line, e)))?;
            warn(&path, block.line, doubt);
        }
        if trust.authorities.is_empty() {
            return Err(bad(pem::Error::new(0, "has no certificate in PEM")));
        }
        // RFC 8446 §4.2.4 and RFC 5246 §7.4.4 count the list's bytes in 16 bits; without it, clients choose for themselves.
        if trust.names.len() > 8192 {
            trust.names.clear();
        }
        if let Some(at) = &config.crl_file {
            let path = written.path(at);
            let bad = |e: pem::Error| written.error(at, format!("{}{e}", path.display()));
            for Block { line, der, .. } in lists(&files::read(written, at, &path)?).map_err(bad)? {
                let doubt = trust.add_list(&der).map_err(|e| bad(pem::Error::new(line, e)))?;
                warn(&path, line, doubt);
            }
        }
        Ok(Some(trust))
    }

    /// The names that a CertificateRequest lists, as it does; empty if they are too many.
    pub fn authorities(&self) -> &[u8] {
        &self.names
    }

    /// Has a CertificateRequest list no names: clients choose a certificate for themselves.
    pub fn name_no_authorities(&mut self) {
        self.names.clear();
    }

    /// Adds a certificate of `ca_file`. Returns what is doubtful about it.
    fn add_authority(&mut self, der: &[u8]) -> Result<Option<String>, String> {
        let authority = Authority::read(der).map_err(|e| format!("the certificate {e}"))?;
        let subject = authority.subject();
        let len = u16::try_from(subject.len()).map_err(|_| "the certificate has too long a subject")?;
        self.names.extend(len.to_be_bytes());
        self.names.extend(subject);
        let doubt = authority.doubt(Time::now());
        self.authorities.push(authority);
        Ok(doubt)
    }

    /// Adds a revocation list. Returns what is doubtful about it.
    fn add_list(&mut self, der: &[u8]) -> Result<Option<String>, String> {
        let list = List::read(der)?;
        let doubt = self.doubt(&list, Time::now());
        self.lists.push(list);
        Ok(doubt)
    }

    /// What is to be said of a revocation list when it is loaded.
    fn doubt(&self, list: &List, now: Time) -> Option<String> {
        let issuer = name_text(list.issuer());
        let mut named = self.authorities.iter().filter(|a| a.subject() == list.issuer()).peekable();
        if named.peek().is_none() {
            return Some(format!(
                "the revocation list of {issuer}, who is not in ca_file, can only be checked when clients come: those with certificates of \
                 that authority are refused unless it signed the list, with a keyUsage that allows cRLSign"
            ));
        }
        let refused = "its clients are refused";
        let Some(signer) = named.find(|authority| list.is_signed_by(authority.public_key())) else {
            return Some(format!(
                "the revocation list of {issuer} is not signed by the one in ca_file: {refused}"
            ));
        };
        if !signer.allows(key_usage::CRL_SIGN) {
            return Some(format!(
                "the revocation list of {issuer}, whose keyUsage lacks cRLSign, does not count: {refused}"
            ));
        }
        list.validity(now)
            .err()
            .map(|doubt| format!("the revocation list of {issuer} does not count, {doubt}: {refused}"))
    }

    /// Judges what a client sent, at `now` (Unix time in milliseconds). Its own certificate, if it is accepted.
    fn verify<'a>(&self, chain: Chain<'a>, now: u64) -> Result<Sent<'a>, Refusal> {
        let time = Time::from_milliseconds(now);
        let mut path = Route::find(path::read(chain)?, &self.authorities, time)?;
        judge(&path, time)?;
        let mut refusal = None;
        for authority in &path.authorities {
            let before = algorithm::checked();
            match self.judge_under(&path, authority, now) {
                Ok(()) => return Ok(path.certificates.swap_remove(0)),
                Err(e) => refusal = refusal.or(Some(e)),
            }
            // Once the authority's key has been right, another can not be.
            if algorithm::checked() - before > 1 {
                break;
            }
        }
        Err(refusal.unwrap_or_else(|| Refusal::new(CertificateError::UnknownAuthority, "no authority")))
    }

    /// Validates a path that is known to have no forks.
    fn judge_under(&self, path: &Route<'_, '_>, authority: &Authority, now: u64) -> Result<(), Refusal> {
        let time = Time::from_milliseconds(now);
        if path.is_listed {
            return Ok(());
        }
        let [leaf, intermediates @ ..] = path.certificates.as_slice() else { return Ok(()) };
        authority.judge(intermediates.len(), time)?;
        limit_comparisons(path, authority)?;
        let issuers: Vec<_> =
            intermediates.iter().map(|sent| CertificateDer::from(sent.certificate.der)).collect();
        let before = algorithm::checked();
        let leaf_der = CertificateDer::from(leaf.certificate.der);
        let verified = EndEntityCert::try_from(&leaf_der).and_then(|leaf| {
            let now = UnixTime::since_unix_epoch(Duration::from_millis(now));
            let usage = KeyUsage::client_auth();
            let anchors = std::slice::from_ref(authority.anchor());
            leaf.verify_for_usage(IN_CERTIFICATES, anchors, &issuers, now, usage, None, None).map(drop)
        });
        if let Err(error) = verified {
            // Signatures are checked from the authority down.
            let checked = usize::try_from(algorithm::checked() - before).unwrap_or(usize::MAX);
            return Err(refuse(path, checked, &error));
        }
        self.check_revocation(path, authority, time)
    }

    fn check_revocation(
        &self,
        path: &Route<'_, '_>,
        authority: &Authority,
        now: Time,
    ) -> Result<(), Refusal> {
        for (i, sent) in path.certificates.iter().enumerate().rev() {
            let issuer = match path.certificates.get(i + 1) {
                Some(above) => Issuer {
                    public_key: above.certificate.public_key,
                    may_sign_lists: above.extensions.allows(key_usage::CRL_SIGN),
                },
                None => Issuer {
                    public_key: authority.public_key(),
                    may_sign_lists: authority.allows(key_usage::CRL_SIGN),
                },
            };
            let subject = Subject {
                issuer: sent.certificate.issuer,
                serial: sent.certificate.serial,
                is_authority: i > 0,
                points: sent.extensions.distribution_points,
            };
            revocation::check(&self.lists, &subject, &issuer, now)
                .map_err(|(reason, rule)| sent.refuse(reason, &rule))?;
        }
        Ok(())
    }
}

/// The revocation lists in a file.
fn lists(content: &[u8]) -> Result<Vec<Block>, pem::Error> {
    if pem::is_der(content) {
        return Ok(vec![Block { label: "X509 CRL".into(), line: 0, der: Zeroizing::new(content.to_vec()) }]);
    }
    let lists = pem::read(content)?;
    if let Some(other) = lists.iter().find(|block| !matches!(block.label.as_str(), "X509 CRL" | "CRL")) {
        let what = format!("a block of `{}` where revocation lists are expected", other.label);
        return Err(pem::Error::new(other.line, what));
    }
    if lists.is_empty() {
        return Err(pem::Error::new(0, "has no revocation list, in PEM or DER"));
    }
    Ok(lists)
}

/// Rules that each certificate has to keep by itself. webpki asks for most of them again.
fn judge(path: &Route<'_, '_>, now: Time) -> Result<(), Refusal> {
    use CertificateError::{Expired, NotAcceptable, Unsupported};
    for (below, sent) in path.certificates.iter().enumerate().rev() {
        let refuse = |reason, rule: &str| Err(sent.refuse(reason, rule));
        let (certificate, extensions) = (&sent.certificate, &sent.extensions);
        if certificate.version != 3 && !path.is_listed {
            let rule = format!(
                "it is of version {}: only version 3 says what a key may be used for",
                certificate.version
            );
            return refuse(Unsupported, &rule);
        }
        if let Err(rule) = validity(certificate.not_before, certificate.not_after, now) {
            return refuse(Expired, &rule);
        }
        if extensions.unknown_critical {
            return refuse(NotAcceptable, "it has a critical extension that is not known");
        }
        if !extensions.allows_clients() {
            return refuse(NotAcceptable, "its extendedKeyUsage lacks clientAuth");
        }
        let constraints = extensions.basic_constraints.unwrap_or_default();
        if below == 0 {
            if constraints.ca && !path.is_listed {
                return refuse(NotAcceptable, "it is an authority's (CA:TRUE) and not in ca_file itself");
            }
            if !extensions.allows(key_usage::DIGITAL_SIGNATURE) {
                return refuse(NotAcceptable, "its keyUsage lacks digitalSignature");
            }
        } else {
            if !constraints.ca {
                return refuse(NotAcceptable, "it is no authority's (CA:TRUE), but signed a certificate");
            }
            if !extensions.allows(key_usage::KEY_CERT_SIGN) {
                return refuse(NotAcceptable, "its keyUsage lacks keyCertSign, but it signed a certificate");
            }
            if constraints.path_len.is_some_and(|most| below - 1 > most) {
                return refuse(NotAcceptable, "more authorities follow than its pathLenConstraint allows");
            }
        }
        if let Err(rule) = Key::read(certificate.public_key) {
            return refuse(Unsupported, rule);
        }
    }
    Ok(())
}

/// Refuses to compare more names with more constraints than anybody has.
fn limit_comparisons(path: &Route<'_, '_>, authority: &Authority) -> Result<(), Refusal> {
    // NameConstraints: [0] permitted and [1] excluded subtrees.
    let count =
        |constraints: &[u8]| elements(constraints).map(|(_, trees)| elements(trees).count()).sum::<usize>();
    let sent = path.certificates.iter();
    let own = sent.clone().filter_map(|sent| sent.extensions.name_constraints);
    let constraints = own.map(|value| elements(value).map(|(_, content)| count(content)).sum::<usize>());
    let constraints = constraints.sum::<usize>()
        + authority.anchor().name_constraints.as_ref().map_or(0, |value| count(value));
    let names = sent.map(|sent| 1 + sent.extensions.alternative_names().count()).sum::<usize>();
    if names.saturating_mul(constraints) > MAX_COMPARISONS {
        let rule = format!("{names} names and {constraints} name constraints are too many to compare");
        return Err(Refusal::new(CertificateError::NotAcceptable, rule));
    }
    Ok(())
}

/// What webpki found, after so many signatures.
fn refuse(path: &Route<'_, '_>, checked: usize, error: &webpki::Error) -> Refusal {
    use webpki::Error as E;
    let depth = path.certificates.len();
    let say = |from_above: usize, reason, rule: &str| {
        let at = path.certificates.get(depth.saturating_sub(from_above)).or(path.certificates.last());
        at.map_or_else(|| Refusal::new(reason, rule), |sent| sent.refuse(reason, rule))
    };
    match error {
        E::InvalidSignatureForPublicKey => {
            say(checked, CertificateError::Bad, "its signature is not by its issuer's key")
        }
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => say(
            checked + 1,
            CertificateError::Unsupported,
            "it is signed with an algorithm that is not supported",
        ),
        E::NameConstraintViolation => say(
            depth,
            CertificateError::NotAcceptable,
            "its names, or those of an authority above it, break nameConstraints",
        ),
        E::CertExpired { .. } | E::CertNotValidYet { .. } => {
            say(depth, CertificateError::Expired, "it is not valid now")
        }
        E::UnknownIssuer => say(depth, CertificateError::UnknownAuthority, "no authority signed it"),
        // It does not parse, or not as a certificate (RFC 8446 §6.2: corrupt).
        E::BadDer
        | E::BadDerTime
        | E::EmptyEkuExtension
        | E::ExtensionValueInvalid
        | E::InvalidCertValidity
        | E::InvalidSerialNumber
        | E::MalformedExtensions
        | E::MalformedNameConstraint
        | E::SignatureAlgorithmMismatch
        | E::TrailingData(_) => {
            say(depth, CertificateError::Bad, &format!("it or one above it is malformed: {error}"))
        }
        _ => say(depth, CertificateError::NotAcceptable, &format!("it or one above it: {error}")),
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
    /// SubjectPublicKeyInfo of the client's certificate.
    public_key: Vec<u8>,
    /// What Ed25519 signs in TLS 1.2.
    text: Text,
    identity: Option<Identity>,
    refusal: Option<Refusal>,
    /// Signatures that may still be checked.
    allowed: Cell<u64>,
    postponed: bool,
}

impl Verifier {
    /// A verifier for one connection.
    pub fn new(trust: &Arc<Trust>) -> Self {
        Self {
            trust: Arc::clone(trust),
            public_key: Vec::new(),
            text: Text::new(trust.texts.clone()),
            identity: None,
            refusal: None,
            allowed: Cell::new(0),
            postponed: false,
        }
    }

    /// Allows so many more signature checks. What is begun is ended: a client with a long path may take some more.
    pub fn allow(&mut self, checks: u64) {
        self.allowed.set(checks);
        self.postponed = false;
    }

    /// How many are left.
    pub const fn allowed(&self) -> u64 {
        self.allowed.get()
    }

    /// Whether a message waits because none were left.
    pub const fn is_postponed(&self) -> bool {
        self.postponed
    }

    /// Charges what was checked since the thread's count was `before`; at least one, for what is read.
    fn charge(&self, before: u64) {
        let spent = (algorithm::checked() - before).max(1);
        self.allowed.set(self.allowed.get().saturating_sub(spent));
    }

    fn judge(&mut self, chain: Chain<'_>, now: u64) -> Result<(), Refusal> {
        let leaf = self.trust.verify(chain, now)?;
        let subject = Name::from_der(leaf.certificate.subject)
            .map_err(|_| leaf.refuse(CertificateError::Bad, "its subject can not be read"))?;
        let names = subject.iter_rdn().flat_map(|rdn| rdn.iter()).filter(|name| name.oid == CN);
        // The value's text, whichever of the string types it is.
        let text = |value: &[u8]| std::str::from_utf8(value).ok().map(str::to_owned);
        let common_name = names.filter_map(|name| text(name.value.value())).next();
        self.identity = Some(Identity { common_name, subject: subject.to_string() });
        self.public_key = leaf.certificate.public_key.to_vec();
        Ok(())
    }

    /// The handshake is complete: what was kept of it goes.
    pub fn complete(&mut self) {
        self.text.forget();
    }

    /// Who the client says it is; proven once the handshake is complete.
    pub const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Which rule of which certificate was not kept.
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}

impl ClientVerifier for Verifier {
    fn authorities(&self) -> &[u8] {
        &self.trust.names
    }

    fn schemes(&self, version: Version) -> &[u16] {
        match version {
            Version::Tls12 => algorithm::SCHEMES_TLS12,
            Version::Tls13 => algorithm::SCHEMES_TLS13,
        }
    }

    fn certificate_schemes(&self) -> &[u16] {
        algorithm::SCHEMES_IN_CERTIFICATES
    }

    fn keep(&mut self, text: &[u8]) -> bool {
        self.text.keep(text)
    }

    fn is_ready(&mut self) -> bool {
        self.postponed = self.allowed.get() == 0;
        !self.postponed
    }

    fn verify_chain(&mut self, chain: Chain<'_>, now: u64) -> Result<(), CertificateError> {
        let before = algorithm::checked();
        let judged = self.judge(chain, now);
        self.charge(before);
        judged.map_err(|refusal| {
            let reason = refusal.reason;
            self.refusal = Some(refusal);
            reason
        })
    }

    fn verify_signature(
        &self,
        version: Version,
        scheme: u16,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let key = Key::read(&self.public_key).map_err(|_| CertificateError::Unsupported)?;
        let tls12 = version == Version::Tls12;
        let method = key.method(scheme, tls12).ok_or(CertificateError::Unsupported)?;
        let content = match method.hash() {
            None if tls12 => self.text.whole().ok_or(CertificateError::Unsupported)?,
            _ => content,
        };
        let before = algorithm::checked();
        let good = key.verify(method, content, signature);
        self.charge(before);
        if good { Ok(()) } else { Err(CertificateError::Bad) }
    }
}
