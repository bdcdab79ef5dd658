// SPDX-License-Identifier: MIT OR Apache-2.0
//! An independent client (rustls) completes handshakes with the core, in memory.
#![allow(missing_docs)]

mod support;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup, SignatureScheme,
    SupportedCipherSuite,
};
use std::io::{Read, Write};
use std::sync::Arc;
use support::{NOW, Server, Site};
use ttls::config::{List, Protocol, UnknownName};
use ttls::suite::{Group, Suite, Version};

/// Takes any certificate, but its signatures must verify.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// A client configuration, with the provider's lists cut down by `keep`.
fn config(keep: impl FnOnce(&mut CryptoProvider)) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    keep(&mut provider);
    let algorithms = provider.signature_verification_algorithms;
    ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
        .with_no_client_auth()
}

fn connect<'s>(site: &'s Site, config: &Arc<ClientConfig>) -> (ClientConnection, Server<'s>) {
    let name = ServerName::try_from("one.example").unwrap();
    (ClientConnection::new(config.clone(), name).unwrap(), Server::new(site))
}

/// Exchanges bytes, `step` at a time from the client, until both sides are silent.
fn pump(client: &mut ClientConnection, server: &mut Server<'_>, step: usize) -> Result<(), rustls::Error> {
    loop {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        sent.chunks(step).for_each(|chunk| server.receive(chunk));
        let mut answer = std::mem::take(&mut server.output);
        let mut rest = &answer[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if sent.is_empty() && answer.is_empty() {
            return Ok(());
        }
        answer.clear();
    }
}

/// A whole connection: handshake, data both ways, KeyUpdate both ways in TLS 1.3, close both ways.
fn converse(site: &Site, config: &Arc<ClientConfig>, step: usize) -> (ClientConnection, ttls::Session) {
    let (mut client, mut server) = connect(site, config);
    pump(&mut client, &mut server, step).unwrap();
    let session = server.session.clone().unwrap_or_else(|| panic!("handshake failed: {:?}", server.error));

    for round in 0..3 {
        let request = vec![round; 40_000];
        client.writer().write_all(&request).unwrap();
        pump(&mut client, &mut server, 8_191.min(step * 1000)).unwrap();
        assert_eq!(std::mem::take(&mut server.received), request);
        let response = vec![!round; 70_000];
        server.send(&response);
        let mut seen = vec![0; response.len()];
        let output = std::mem::take(&mut server.output);
        let (mut rest, mut read) = (&output[..], 0);
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
            while let Ok(count @ 1..) = client.reader().read(&mut seen[read..]) {
                read += count;
            }
        }
        assert_eq!(seen, response);
        if session.version == Version::Tls13 {
            client.refresh_traffic_keys().unwrap();
            server.with_traffic(|traffic, out| traffic.update_keys(out).unwrap());
        }
    }
    client.send_close_notify();
    server.with_traffic(|traffic, out| traffic.close_notify(out).unwrap());
    pump(&mut client, &mut server, step).unwrap();
    assert!(server.closed);
    assert!(client.process_new_packets().unwrap().peer_has_closed());
    (client, session)
}

#[test]
fn every_suite_group_and_fragmentation() {
    for suite in Suite::ALL {
        for (group, name) in [
            (Group::X25519, NamedGroup::X25519),
            (Group::Secp256r1, NamedGroup::secp256r1),
            (Group::X25519MlKem768, NamedGroup::X25519MLKEM768),
        ] {
            if suite.version() == Version::Tls12 && group == Group::X25519MlKem768 {
                continue;
            }
            let config = Arc::new(config(|provider| {
                provider.kx_groups.retain(|g| g.name() == name);
                if suite.version() == Version::Tls12 && group != Group::Secp256r1 {
                    // An ECDSA certificate needs its curve among the groups.
                    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
                }
                // rustls insists on a suite for each version that it offers.
                let other =
                    |s: &SupportedCipherSuite| s.tls13().is_some() != (suite.version() == Version::Tls13);
                provider.cipher_suites.retain(|s| u16::from(s.suite()) == suite.code() || other(s));
            }));
            let mut site = Site::new();
            site.tickets = None;
            site.policy.tls13 = suite.version() == Version::Tls13;
            site.policy.tls12 = !site.policy.tls13;
            site.policy.suites = List::new([suite]).unwrap();
            for step in [1, 7, 1400, usize::MAX >> 20] {
                let (client, session) = converse(&site, &config, step);
                assert_eq!(session.suite, suite);
                assert_eq!(session.group, Some(group));
                assert_eq!(u16::from(client.negotiated_cipher_suite().unwrap().suite()), suite.code());
            }
        }
    }
}

#[test]
fn hello_retry_request() {
    let mut site = Site::new();
    site.policy.groups = List::new([Group::Secp256r1]).unwrap();
    site.tickets = None;
    for step in [1, 1000] {
        // A new one each time: rustls remembers which group a server wanted.
        let config = Arc::new(config(|_| {}));
        let (client, session) = converse(&site, &config, step);
        assert_eq!(session.group, Some(Group::Secp256r1));
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::FullWithHelloRetryRequest));
    }
}

#[test]
fn resumption_in_both_versions() {
    for tls13 in [false, true] {
        let mut site = Site::new();
        site.policy.tls13 = tls13;
        let config = Arc::new(config(|_| {}));
        let (client, session) = converse(&site, &config, 1000);
        assert!(!session.resumed);
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        for _ in 0..3 {
            let (client, session) = converse(&site, &config, 1000);
            assert!(session.resumed, "tls13: {tls13}");
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
        }
        // Past its lifetime a ticket is worth nothing, and the handshake is full again.
        site.now = NOW + 43_200_001;
        let (client, session) = converse(&site, &config, 1000);
        assert!(!session.resumed);
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn a_tls12_session_ends_with_its_lifetime_however_often_it_is_resumed() {
    let mut site = Site::new();
    site.policy.tls13 = false;
    let config = Arc::new(config(|_| {}));
    converse(&site, &config, 1000);
    for minutes in [1, 360, 719, 720] {
        site.now = NOW + minutes * 60_000;
        site.tickets.as_mut().unwrap().advance(site.now).unwrap();
        let (_, session) = converse(&site, &config, 1000);
        assert!(session.resumed, "after {minutes} minutes");
    }
    site.now += 1;
    let (_, session) = converse(&site, &config, 1000);
    assert!(!session.resumed);
}

#[test]
fn names_protocols_and_staples() {
    let mut site = Site::new();
    site.policy.alpn =
        List::new([Protocol::new(b"h2").unwrap(), Protocol::new(b"http/1.1").unwrap()]).unwrap();
    site.certificates.ocsp = Some(vec![0x30, 0x03, 0x0a, 0x01, 0x00]);
    let mut with_alpn = config(|_| {});
    with_alpn.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    for tls13 in [false, true] {
        site.policy.tls13 = tls13;
        let (client, session) = converse(&site, &Arc::new(with_alpn.clone()), 1000);
        assert_eq!(session.alpn.unwrap().as_bytes(), b"h2");
        assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(session.server_name.unwrap().as_str(), "one.example");
    }

    let mut stranger = with_alpn.clone();
    stranger.alpn_protocols = vec![b"ftp".to_vec()];
    let (mut client, mut server) = connect(&site, &Arc::new(stranger));
    let error = pump(&mut client, &mut server, 1000).unwrap_err();
    assert_eq!(server.error, Some(ttls::Error::NoCommonAlpn));
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol));

    site.policy.unknown_name = UnknownName::Refuse;
    let name = ServerName::try_from("two.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(with_alpn.clone()), name).unwrap();
    let mut server = Server::new(&site);
    let error = pump(&mut client, &mut server, 1000).unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::UnrecognisedName));
    let name = ServerName::try_from("a.wild.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(with_alpn), name).unwrap();
    let mut server = Server::new(&site);
    pump(&mut client, &mut server, 1000).unwrap();
    assert!(server.session.is_some());
}

#[test]
fn certificates_by_what_the_client_can_verify() {
    let mut site = Site::new();
    for (tls13, rsa_only, suite) in
        [(true, false, 0x1301), (true, true, 0x1301), (false, false, 0xc02b), (false, true, 0xc02f)]
    {
        site.policy.tls13 = tls13;
        let config = config(|provider| {
            if rsa_only {
                let all = provider.signature_verification_algorithms;
                let mapping: Vec<_> = all
                    .mapping
                    .iter()
                    .filter(|(scheme, _)| !format!("{scheme:?}").starts_with("ECDSA"))
                    .copied()
                    .collect();
                provider.signature_verification_algorithms.mapping = Vec::leak(mapping);
            }
        });
        let (client, session) = converse(&site, &Arc::new(config), 1000);
        assert_eq!(session.suite.code(), suite);
        assert_eq!(client.peer_certificates().unwrap().len(), 1);
    }
}

#[test]
fn record_sizes_follow_the_client() {
    let site = Site::new();
    for size in [64 + 5 + 256, 512, 1200, 16_384] {
        let mut small = config(|_| {});
        small.max_fragment_size = Some(size);
        converse(&site, &Arc::new(small), 1000);
    }
}

#[test]
fn a_long_chain_is_cut_into_records() {
    // max_fragment_size makes rustls refuse nothing, so the cut is checked through record_size_limit elsewhere;
    // here the flight is larger than one record because the chain is.
    let mut site = Site::new();
    site.certificates.ocsp = Some(vec![0x30; 10_000]);
    for tls13 in [false, true] {
        site.policy.tls13 = tls13;
        converse(&site, &Arc::new(config(|_| {})), 1000);
    }
}
