// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parts of a configuration that are good each for itself, and do not go together.

use super::routes::{Routes, Target};
use crate::certificates::Store;
use crate::config::Error;
use crate::config::source::Written;
use crate::files;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use ttls::Policy;
use ttls::config::{Credentials, UnknownName};
use ttls::suite::{KeyKind, Suite, Version};

/// Whether the certificates go with the suites of TLS 1.2, each of which is for one kind of key.
///
/// # Errors
/// No handshake could succeed.
pub(super) fn suites(
    written: &Written,
    policy: &Policy,
    store: &Store,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    const KEY: &str = "tls.suites";
    let kinds: Vec<KeyKind> = store.summaries().map(|certificate| certificate.kind).collect();
    let is_served = |suite: &Suite| suite.key_kind().is_none_or(|kind| kinds.contains(&kind));
    let of_tls12 = || policy.suites.iter().filter(|suite| suite.version() == Version::Tls12);
    if policy.tls12 && !of_tls12().any(|suite| is_served(&suite)) {
        let missing = if kinds.contains(&KeyKind::Rsa) { "ECDSA" } else { "RSA" };
        let message = format!("no suite of TLS 1.2 goes with a certificate: all are for {missing} keys");
        if !policy.tls13 {
            return Err(written.about(KEY, &message));
        }
        warnings.push(written.about(KEY, &format!("{message}, and only TLS 1.3 works")).to_string());
    } else if policy.tls12 && written.is_written(KEY) {
        let idle: Vec<_> = of_tls12().filter(|suite| !is_served(suite)).map(|suite| suite.name()).collect();
        if !idle.is_empty() {
            let message = format!("no certificate has a key for {}", idle.join(", "));
            warnings.push(written.about(KEY, &message).to_string());
        }
    }
    Ok(())
}

/// Whether clients can get to where routes lead, and are understood there.
pub(super) fn routes(
    written: &Written,
    policy: &Policy,
    store: &Store,
    routes: &Routes,
    warnings: &mut Vec<String>,
) {
    let what_happens = match policy.unknown_name {
        UnknownName::UseDefault => "get the default certificate, which is not for it",
        UnknownName::Refuse => "are refused (tls.unknown_name), and never come here",
    };
    // `--demo` makes a certificate that is for no name in particular.
    let names = written.config.route.iter().flat_map(|route| &route.names);
    for name in names.filter(|_| !written.config.certificate.is_empty()) {
        let text = &name.get_ref().0;
        if !has_certificate(store, text) {
            let message = format!("no certificate is for `{text}`: clients that ask for it {what_happens}");
            warnings.push(written.error(name, message).to_string());
        }
    }
    if files::under_systemd() {
        let sockets = routes.iter().filter_map(|route| match &route.target {
            Target::Unix(address, name) => Some((Path::new(OsStr::from_bytes(address.path_bytes()?)), name)),
            _ => None,
        });
        warnings.extend(sockets.filter_map(|(path, name)| {
            Some(format!("backend {name}{}", files::sandbox_hint(path, ErrorKind::NotFound)?))
        }));
    }
    let builtin = routes.iter().find(|route| matches!(route.target, Target::Demo | Target::Static(_)));
    if let Some(route) = builtin.filter(|_| policy.alpn.iter().any(|protocol| protocol.as_bytes() == b"h2")) {
        let message = format!(
            "h2 is offered, but `{}` answers HTTP/1.1 only: clients that choose h2 get nothing",
            route.target.name()
        );
        warnings.push(written.about("tls.alpn", &message).to_string());
    }
}

/// Whether a certificate is for a route's name, or for one of those that a wildcard stands for.
fn has_certificate(store: &Store, name: &str) -> bool {
    if store.by_name(name.as_bytes()).is_some() {
        return true;
    }
    let Some((label, parent)) = name.split_once('.') else { return false };
    match label {
        "*" => store.names().any(|(of, _)| {
            std::str::from_utf8(of).is_ok_and(|of| of.split_once('.').is_some_and(|(_, rest)| rest == parent))
        }),
        _ => store.by_name(format!("*.{parent}").as_bytes()).is_some(),
    }
}
