// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's certificates: read, checked against their keys, and found by name.

mod chain;
mod key;
mod staple;

pub(crate) use chain::certificate;
pub use staple::Staple;

use crate::config::source::Written;
use crate::config::{Error, schema};
use crate::files;
use crate::x509::{Certificate, Time};
use chain::Presented;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use ttls::config::{CertificateId, CertificateSet, Chain, Credential, Credentials};
use ttls::handshake::flight_size;
use ttls_crypto::sign::{Encoding, KeyKind, SigningKey};
use ttls_crypto::wipe::wipe_unused;

/// Longest flight of a handshake, in bytes: it has to fit a record buffer.
pub const MAX_FLIGHT: usize = 18 << 10;

/// Certificates, keys and names.
#[derive(Default)]
pub struct Store {
    entries: Vec<Entry>,
    names: HashMap<Vec<u8>, CertificateSet>,
    default: CertificateSet,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.entries.clear();
        // Keys wipe themselves; what lay on the stack where an entry was made has come along in its gaps.
        wipe_unused(self.entries.spare_capacity_mut());
    }
}

struct Entry {
    key: SigningKey,
    /// In the encoding of [`Chain`].
    chain: Vec<u8>,
    ocsp: Option<Staple>,
    /// The file, for messages.
    file: PathBuf,
    not_after: Option<Time>,
}

/// A certificate as an operator wants to see it.
pub struct Summary<'a> {
    /// The file of the chain; empty for the demo's own.
    pub file: &'a Path,
    /// The kind of its key.
    pub kind: KeyKind,
    /// Names under which clients get it, sorted.
    pub names: Vec<&'a str>,
    /// Clients without a known name get it.
    pub default: bool,
    /// The last second in which it is valid.
    pub not_after: Option<Time>,
    /// A response is stapled to it.
    pub stapled: bool,
}

impl Entry {
    /// `None` cannot occur: the chain was encoded here.
    fn credential(&self) -> Option<Credential<'_>> {
        let chain = Chain::new(&self.chain).ok()?;
        // The clock is asked only where there is a response that can run out.
        let ocsp = self.ocsp.as_ref().filter(|staple| staple.is_good(Time::now())).map(Staple::der);
        Some(Credential { kind: self.key.kind(), chain, ocsp })
    }
}

impl Store {
    /// Reads all certificates. What is doubtful but works is added to `warnings`.
    ///
    /// # Errors
    /// Files that can not be read or used, keys that do not match: all of them.
    pub fn load(written: &Written, warnings: &mut Vec<String>) -> Result<Self, Error> {
        Self::load_showing(written, warnings, &mut |_, _| ())
    }

    /// [`Store::load`], which shows `see` the encoding of each certificate's key, as it was read and checked, in their order.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_showing(
        written: &Written,
        warnings: &mut Vec<String>,
        see: &mut dyn FnMut(Encoding, &[u8]),
    ) -> Result<Self, Error> {
        let certificates = written.config.certificate.iter();
        // Keys do not move any more once they are there: who moves them leaves copies.
        let mut store = Self::default();
        store.entries.reserve_exact(certificates.len());
        let errors: Vec<_> =
            certificates.filter_map(|c| store.add_files(written, c, warnings, see).err()).collect();
        if !errors.is_empty() {
            return Err(Error::several(errors));
        }
        store.choose_default(written);
        let idle =
            store.summaries().filter(|certificate| certificate.names.is_empty() && !certificate.default);
        warnings.extend(idle.map(|certificate| {
            let file = certificate.file.display();
            format!("{file}: no client gets this certificate: it is not `default`, and has no name that others lack")
        }));
        Ok(store)
    }

    fn add_files(
        &mut self,
        written: &Written,
        spanned: &Spanned<schema::Certificate>,
        warnings: &mut Vec<String>,
        see: &mut dyn FnMut(Encoding, &[u8]),
    ) -> Result<(), Error> {
        let certificate = spanned.get_ref();
        let chain_path = written.path(&certificate.chain);
        let key_at = certificate.key.as_ref().unwrap_or(&certificate.chain);
        let key_path = written.path(key_at);
        let blocks = files::read_pem(written, &certificate.chain, &chain_path)?;
        let at = chain_path.display();
        let mut doubts = Vec::new();
        let chain = Presented::read(&blocks, key_path == chain_path, &mut doubts)
            .map_err(|e| written.error(&certificate.chain, format!("{at}{e}")))?;
        let own;
        let key_blocks = if key_path == chain_path {
            &blocks
        } else {
            own = files::read_pem(written, key_at, &key_path)?;
            &own
        };
        let (encoding, der) = key::private_key(key_blocks)
            .map_err(|e| written.error(key_at, format!("{}{e}", key_path.display())))?;
        let key = SigningKey::from_der(encoding, der)
            .map_err(|e| written.error(key_at, format!("{}: {e}", key_path.display())))?;
        files::warn_of_readers(&key_path, "the private key", warnings);
        chain.must_belong_to(&key).map_err(|what| {
            written.error(
                key_at,
                format!(
                    "{}: the private key does not belong to the certificate in {at}{what}",
                    key_path.display()
                ),
            )
        })?;
        see(encoding, der);
        chain.doubts(Time::now(), &mut doubts);
        let ocsp = match &certificate.ocsp {
            None => None,
            Some(at) => {
                // A response is a help, never a need: a bad one is left out, and the server starts.
                let path = written.path(at);
                let read = files::read(written, at, &path).map_err(|e| e.to_string());
                let staple = read.and_then(|der| {
                    Staple::read(&der, chain.leaf(), Time::now())
                        .map_err(|e| format!("{}: {e}", path.display()))
                });
                staple.map_err(|e| warnings.push(format!("{e}: no OCSP response is stapled"))).ok()
            }
        };
        let names = match &certificate.names {
            Some(names) => names.iter().map(|name| name.get_ref().0.clone()).collect(),
            None => chain.names(&mut doubts),
        };
        warnings.extend(doubts.into_iter().map(|doubt| format!("{at}{doubt}")));
        let new = New {
            key,
            chain: &chain.certificates(),
            ocsp,
            names: &names,
            default: certificate.default,
            file: chain_path.clone(),
        };
        let doubts = self.add(new).map_err(|e| written.error(&certificate.chain, format!("{at}: {e}")))?;
        warnings.extend(doubts.into_iter().map(|doubt| format!("{at}: {doubt}")));
        Ok(())
    }

    /// Adds a certificate. Returns what is doubtful about it.
    ///
    /// # Errors
    /// A certificate is over 16 MiB, or it is the second default of its kind.
    pub fn add(&mut self, new: New<'_>) -> Result<Vec<String>, String> {
        let New { key, chain, ocsp, names, default, file } = new;
        let mut encoded = vec![0; Chain::encoded_len(chain.iter().copied())];
        Chain::encode(chain.iter().copied(), &mut encoded).map_err(|e| e.to_string())?;
        let id =
            CertificateId(u16::try_from(self.entries.len()).map_err(|_| "more than 65536 certificates")?);
        let kind = key.kind();
        if default {
            let place = place(&mut self.default, kind);
            if place.is_some() {
                return Err("is the second `default` certificate with a key of this kind".into());
            }
            *place = Some(id);
        }
        let mut doubts = Vec::new();
        for name in names {
            let place = place(self.names.entry(name.clone().into_bytes()).or_default(), kind);
            match *place {
                None => *place = Some(id),
                Some(first) if first == id => {}
                Some(first) => {
                    let file = self.entries.get(usize::from(first.0)).map(|entry| entry.file.display());
                    let file = file.map_or_else(String::new, |file| file.to_string());
                    doubts.push(format!(
                        "clients that ask for {name} get the certificate in {file}, which comes first: give each its own `names`"
                    ));
                }
            }
        }
        let not_after = chain.first().and_then(|der| Certificate::read(der).ok()?.not_after);
        self.entries.push(Entry { key, chain: encoded, ocsp, file, not_after });
        Ok(doubts)
    }

    /// Without an explicit default: the first certificate, and the first of the other kind that shares a name with it.
    fn choose_default(&mut self, written: &Written) {
        let explicit = written.config.certificate.iter().any(|c| c.get_ref().default);
        let Some(kind) = self.entries.first().map(|entry| entry.key.kind()).filter(|_| !explicit) else {
            return;
        };
        let first = CertificateId(0);
        let with_first = |set: &&CertificateSet| set.ecdsa == Some(first) || set.rsa == Some(first);
        let shared = self.names.values().filter(with_first);
        let both = shared.min_by_key(|set| {
            (set.ecdsa.is_none() || set.rsa.is_none(), set.ecdsa.map(|id| id.0), set.rsa.map(|id| id.0))
        });
        self.default = both.copied().unwrap_or_default();
        *place(&mut self.default, kind) = Some(first);
    }

    /// Leaves out the responses with which a flight would not fit: without them it may.
    pub fn leave_out_long_staples(&mut self, warnings: &mut Vec<String>) {
        for entry in &mut self.entries {
            let fits = entry.credential().is_none_or(|credential| flight_size(&credential, 0) <= MAX_FLIGHT);
            if !fits && let Some(staple) = entry.ocsp.take() {
                let (file, length) = (entry.file.display(), staple.der().len());
                warnings.push(format!(
                    "{file}: the OCSP response of {length} bytes does not fit the server's flight: no OCSP response is stapled"
                ));
            }
        }
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
                    entry.ocsp.as_ref().map_or(0, |staple| staple.der().len()),
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

    /// What there is, in the order of the configuration.
    pub fn summaries(&self) -> impl Iterator<Item = Summary<'_>> {
        (0..).zip(&self.entries).map(|(number, entry)| {
            let id = Some(CertificateId(number));
            let has = |set: CertificateSet| set.ecdsa == id || set.rsa == id;
            let names = self.names().filter(|(_, set)| has(*set));
            let mut names: Vec<_> = names.filter_map(|(name, _)| std::str::from_utf8(name).ok()).collect();
            names.sort_unstable();
            Summary {
                file: &entry.file,
                kind: entry.key.kind(),
                names,
                default: has(self.default),
                not_after: entry.not_after,
                stapled: entry.ocsp.is_some(),
            }
        })
    }
}

/// A certificate to be added.
pub struct New<'a> {
    /// Its private key.
    pub key: SigningKey,
    /// DER, leaf first.
    pub chain: &'a [&'a [u8]],
    /// A response to staple.
    pub ocsp: Option<Staple>,
    /// Server names, in lower case.
    pub names: &'a [String],
    /// For clients without a known name.
    pub default: bool,
    /// The chain's file, for messages.
    pub file: PathBuf,
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
