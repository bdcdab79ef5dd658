// SPDX-License-Identifier: MIT OR Apache-2.0
//! rustls with aws-lc-rs: the hybrid group, HelloRetryRequest, resumption, KeyUpdate.

use crate::{SUITES, ask_for_certificates, fits, site, site_with};
use harness::client::{self, Tls};
use harness::pki::pki;
use harness::server::{Config, Server};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs as provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::sync::Arc;

fn config(
    groups: &[&'static dyn SupportedKxGroup],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    client::config(CryptoProvider { kx_groups: groups.to_vec(), ..provider::default_provider() }, versions)
}

#[track_caller]
fn connect(server: &Server, config: &Arc<ClientConfig>) -> Tls {
    client::connect(server.address, config)
}

/// Sends a request and reads up to close_notify.
#[track_caller]
fn get(tls: &mut Tls) -> String {
    tls.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("send");
    let mut page = String::new();
    tls.read_to_string(&mut page).expect("receive up to close_notify");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    page
}

#[test]
fn every_group() {
    let (_backend, server) = site();
    for group in
        [provider::kx_group::X25519MLKEM768, provider::kx_group::X25519, provider::kx_group::SECP256R1]
    {
        let mut tls = connect(&server, &config(&[group], &[&TLS13]).into());
        get(&mut tls);
        assert_eq!(tls.conn.negotiated_key_exchange_group().map(|g| g.name()), Some(group.name()));
        assert_eq!(tls.conn.handshake_kind(), Some(HandshakeKind::Full));
    }
    for group in [provider::kx_group::X25519, provider::kx_group::SECP256R1] {
        let mut tls = connect(&server, &config(&[group], &[&TLS12]).into());
        get(&mut tls);
    }
}

#[test]
fn every_suite() {
    for (chain, key) in [("ecdsa.pem", "ecdsa.key"), ("rsa2048.pem", "rsa2048.key")] {
        let (_backend, server) = site_with(|c| c.without_certificates().certificate(chain, key));
        for suite in provider::ALL_CIPHER_SUITES {
            let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            let Some((iana, openssl, _)) = SUITES.iter().find(|(iana, ..)| *iana == name) else {
                panic!("a suite that is new to rustls: {name}");
            };
            if !fits(iana, chain) {
                continue;
            }
            let provider = CryptoProvider { cipher_suites: vec![*suite], ..provider::default_provider() };
            let version = if suite.tls13().is_some() { &TLS13 } else { &TLS12 };
            let page = get(&mut connect(&server, &client::config(provider, &[version]).into()));
            assert!(page.contains(&format!("cipher={openssl}\n")), "{page}");
        }
    }
}

#[test]
fn hello_retry_request() {
    let (_backend, server) = site();
    // The client's only share is for the first group, which the server does not have.
    for group in
        [provider::kx_group::X25519MLKEM768, provider::kx_group::X25519, provider::kx_group::SECP256R1]
    {
        let mut tls = connect(&server, &config(&[provider::kx_group::SECP384R1, group], &[&TLS13]).into());
        get(&mut tls);
        assert_eq!(tls.conn.handshake_kind(), Some(HandshakeKind::FullWithHelloRetryRequest));
        assert_eq!(tls.conn.negotiated_key_exchange_group().map(|g| g.name()), Some(group.name()));
    }
}

#[test]
fn the_servers_order_of_groups() {
    let groups = [provider::kx_group::X25519, provider::kx_group::SECP256R1];
    let cases =
        [("[\"x25519\", \"secp256r1\"]", NamedGroup::X25519), ("[\"secp256r1\"]", NamedGroup::secp256r1)];
    for (order, expected) in cases {
        let (_backend, server) = site_with(|c: Config| c.table(&format!("[tls]\ngroups = {order}")));
        let mut tls = connect(&server, &config(&groups, &[&TLS13]).into());
        get(&mut tls);
        assert_eq!(tls.conn.negotiated_key_exchange_group().map(|g| g.name()), Some(expected), "{order}");
    }
}

#[test]
fn resumption() {
    let (_backend, server) = site();
    for version in [&TLS12, &TLS13] {
        let mut config = config(provider::DEFAULT_KX_GROUPS, &[version]);
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut tls = connect(&server, &config);
            get(&mut tls);
            assert_eq!(tls.conn.handshake_kind(), Some(kind), "{version:?}");
        }
    }
}

#[test]
fn resumption_with_a_hello_retry_request() {
    let (_backend, server) = site_with(|c| c.table("[tls]\ngroups = [\"secp256r1\"]"));
    let config = Arc::new(config(&[provider::kx_group::X25519, provider::kx_group::SECP256R1], &[&TLS13]));
    for kind in [HandshakeKind::FullWithHelloRetryRequest, HandshakeKind::Resumed] {
        let mut tls = connect(&server, &config);
        get(&mut tls);
        assert_eq!(tls.conn.handshake_kind(), Some(kind));
    }
}

#[test]
fn key_update() {
    let (_backend, server) = site();
    let mut tls = connect(&server, &config(provider::DEFAULT_KX_GROUPS, &[&TLS13]).into());
    client::get(&mut tls, "/").expect("a response");
    for _ in 0..5 {
        tls.conn.refresh_traffic_keys().expect("a KeyUpdate");
        client::get(&mut tls, "/").expect("a response");
    }
    get(&mut tls);
}

#[test]
fn client_certificate() {
    let (_backend, server) = site_with(|c| ask_for_certificates(c, "required"));
    for version in [&TLS12, &TLS13] {
        let certificate = CertificateDer::from_pem_file(pki().path("client.crt")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(pki().path("client.key")).expect("a key");
        let config = ClientConfig::builder_with_provider(provider::default_provider().into())
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_root_certificates(client::roots())
            .with_client_auth_cert(vec![certificate], key)
            .expect("a certificate");
        let page = get(&mut connect(&server, &Arc::new(config)));
        assert!(page.contains("cn=client\n"), "{page}");
    }
}

#[test]
fn small_records_from_the_client() {
    let (_backend, server) = site();
    for version in [&TLS12, &TLS13] {
        let mut config = config(provider::DEFAULT_KX_GROUPS, &[version]);
        config.max_fragment_size = Some(64);
        get(&mut connect(&server, &Arc::new(config)));
    }
}
