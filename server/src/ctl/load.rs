// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration file of `ttls serve` as a message to the module.

use super::failure::Failure;
use super::message::{Writer, attribute, flag};
use ttls::config::{CertificateId, ClientCertificate, Credentials, UnknownName};
use ttls::suite::group_code;
use ttls_crypto::sign::Encoding;
use ttls_server::certificates::Store;
use ttls_server::config::Source;
use ttls_server::config::source::Written;
use ttls_server::files;
use ttls_server::settings;
use zeroize::Zeroizing;

/// Reads and checks the file and everything it names, and makes the message of it.
pub(crate) fn message(source: &Source, warnings: &mut Vec<String>) -> Result<Writer, Failure> {
    let written = source.read()?;
    // The keys as they were matched with their certificates: a file may be another in a moment.
    let mut keys = Vec::new();
    let store = Store::load_showing(&written, warnings, &mut |encoding, der| {
        keys.push((encoding, Zeroizing::new(der.to_vec())));
    })?;
    if store.is_empty() {
        return Err(written.missing("no certificate: add [[certificate]] with `chain` and `key`").into());
    }
    let policy = settings::policy(&written, false)?;
    if policy.client_certificate != ClientCertificate::None {
        return Err(Failure::failed(
            "client_certificates.mode: the kernel module can not ask for certificates",
        ));
    }
    let mut message = Writer::default();
    for (index, (encoding, key)) in (0..).zip(&keys) {
        let inner = certificate(&store, CertificateId(index), *encoding, key)?;
        message.nest(attribute::CERTIFICATE, &inner)?;
    }
    let mut flags = 0;
    for (set, flag) in [
        (policy.tls12, flag::TLS12),
        (policy.tls13, flag::TLS13),
        (policy.unknown_name == UnknownName::Refuse, flag::REFUSE_UNKNOWN_NAMES),
        (policy.alpn_required, flag::ALPN_REQUIRED),
        (policy.client_order, flag::CLIENT_ORDER),
        (policy.extended_master_secret_required, flag::REQUIRE_EMS),
    ] {
        flags |= if set { flag } else { 0 };
    }
    message.number(attribute::FLAGS, flags)?;
    let suites: Vec<u8> = policy.suites.iter().flat_map(|suite| suite.code().to_be_bytes()).collect();
    message.put(attribute::SUITES, &suites)?;
    let groups: Vec<u8> = policy.groups.iter().flat_map(|group| group_code(group).to_be_bytes()).collect();
    message.put(attribute::GROUPS, &groups)?;
    let mut alpn = Vec::new();
    for protocol in policy.alpn.iter() {
        let name = protocol.as_bytes();
        alpn.push(u8::try_from(name.len())?);
        alpn.extend_from_slice(name);
    }
    message.put(attribute::ALPN, &alpn)?;
    message.number(attribute::TICKETS, policy.tickets.into())?;
    message.number(attribute::TICKET_LIFETIME, policy.ticket_lifetime)?;
    tickets(&written, &mut message)?;
    let timeout = written.config.timeouts.handshake.0.as_millis();
    message.number(attribute::HANDSHAKE_TIMEOUT, u32::try_from(timeout).unwrap_or(u32::MAX))?;
    let half_open = u32::try_from(written.config.limits.half_open).unwrap_or(u32::MAX);
    message.number(attribute::MAX_PENDING, half_open)?;
    Ok(message)
}

fn certificate(store: &Store, id: CertificateId, encoding: Encoding, key: &[u8]) -> Result<Writer, Failure> {
    let credential = store.get(id).ok_or_else(|| Failure::failed("a certificate is missing"))?;
    let mut inner = Writer::default();
    inner.put(attribute::CHAIN, credential.chain.entries())?;
    let encoding = match encoding {
        Encoding::Pkcs8 => 0,
        Encoding::Sec1 => 1,
        Encoding::Pkcs1 => 2,
    };
    inner.put(attribute::KEY, key)?;
    inner.put(attribute::KEY_ENCODING, &[encoding])?;
    let mut names: Vec<&[u8]> = store
        .names()
        .filter(|(_, set)| set.ecdsa == Some(id) || set.rsa == Some(id))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    let names: Vec<u8> = names.iter().flat_map(|name| name.iter().copied().chain([0])).collect();
    inner.put(attribute::NAMES, &names)?;
    if let Some(staple) = credential.ocsp {
        inner.put(attribute::OCSP, staple)?;
    }
    let default = store.default_set();
    if default.ecdsa == Some(id) || default.rsa == Some(id) {
        inner.put(attribute::DEFAULT, &[])?;
    }
    Ok(inner)
}

fn tickets(written: &Written, message: &mut Writer) -> Result<(), Failure> {
    let tickets = &written.config.tickets;
    if !tickets.enabled {
        return Ok(());
    }
    match &tickets.secret_file {
        Some(at) => {
            let secret = files::read(written, at, &written.path(at))?;
            message.put(attribute::TICKET_SECRET, &secret)?;
        }
        None => {
            let mut secret = Zeroizing::new([0; 64]);
            ttls_server::serve::random::kernel(&mut *secret);
            message.put(attribute::TICKET_SECRET, &*secret)?;
        }
    }
    if let Some(at) = &tickets.previous_secret_file {
        let secret = files::read(written, at, &written.path(at))?;
        message.put(attribute::TICKET_SECRET_BEFORE, &secret)?;
    }
    Ok(())
}
