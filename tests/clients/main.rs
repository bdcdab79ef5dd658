// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that people use, against the program: each completes a handshake and a GET, and the page they
//! get is the backend's account of the PROXY header that reached it.

mod chromium;
mod curl;
mod gnutls;
mod identities;
mod languages;
mod openssl;
mod rustls;

use harness::backend::Backend;
use harness::server::{Config, Server};

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// Lists of groups of which the server takes the first, as OpenSSL and GnuTLS write them. A TLS 1.2 client that
/// takes an ECDSA certificate has to name its curve (RFC 8422 §5.1).
const GROUPS: [(&str, &str); 2] =
    [("X25519:P-256", "+GROUP-X25519:+GROUP-SECP256R1"), ("P-256", "+GROUP-SECP256R1")];

/// Cipher suites: IANA's name, OpenSSL's (which the PROXY header has too), and the version.
const SUITES: [(&str, &str, Version); 9] = [
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", Version::Tls13),
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", Version::Tls13),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", Version::Tls13),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", Version::Tls12),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", Version::Tls12),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", Version::Tls12),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", Version::Tls12),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", Version::Tls12),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", Version::Tls12),
];

/// Certificates: the chain, and its key in the format that stands for its kind.
const CERTIFICATES: [(&str, &str); 4] = [
    ("ecdsa.pem", "ecdsa.sec1.key"),
    ("rsa2048.pem", "rsa2048.pkcs1.key"),
    ("rsa3072.pem", "rsa3072.key"),
    ("rsa4096.pem", "rsa4096.key"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    Tls12,
    Tls13,
}

impl Version {
    const BOTH: [Self; 2] = [Self::Tls12, Self::Tls13];

    /// As the PROXY header says it.
    const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// As OpenSSL's command line says it.
    const fn openssl(self) -> &'static str {
        match self {
            Self::Tls12 => "-tls1_2",
            Self::Tls13 => "-tls1_3",
        }
    }
}

/// Does the suite go with the certificate in this file?
fn fits(suite: &str, chain: &str) -> bool {
    let ecdsa = chain.starts_with("ecdsa");
    !suite.contains("ECDHE") || suite.contains(if ecdsa { "ECDSA" } else { "ECDHE_RSA" })
}

/// A backend that answers HTTP and a server in front of it, with an ECDSA and an RSA certificate.
fn site() -> (Backend, Server) {
    site_with(|config| config.certificate("rsa2048.pem", "rsa2048.key"))
}

/// The same, configured further; it has the ECDSA certificate to begin with.
fn site_with(change: impl FnOnce(Config) -> Config) -> (Backend, Server) {
    let backend = Backend::http();
    let server = Server::start(&change(Config::new(&backend)));
    (backend, server)
}

/// `[client_certificates]` in this mode, with the revocation list.
fn ask_for_certificates(config: Config, mode: &str) -> Config {
    let pki = harness::pki::pki();
    let (ca, crl) = (pki.text("client-ca.crt"), pki.text("crl.pem"));
    config.table(&format!("[client_certificates]\nmode = {mode:?}\nca_file = {ca:?}\ncrl_file = {crl:?}"))
}
