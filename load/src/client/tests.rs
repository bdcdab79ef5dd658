// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client talks to an independent server, rustls, in memory; and it must notice a server that lies.

use super::{Cipher, Client, Event, Fault, Group, Offer, Profile, Session, Signature, Version, agreed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

const REQUEST: &[u8] = b"to the server";
const RESPONSE: &[u8] = b"to the client";

fn key(rsa: bool) -> rcgen::KeyPair {
    let algorithm = if rsa { &rcgen::PKCS_RSA_SHA256 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
    rcgen::KeyPair::generate_for(algorithm).unwrap()
}

/// A server that shows the certificate of one key and signs with another, or the same.
fn server(shown: &rcgen::KeyPair, signs: &rcgen::KeyPair) -> Arc<ServerConfig> {
    let certificate =
        rcgen::CertificateParams::new(["test.example".to_owned()]).unwrap().self_signed(shown).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let private = PrivateKeyDer::Pkcs8(signs.serialize_der().into());
    let key = provider.key_provider.load_private_key(private).unwrap();
    let certified = CertifiedKey::new(vec![CertificateDer::from(certificate.der().to_vec())], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}

fn offer(version: Version, group: Group, cipher: Cipher, signature: Signature) -> Offer {
    let name = Some("test.example".to_owned());
    Offer::new(Profile { version, group, cipher, signature, name, look: None }).unwrap()
}

#[derive(Debug, PartialEq, Eq)]
struct Report {
    resumed: bool,
    verified: bool,
}

/// One connection with a request and a response. `spoil` may change what the server sends.
fn connect(
    offer: &Offer,
    config: &Arc<ServerConfig>,
    verify: bool,
    spoil: impl Fn(&mut Vec<u8>),
) -> Result<(Report, Option<Session>), Fault> {
    let mut server = ServerConnection::new(config.clone()).unwrap();
    let mut client = Client::new();
    let mut to_server = Vec::new();
    client.start(offer, &[7; 64], verify, true, Instant::now(), &mut to_server)?;
    let (mut to_client, mut response, mut report) = (Vec::new(), Vec::new(), None);
    for _ in 0..10 {
        let mut sent = &to_server[..];
        while !sent.is_empty() {
            server.read_tls(&mut sent).unwrap();
            // An error's alert goes to the client.
            let _ = server.process_new_packets();
        }
        to_server.clear();
        let mut request = [0; 64];
        if let Ok(len) = server.reader().read(&mut request) {
            assert_eq!(&request[..len], REQUEST);
            server.writer().write_all(RESPONSE).unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut to_client).unwrap();
        }
        spoil(&mut to_client);
        loop {
            let (used, event) = client.receive(offer, &mut to_client, &mut to_server)?;
            if let Event::Data(at) = &event {
                response.extend_from_slice(&to_client[at.clone()]);
            }
            to_client.drain(..used);
            match event {
                Event::Nothing => break,
                Event::Agree(agreement) => {
                    let shared = agreed(Some(agreement.work().run()))?;
                    client.agreed(offer, &shared, &mut to_server)?;
                }
                Event::Established { resumed, verified } => {
                    report = Some(Report { resumed, verified });
                    client.send(REQUEST, &mut to_server);
                }
                Event::Data(_) | Event::CloseNotify => {}
            }
        }
        if response == RESPONSE {
            return Ok((report.unwrap(), client.session));
        }
    }
    Err(Fault::Wrong("nothing happens"))
}

#[test]
fn every_version_group_cipher_and_certificate_and_its_resumption() {
    let ciphers = [Cipher::Aes128Gcm, Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305];
    for (rsa, signature) in [(false, Signature::Ecdsa), (true, Signature::Rsa), (false, Signature::Any)] {
        let key = key(rsa);
        let config = server(&key, &key);
        for (version, groups) in [
            (Version::Tls13, &[Group::X25519, Group::Secp256r1, Group::X25519MlKem768][..]),
            (Version::Tls12, &[Group::Secp256r1]),
        ] {
            for (&group, cipher) in groups.iter().flat_map(|group| ciphers.map(|cipher| (group, cipher))) {
                let what = format!("{version:?} {group:?} {cipher:?} {signature:?}");
                let mut offer = offer(version, group, cipher, signature);
                let (report, session) = connect(&offer, &config, true, |_| ()).expect(&what);
                assert_eq!(report, Report { resumed: false, verified: true }, "{what}");
                offer.resume(session.expect(&what)).expect(&what);
                // A ticket serves any number of connections.
                for _ in 0..2 {
                    let (report, _) = connect(&offer, &config, true, |_| ()).expect(&what);
                    assert_eq!(report, Report { resumed: true, verified: false }, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_signature_by_another_key_is_noticed_where_it_is_checked() {
    for (rsa, signature) in [(false, Signature::Ecdsa), (true, Signature::Rsa)] {
        let config = server(&key(rsa), &key(rsa));
        for version in [Version::Tls12, Version::Tls13] {
            let offer = offer(version, Group::Secp256r1, Cipher::Aes128Gcm, signature);
            let wrong = connect(&offer, &config, true, |_| ()).err();
            assert_eq!(
                wrong,
                Some(Fault::Wrong("the server's signature is wrong")),
                "{version:?} {signature:?}"
            );
            assert!(connect(&offer, &config, false, |_| ()).is_ok(), "{version:?} {signature:?}");
        }
    }
}

#[test]
fn a_changed_byte_anywhere_in_the_flight_ends_the_run() {
    let key = key(false);
    let config = server(&key, &key);
    for version in [Version::Tls12, Version::Tls13] {
        let offer = offer(version, Group::Secp256r1, Cipher::Aes128Gcm, Signature::Ecdsa);
        // Within the first flight: past its records' headers, whose changes only leave the client waiting.
        for at in (5..400).step_by(13) {
            let spoil = |flight: &mut Vec<u8>| {
                if flight.len() > 400 {
                    flight[at] ^= 0x10;
                }
            };
            let fault = connect(&offer, &config, true, spoil).err();
            assert!(fault.is_some(), "{version:?}: byte {at} was changed and nothing noticed");
        }
    }
}

#[test]
fn an_alert_is_told_as_such() {
    let key = key(true);
    let offer = offer(Version::Tls13, Group::X25519, Cipher::Aes128Gcm, Signature::Ecdsa);
    let fault = connect(&offer, &server(&key, &key), true, |_| ()).err();
    assert_eq!(fault, Some(Fault::Alert(40)));
}
