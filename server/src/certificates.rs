// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's certificates: read, checked against their keys, and found by name.

use crate::config::source::Written;
use crate::config::{Error, schema};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use toml::Spanned;
use ttls::config::{CertificateId, CertificateSet, Chain, Credential, Credentials};
use ttls::handshake::flight_size;
use ttls_crypto::sign::{Encoding, KeyKind, SigningKey};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Longest flight of a handshake, in bytes: it has to fit a record buffer.
pub const MAX_FLIGHT: usize = 18 << 10;
/// `ttls check` warns of certificates that end within so many days.
const EXPIRY_WARNING_DAYS: u64 = 14;

/// Certificates, keys and names.
#[derive(Default)]
pub struct Store {
    entries: Vec<Entry>,
    names: HashMap<Vec<u8>, CertificateSet>,
    default: CertificateSet,
}

struct Entry {
    key: SigningKey,
    /// In the encoding of [`Chain`].
    chain: Vec<u8>,
    ocsp: Option<Vec<u8>>,
}

impl Entry {
    /// `None` cannot occur: the chain was encoded here.
    fn credential(&self) -> Option<Credential<'_>> {
        let chain = Chain::new(&self.chain).ok()?;
        Some(Credential { kind: self.key.kind(), chain, ocsp: self.ocsp.as_deref() })
    }
}

impl Store {
    /// Reads all certificates. What is doubtful but works is added to `warnings`.
    ///
    /// # Errors
    /// A file that can not be read or used, a key that does not match, two certificates of one kind for a name.
    pub fn load(written: &Written, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let mut store = Self::default();
        for certificate in &written.config.certificate {
            store.add_files(written, certificate, warnings)?;
        }
        store.choose_default(written);
        Ok(store)
    }

    fn add_files(
        &mut self,
        written: &Written,
        spanned: &Spanned<schema::Certificate>,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let certificate = spanned.get_ref();
        let chain_path = written.path(&certificate.chain);
        let pem = read(written, &certificate.chain, &chain_path)?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| {
            written.error(&certificate.chain, format!("{}: not PEM: {e}", chain_path.display()))
        })?;
        if chain.is_empty() {
            let message = format!("{}: has no certificate in PEM", chain_path.display());
            return Err(written.error(&certificate.chain, message));
        }
        let key_at = certificate.key.as_ref().unwrap_or(&certificate.chain);
        let key_path = written.path(key_at);
        let key = read_key(&read(written, key_at, &key_path)?)
            .map_err(|e| written.error(key_at, format!("{}: {e}", key_path.display())))?;
        warn_of_readers(&key_path, warnings);
        let ocsp = match &certificate.ocsp {
            Some(at) => Some(read(written, at, &written.path(at))?),
            None => None,
        };
        let parsed = parse(&chain[0])
            .map_err(|e| written.error(&certificate.chain, format!("{}: {e}", chain_path.display())))?;
        if !key.matches_public_key(&parsed.public_key) {
            let message = format!(
                "{}: the private key does not belong to the certificate in {}",
                key_path.display(),
                chain_path.display()
            );
            return Err(written.error(key_at, message));
        }
        let at = chain_path.display().to_string();
        warnings.extend(parsed.doubts(&chain, ocsp.as_deref()).map(|doubt| format!("{at}: {doubt}")));
        let names = match &certificate.names {
            Some(names) => names.iter().map(|name| name.get_ref().0.clone()).collect(),
            None => parsed.names,
        };
        let chain: Vec<&[u8]> = chain.iter().map(|der| der.as_ref()).collect();
        self.add(key, &chain, ocsp, &names, certificate.default)
            .map_err(|e| written.error(&certificate.chain, format!("{at}: {e}")))
    }

    /// Adds a certificate.
    ///
    /// # Errors
    /// A certificate is over 16 MiB, or a name has one of its kind already.
    pub fn add(
        &mut self,
        key: SigningKey,
        chain: &[&[u8]],
        ocsp: Option<Vec<u8>>,
        names: &[String],
        default: bool,
    ) -> Result<(), String> {
        let mut encoded = vec![0; Chain::encoded_len(chain.iter().copied())];
        Chain::encode(chain.iter().copied(), &mut encoded).map_err(|e| e.to_string())?;
        let id =
            CertificateId(u16::try_from(self.entries.len()).map_err(|_| "more than 65536 certificates")?);
        let kind = key.kind();
        for name in names {
            let place = place(self.names.entry(name.clone().into_bytes()).or_default(), kind);
            if place.is_some() {
                return Err(format!(
                    "{name} has a certificate with a key of this kind already: give each its own `names`"
                ));
            }
            *place = Some(id);
        }
        if default {
            let place = place(&mut self.default, kind);
            if place.is_some() {
                return Err("is the second `default` certificate with a key of this kind".into());
            }
            *place = Some(id);
        }
        self.entries.push(Entry { key, chain: encoded, ocsp });
        Ok(())
    }

    /// Without an explicit default: the first certificate, and the first of the other kind that shares a name with it.
    fn choose_default(&mut self, written: &Written) {
        let explicit = written.config.certificate.iter().any(|c| c.get_ref().default);
        if explicit || self.entries.is_empty() {
            return;
        }
        let first = CertificateId(0);
        let with_first = |set: &&CertificateSet| set.ecdsa == Some(first) || set.rsa == Some(first);
        let shared = self.names.values().filter(with_first);
        let both = shared.min_by_key(|set| {
            (set.ecdsa.is_none() || set.rsa.is_none(), set.ecdsa.map(|id| id.0), set.rsa.map(|id| id.0))
        });
        self.default = both.copied().unwrap_or_default();
        *place(&mut self.default, self.entries[0].key.kind()) = Some(first);
    }

    /// Checks that the flight of a handshake with any of the certificates fits, together with `authorities` bytes of
    /// names that clients' certificates may come from.
    ///
    /// # Errors
    /// The first certificate with which it does not.
    pub fn check_flights(&self, written: &Written, authorities: usize) -> Result<(), Error> {
        for (entry, at) in self.entries.iter().zip(&written.config.certificate) {
            let flight =
                entry.credential().map_or(usize::MAX, |credential| flight_size(&credential, authorities));
            if flight > MAX_FLIGHT {
                let at = &at.get_ref().chain;
                let message = format!(
                    "{}: with {} bytes of chain, {} of staple and {authorities} of authorities' names the server's flight takes up \
                     to {flight} bytes (in the smallest records that a client may ask for), more than the {MAX_FLIGHT} that fit: \
                     leave the root certificate out, or name fewer authorities",
                    written.path(at).display(),
                    entry.chain.len(),
                    entry.ocsp.as_ref().map_or(0, Vec::len),
                );
                return Err(written.error(at, message));
            }
        }
        Ok(())
    }

    /// The key of a certificate.
    pub fn key(&self, id: CertificateId) -> Option<&SigningKey> {
        self.entries.get(usize::from(id.0)).map(|entry| &entry.key)
    }

    /// Every name with its certificates.
    pub fn names(&self) -> impl Iterator<Item = (&[u8], CertificateSet)> {
        self.names.iter().map(|(name, set)| (name.as_slice(), *set))
    }

    /// Whether there is no certificate.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

const fn place(set: &mut CertificateSet, kind: KeyKind) -> &mut Option<CertificateId> {
    match kind {
        KeyKind::EcdsaP256 => &mut set.ecdsa,
        KeyKind::Rsa => &mut set.rsa,
    }
}

impl Credentials for Store {
    fn by_name(&self, name: &[u8]) -> Option<CertificateSet> {
        self.names.get(name).copied()
    }

    fn default_set(&self) -> CertificateSet {
        self.default
    }

    fn get(&self, id: CertificateId) -> Option<Credential<'_>> {
        self.entries.get(usize::from(id.0)).and_then(Entry::credential)
    }
}

/// Reads a file that the configuration names at `at`.
///
/// # Errors
/// It can not be read.
pub fn read<T>(written: &Written, at: &Spanned<T>, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|e| written.error(at, format!("{}: can not be read: {e}", path.display())))
}

fn read_key(pem: &[u8]) -> Result<SigningKey, String> {
    let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        let text = String::from_utf8_lossy(pem);
        if text.contains("ENCRYPTED") {
            "the private key is encrypted: decrypt it with `openssl pkey`, and restrict who can read the file"
        } else {
            "has no private key in PEM (PKCS#8, SEC 1 or PKCS#1)"
        }
    })?;
    let (encoding, der) = match &der {
        PrivateKeyDer::Pkcs8(der) => (Encoding::Pkcs8, der.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(der) => (Encoding::Sec1, der.secret_sec1_der()),
        PrivateKeyDer::Pkcs1(der) => (Encoding::Pkcs1, der.secret_pkcs1_der()),
        _ => return Err("has a private key of an unknown kind".into()),
    };
    SigningKey::from_der(encoding, der).map_err(|e| e.to_string())
}

fn warn_of_readers(path: &Path, warnings: &mut Vec<String>) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o004 != 0) {
        warnings.push(format!("{}: the private key can be read by every user: chmod o-r", path.display()));
    }
}

/// What is needed of a certificate.
struct Parsed {
    names: Vec<String>,
    public_key: Vec<u8>,
    not_before: u64,
    not_after: u64,
}

fn parse(der: &[u8]) -> Result<Parsed, String> {
    let bad = |e: x509_cert::der::Error| format!("the certificate does not parse: {e}");
    let certificate = Certificate::from_der(der).map_err(bad)?;
    let tbs = certificate.tbs_certificate();
    let alternative = tbs.get_extension::<SubjectAltName>().map_err(bad)?;
    let names = alternative.into_iter().flat_map(|(_, names)| names.0).filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    });
    Ok(Parsed {
        names: names.collect(),
        public_key: tbs.subject_public_key_info().to_der().map_err(bad)?,
        not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
        not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
    })
}

impl Parsed {
    /// What works but may not be meant.
    fn doubts<'a>(
        &self,
        chain: &'a [CertificateDer<'a>],
        ocsp: Option<&[u8]>,
    ) -> impl Iterator<Item = String> + use<'a> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let validity = if self.not_after < now {
            Some("the certificate has expired".to_owned())
        } else if self.not_before > now {
            Some("the certificate is not valid yet".to_owned())
        } else {
            let days = (self.not_after - now) / 86_400;
            (days < EXPIRY_WARNING_DAYS).then(|| format!("the certificate expires in {days} days"))
        };
        let staple = ocsp
            .is_some_and(|der| der.first() != Some(&0x30))
            .then(|| "the OCSP file is not a DER response".to_owned());
        let broken = chain.windows(2).position(|pair| {
            let subject_and_issuer = |der: &[u8]| {
                let certificate = Certificate::from_der(der).ok()?;
                let tbs = certificate.tbs_certificate();
                Some((tbs.subject().clone(), tbs.issuer().clone()))
            };
            match (subject_and_issuer(&pair[0]), subject_and_issuer(&pair[1])) {
                (Some((_, issuer)), Some((subject, _))) => issuer != subject,
                _ => true,
            }
        });
        let order = broken
            .map(|i| format!("certificate {} of the chain is not the issuer of the one before it", i + 2));
        [validity, staple, order].into_iter().flatten()
    }
}
